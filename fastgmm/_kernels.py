"""The EM pass: distances, responsibilities and weighted moments of a tile of points at a time.

Formulation
    For component k with mean m and lower-triangular U, the inverse Cholesky factor of its
    covariance: ``log p_k(x) = log weight + log det U - d/2 log 2 pi - |U (x - m)|^2 / 2``. The
    sums for the M-step are taken about the means of the same iteration, so nothing cancels:
    ``N = sum w r``, ``S1 = sum w r (x - m)``, ``S2 = sum w r (x - m)(x - m)^T``.

Layout
    A tile of points is transposed to (n_features, tile), so that lanes run over points in the
    E-step whatever the number of features; responsibilities are (n_components, tile) doubles.
    One tile and its responsibilities stay in cache while both steps work on them, and nothing
    of size n_samples x n_components exists. float32 points are subtracted from a mean kept as
    two float32 numbers, high and low, so that no offset of the data costs digits; distances
    and sums leave float32 within a tile.

Responsibilities that cannot matter
    One below exp(-60) of its component's weight changes no bit of any sum and is left out.
    The M-step of a component has two forms: `gram_of_tile` runs over all points of the tile
    with lanes over points, `gram_of_live` gathers the live points and has lanes over features.
    Cycles per point on one AVX-512 core: 0.6, 5.7, 15 and 61 against 12, 19, 25 and 60 for
    2, 10, 16 and 32 features, so the first is taken while ``live * 34 > tile * n_features``.

Not kept
    The full form specialised on the number of features at compile time: the blocks of `_simd`
    reach 70% of the machine's arithmetic rate from 8 features on, and below that loading and
    exponentials weigh more than the triangle.
"""

from typing import NamedTuple

import numpy as np

from fastgmm._jit import entry, inline, jit, jit_sum
from fastgmm._simd import (
    GRAM_ROWS,
    SQUARE,
    STRIP_VECTORS,
    VECTOR_BYTES,
    count_bits,
    difference,
    distances_block,
    float_bits,
    float_from_bits,
    gram_block,
    lanes_of,
    live_bits,
    lowest_bit,
    prefer_wide_vectors,
    product_block,
    row_norms_block,
    store_scaled_difference,
    subtract_from_strip,
    weighted_corner_block,
    weighted_gram_block,
)

FULL, TIED, DIAG, SPHERICAL = 0, 1, 2, 3

