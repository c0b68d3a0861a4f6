"""Tiles of points: their sizes, their buffers, and what the kernels are given and give back.

A tile of points is transposed to (n_features, size), so that lanes run over points whatever
the number of features. A tile and its responsibilities stay in cache while both steps of EM
work on them, and nothing of size n_samples x n_components exists.

Each component has a list of the tile's vectors of points that it has to do with: all of them,
or those that may matter (see `fastgmm.kernels.skipping`). What is computed of the listed vectors
is kept side by side.

float32 points are subtracted from a mean kept as two float32 numbers, high and low, so that no
offset of the data costs digits; distances and sums leave float32 within a tile.
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

# A density so far below that of the point's best component changes no bit of a sum, or none that
# the data has: by the size of its numbers.
NATS = {4: 24.0, 8: 44.0}
STRIP_BYTES = 256  # of one feature: the points a block of row norms works on
PANEL = 64  # live points gathered at a time: a panel of them stays in the first-level cache
BLOCK = 4096  # points at most, in whole tiles, within which points may be put in order
PREFETCH_BYTES = 12288  # of rows that are asked for while others are loaded
FEW_FEATURES = 4  # with fewer, rows are fetched in time by themselves
MIN_BLOCKS = 16  # where there are points enough: threads share blocks, longer ones skip more


def row_width(n_features, itemsize):
    """Columns of a padded row that holds the features and a one."""
    lanes = VECTOR_BYTES // itemsize
    return (n_features + lanes) // lanes * lanes


def matrix_rows(n_features):
    """Rows of a second-moment matrix padded to whole blocks."""
    return (n_features + GRAM_ROWS - 1) // GRAM_ROWS * GRAM_ROWS


def tile_size(n_samples, n_features, itemsize):
    """Points in a tile: as many whole strips as the caches take, an odd number.

    An even number, a power of two above all, would put the rows of a tile on top of each other
    in the first-level cache: loading 512 points of 16 features took 120 times as long as 480.
    """
    strip = STRIP_BYTES // itemsize
    strips = 7 if n_features <= 96 else 3
    if n_features <= 24:  # the tile and its differences from a mean fit in the first level
        strips = min(15, (80 // n_features - 1) // 2 * 2 + 1)
    return min(strips, (n_samples + strip - 1) // strip) * strip


def _aligned(n_rows, n_columns, dtype):
    """Return an uninitialised array that begins on a cache line.

    Elsewhere every vector of 64 bytes would straddle two lines.
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
    distances = np.empty((n_components + 1, n_points), np.float32)
    short = np.empty((4, n_points), np.uint16)
    ends = np.empty(max(n_components, 256) + 1, np.intp)
    return Block(distances[1:], distances[0], *short, ends)


def make_workspace(X, n_components, ordered=False):
    """Return the buffers for one thread that works on tiles of X.

    `ordered` says that it may have to put the points of a block in order.
    """
    n_features, dtype = X.shape[1], X.dtype
    size = tile_size(len(X), n_features, X.itemsize)
    own = _aligned(3 * n_features + n_components, size, dtype)
    doubles = _aligned(n_components + 5, size, np.dtype(np.float64))
    panel = _aligned(PANEL, row_width(n_features, X.itemsize), dtype)
    panel.fill(0)
    n_vectors = size * X.itemsize // VECTOR_BYTES
    return Workspace(
        tile=own[:n_features],
        points=own[n_features : 3 * n_features],
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
        root=np.empty(PANEL, dtype),
        panel=panel,
        block=_make_block(block_tiles(len(X), size) * size if ordered else 0, n_components),
    )


@jit
def find_rows(order, block, start, count, rows):
    """Write which rows of X the points of a tile are, in place; the first one past `count`.

    The points of the block that begins at row `block` come in the order given, if any.
    """
    for p in range(count):
        rows[p] = block + order[start + p] if order.size else start + p
    for p in range(count, rows.size):
        rows[p] = rows[0]


@jit
def prefetch_rows(X, begin, end):
    """Have rows of X brought into the second-level cache."""
    n_features = X.shape[1]
    for i in range(begin * n_features, min(end, X.shape[0]) * n_features, 64 // X.itemsize):
        prefetch(X, i)


@jit
def load_tile(X, rows, tile, ahead):
    """Transpose rows of X into `tile` (n_features, size), in place.

    Ask for as many rows from `later` on meanwhile, which will be wanted by and by: a processor
    does not see through rows that are read abreast, or in another order. Loading alone takes
    1.5 (50 features) to 2.4 times (10) as long without.
    """
    n_features, size = tile.shape
    lanes = lanes_of(X)
    for p in range(0, size, lanes):
        prefetch_rows(X, ahead + p, ahead + p + lanes)
        transpose_rows(X, n_features, rows, p, tile, p, size)


@jit
def prefetch_distance(X):
    """Return how many rows further on to ask for rows that are read in order."""
    n_features = X.shape[1]
    return X.shape[0] if n_features < FEW_FEATURES else PREFETCH_BYTES // (n_features * X.itemsize)


@jit
def load_weights(sample_weight, rows, count, weight):
    """Write the weights of a tile's points, 0 past `count`. `weight` is modified in place."""
    for p in range(weight.size):
        if p >= count:
            weight[p] = 0.0
        elif sample_weight.size:
            weight[p] = sample_weight[rows[p]]
        else:
            weight[p] = 1.0


@jit
def list_all(places, counts, lanes):
    """List all vectors of a tile for every component, in place."""
    for k in range(counts.size):
        counts[k] = places.shape[1]
        for m in range(places.shape[1]):
            places[k, m] = m * lanes


@jit
def fill_strip(places, k, n):
    """Repeat the last of n places to the end of its strip, in place: strips are computed whole."""
    m = n
    while m % STRIP_VECTORS:
        places[k, m] = places[k, n - 1]
        m += 1


@jit
def gather_doubles(values, places, k, n, scratch, row, like):
    """Write the n vectors of `values` that component k lists side by side, in place."""
    lanes = lanes_of(like)
    for m in range(n):
        copy_doubles(values, places[k, m], scratch, row * scratch.shape[1] + m * lanes, like)


@jit
def scatter_doubles(scratch, row, places, k, n, values, like):
    """Write the n vectors of `near` back where component k lists them, in place."""
    lanes = lanes_of(like)
    for m in range(n):
        copy_doubles(scratch, row * scratch.shape[1] + m * lanes, values, places[k, m], like)


@jit
def subtract_mean(tile, means, lows, k, diffs):
    """Write ``tile - means[k] - lows[k]``; `gaps` (>= n_features, size) is modified in place."""
    prefer_wide_vectors()
    for j in range(tile.shape[0]):
        high, low = means[k, j], lows[k, j]
        for p in range(tile.shape[1]):
            diffs[j, p] = difference(tile[j, p], high, low)


@jit
def chunk_tiles(chunk, n_chunks, n_samples, size, group=1):
    """Return the first tile of a chunk and of the next one, both whole groups of tiles on."""
    n_tiles = (n_samples + size - 1) // size
    n_groups = (n_tiles + group - 1) // group
    begin, end = chunk * n_groups // n_chunks * group, (chunk + 1) * n_groups // n_chunks * group
    return begin, min(end, n_tiles)
