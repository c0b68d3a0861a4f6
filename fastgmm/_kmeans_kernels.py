"""k-means: seeding and Lloyd's iterations, one pass over the tiles each.

Distances are sums of squared differences, so no offset of the data costs digits and no
n_samples x n_clusters matrix exists. Sums for the new centers are taken about the old ones.
"""

from typing import NamedTuple

import numpy as np

from fastgmm._jit import entry, inline, jit
from fastgmm._kernels import _tile_size, chunk_tiles, euclidean, load_tile, load_weights
from fastgmm._simd import difference, prefer_wide_vectors


class Clusters(NamedTuple):
    """Sums of one chunk each of a Lloyd iteration.

    `shift` (n_chunks, n_clusters, n_features) sums w (x - center), `weight` (n_chunks,
    n_clusters) sums w, `changed` (n_chunks,) counts the rows whose label changed.
    """

    shift: np.ndarray
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


@inline
def lloyd_chunk(chunk, n_chunks, data, centers, lows, labels, clusters):
    """Assign one chunk to the nearest centers and sum about them, in place."""
    n_samples, n_features = data.X.shape
    size = _tile_size(n_samples, n_features, data.X.itemsize)
    tile = np.empty((n_features, size), data.X.dtype)
    distances = np.empty((centers.shape[0], size))
    best, label, weight = np.empty(size), np.empty(size, np.int64), np.empty(size)
    begin, end = chunk_tiles(chunk, n_chunks, n_samples, size)
    for t in range(begin, end):
        start = t * size
        count = min(size, n_samples - start)
        load_tile(data.X, start, count, tile)
        load_weights(data.sample_weight, start, count, weight)
        for k in range(centers.shape[0]):
            euclidean(tile, n_features, centers, lows, k, distances)
        nearest(distances, best, label)
        for p in range(count):
            k = label[p]
            clusters.changed[chunk] += labels[start + p] != k
            labels[start + p] = k
            clusters.weight[chunk, k] += weight[p]
            for j in range(n_features):
                gap = difference(data.X[start + p, j], centers[k, j], lows[k, j])
                clusters.shift[chunk, k, j] += weight[p] * np.float64(gap)


@entry
def lloyd_pass(begin, end, n_chunks, data, centers, lows, labels, clusters):
    """Assign every row to its nearest center; `labels` and `clusters` modified in place."""
    for chunk in range(begin, end):
        lloyd_chunk(chunk, n_chunks, data, centers, lows, labels, clusters)


@inline
def seeding_chunk(chunk, n_chunks, data, chosen, candidates, lows, closest, potential):
    """Take the chosen center into `closest` and sum the potential of every candidate, in place.

    `candidates` and `lows` (1 + n_candidates, n_features) hold the center chosen last, then the
    candidates; `chosen` is 0 where there is none chosen yet. `potential` (n_candidates,
    n_tiles) receives the sums of w min(closest, distance to the candidate).
    """
    prefer_wide_vectors()
    n_samples, n_features = data.X.shape
    size = _tile_size(n_samples, n_features, data.X.itemsize)
    tile = np.empty((n_features, size), data.X.dtype)
    distances = np.empty((candidates.shape[0], size))
    weight = np.empty(size)
    begin, end = chunk_tiles(chunk, n_chunks, n_samples, size)
    for t in range(begin, end):
        start = t * size
        count = min(size, n_samples - start)
        load_tile(data.X, start, count, tile)
        load_weights(data.sample_weight, start, count, weight)
        for k in range(1 - chosen, candidates.shape[0]):
            euclidean(tile, n_features, candidates, lows, k, distances)
        if chosen:
            for p in range(count):
                closest[start + p] = min(closest[start + p], distances[0, p])
        for k in range(1, candidates.shape[0]):
            total = 0.0
            for p in range(count):
                total += weight[p] * min(closest[start + p], distances[k, p])
            potential[k - 1, t] = total


@entry
def seeding_pass(begin, end, n_chunks, data, chosen, candidates, lows, closest, potential):
    """Run one round of k-means++; `closest` and `potential` modified in place."""
    for chunk in range(begin, end):
        seeding_chunk(chunk, n_chunks, data, chosen, candidates, lows, closest, potential)