DEAD = np.exp(-60.0)  # responsibilities below this share of the component's weight are left out
LOWEST = -1e300  # log-densities are clamped here, so that no point has only infinite ones
POINT_LANES = 24  # features up to which second moments are summed with lanes over points
SQUARES_COST = 80
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
    """Buffers of one chunk, reused by every tile.

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


_tile_size = jit(tile_size)
_row_width = jit(row_width)

# Blocks by their height (and width): the last rows of a matrix take the lower ones.
_row_norms_1, _row_norms_2, _row_norms_3, _row_norms_4, _row_norms_5, _row_norms_6 = (
    row_norms_block(r) for r in (1, 2, 3, 4, 5, 6)
)
_near_1, _near_2, _near_3, _near_4 = (distances_block(r, False) for r in (1, 2, 3, 4))
_scaled_1, _scaled_2, _scaled_3, _scaled_4 = (distances_block(r, True) for r in (1, 2, 3, 4))
_gram_1, _gram_2, _gram_3 = (gram_block(GRAM_ROWS, c) for c in (1, 2, 3))
_gram_row_1, _gram_row_2, _gram_row_3 = (gram_block(1, c) for c in (1, 2, 3))
_square_1, _square_2, _square_3, _square_4 = (weighted_gram_block(r, SQUARE) for r in (1, 2, 3, 4))
_row_1, _row_2, _row_3, _row_4 = (product_block(1, c) for c in (1, 2, 3, 4))
_rows_1, _rows_2, _rows_3, _rows_4 = (product_block(SQUARE, c) for c in (1, 2, 3, 4))
_corner_1, _corner_2, _corner_3, _corner_4 = (weighted_corner_block(r) for r in (1, 2, 3, 4))


# --- exponential and logarithm -----------------------------------------------------------

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01  # 33 bits, so that k * _LN2_HIGH is exact
_LN2_LOW = 1.90821492927058770002e-10
_ROUND = 1.5 * 2.0**52  # adding it leaves the nearest integer in the low bits
_SQRT_HALF_BITS = int(np.float64(np.sqrt(0.5)).view(np.int64))


@jit
def exp_nonpositive(x):
    """Return exp(x) for x <= 0 to 4e-16 relative; 0 below -708.

    x = k ln 2 + r; a polynomial of degree 11 in r, near-minimax on |r| <= ln(2) / 2 with error
    1.1e-16 in its degree-9 quotient, then k is added to the exponent bits.
    """
    shifted = x * _LOG2_E + _ROUND
    k = shifted - _ROUND
    r = x - k * _LN2_HIGH
    r = r - k * _LN2_LOW
    p = 2.510038549551032e-08
    p = p * r + 2.7620088445409746e-07
    p = p * r + 2.7557268459997064e-06
    p = p * r + 2.4801521295954376e-05
    p = p * r + 0.00019841269863053618
    p = p * r + 0.0013888888917213717
    p = p * r + 0.008333333333330062
    p = p * r + 0.04166666666662413
    p = p * r + 0.16666666666666669
    p = p * r + 0.5000000000000001
    p = p * r * r + r + 1.0
    y = float_from_bits(float_bits(p) + (float_bits(shifted) << 52))
    return y if x >= -708.0 else 0.0


@jit
def log_positive(x):
    """Return log(x) for a normal x > 0 to 4e-16 relative.

    x = 2^e m with m in [sqrt(1/2), sqrt(2)), s = (m - 1) / (m + 1), and log m = 2 atanh s by a
    near-minimax polynomial in s^2.
    """
    bits = float_bits(x)
    e = (bits - _SQRT_HALF_BITS) >> 52
    f = float_from_bits(bits - (e << 52)) - 1.0
    s = f / (2.0 + f)
    z = s * s
    p = 0.14617807153417325
    p = p * z + 0.15331611722055008
    p = p * z + 0.1818289243253687
    p = p * z + 0.22222211089379496
    p = p * z + 0.28571428626253836
    p = p * z + 0.3999999999989889
    p = p * z + 0.666666666666667
    return e * _LN2_HIGH + (f - s * (f - p * z) + e * _LN2_LOW)


@jit
def aligned(n_rows, n_columns, zero):
    """Return an uninitialised array of the type of `zero` that begins on a cache line.

    Numba aligns to 32 bytes, and then every vector of 64 straddles two lines.
    """
    itemsize = np.empty(0, type(zero)).itemsize
    spare = 64 // itemsize
    memory = np.empty(n_rows * n_columns + spare, type(zero))
    skip = (-memory.ctypes.data % 64) // itemsize
    return memory[skip : skip + n_rows * n_columns].reshape((n_rows, n_columns))


# --- tiles ---------------------------------------------------------------------------------


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


# --- E-step: squared Mahalanobis distances ---------------------------------------------------


@jit
def mahalanobis_full(operands, tile, maha):
    """Write the squared distances (n_components, tile). `maha` is modified in place.

    Components run inside strips of points: the strip and its differences stay in the
    first-level cache and a factor is read once a strip, 4 bytes a cycle. All in one function,
    because a call with its 20 array fields costs as much as a strip of two features.
    """
    n_features, size = tile.shape
    factors, means, lows = operands.factors, operands.means, operands.means_low
    strip = STRIP_VECTORS * lanes_of(tile)
    gaps = aligned(n_features, strip, tile.dtype.type(0))
    rest = n_features % 6
    last = n_features - rest
    for p in range(0, size, strip):
        for k in range(maha.shape[0]):
            o = k * size + p
            u = k * n_features * n_features
            for j in range(n_features):
                subtract_from_strip(tile, j * size + p, means[k, j], lows[k, j], gaps, j * strip)
            for q in range(p, p + strip):
                maha[k, q] = 0.0
            for j in range(0, last, 6):
                _row_norms_6(factors, u, n_features, j, gaps, strip, 0, maha, o)
            if rest == 5:
                _row_norms_5(factors, u, n_features, last, gaps, strip, 0, maha, o)
            elif rest == 4:
                _row_norms_4(factors, u, n_features, last, gaps, strip, 0, maha, o)
            elif rest == 3:
                _row_norms_3(factors, u, n_features, last, gaps, strip, 0, maha, o)
            elif rest == 2:
                _row_norms_2(factors, u, n_features, last, gaps, strip, 0, maha, o)
            elif rest == 1:
                _row_norms_1(factors, u, n_features, last, gaps, strip, 0, maha, o)


@jit
def whiten_tile(operands, tile, points):
    """Write ``U (x - center)`` for every point of a tile; `points` is modified in place.

    From the last feature to the first, so that each row replaces a difference no longer needed.
    """
    prefer_wide_vectors()
    n_features, size = tile.shape
    subtract_mean(tile, operands.center, operands.center_low, 0, points)
    for j in range(n_features - 1, -1, -1):
        diagonal = operands.factors[0, j * n_features + j]
        for p in range(size):
            points[j, p] *= diagonal
        for l in range(j):
            u = operands.factors[0, j * n_features + l]
            for p in range(size):
                points[j, p] += u * points[l, p]


@jit
def squared_distances(points, n_features, means, lows, out):
    """Write squared distances of `points` (>= n_features, size) to all means, in place.

    `out` is (n_means, size); the means may have padded rows.
    """
    size = points.shape[1]
    n_means, ldm = out.shape[0], means.shape[1]
    strip = STRIP_VECTORS * lanes_of(points)
    rest = n_means % 4
    for p in range(0, size, strip):
        for k in range(0, n_means - rest, 4):
            o = k * size + p
            _near_4(points, size, p, n_features, means, lows, means, k, ldm, out, o, size)
        k = n_means - rest
        o = k * size + p
        if rest == 3:
            _near_3(points, size, p, n_features, means, lows, means, k, ldm, out, o, size)
        elif rest == 2:
            _near_2(points, size, p, n_features, means, lows, means, k, ldm, out, o, size)
        elif rest == 1:
            _near_1(points, size, p, n_features, means, lows, means, k, ldm, out, o, size)


@inline
def mahalanobis_tied(operands, tile, points, maha):
    """As `mahalanobis_full`; the tile is whitened once, then distances are Euclidean.

    The whitened tile stays in `points`.
    """
    whiten_tile(operands, tile, points)
    squared_distances(points, tile.shape[0], operands.centers, operands.centers_low, maha)


@jit
def mahalanobis_diag(operands, tile, maha):
    """As `mahalanobis_full`, with one factor a feature."""
    n_features, size = tile.shape
    means, lows, factors = operands.means, operands.means_low, operands.factors
    n_components, ldm = maha.shape[0], means.shape[1]
    strip = STRIP_VECTORS * lanes_of(tile)
    rest = n_components % 4
    for p in range(0, size, strip):
        for k in range(0, n_components - rest, 4):
            o = k * size + p
            _scaled_4(tile, size, p, n_features, means, lows, factors, k, ldm, maha, o, size)
        k = n_components - rest
        o = k * size + p
        if rest == 3:
            _scaled_3(tile, size, p, n_features, means, lows, factors, k, ldm, maha, o, size)
        elif rest == 2:
            _scaled_2(tile, size, p, n_features, means, lows, factors, k, ldm, maha, o, size)
        elif rest == 1:
            _scaled_1(tile, size, p, n_features, means, lows, factors, k, ldm, maha, o, size)


@jit
def mahalanobis_spherical(operands, tile, maha):
    """As `mahalanobis_full`, with one factor a component."""
    prefer_wide_vectors()
    squared_distances(tile, tile.shape[0], operands.means, operands.means_low, maha)
    for k in range(maha.shape[0]):
        precision = np.float64(operands.factors[k, 0]) ** 2
        for p in range(maha.shape[1]):
            maha[k, p] *= precision


@inline
def mahalanobis(operands, tile, points, maha):
    """Write squared distances (n_components, tile) for any covariance type, in place."""
    if operands.kind == FULL:
        mahalanobis_full(operands, tile, maha)
    elif operands.kind == TIED:
        mahalanobis_tied(operands, tile, points, maha)
    elif operands.kind == DIAG:
        mahalanobis_diag(operands, tile, maha)
    else:
        mahalanobis_spherical(operands, tile, maha)


# --- responsibilities ------------------------------------------------------------------------


@jit
def log_densities(offsets, maha, peak):
    """Turn squared distances into log-densities with weight, in place; `peak` is their maximum."""
    prefer_wide_vectors()
    n_components, size = maha.shape
    for p in range(size):
        peak[p] = LOWEST
    for k in range(n_components):
        offset = offsets[k]
        for p in range(size):
            value = offset - 0.5 * maha[k, p]
            value = value if value > LOWEST else LOWEST
            maha[k, p] = value
            peak[p] = value if value > peak[p] else peak[p]


@jit
def exponentials(log_prob, peak, total):
    """Turn log-densities into densities relative to `peak`, in place; `total` is their sum."""
    prefer_wide_vectors()
    n_components, size = log_prob.shape
    for p in range(size):
        total[p] = 0.0
    for k in range(n_components):
        for p in range(size):
            value = exp_nonpositive(log_prob[k, p] - peak[p])
            log_prob[k, p] = value
            total[p] += value


@jit
def log_totals(peak, total):
    """Turn `peak` into the points' log-likelihoods, in place."""
    prefer_wide_vectors()
    for p in range(peak.size):
        peak[p] += log_positive(total[p])


