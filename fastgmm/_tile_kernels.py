"""Tiles of points: their sizes, their buffers, and what the kernels are given and give back.

A tile of points is transposed to (n_features, size), so that lanes run over points whatever
the number of features. A tile and its responsibilities stay in cache while both steps of EM
work on them, and nothing of size n_samples x n_components exists.

float32 points are subtracted from a mean kept as two float32 numbers, high and low, so that no
offset of the data costs digits; distances and sums leave float32 within a tile.
"""

from typing import NamedTuple

import numpy as np

from fastgmm._jit import jit
from fastgmm._simd import (
    GRAM_ROWS,
    STRIP_VECTORS,
    VECTOR_BYTES,
    lanes_of,
    prefer_wide_vectors,
    subtract_from_strip,
)

FULL, TIED, DIAG, SPHERICAL = 0, 1, 2, 3

STRIP_BYTES = 256  # of one feature: the points a block of row norms works on
PANEL = 64  # live points gathered at a time: a panel of them stays in the first-level cache


class Data(NamedTuple):
    """Points X (n_samples, n_features) and their weights (n_samples,), empty when all are 1."""

    X: np.ndarray
    sample_weight: np.ndarray


class Shares(NamedTuple):
    """Responsibilities from outside: `labels` (n_samples,), or `resp`, or neither (both empty)."""

    labels: np.ndarray
    resp: np.ndarray


class Operands(NamedTuple):
    """What the E-step needs of a mixture, laid out for the kernels in the precision of X.

    `means` and `means_low` (n_components, width) add up to the means and are padded with zeros
    to `row_width`; `factors` holds the inverse Cholesky factors, flat, one component a row
    (one row in all for tied); `offsets` (n_components,) is the log-density at the mean plus
    the log-weight; `centers`, `centers_low` (n_components, n_features) are the whitened means and
    `center`, `center_low` (1, n_features) the point they are taken about, empty for full;
    `common` says that moments are to be taken about that point, too.
    """

    kind: int
    common: bool
    means: np.ndarray
    means_low: np.ndarray
    factors: np.ndarray
    offsets: np.ndarray
    weights: np.ndarray
    centers: np.ndarray
    centers_low: np.ndarray
    center: np.ndarray
    center_low: np.ndarray


class Moments(NamedTuple):
    """Sums of one chunk each: S1 and N, S2, and the weighted log-likelihood.

    `first` (n_chunks, n_components, width) has N in column n_features; `second` is (n_chunks,
    n_matrices, rows, width), lower triangles for full (a matrix a component) and tied (one),
    a row a component for diag and spherical; `log_likelihood` is (n_chunks,).
    """

    first: np.ndarray
    second: np.ndarray
    log_likelihood: np.ndarray


class Workspace(NamedTuple):
    """Buffers of one thread, reused by every tile.

    `tile` (n_features, size), `resp` (n_components, size), `peak`, `total`, `weight` and
    `index` (size,); `points` (2 n_features, size) holds what is made of the tile: differences
    from a mean, whitened points, squares; for the M-step `shares` (n_components, size) in the
    precision of the tile, `root` (PANEL,) and `panel` (PANEL, row width), and `surplus`
    (n_features,) for sums that nobody asked for.
    """

    tile: np.ndarray
    points: np.ndarray
    resp: np.ndarray
    peak: np.ndarray
    total: np.ndarray
    weight: np.ndarray
    index: np.ndarray
    shares: np.ndarray
    root: np.ndarray
    panel: np.ndarray
    surplus: np.ndarray


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


def make_workspace(X, n_components):
    """Return the buffers for one thread that works on tiles of X."""
    n_features, dtype = X.shape[1], X.dtype
    size = tile_size(len(X), n_features, X.itemsize)
    own = _aligned(3 * n_features + n_components, size, dtype)
    doubles = _aligned(n_components + 3, size, np.dtype(np.float64))
    panel = _aligned(PANEL, row_width(n_features, X.itemsize), dtype)
    panel.fill(0)
    return Workspace(
        tile=own[:n_features],
        points=own[n_features : 3 * n_features],
        resp=doubles[3:],
        peak=doubles[0],
        total=doubles[1],
        weight=doubles[2],
        index=np.empty(size, np.intp),
        shares=own[3 * n_features :],
        root=np.empty(PANEL, dtype),
        panel=panel,
        surplus=np.zeros(n_features),
    )


@jit
def load_tile(X, start, count, tile):
    """Transpose points start ... start + count - 1 into `tile` (n_features, size), in place.

    Places past `count` repeat the first point. Few features are gathered with lanes over
    points, 1.1 cycles a number; many are copied row by row, 1.3.
    """
    prefer_wide_vectors()
    n_features, size = tile.shape
    if n_features < 16:
        for j in range(n_features):
            for p in range(count):
                tile[j, p] = X[start + p, j]
    else:
        for p in range(count):
            for j in range(n_features):
                tile[j, p] = X[start + p, j]
    for p in range(count, size):
        for j in range(n_features):
            tile[j, p] = X[start, j]


@jit
def load_weights(sample_weight, start, count, weight):
    """Write the weights of a tile's points, 0 past `count`. `weight` is modified in place."""
    for p in range(weight.size):
        if p >= count:
            weight[p] = 0.0
        elif sample_weight.size:
            weight[p] = sample_weight[start + p]
        else:
            weight[p] = 1.0


@jit
def subtract_mean(tile, means, lows, k, gaps):
    """Write ``tile - means[k] - lows[k]``; `gaps` (>= n_features, size) is modified in place."""
    size = tile.shape[1]
    group = STRIP_VECTORS * lanes_of(tile)
    for j in range(tile.shape[0]):
        for p in range(0, size, group):
            subtract_from_strip(tile, j * size + p, means[k, j], lows[k, j], gaps, j * size + p)


@jit
def chunk_tiles(chunk, n_chunks, n_samples, size):
    """Return the first tile of a chunk and of the next one."""
    n_tiles = (n_samples + size - 1) // size
    return chunk * n_tiles // n_chunks, (chunk + 1) * n_tiles // n_chunks
