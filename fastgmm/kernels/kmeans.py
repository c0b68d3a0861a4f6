"""k-means: seeding and Lloyd's iterations, one pass over the rows each.

Seeding
    A round reads every row once and tries all its candidates at the same time, in the lanes of
    one vector with the center chosen before.

Lloyd's iterations
    Each row keeps how far its nearest center may come nearer than the second nearest
    (Hamerly): while the centers have moved by less, its label cannot change and the row is not
    read at all. The two distances are kept as their difference alone, in float32 and rounded
    down. On the yardstick's clustered data all passes together looked at 1.3 (2 features, 3
    clusters, 6 iterations), 3 (10, 10, 11), 6 (16, 16, 18) and 10 times (64, 32, 45) all rows.
    Tried in a simulation and left: both bounds apart with half the distance to the next center,
    2 to 30% fewer distances but more rows read; the two nearest centers with their bound and a
    third one for the rest, a tenth to a half fewer distances for twice the memory.

Sums
    Sums over clusters change by the rows whose label changed, and keep what rounding takes off
    them (Knuth's sum of two numbers), so that a far row that leaves a cluster leaves nothing
    behind.
"""

import numpy as np

from fastgmm.jit.decorators import entry, jit
from fastgmm.kernels.micro.lanes import prefer_wide_vectors, prefetch
from fastgmm.kernels.micro.rows import (
    CANDIDATES,
    GROUP_ROWS,
    LANES,
    TILE,
    center_distances_block,
    element,
    transpose_block,
    try_candidates,
    two_nearest,
)
from fastgmm.kernels.micro.vectors import STRIP_VECTORS
from fastgmm.kernels.tiles import chunk_tiles

BLOCK = 256  # rows worked on at a time

_distances_1, _distances_2, _distances_4 = (center_distances_block(rows) for rows in (1, 2, 4))


@jit
def weight_of(data, i):
    """Return the weight of a row."""
    return data.sample_weight[i] if data.sample_weight.size else 1.0