@jit
def scale_columns(resp, numerator, total):
    """Multiply every column by ``numerator / total``, in place."""
    prefer_wide_vectors()
    n_components, size = resp.shape
    for p in range(size):
        total[p] = numerator[p] / total[p]
    for k in range(n_components):
        for p in range(size):
            resp[k, p] *= total[p]


@jit_sum
def dot(a, b):
    """Return the scalar product of two vectors."""
    result = 0.0
    for p in range(a.size):
        result += a[p] * b[p]
    return result


@inline
def responsibilities(offsets, maha, peak, total):
    """Turn squared distances into densities relative to `peak`, in place.

    `peak` becomes the log-likelihood of each point, `total` (tile,) the sum of its densities.
    """
    log_densities(offsets, maha, peak)
    exponentials(maha, peak, total)
    log_totals(peak, total)


# --- M-step: moments about the means of this iteration -----------------------------------------


@jit
def count_live(resp, k, weight, dead):
    """Return how many points' weighted responsibilities matter."""
    size = weight.size
    live = 0
    for p in range(0, size, 32):
        live += count_bits(live_bits(resp, k * size + p, weight, p, dead))
    return live


@jit
def list_live(resp, k, weight, dead, index):
    """Write the places of the live points, in place; return how many there are."""
    size = weight.size
    live = 0
    for p in range(0, size, 32):
        bits = live_bits(resp, k * size + p, weight, p, dead)
        while bits:
            index[live] = p + lowest_bit(bits)
            live += 1
            bits &= bits - 1
    return live


