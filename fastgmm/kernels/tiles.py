"""Tiles of points: their sizes, their buffers, and how they are loaded.

A tile is transposed to (n_features, size), so that SIMD lanes run over points whatever the number
of features. The tile and its responsibilities stay in cache while both steps of EM work on them. No
array of size n_samples x n_components exists.

Each component lists vectors of the tile: all of them, or those that may have live pairs (see
`fastgmm.kernels.skipping`). The values computed for the listed vectors lie side by side.

A mean of float32 points is kept as two float32 numbers, high and low, so that subtracting it loses
no digits whatever the offset of the data. Distances of float32 points are accumulated in float32
and stored as float64. Moments are accumulated in float32 over one tile at most, then added in
float64.
"""

import numpy as np

from fastgmm.jit.decorators import jit
from fastgmm.kernels.micro.lanes import (
    copy_doubles,
    difference,
    lanes_of,
    prefer_wide_vectors,
    prefetch,
    transpose_rows,
)
from fastgmm.kernels.micro.vectors import GRAM_ROWS, STRIP_VECTORS, VECTOR_BYTES
from fastgmm.kernels.types import Block, Workspace

# Nats, by itemsize. A density this far below the best component's is negligible: in float64 it
# changes no bit of a sum, in float32 no bit that the data determines.
NATS = {4: 24.0, 8: 44.0}
STRIP_BYTES = 256  # bytes of one feature: the points that a block of row norms works on
PANEL = 64  # live points gathered at a time; this panel stays in the first-level cache
BLOCK = 4096  # points; a block is as many full tiles as this allows, sorted together
PREFETCH_BYTES = 12288  # bytes between a row that is loaded and the row prefetched with it
MANY_FEATURES = 16  # features; with fewer, a center saves diagonal kernels nothing
FEW_FEATURES = 4  # features; with fewer, the hardware prefetcher suffices
# Blocks, if there are enough points. More blocks balance the threads better; longer ones skip more.
MIN_BLOCKS = 16


def row_width(n_features, itemsize):
    """Return the columns of a padded row that holds the features and a one."""
    lanes = VECTOR_BYTES // itemsize
    return (n_features + lanes) // lanes * lanes


def table_width(n_features, itemsize):
    """Return the columns of a padded row that holds the features.

    Long rows have an odd number of vectors: with a power of two, they map to the same lines of the
    first-level cache.
    """
    lanes = VECTOR_BYTES // itemsize
    n_vectors = (n_features + lanes - 1) // lanes
    return (n_vectors | 1 if n_vectors > 3 else n_vectors) * lanes


def matrix_rows(n_features):
    """Return the rows of a second-moment matrix, padded to full blocks."""
    return (n_features + GRAM_ROWS - 1) // GRAM_ROWS * GRAM_ROWS


