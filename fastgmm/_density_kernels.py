"""The E-step of a tile: squared Mahalanobis distances, log-densities, responsibilities.

For component k with mean m and lower-triangular U, the inverse Cholesky factor of its
covariance, ``log p_k(x) = log weight + log det U - d/2 log 2 pi - |U (x - m)|^2 / 2``. U is
triangular, so a full covariance takes d^2 / 2 multiplications a point. For tied covariances the
tile is whitened once and distances are Euclidean.

Not kept: the full form specialised on the number of features at compile time. The blocks of
`_simd` reach 80% of the machine's arithmetic rate from 8 features on, and below that loading and
exponentials weigh more than the triangle.
"""

import numpy as np

from fastgmm._jit import inline, jit, jit_sum
from fastgmm._simd import (
    STRIP_VECTORS,
    distances_block,
    float_bits,
    float_from_bits,
    lanes_of,
    prefer_wide_vectors,
    row_norms_block,
    subtract_from_strip,
)
from fastgmm._tile_kernels import DIAG, FULL, TIED, subtract_mean

LOWEST = -1e300  # log-densities are clamped here, so that no point has only infinite ones

# Blocks by the number of their rows: the last rows take the lower ones.
_row_norms_1, _row_norms_2, _row_norms_3, _row_norms_4, _row_norms_5, _row_norms_6 = (
    row_norms_block(r) for r in (1, 2, 3, 4, 5, 6)
)
_near_1, _near_2, _near_3, _near_4 = (distances_block(r, False) for r in (1, 2, 3, 4))
_scaled_1, _scaled_2, _scaled_3, _scaled_4 = (distances_block(r, True) for r in (1, 2, 3, 4))

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
def mahalanobis_full(operands, tile, points, maha):
    """Write the squared distances (n_components, tile). `points` and `maha` change in place.

    Components run inside strips of points: the strip and its differences stay in the
    first-level cache and a factor is read once a strip, 4 bytes a cycle. All in one function,
    because a call with its 20 array fields costs as much as a strip of two features.
    """
    n_features, size = tile.shape
    factors, means, lows = operands.factors, operands.means, operands.means_low
    strip = STRIP_VECTORS * lanes_of(tile)
    rest = n_features % 6
    last = n_features - rest
    for p in range(0, size, strip):
        for k in range(maha.shape[0]):
            o = k * size + p
            u = k * n_features * n_features
            for j in range(n_features):
                subtract_from_strip(tile, j * size + p, means[k, j], lows[k, j], points, j * strip)
            for q in range(p, p + strip):
                maha[k, q] = 0.0
            for j in range(0, last, 6):
                _row_norms_6(factors, u, n_features, j, points, strip, 0, maha, o)
            if rest == 5:
                _row_norms_5(factors, u, n_features, last, points, strip, 0, maha, o)
            elif rest == 4:
                _row_norms_4(factors, u, n_features, last, points, strip, 0, maha, o)
            elif rest == 3:
                _row_norms_3(factors, u, n_features, last, points, strip, 0, maha, o)
            elif rest == 2:
                _row_norms_2(factors, u, n_features, last, points, strip, 0, maha, o)
            elif rest == 1:
                _row_norms_1(factors, u, n_features, last, points, strip, 0, maha, o)


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
        mahalanobis_full(operands, tile, points, maha)
    elif operands.kind == TIED:
        mahalanobis_tied(operands, tile, points, maha)
    elif operands.kind == DIAG:
        mahalanobis_diag(operands, tile, maha)
    else:
        mahalanobis_spherical(operands, tile, maha)


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