@jit_sum
def total_of(resp, k):
    """Return the sum of one row."""
    prefer_wide_vectors()
    total = 0.0
    for p in range(resp.shape[1]):
        total += resp[k, p]
    return total


@jit
def gather_gaps(operands, tile, k, index, live, n_places, gaps):
    """Write the live points' differences from a mean side by side; `gaps` modified in place.

    Zeros follow, up to `n_places`.
    """
    prefer_wide_vectors()
    for j in range(tile.shape[0]):
        high, low = operands.means[k, j], operands.means_low[k, j]
        for m in range(live):
            gaps[j, m] = difference(tile[j, index[m]], high, low)
        for m in range(live, n_places):
            gaps[j, m] = 0


@jit
def gather_shares(resp, k, index, live, n_places, shares):
    """Write the live points' responsibilities side by side and zeros behind them, in place."""
    for m in range(live):
        shares[0, m] = resp[k, index[m]]
    for m in range(live, n_places):
        shares[0, m] = 0.0


@jit
def products_of_tile(shares, n_components, points, begin, n_features, n, out, o, ldo):
    """Add ``shares @ points.T`` to `out`, whose rows begin at offset o, ldo apart; in place.

    Over the first rows of `shares`, rows begin ... begin + n_features - 1 of `points` and the
    first n vectors of both.
    """
    size = shares.shape[1]
    for col in range(0, n_features, 4):
        width = min(4, n_features - col)
        d = (begin + col) * size
        for row in range(0, n_components - SQUARE + 1, SQUARE):
            a, at = row * size, o + row * ldo + col
            if width == 4:
                _rows_4(shares, a, points, d, size, n, out, at, ldo)
            elif width == 3:
                _rows_3(shares, a, points, d, size, n, out, at, ldo)
            elif width == 2:
                _rows_2(shares, a, points, d, size, n, out, at, ldo)
            else:
                _rows_1(shares, a, points, d, size, n, out, at, ldo)
        for row in range(n_components - n_components % SQUARE, n_components):
            a, at = row * size, o + row * ldo + col
            if width == 4:
                _row_4(shares, a, points, d, size, n, out, at, ldo)
            elif width == 3:
                _row_3(shares, a, points, d, size, n, out, at, ldo)
            elif width == 2:
                _row_2(shares, a, points, d, size, n, out, at, ldo)
            else:
                _row_1(shares, a, points, d, size, n, out, at, ldo)