def tile_size(n_samples, n_features, itemsize):
    """Return the points in a tile: an odd number of full strips that fits the caches.

    With an even number, above all a power of two, the rows of a tile map to the same lines of the
    first-level cache: loading 512 points of 16 features took 120 times as long as 480.
    """
    strip = STRIP_BYTES // itemsize
    strips = 7 if n_features <= 96 else 3
    if n_features <= 24:  # the tile and its differences from a mean fit in the first-level cache
        strips = min(15, (80 // n_features - 1) // 2 * 2 + 1)
    return min(strips, (n_samples + strip - 1) // strip) * strip


def _aligned(n_rows, n_columns, dtype):
    """Return an uninitialised array (n_rows, n_columns) that begins on a cache line.

    Without alignment every vector of 64 bytes would straddle two lines.
    """
    size = n_rows * n_columns * dtype.itemsize
    memory = np.empty(size + 64, np.uint8)
    skip = -memory.ctypes.data % 64
    return memory[skip : skip + size].view(dtype).reshape(n_rows, n_columns)


def tile_count(n_samples, size):
    """Return the number of tiles of `size` points."""
    return -(-n_samples // size)


def block_tiles(n_samples, size):
    """Return the number of tiles in a block."""
    return max(1, min(BLOCK // size, tile_count(n_samples, size) // MIN_BLOCKS))


def _make_block(n_points, n_components):
    """Return the sorting buffers for a block of `n_points` points."""
    distances = np.empty((n_components + 1, n_points), np.float32)
    short = np.empty((4, n_points), np.uint16)
    ends = np.empty(max(n_components, 256) + 1, np.intp)
    return Block(distances[1:], distances[0], *short, ends)


def make_workspace(X, n_components, ordered=False):
    """Return the buffers of one thread that works on tiles of X.

    If `ordered` is true, they include the buffers for sorting the points of a block.
    """
    n_features, dtype = X.shape[1], X.dtype
    size = tile_size(len(X), n_features, X.itemsize)
    n_rows = -(-n_components // GRAM_ROWS) * GRAM_ROWS
    own = _aligned(3 * n_features + n_rows, size, dtype)
    own[3 * n_features + n_components :] = 0
    points = own[n_features : 3 * n_features]
    columns = table_width(n_features, X.itemsize)
    table_rows = size if n_features >= MANY_FEATURES else 0
    doubles = _aligned(n_components + 5, size, np.dtype(np.float64))
    panel = _aligned(PANEL, row_width(n_features, X.itemsize), dtype)
    panel.fill(0)
    n_vectors = size * X.itemsize // VECTOR_BYTES
    return Workspace(
        tile=own[:n_features],
        points=points,
        resp=doubles[5:],
        peak=doubles[0],
        total=doubles[1],
        weight=doubles[2],
        scratch=doubles[3:5],
        rows=np.empty(size, np.intp),
        places=np.empty((n_components, n_vectors), np.intp),
        counts=np.empty(n_components, np.intp),
        live=np.empty(n_components, np.intp),
        chosen=np.empty(n_vectors, np.intp),
        index=np.empty(size, np.intp),
        tile_resp=own[3 * n_features :],
        table=points.reshape(-1)[: table_rows * columns].reshape(table_rows, columns),
        sums=_aligned(2 * GRAM_ROWS, columns, np.dtype(np.float64)),
        root=np.empty(PANEL, dtype),
        panel=panel,
        block=_make_block(block_tiles(len(X), size) * size if ordered else 0, n_components),
    )


@jit
def fill(values, number):
    """Set all values of a vector to a number, in place; Numba's own `fill` compiles longer."""
    prefer_wide_vectors()
    for p in range(values.size):
        values[p] = number


@jit
def find_rows(order, block, start, count, rows):
    """Write the rows of X that the points of a tile come from; `rows` (size,) is modified in place.

    Positions past `count` repeat the first row. If `order` is not empty, it gives the rows relative
    to row `block`, where the block begins.
    """
    for p in range(count):
        rows[p] = block + order[start + p] if order.size else start + p
    for p in range(count, rows.size):
        rows[p] = rows[0]


@jit
def prefetch_rows(X, begin, end):
    """Prefetch rows begin ... end - 1 of X into the second-level cache."""
    n_features = X.shape[1]
    for i in range(begin * n_features, min(end, X.shape[0]) * n_features, 64 // X.itemsize):
        prefetch(X, i)


@jit
def load_tile(X, rows, tile, ahead):
    """Transpose rows of X into `tile` (n_features, size), in place.

    Also prefetch as many rows from row `ahead` on. The hardware prefetcher does not follow rows
    that are read side by side or in a permuted order: without software prefetching, loading alone
    takes 1.5 (50 features) to 2.4 times (10 features) as long.
    """
    n_features, size = tile.shape
    lanes = lanes_of(X)
    for p in range(0, size, lanes):
        prefetch_rows(X, ahead + p, ahead + p + lanes)
        transpose_rows(X, n_features, rows, p, tile, p, size)


@jit
def prefetch_distance(X):
    """Return how many rows ahead to prefetch when rows are read in order."""
    n_features = X.shape[1]
    return X.shape[0] if n_features < FEW_FEATURES else PREFETCH_BYTES // (n_features * X.itemsize)


@jit
def load_weights(sample_weight, rows, count, weight):
    """Write the weights of a tile's points, 0 past `count`, into `weight` (size,), in place."""
    for p in range(weight.size):
        if p >= count:
            weight[p] = 0.0
        elif sample_weight.size:
            weight[p] = sample_weight[rows[p]]
        else:
            weight[p] = 1.0


@jit
def list_all(places, counts, lanes):
    """List all vectors of a tile for every component; modifies `places` and `counts` in place."""
    for k in range(counts.size):
        counts[k] = places.shape[1]
        for m in range(places.shape[1]):
            places[k, m] = m * lanes


@jit
def fill_strip(places, k, n):
    """Repeat the last of the n places of component k up to the end of its strip, in place.

    Micro-kernels compute full strips only.
    """
    m = n
    while m % STRIP_VECTORS:
        places[k, m] = places[k, n - 1]
        m += 1


@jit
def gather_doubles(values, places, k, n, scratch, row, like):
    """Copy the n vectors of `values` that component k lists, side by side, into a row of `scratch`.

    A vector has as many numbers as fit in a vector of `like`. `scratch` is modified in place.
    """
    lanes = lanes_of(like)
    for m in range(n):
        copy_doubles(values, places[k, m], scratch, row * scratch.shape[1] + m * lanes, like)


@jit
def scatter_doubles(scratch, row, places, k, n, values, like):
    """Copy the n vectors in row `row` of `scratch` back to their places: undo `gather_doubles`.

    `values` is modified in place.
    """
    lanes = lanes_of(like)
    for m in range(n):
        copy_doubles(scratch, row * scratch.shape[1] + m * lanes, values, places[k, m], like)


@jit
def subtract_mean(tile, means, lows, k, diffs):
    """Write ``tile - means[k] - lows[k]`` to `diffs` (>= n_features, size), in place."""
    prefer_wide_vectors()
    for j in range(tile.shape[0]):
        high, low = means[k, j], lows[k, j]
        for p in range(tile.shape[1]):
            diffs[j, p] = difference(tile[j, p], high, low)


@jit
def chunk_tiles(chunk, n_chunks, n_samples, size, group=1):
    """Return the first tile of a chunk and of the next; chunks consist of full groups of tiles."""
    n_tiles = (n_samples + size - 1) // size
    n_groups = (n_tiles + group - 1) // group
    begin, end = chunk * n_groups // n_chunks * group, (chunk + 1) * n_groups // n_chunks * group
    return begin, min(end, n_tiles)
