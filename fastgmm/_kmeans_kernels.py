"""k-means: seeding and Lloyd's iterations, one pass over the tiles each.

Distances are sums of squared differences, in blocks of four centers by one strip of points: no
offset of the data costs digits, nothing of size n_samples x n_clusters exists, and all
candidates of a k-means++ round share one pass. Sums over clusters change by the rows whose
label changed, which after a few iterations are few.
"""

from typing import NamedTuple

import numpy as np

from fastgmm._density_kernels import squared_distances
from fastgmm._jit import entry, inline, jit
from fastgmm._simd import lanes_of, prefer_wide_vectors
from fastgmm._tile_kernels import chunk_tiles, find_rows, list_all, load_tile, load_weights


class Clusters(NamedTuple):
    """Sums of one chunk each over the clusters.

    `first` (n_chunks, n_clusters, n_features) sums w (x - origin), kept from one iteration to
    the next; `weight` (n_chunks, n_clusters) sums w; `changed` (n_chunks,) counts the rows
    whose label changed.
    """

    first: np.ndarray
    weight: np.ndarray
    changed: np.ndarray


@jit
def nearest(distances, best, label):
    """Write the least distance of every column and where it is, in place."""
    prefer_wide_vectors()
    for p in range(best.size):
        best[p] = np.inf
        label[p] = 0
    for k in range(distances.shape[0]):
        for p in range(best.size):
            closer = distances[k, p] < best[p]
            best[p] = distances[k, p] if closer else best[p]
            label[p] = k if closer else label[p]


@jit
def add_row(sums, k, X, i, origin, weight):
    """Add ``weight (x_i - origin)`` to one row of `sums`, in place."""
    for j in range(X.shape[1]):
        sums[k, j] += weight * (np.float64(X[i, j]) - origin[j])


@jit
def take_labels(data, start, count, label, weight, origin, labels, first, total):
    """Take over a tile's labels; return how many changed. `labels` and the sums change in place."""
    changed = 0
    for p in range(count):
        i = start + p
        new, old = label[p], labels[i]
        total[new] += weight[p]
        if new != old:
            changed += 1
            labels[i] = new
            add_row(first, new, data.X, i, origin, weight[p])
            if old >= 0:
                add_row(first, old, data.X, i, origin, -weight[p])
    return changed


@inline
def lloyd_chunk(chunk, n_chunks, work, data, centers, lows, origin, labels, clusters):
    """Assign the rows of one chunk to the nearest centers and sum them, in place."""
    n_samples, n_features = data.X.shape
    tile, distances, weight = work.tile, work.resp, work.weight
    size = weight.size
    begin, end = chunk_tiles(chunk, n_chunks, n_samples, size)
    for t in range(begin, end):
        start = t * size
        count = min(size, n_samples - start)
        find_rows(work.block.order, 0, start, count, work.rows)
        load_tile(data.X, work.rows, tile)
        load_weights(data.sample_weight, work.rows, count, weight)
        list_all(work.places, work.counts, lanes_of(tile))
        squared_distances(tile, n_features, work.places, work.counts, centers, lows, distances)
        nearest(distances, work.peak, work.index)
        clusters.changed[chunk] += take_labels(
            data, start, count, work.index, weight, origin, labels,
            clusters.first[chunk], clusters.weight[chunk],
        )  # fmt: skip


@entry
def lloyd_pass(begin, end, n_chunks, work, data, centers, lows, origin, labels, clusters):
    """Assign the rows of some chunks to the nearest centers.

    `labels` (n_samples,), -1 where there is none yet, and `clusters` are modified in place.
    """
    for chunk in range(begin, end):
        lloyd_chunk(chunk, n_chunks, work, data, centers, lows, origin, labels, clusters)


@jit
def lower(closest, start, count, distances):
    """Lower the distances to the nearest center where the first of `distances` is less."""
    prefer_wide_vectors()
    for p in range(count):
        near = distances[0, p]
        closest[start + p] = near if near < closest[start + p] else closest[start + p]


@jit
def potential_of(closest, start, count, distances, k, weight):
    """Return the sum of w min(closest, distance to candidate k) over a tile."""
    prefer_wide_vectors()
    total = 0.0
    for p in range(count):
        near = distances[k, p]
        total += weight[p] * (near if near < closest[start + p] else closest[start + p])
    return total


@inline
def seeding_chunk(chunk, n_chunks, work, data, candidates, lows, closest, potential):
    """Take the first candidate into `closest` and sum the potential of the others, in place."""
    n_samples, n_features = data.X.shape
    tile, distances, weight = work.tile, work.resp, work.weight
    size = weight.size
    begin, end = chunk_tiles(chunk, n_chunks, n_samples, size)
    for t in range(begin, end):
        start = t * size
        count = min(size, n_samples - start)
        find_rows(work.block.order, 0, start, count, work.rows)
        load_tile(data.X, work.rows, tile)
        load_weights(data.sample_weight, work.rows, count, weight)
        list_all(work.places, work.counts, lanes_of(tile))
        squared_distances(tile, n_features, work.places, work.counts, candidates, lows, distances)
        lower(closest, start, count, distances)
        for k in range(1, candidates.shape[0]):
            potential[k - 1, t] = potential_of(closest, start, count, distances, k, weight)


@entry
def seeding_pass(begin, end, n_chunks, work, data, candidates, lows, closest, potential):
    """Run one round of k-means++ over some chunks.

    `candidates` and `lows` (1 + n_candidates, n_features) hold the center chosen last, then the
    candidates. `closest` (n_samples,), squared distances to the nearest center, takes in the
    first; `potential` (n_candidates, n_tiles) receives the sums of w min(closest, distance to
    the candidate). Both are modified in place.
    """
    for chunk in range(begin, end):
        seeding_chunk(chunk, n_chunks, work, data, candidates, lows, closest, potential)