@jit
def moments_of_tile(weight, gaps, n_features, n, second, o, first, f):
    """Add ``sum w x`` and ``sum w x x^T`` (lower triangle), in place.

    Over the first n vectors of the first `n_features` rows of `gaps`; the weights are the first
    row of `weight`. The matrix begins at offset o of `second`, the vector at offset f of `first`.
    """
    size = gaps.shape[1]
    ld = second.shape[2]
    for row in range(0, n_features, SQUARE):
        height = min(SQUARE, n_features - row)
        at = o + row * ld
        for col in range(0, row, SQUARE):
            if height == 4:
                _square_4(weight, gaps, size, n, row, col, second, at + col, ld)
            elif height == 3:
                _square_3(weight, gaps, size, n, row, col, second, at + col, ld)
            elif height == 2:
                _square_2(weight, gaps, size, n, row, col, second, at + col, ld)
            else:
                _square_1(weight, gaps, size, n, row, col, second, at + col, ld)
        if height == 4:
            _corner_4(weight, gaps, size, n, row, second, at + row, ld, first, f + row)
        elif height == 3:
            _corner_3(weight, gaps, size, n, row, second, at + row, ld, first, f + row)
        elif height == 2:
            _corner_2(weight, gaps, size, n, row, second, at + row, ld, first, f + row)
        else:
            _corner_1(weight, gaps, size, n, row, second, at + row, ld, first, f + row)


@jit
def gather_live(operands, X, start, index, begin, count, k, root, panel):
    """Write ``root (x - mean_k)`` and ``root`` of `count` live points, a row each, in place.

    Whole vectors are read, past the end of a row too, where memory allows: what they bring
    falls into columns that nobody reads.
    """
    n_features = X.shape[1]
    ld = panel.shape[1]
    means, lows = operands.means, operands.means_low
    lanes = lanes_of(X)
    for m in range(count):
        row = start + index[begin + m]
        i = row * n_features
        if i + ld <= X.size:
            for j in range(0, n_features, lanes):
                store_scaled_difference(
                    X, i + j, means, lows, k * ld + j, root[m], panel, m * ld + j
                )
        else:
            for j in range(n_features):
                panel[m, j] = root[m] * difference(X[row, j], means[k, j], lows[k, j])
        panel[m, n_features] = root[m]


@jit
def gram_of_panel(panel, n, n_features, second, o):
    """Add ``panel.T @ panel`` (lower triangle) to `second` from offset o, in place."""
    ld = panel.shape[1]
    lanes = lanes_of(panel)
    for row in range(0, n_features, GRAM_ROWS):
        n_vectors = (row + GRAM_ROWS - 1) // lanes + 1
        for c in range(0, n_vectors, 3):
            col = c * lanes
            at = o + row * ld + col
            if n_vectors - c >= 3:
                _gram_3(panel, ld, n, row, col, second, at)
            elif n_vectors - c == 2:
                _gram_2(panel, ld, n, row, col, second, at)
            else:
                _gram_1(panel, ld, n, row, col, second, at)


