"""The E-step of a tile: squared Mahalanobis distances, log-densities, responsibilities.

For component k with mean m and lower-triangular U, the inverse Cholesky factor of its
covariance, ``log p_k(x) = log weight + log det U - d/2 log 2 pi - |U (x - m)|^2 / 2``. U is
triangular, so a full covariance takes d^2 / 2 multiplications a point. For tied covariances the
tile is whitened once and distances are Euclidean.

Not kept: the full form specialised on the number of features at compile time. The blocks of
`fastgmm.kernels.micro.blocks` reach 80% of the machine's arithmetic rate from 8 features on, and below that
loading and exponentials weigh more than the triangle.
"""

import numpy as np

from fastgmm.jit.decorators import jit, jit_sum
from fastgmm.kernels.micro.blocks import (
    FIRST_ROWS,
    distances_block,
    product_rows_block,
    row_norms_block,
    write_first_norms,
)
from fastgmm.kernels.micro.lanes import (
    float_bits,
    float_from_bits,
    gaps_of_strip,
    lanes_of,
    prefer_wide_vectors,
)
from fastgmm.kernels.micro.vectors import STRIP_VECTORS
from fastgmm.kernels.tiles import fill_strip, gather_doubles, scatter_doubles, subtract_mean

LOWEST = -1e300  # log-densities are clamped here, so that no point has only infinite ones

_HALF = STRIP_VECTORS // 2
_norms_6, _half_norms_6 = row_norms_block(6, STRIP_VECTORS), row_norms_block(6, _HALF)
_rows_1, _rows_6 = product_rows_block(1), product_rows_block(6)

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
def mahalanobis_full(operands, work):
    """Write the squared distances of the points that each component lists, in place.

    Side by side into the rows of `work.resp`, strip by strip. The first block of rows, of one to
    six, makes its differences from the mean by itself; for those below, all differences of a
    strip are kept in `work.points`, in the first-level cache. Of a last strip that is half empty
    those rows compute one half. All in one function, because a call with its 20 array fields
    costs as much as a strip of two features.
    """
    tile, points, places, counts, maha = work.tile, work.points, work.places, work.counts, work.resp
    n, size = tile.shape
    U, M, L = operands.factors, operands.means, operands.means_low
    lanes, ldp = lanes_of(tile), places.shape[1]
    strip = STRIP_VECTORS * lanes
    top = (n - 1) % FIRST_ROWS + 1
    for k in range(maha.shape[0]):
        fill_strip(places, k, counts[k])
        u, m = k * n * n, k * M.shape[1]
        for v in range(0, counts[k], STRIP_VECTORS):
            i, o = k * ldp + v, k * size + v * lanes
            write_first_norms(top, U, u, n, tile, size, places, i, M, L, m, maha, o)
            if top < n:
                gaps_of_strip(tile, size, n, places, i, M, L, m, points, 0, strip)
            if counts[k] - v > _HALF:
                for j in range(top, n, 6):
                    _norms_6(U, u, n, j, points, strip, maha, o)
            else:
                for j in range(top, n, 6):
                    _half_norms_6(U, u, n, j, points, strip, maha, o)


@jit
def whiten_tile(operands, tile, points):
    """Write ``U (x - center)`` for every point of a tile; `points` is modified in place.

    From the last features to the first, so that rows replace differences no longer needed.
    """
    n, size = tile.shape
    U = operands.factors
    subtract_mean(tile, operands.center, operands.center_low, 0, points)
    for p in range(0, size, STRIP_VECTORS * lanes_of(tile)):
        for j in range(n - 6, -1, -6):
            _rows_6(U, n, j, points, size, p)
        for j in range(n % 6 - 1, -1, -1):
            _rows_1(U, n, j, points, size, p)


@jit
def in_step(counts, k, n_vectors):
    """Return how many of the next components can be computed together: four, two or one.

    Those that list all vectors can.
    """
    n = 0
    while n < 4 and k + n < counts.size and counts[k + n] == n_vectors:
        n += 1
    return 4 if n == 4 else 2 if n >= 2 else 1


def distances_to_all(scaled):
    """Return ``f(points, means, lows, factors, work)``: write squared distances to all means.

    Of those of the `points` (>= n_features, size) that each mean lists, side by side into its row
    of `work.resp`; the means may have padded rows. Where `scaled`, differences are multiplied by
    `factors`.
    """
    one, two, four = (distances_block(rows, scaled) for rows in (1, 2, 4))

    @jit
    def write_distances(points, means, lows, factors, work):
        places, counts, out = work.places, work.counts, work.resp
        n, size = work.tile.shape
        n_means, ldm, ldp = out.shape[0], means.shape[1], places.shape[1]
        lanes = lanes_of(points)
        k = 0
        while k < n_means:
            together = in_step(counts, k, ldp)
            fill_strip(places, k, counts[k])
            for v in range(0, counts[k], STRIP_VECTORS):
                i, o = k * ldp + v, k * size + v * lanes
                if together == 4:
                    four(points, size, places, i, n, means, lows, factors, k, ldm, out, o, size)
                elif together == 2:
                    two(points, size, places, i, n, means, lows, factors, k, ldm, out, o, size)
                else:
                    one(points, size, places, i, n, means, lows, factors, k, ldm, out, o, size)
            k += together

    return write_distances


_distances, _scaled_distances = distances_to_all(False), distances_to_all(True)


