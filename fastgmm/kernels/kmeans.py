"""k-means: seeding and Lloyd's iterations, each of them one pass over the rows.

Seeding
    A round of k-means++ reads every row once. It computes the distances to the center chosen last
    and to all candidates at the same time, in the lanes of one vector.

Lloyd's iterations
    Each row stores by how much its nearest center is nearer than the second nearest (Hamerly).
    While the centers have moved by less, its label cannot change and the row is not read at all.
    The difference of the two distances is stored, in float32 and rounded down, instead of both. On
    the benchmark's clustered data all passes together read 1.3 (2 features, 3 clusters, 6
    iterations), 3 (10, 10, 11), 6 (16, 16, 18) and 10 times (64, 32, 45) all rows. Rejected after
    simulation: two separate bounds, with half the distance to the next center, compute 2 to 30%
    fewer distances but read more rows; bounds for the two nearest centers and a third for all
    others compute a tenth to a half fewer distances for twice the memory.

Sums
    The sums of a cluster change by the rows that enter or leave it. Rounding errors are kept in a
    second number (Knuth's two-sum), so that an outlier that leaves a cluster leaves no error
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

BLOCK = 256  # rows that are picked from and assigned at a time

_distances_1, _distances_2, _distances_4 = (center_distances_block(rows) for rows in (1, 2, 4))


@jit
def weight_of(data, i):
    """Return the weight of row i."""
    return data.sample_weight[i] if data.sample_weight.size else 1.0


@jit
def load_run_weights(data, start, count, weight):
    """Write the weights of a run of rows to `weight`, in place; zeros fill its last group."""
    for p in range(count):
        weight[p] = weight_of(data, start + p)
    for p in range(count, (count + GROUP_ROWS - 1) // GROUP_ROWS * GROUP_ROWS):
        weight[p] = 0.0


@jit
def load_run(X, start, count, group):
    """Copy a run of rows to `group`, in place; copies of the last row fill its last group.

    If a group of rows is read from memory side by side, the hardware prefetcher does not follow.
    Without this copy a round took twice as long at 64 features, and a fifth less at 10.
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
    """Transpose TILE picked rows, from position q on, into `tile` (n_features, TILE), in place."""
    n_features = X.shape[1]
    if n_features < LANES:
        for r in range(TILE):
            i = rows[q + r]
            for j in range(n_features):
                tile[j, r] = X[i, j]
        return
    last = n_features - LANES  # the last square may overlap the one before it
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
    """Prefetch picked rows of X, which do not follow each other, into the second-level cache.

    Without it, all assignments of the benchmark's clustered data took 1.05 (64 features) to 1.3
    times (16 features) as long; with a call of `prefetch_rows` for each row, 1.1 times.
    """
    n_features = X.shape[1]
    for q in range(begin, end):
        i = rows[q] * n_features
        for j in range(0, n_features, 64 // X.itemsize):
            prefetch(X, i + j)
        prefetch(X, i + n_features - 1)


@jit
def find_two_nearest(X, count, centers, work):
    """Find the two nearest centers of `count` picked rows; results go to the buffers of `work`.

    `work.rows` is padded to a full tile with the last row.
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
    """Append the rows whose label may have changed to `rows`, in place; return its new length."""
    for i in range(np.uintp(begin), np.uintp(end)):
        rows[np.uintp(count)] = i
        count += not np.float64(known.reach[i]) >= drift[known.labels[i]]  # true for NaN
    return count


@jit
def nearest_margins(slack, count, best, second):
    """Turn `second` into the margin by which the nearest center is nearer, in place.

    On entry `best` and `second` are the squared distances to the nearest and the second nearest
    center. The margin is reduced by the largest rounding error, `slack` times the distance.
    """
    prefer_wide_vectors()
    for p in range(count):
        second[p] = np.sqrt(second[p]) * (1.0 - slack) - np.sqrt(best[p])


@jit
def add_compensated(high, low, k, j, term):
    """Add a term to the sum ``high[k, j]``, in place; `low` accumulates its rounding errors."""
    old = high[k, j]
    new = old + term
    part = new - old
    high[k, j] = new
    low[k, j] += (old - (new - part)) + (term - part)


@jit
def add_row(X, i, origin, weight, k, high, low):
    """Add a row to the sums of cluster k, in place; a negative weight subtracts it."""
    n_features = X.shape[1]
    for j in range(n_features):
        add_compensated(high, low, k, j, weight * (np.float64(X[i, j]) - origin[j]))
    add_compensated(high, low, k, n_features, weight)


@jit
def store_assignments(data, origin, drift, count, work, known, chunk, sums):
    """Store the labels and reach of the picked rows and update the sums, in place.

    The reach is rounded down by one unit of float32 and clamped to the range of float32.
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
    """Assign the rows of one chunk to the nearest centers and update the sums, in place."""
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
    """Assign the rows of some chunks to the nearest centers; modify `known` and `sums` in place."""
    for chunk in range(begin, end):
        lloyd_chunk(chunk, n_chunks, work, data, clusters, known, sums)


@jit
def distance(X, i, centers, k):
    """Return the distance of row i to center k."""
    total = 0.0
    for j in range(X.shape[1]):
        total += (np.float64(X[i, j]) - centers[k, j]) ** 2
    return np.sqrt(total)


@entry
def move_ties(rows, labels, limit, data, clusters, known, sums):
    """Move `rows` (n_rows,) to the clusters `labels` (n_rows,); `known` and `sums` change in place.

    A row stays if its new center is farther than its own by more than ``limit[own]``
    (n_clusters,). The sums of chunk 0 change.
    """
    centers, _, _, origin = clusters
    high, low, size = sums.high[0], sums.low[0], sums.size[0]
    for p in range(rows.size):
        i, new = rows[p], labels[p]
        old = np.intp(known.labels[i])
        gap = distance(data.X, i, centers, new) - distance(data.X, i, centers, old)
        if new == old or not gap <= limit[old]:
            continue
        weight = weight_of(data, i)
        known.labels[i] = new
        add_row(data.X, i, origin, weight, new, high, low)
        add_row(data.X, i, origin, -weight, old, high, low)
        size[new] += weight > 0.0
        size[old] -= weight > 0.0


@entry
def nearest_pass(begin, end, n_chunks, work, X, centers, labels, closest):
    """Find the nearest centers of all rows of some chunks.

    `labels` (n_samples,) and `closest` (n_samples,), the squared distances, are modified in place.
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
    """Run a round of k-means++ over one tile; modifies `closest` and `potential` in place."""
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

    `closest` (n_samples + GROUP_ROWS,) holds the squared distances to the nearest center; the pass
    includes the center chosen last. `potential` (n_tiles, n_groups, CANDIDATES) receives the sum
    over each tile of w min(closest, squared distance to the candidate). Both are modified in place.
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