@jit
def last_row_of_gram(panel, n, n_features, first, o):
    """Add the scaled ones times the panel, which is S1 and N, to `first` from offset o."""
    ld = panel.shape[1]
    lanes = lanes_of(panel)
    n_vectors = ld // lanes
    for c in range(0, n_vectors, 3):
        col = c * lanes
        if n_vectors - c >= 3:
            _gram_row_3(panel, ld, n, n_features, col, first, o + col)
        elif n_vectors - c == 2:
            _gram_row_2(panel, ld, n, n_features, col, first, o + col)
        else:
            _gram_row_1(panel, ld, n, n_features, col, first, o + col)


@jit
def copy_shares(resp, k, weight, dead, shares, row):
    """Write one component's weighted responsibilities in the precision of the tile, in place.

    Dead ones become zero: arithmetic on subnormal numbers is slow.
    """
    prefer_wide_vectors()
    for p in range(weight.size):
        value = resp[k, p]
        shares[row, p] = value if value > dead * weight[p] else 0.0


@jit
def square_roots(values, count):
    """Take square roots of the first `count` values, in place."""
    prefer_wide_vectors()
    for m in range(count):
        values[m] = np.sqrt(values[m])


@inline
def moments_of_live(operands, X, start, live, k, work, first, second, o):
    """As `moments_of_tile`, over the `live` points in `work.index`, with lanes over features."""
    n_features = X.shape[1]
    root, panel = work.root, work.panel
    for begin in range(0, live, PANEL):
        n = min(PANEL, live - begin)
        for m in range(n):
            root[m] = work.resp[k, work.index[begin + m]]
        square_roots(root, n)
        gather_live(operands, X, start, work.index, begin, n, k, root, panel)
        last_row_of_gram(panel, n, n_features, first, k * first.shape[1])
        gram_of_panel(panel, n, n_features, second, o)


@inline
def accumulate_matrices(operands, X, start, work, first, second):
    """Add the moments of a tile for full and tied covariances, in place."""
    n_features, size = work.tile.shape
    matrix = second.shape[1] * second.shape[2] if operands.kind == FULL else 0
    lanes = lanes_of(X)
    dense = n_features * (n_features + 10)  # cycles a point, and a live point if gathered
    sparse = n_features * (n_features + 21) + 24
    for k in range(work.resp.shape[0]):
        dead = DEAD * operands.weights[k]
        live = count_live(work.resp, k, work.weight, dead)
        if live == 0:
            continue
        n = size // lanes
        if n_features <= POINT_LANES and live * sparse > size * dense:
            subtract_mean(work.tile, operands.means, operands.means_low, k, work.points)
            copy_shares(work.resp, k, work.weight, dead, work.shares, 0)
        else:
            list_live(work.resp, k, work.weight, dead, work.index)
            if n_features * (5 * live + 3 * n_features) > 70 * live:
                moments_of_live(operands, X, start, live, k, work, first, second, k * matrix)
                continue
            n = (live + lanes - 1) // lanes
            gather_gaps(operands, work.tile, k, work.index, live, n * lanes, work.points)
            gather_shares(work.resp, k, work.index, live, n * lanes, work.shares)
        moments_of_tile(
            work.shares, work.points, n_features, n, second, k * matrix, first, k * first.shape[1]
        )
        first[k, n_features] += total_of(work.resp, k)


@jit
def square_rows(points):
    """Write the squares of the first half of the rows into the second half, in place."""
    prefer_wide_vectors()
    n_features = points.shape[0] // 2
    for j in range(n_features):
        for p in range(points.shape[1]):
            points[n_features + j, p] = points[j, p] * points[j, p]


@inline
def squares_of_tile(work, n_shares, k, first, second):
    """Add ``sum w x`` and ``sum w x^2`` of all points of a tile from row k on, in place.

    x are the differences in `work.points`, w the first `n_shares` rows of `work.shares`.
    """
    n_features, size = work.tile.shape
    n = size // (lanes_of(work.tile))
    square_rows(work.points)
    ldo = first.shape[1]
    products_of_tile(work.shares, n_shares, work.points, 0, n_features, n, first, k * ldo, ldo)
    ldo = second.shape[2]
    products_of_tile(
        work.shares, n_shares, work.points, n_features, n_features, n, second, k * ldo, ldo
    )