@jit
def mahalanobis_tied(operands, work):
    """As `mahalanobis_full`; the tile is whitened once, then distances are Euclidean.

    The whitened tile stays in `work.points`.
    """
    centers, lows = operands.centers, operands.centers_low
    whiten_tile(operands, work.tile, work.points)
    _distances(work.points, centers, lows, operands.factors, work)


@jit
def mahalanobis_diag(operands, work):
    """As `mahalanobis_full`, with one factor a feature."""
    means, lows = operands.means, operands.means_low
    _scaled_distances(work.tile, means, lows, operands.factors, work)


@jit
def mahalanobis_spherical(operands, work):
    """As `mahalanobis_full`, with one factor a component."""
    prefer_wide_vectors()
    maha = work.resp
    _distances(work.tile, operands.means, operands.means_low, operands.factors, work)
    lanes = lanes_of(work.tile)
    for k in range(maha.shape[0]):
        precision = np.float64(operands.factors[k, 0]) ** 2
        for p in range(work.counts[k] * lanes):
            maha[k, p] *= precision


@jit
def log_density_row(maha, k, n, offset, peak):
    """Turn n squared distances into log-densities with weight and raise `peak`, in place."""
    prefer_wide_vectors()
    for p in range(n):
        value = offset - 0.5 * maha[k, p]
        value = value if value > LOWEST else LOWEST
        maha[k, p] = value
        peak[p] = value if value > peak[p] else peak[p]


@jit
def density_row(log_prob, k, n, peak, total):
    """Turn n log-densities into densities relative to `peak` and add to `total`, in place."""
    prefer_wide_vectors()
    for p in range(n):
        value = exp_nonpositive(log_prob[k, p] - peak[p])
        log_prob[k, p] = value
        total[p] += value


@jit
def scale_densities_row(resp, k, n, factor):
    """Multiply n numbers of a row by `factor` (>= n,), in place."""
    prefer_wide_vectors()
    for p in range(n):
        resp[k, p] *= factor[p]


@jit
def scale_and_count(resp, k, factor, weight, negligible):
    """Multiply a whole row by `factor`, in place; return how many then exceed ``negligible * weight``."""
    prefer_wide_vectors()
    live = 0
    for p in range(factor.size):
        value = resp[k, p] * factor[p]
        resp[k, p] = value
        live += value > negligible * weight[p]
    return live


@jit
def log_densities(offsets, work):
    """Turn squared distances into log-densities with weight, in place; `peak` is their maximum.

    Where a component lists some vectors only, their peaks are gathered and put back.
    """
    places, near, tile = work.places, work.near, work.tile
    lanes = lanes_of(tile)
    work.peak.fill(LOWEST)
    for k in range(offsets.size):
        n = work.counts[k]
        if n == places.shape[1]:
            log_density_row(work.resp, k, n * lanes, offsets[k], work.peak)
        else:
            gather_doubles(work.peak, places, k, n, near, 0, tile)
            log_density_row(work.resp, k, n * lanes, offsets[k], near[0])
            scatter_doubles(near, 0, places, k, n, work.peak, tile)


@jit
def densities(work):
    """Turn log-densities into densities relative to `peak`, in place; `total` is their sum."""
    places, near, tile = work.places, work.near, work.tile
    lanes = lanes_of(tile)
    work.total.fill(0.0)
    for k in range(work.resp.shape[0]):
        n = work.counts[k]
        if n == places.shape[1]:
            density_row(work.resp, k, n * lanes, work.peak, work.total)
        else:
            gather_doubles(work.peak, places, k, n, near, 0, tile)
            gather_doubles(work.total, places, k, n, near, 1, tile)
            density_row(work.resp, k, n * lanes, near[0], near[1])
            scatter_doubles(near, 1, places, k, n, work.total, tile)


@jit
def log_totals(peak, total):
    """Turn `peak` into the points' log-likelihoods, in place."""
    prefer_wide_vectors()
    for p in range(peak.size):
        peak[p] += log_positive(total[p])


@jit_sum
def sum_of_logs(total):
    """Return the sum of the logarithms of numbers from 1 to the number of components.

    Of the products of four: a logarithm a point took a tenth of the time at two features and
    three components.
    """
    prefer_wide_vectors()
    quarter = total.size // 4  # a whole number of vectors: see `tile_size`
    result = 0.0
    for p in range(quarter):
        half = total[p] * total[p + quarter]
        result += log_positive(half * (total[p + 2 * quarter] * total[p + 3 * quarter]))
    return result


@jit
def divide_by_total(numerator, total):
    """Write ``numerator / total`` into `total`."""
    prefer_wide_vectors()
    for p in range(total.size):
        total[p] = numerator[p] / total[p]


@jit
def scale_densities(negligible, work):
    """Turn densities into responsibilities times weights, in place; `total` is overwritten.

    `work.live` becomes the number of points that matter to each component that lists all: those
    with responsibilities above its number in `negligible` (n_components,).
    """
    places, near, tile = work.places, work.near, work.tile
    lanes = lanes_of(tile)
    divide_by_total(work.weight, work.total)
    for k in range(work.resp.shape[0]):
        n = work.counts[k]
        if n == places.shape[1]:
            work.live[k] = scale_and_count(work.resp, k, work.total, work.weight, negligible[k])
        else:
            work.live[k] = -1
            gather_doubles(work.total, places, k, n, near, 0, tile)
            scale_densities_row(work.resp, k, n * lanes, near[0])


@jit_sum
def dot(a, b):
    """Return the scalar product of two vectors."""
    result = 0.0
    for p in range(a.size):
        result += a[p] * b[p]
    return result