@jit
def load_run_weights(data, start, count, weight):
    """Write the weights of a run of rows and fill a group with 0; `weight` changes in place."""
    for p in range(count):
        weight[p] = weight_of(data, start + p)
    for p in range(count, (count + GROUP_ROWS - 1) // GROUP_ROWS * GROUP_ROWS):
        weight[p] = 0.0


@jit
def load_run(X, start, count, group):
    """Copy a run of rows and fill a group with the last; `group` is modified in place.

    Groups of rows read abreast from memory keep the processor from fetching ahead: at 64
    features a round without the copy took twice as long, at 10 a fifth less.
    """
    prefer_wide_vectors()
    n_features = X.shape[1]
    begin, size = start * n_features, count * n_features
    for j in range(size):
        group[j] = element(X, begin + j)
    for j in range(size, (count + GROUP_ROWS - 1) // GROUP_ROWS * GROUP_ROWS * n_features):
        group[j] = group[j - n_features]


@jit
def load_picked(X, rows, q, tile):
    """Transpose TILE picked rows, from place q on, into `tile` (n_features, TILE), in place."""
    n_features = X.shape[1]
    if n_features < LANES:
        for r in range(TILE):
            i = rows[q + r]
            for j in range(n_features):
                tile[j, r] = X[i, j]
        return
    last = n_features - LANES  # the last block may overlap the one before
    for r in range(0, TILE, LANES):
        for j in range(0, last, LANES):
            transpose_block(X, rows, q + r, n_features, j, tile, j * TILE + r, TILE)
        transpose_block(X, rows, q + r, n_features, last, tile, last * TILE + r, TILE)


@jit
def squared_distances(tile, centers, out):
    """Write squared distances (n_clusters, TILE) of a tile's points to all centers, in place."""
    n_clusters, n_features = centers.shape
    rest = n_clusters % 4
    last = n_clusters - rest
    for p in range(0, TILE, STRIP_VECTORS * LANES):
        for k in range(0, last, 4):
            _distances_4(tile, p, n_features, centers, k, out)
        if rest & 2:
            _distances_2(tile, p, n_features, centers, last, out)
        if rest & 1:
            _distances_1(tile, p, n_features, centers, n_clusters - 1, out)


@jit
def prefetch_picked(X, rows, begin, end):
    """Have picked rows of X brought into the second-level cache: they lie apart.

    All assignments of the yardstick's clustered data took 1.05 (64 features) to 1.3 times (16)
    as long without, and 1.1 times with a call of `ask_for_rows` for each row.
    """
    n_features = X.shape[1]
    for q in range(begin, end):
        i = rows[q] * n_features
        for j in range(0, n_features, 64 // X.itemsize):
            prefetch(X, i + j)
        prefetch(X, i + n_features - 1)


@jit
def find_two_nearest(X, count, centers, work):
    """Find the two nearest centers of `count` picked rows; the buffers of `work` receive them.

    `work.rows` is filled up to a whole tile with the last row.
    """
    for p in range(count, (count + TILE - 1) // TILE * TILE):
        work.rows[p] = work.rows[count - 1]
    prefetch_picked(X, work.rows, 0, min(TILE, count))
    for q in range(0, count, TILE):
        prefetch_picked(X, work.rows, q + TILE, min(q + 2 * TILE, count))
        load_picked(X, work.rows, q, work.tile)
        squared_distances(work.tile, centers, work.distances)
        two_nearest(work.distances, centers.shape[0], work.best, work.second, work.label, q)


@jit
def pick_rows(known, drift, begin, end, rows, count):
    """Add the rows whose label may have changed to a list; return its length.

    `rows` is modified in place.
    """
    for i in range(np.uintp(begin), np.uintp(end)):
        rows[np.uintp(count)] = i
        count += not np.float64(known.reach[i]) >= drift[known.labels[i]]  # a NaN is looked at
    return count


@jit
def nearest_margins(slack, count, best, second):
    """Turn `second` into by how much the nearest center is nearer than the next, in place.

    Less what rounding may have added, `slack` times the distance.
    """
    prefer_wide_vectors()
    for p in range(count):
        second[p] = np.sqrt(second[p]) * (1.0 - slack) - np.sqrt(best[p])


@jit
def add_compensated(high, low, k, j, term):
    """Add a number to the sum ``high[k, j]``, in place; `low` takes what is rounded off."""
    old = high[k, j]
    new = old + term
    part = new - old
    high[k, j] = new
    low[k, j] += (old - (new - part)) + (term - part)


@jit
def add_row(X, i, origin, weight, k, high, low):
    """Add a row to the sums of cluster k, in place; a negative weight takes it away."""
    n_features = X.shape[1]
    for j in range(n_features):
        add_compensated(high, low, k, j, weight * (np.float64(X[i, j]) - origin[j]))
    add_compensated(high, low, k, n_features, weight)


@jit
def store_assignments(data, origin, drift, count, work, known, chunk, sums):
    """Take over what was found of the picked rows: labels, reach and sums, in place.

    The reach is rounded down by a unit of float32, or to what float32 holds.
    """
    high, low, size = sums.high[chunk], sums.low[chunk], sums.size[chunk]
    for p in range(count):
        i, new = work.rows[p], np.uintp(work.label[p])
        old = known.labels[i]
        weight = weight_of(data, i)
        reach = (work.second[p] + drift[new]) * (1.0 - 1.2e-7)
        known.reach[i] = 3e38 if reach > 3e38 else 0.0 if reach < 1.2e-38 else reach
        sums.scatter[chunk] += weight * work.best[p]
        if new != old:
            known.labels[i] = new
            sums.changed[chunk] += 1
            add_row(data.X, i, origin, weight, new, high, low)
            size[new] += weight > 0.0
            if old < size.size:
                add_row(data.X, i, origin, -weight, old, high, low)
                size[old] -= weight > 0.0


@jit
def lloyd_chunk(chunk, n_chunks, work, data, clusters, known, sums):
    """Assign the rows of one chunk to the nearest centers and sum them, in place."""
    centers, drift, slack, origin = clusters
    n_samples = data.X.shape[0]
    begin, end = chunk_tiles(chunk, n_chunks, n_samples, BLOCK)
    count = 0
    for t in range(begin, end):
        start = t * BLOCK
        count = pick_rows(known, drift, start, min(start + BLOCK, n_samples), work.rows, count)
        if count >= BLOCK or (count and t + 1 == end):
            find_two_nearest(data.X, count, centers, work)
            nearest_margins(slack, count, work.best, work.second)
            store_assignments(data, origin, drift, count, work, known, chunk, sums)
            count = 0


@entry
def lloyd_pass(begin, end, n_chunks, work, data, clusters, known, sums):
    """Assign the rows of some chunks to the nearest centers; `known` and `sums` change in place."""
    for chunk in range(begin, end):
        lloyd_chunk(chunk, n_chunks, work, data, clusters, known, sums)


@entry
def nearest_pass(begin, end, n_chunks, work, X, centers, labels, closest):
    """Find the nearest centers of all rows of some chunks.

    `labels` (n_samples,) and `closest` (n_samples,), squared distances, are modified in place.
    """
    n_samples = X.shape[0]
    for chunk in range(begin, end):
        first_tile, end_tile = chunk_tiles(chunk, n_chunks, n_samples, BLOCK)
        for t in range(first_tile, end_tile):
            start = t * BLOCK
            count = min(BLOCK, n_samples - start)
            for p in range(count):
                work.rows[p] = start + p
            find_two_nearest(X, count, centers, work)
            for p in range(count):
                labels[start + p] = work.label[p]
                closest[start + p] = work.best[p]


@jit
def seeding_tile(start, end, work, data, candidates, closest, potential, t):
    """Run a round of k-means++ over one tile of rows; `closest` and `potential` change in place."""
    n_features = data.X.shape[1]
    n_groups = candidates.shape[0]
    strip = work.weight.size
    for q in range(start, end, strip):
        count = min(strip, end - q)
        load_run(data.X, q, count, work.group)
        load_run_weights(data, q, count, work.weight)
        for p in range(0, count, GROUP_ROWS):
            for g in range(n_groups):
                try_candidates(
                    work.group, p * n_features, n_features,
                    candidates, g * n_features * CANDIDATES,
                    closest, q + p, work.weight, p,
                    potential, (t * n_groups + g) * CANDIDATES,
                )  # fmt: skip


@entry
def seeding_pass(begin, end, n_chunks, work, data, candidates, closest, potential):
    """Run one round of k-means++ over some chunks.

    `closest` (n_samples + GROUP_ROWS,), squared distances
    to the nearest center, takes in the center chosen last; `potential` (n_tiles, n_groups, CANDIDATES) of
    tiles receives the sums of w min(closest, distance to the candidate). Both are
    modified in place.
    """
    n_samples, size = data.X.shape[0], candidates.tile
    for chunk in range(begin, end):
        first_tile, end_tile = chunk_tiles(chunk, n_chunks, n_samples, size)
        for t in range(first_tile, end_tile):
            start = t * size
            seeding_tile(
                start,
                min(start + size, n_samples),
                work,
                data,
                candidates.centers,
                closest,
                potential,
                t,
            )