@jit
def squares_of_live(X, start, index, live, means, lows, row, resp, k, first, second):
    """As `squares_of_tile`, over the live points only, with lanes over features."""
    prefer_wide_vectors()
    n_features = X.shape[1]
    total = 0.0
    for m in range(live):
        i = start + index[m]
        r = resp[k, index[m]]
        total += r
        for j in range(n_features):
            x = np.float64(difference(X[i, j], means[row, j], lows[row, j]))
            weighted = r * x
            first[k, j] += weighted
            second[0, k, j] += weighted * x
    first[k, n_features] += total


@inline
def accumulate_squares(operands, X, start, work, first, second):
    """Add the moments of a tile for diag and spherical covariances, in place."""
    n_features, size = work.tile.shape
    means, lows = operands.means, operands.means_low
    for k in range(work.resp.shape[0]):
        dead = DEAD * operands.weights[k]
        live = count_live(work.resp, k, work.weight, dead)
        if live * (SQUARES_COST + n_features) > size * n_features:
            subtract_mean(work.tile, means, lows, k, work.points)
            copy_shares(work.resp, k, work.weight, dead, work.shares, 0)
            squares_of_tile(work, 1, k, first, second)
            first[k, n_features] += total_of(work.resp, k)
        elif live:
            list_live(work.resp, k, work.weight, dead, work.index)
            squares_of_live(X, start, work.index, live, means, lows, k, work.resp, k, first, second)


@inline
def accumulate_common(operands, X, start, work, first, second):
    """Add the moments of a tile about the center that all components share, in place.

    Products of all responsibilities with the points (and their squares, unless tied) in blocks
    of components and features; for tied the second moments of all components are one matrix.
    Where few points are live, diag and spherical take them one by one.
    """
    n_features, size = work.tile.shape
    n_components = work.resp.shape[0]
    n = size // (lanes_of(X))
    live_pairs = 0
    for k in range(n_components):
        live_pairs += count_live(work.resp, k, work.weight, DEAD * operands.weights[k])
    few = live_pairs * (SQUARES_COST + n_features) < n_components * size * n_features
    if few and operands.kind != TIED:
        for k in range(n_components):
            live = list_live(work.resp, k, work.weight, DEAD * operands.weights[k], work.index)
            squares_of_live(
                X, start, work.index, live, operands.center, operands.center_low, 0,
                work.resp, k, first, second,
            )  # fmt: skip
        return
    for k in range(n_components):
        copy_shares(work.resp, k, work.weight, DEAD * operands.weights[k], work.shares, k)
        first[k, n_features] += total_of(work.resp, k)
    if operands.kind == TIED:  # whose whitened points the E-step left in place
        ldo = first.shape[1]
        products_of_tile(work.shares, n_components, work.points, 0, n_features, n, first, 0, ldo)
        for p in range(size):
            work.shares[0, p] = work.weight[p]
        moments_of_tile(work.shares, work.points, n_features, n, second, 0, work.surplus, 0)
    else:
        subtract_mean(work.tile, operands.center, operands.center_low, 0, work.points)
        squares_of_tile(work, n_components, 0, first, second)


@inline
def accumulate(operands, X, start, work, first, second):
    """Add the moments of a tile for any covariance type, in place."""
    if operands.common:
        accumulate_common(operands, X, start, work, first, second)
    elif operands.kind == FULL or operands.kind == TIED:
        accumulate_matrices(operands, X, start, work, first, second)
    else:
        accumulate_squares(operands, X, start, work, first, second)


# --- chunks of tiles ---------------------------------------------------------------------------


@jit
def chunk_tiles(chunk, n_chunks, n_samples, size):
    """Return the first tile of a chunk and of the next one."""
    n_tiles = (n_samples + size - 1) // size
    return chunk * n_tiles // n_chunks, (chunk + 1) * n_tiles // n_chunks


@jit
def given_responsibilities(labels, given, start, weight, resp):
    """Write the weighted shares of a tile's points that the caller gave, in place.

    `labels` (n_samples,) names each point's component, `given` (n_samples, n_components) its
    shares; where both are empty every point belongs to the one component.
    """
    n_components, size = resp.shape
    for k in range(n_components):
        for p in range(size):
            share = 1.0
            if weight[p] == 0.0:
                share = 0.0  # past the last point, too
            elif labels.size:
                share = 1.0 * (labels[start + p] == k)
            elif given.size:
                share = given[start + p, k]
            resp[k, p] = weight[p] * share


@jit
def make_workspace(X, n_components):
    """Return the buffers of one chunk."""
    n_samples, n_features = X.shape
    size = _tile_size(n_samples, n_features, X.itemsize)
    zero = X.dtype.type(0)
    panel = aligned(PANEL, _row_width(n_features, X.itemsize), zero)
    panel.fill(zero)
    return Workspace(
        aligned(n_features, size, zero),
        aligned(2 * n_features, size, zero),
        aligned(n_components, size, 0.0),
        aligned(1, size, 0.0)[0],
        aligned(1, size, 0.0)[0],
        aligned(1, size, 0.0)[0],
        np.empty(size, np.intp),
        aligned(n_components, size, zero),
        np.empty(PANEL, X.dtype),
        panel,
        np.zeros(n_features),
    )


@inline
def em_chunk(chunk, n_chunks, data, given, operands, moments):
    """Run both steps over one chunk, or the M-step alone; its row of `moments` changes in place."""
    X = data.X
    work = make_workspace(X, operands.weights.size)
    size = work.peak.size
    first, second = moments.first[chunk], moments.second[chunk]
    begin, end = chunk_tiles(chunk, n_chunks, X.shape[0], size)
    for t in range(begin, end):
        start = t * size
        count = min(size, X.shape[0] - start)
        load_tile(X, start, count, work.tile)
        load_weights(data.sample_weight, start, count, work.weight)
        if operands.offsets.size:
            mahalanobis(operands, work.tile, work.points, work.resp)
            responsibilities(operands.offsets, work.resp, work.peak, work.total)
            moments.log_likelihood[chunk] += dot(work.peak, work.weight)
            scale_columns(work.resp, work.weight, work.total)
        else:
            given_responsibilities(given.labels, given.resp, start, work.weight, work.resp)
        accumulate(operands, X, start, work, first, second)


@entry
def em_pass(begin, end, n_chunks, data, given, operands, moments):
    """Add the moments of some chunks to `moments`, in place.

    Where `operands.offsets` is empty the responsibilities are those `given`, and there is no
    log-likelihood.
    """
    for chunk in range(begin, end):
        em_chunk(chunk, n_chunks, data, given, operands, moments)


@jit
def write_labels(resp, start, count, labels):
    """Write the most probable component of each point; `labels` is modified in place."""
    for p in range(count):
        best = 0
        for k in range(1, resp.shape[0]):
            if resp[k, p] > resp[best, p]:
                best = k
        labels[start + p] = best


@inline
def infer_chunk(chunk, n_chunks, X, operands, log_prob, proba, labels):
    """Fill one chunk's rows of the outputs that are not empty, in place."""
    work = make_workspace(X, operands.weights.size)
    size = work.peak.size
    work.weight.fill(1.0)
    begin, end = chunk_tiles(chunk, n_chunks, X.shape[0], size)
    for t in range(begin, end):
        start = t * size
        count = min(size, X.shape[0] - start)
        load_tile(X, start, count, work.tile)
        mahalanobis(operands, work.tile, work.points, work.resp)
        responsibilities(operands.offsets, work.resp, work.peak, work.total)
        if labels.size:
            write_labels(work.resp, start, count, labels)
        if log_prob.size:
            for p in range(count):
                log_prob[start + p] = work.peak[p]
        if proba.size:
            scale_columns(work.resp, work.weight, work.total)
            for p in range(count):
                for k in range(work.resp.shape[0]):
                    proba[start + p, k] = work.resp[k, p]


@entry
def infer_pass(begin, end, n_chunks, X, operands, log_prob, proba, labels):
    """Fill some chunks of the outputs that are not empty: log-likelihoods, shares, labels."""
    for chunk in range(begin, end):
        infer_chunk(chunk, n_chunks, X, operands, log_prob, proba, labels)
