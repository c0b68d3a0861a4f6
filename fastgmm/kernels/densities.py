"""The E-step of a tile: from squared distances to log-densities and responsibilities.

``log p_k(x) = log weight + log det U - d/2 log 2 pi - |U (x - m)|^2 / 2``, where
`fastgmm.kernels.distances` has written the squared distances. Densities are relative to the most
probable component of each point, so that none overflows.
"""

import numpy as np

from fastgmm.jit.decorators import jit, jit_sum
from fastgmm.kernels.micro.lanes import (
    float_bits,
    float_from_bits,
    lanes_of,
    prefer_wide_vectors,
)
from fastgmm.kernels.tiles import fill, gather_doubles, scatter_doubles

# Nats. Log-densities are clamped, so that each point has a finite one and no difference of two is
# NaN. A fit adds them up, which must not overflow. Inference takes the lowest finite number and
# writes minus infinity in its place.
LOWEST_OF_FIT = -1e300
LOWEST = -1.7976931348623157e308

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01  # 33 bits, so that k * _LN2_HIGH is exact
_LN2_LOW = 1.90821492927058770002e-10
_ROUND = 1.5 * 2.0**52  # x + _ROUND has the integer nearest to x in its low bits
_SQRT_HALF_BITS = int(np.float64(np.sqrt(0.5)).view(np.int64))


@jit
def exp_nonpositive(x):
    """Return exp(x) for x <= 0 with a relative error below 4e-16; 0 below -708.

    x = k ln 2 + r. A polynomial of degree 11 approximates exp(r); it is near-minimax on |r| <=
    ln(2) / 2, with error 1.1e-16 in its degree-9 quotient. Then k is added to the exponent bits.
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
    """Return log(x) for a normal x > 0 with a relative error below 4e-16.

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
def log_density_row(maha, k, n, offset, lowest, peak):
    """Turn n squared distances of row k into weighted log-densities and raise `peak`, in place.

    Log-densities are at least `lowest`, also where the distance is not a number.
    """
    prefer_wide_vectors()
    for p in range(n):
        value = offset - 0.5 * maha[k, p]
        value = value if value > lowest else lowest
        maha[k, p] = value
        peak[p] = value if value > peak[p] else peak[p]


@jit
def density_row(log_prob, k, n, peak, total):
    """Turn n log-densities into densities relative to `peak` and add them to `total`, in place."""
    prefer_wide_vectors()
    for p in range(n):
        value = exp_nonpositive(log_prob[k, p] - peak[p])
        log_prob[k, p] = value
        total[p] += value


@jit
def scale_densities_row(resp, k, n, factor):
    """Multiply the first n numbers of row k by `factor` (>= n,), in place."""
    prefer_wide_vectors()
    for p in range(n):
        resp[k, p] *= factor[p]


@jit
def scale_and_count(resp, k, factor, weight, negligible):
    """Multiply row k by `factor`, in place; return how many then exceed ``negligible * weight``."""
    prefer_wide_vectors()
    live = 0
    for p in range(factor.size):
        value = resp[k, p] * factor[p]
        resp[k, p] = value
        live += value > negligible * weight[p]
    return live


@jit
def log_densities(offsets, lowest, work):
    """Turn squared distances into weighted log-densities, in place; write their maximum to `peak`.

    They are at least `lowest`. If a component lists only some vectors, their peaks are gathered
    first and scattered back.
    """
    places, scratch, tile = work.places, work.scratch, work.tile
    lanes = lanes_of(tile)
    fill(work.peak, lowest)
    for k in range(offsets.size):
        n = work.counts[k]
        if n == places.shape[1]:
            log_density_row(work.resp, k, n * lanes, offsets[k], lowest, work.peak)
        else:
            gather_doubles(work.peak, places, k, n, scratch, 0, tile)
            log_density_row(work.resp, k, n * lanes, offsets[k], lowest, scratch[0])
            scatter_doubles(scratch, 0, places, k, n, work.peak, tile)


@jit
def densities(work):
    """Turn log-densities into densities relative to `peak`, in place; `total` is their sum."""
    places, scratch, tile = work.places, work.scratch, work.tile
    lanes = lanes_of(tile)
    fill(work.total, 0.0)
    for k in range(work.resp.shape[0]):
        n = work.counts[k]
        if n == places.shape[1]:
            density_row(work.resp, k, n * lanes, work.peak, work.total)
        else:
            gather_doubles(work.peak, places, k, n, scratch, 0, tile)
            gather_doubles(work.total, places, k, n, scratch, 1, tile)
            density_row(work.resp, k, n * lanes, scratch[0], scratch[1])
            scatter_doubles(scratch, 1, places, k, n, work.total, tile)


@jit
def log_totals(peak, total):
    """Turn `peak` into the points' log-likelihoods, in place: add the logarithm of `total`."""
    prefer_wide_vectors()
    for p in range(peak.size):
        peak[p] += log_positive(total[p])


@jit_sum
def sum_of_logs(total):
    """Return the sum of the logarithms of numbers from 1 to the number of components.

    One logarithm is taken per product of four numbers: one logarithm per point took a tenth of the
    time of a fit at two features and three components.
    """
    prefer_wide_vectors()
    quarter = total.size // 4  # a multiple of the vector length: see `tile_size`
    result = 0.0
    for p in range(quarter):
        half = total[p] * total[p + quarter]
        result += log_positive(half * (total[p + 2 * quarter] * total[p + 3 * quarter]))
    return result


@jit
def divide_by_total(numerator, total):
    """Write ``numerator / total`` to `total`, in place."""
    prefer_wide_vectors()
    for p in range(total.size):
        total[p] = numerator[p] / total[p]


@jit
def scale_densities(negligible, work):
    """Turn densities into responsibilities times weights, in place; `total` is overwritten.

    For a component that lists all vectors, `work.live` becomes its number of live points: those
    with responsibilities above its `negligible` (n_components,). For others it becomes -1.
    """
    places, scratch, tile = work.places, work.scratch, work.tile
    lanes = lanes_of(tile)
    divide_by_total(work.weight, work.total)
    for k in range(work.resp.shape[0]):
        n = work.counts[k]
        if n == places.shape[1]:
            work.live[k] = scale_and_count(work.resp, k, work.total, work.weight, negligible[k])
        else:
            work.live[k] = -1
            gather_doubles(work.total, places, k, n, scratch, 0, tile)
            scale_densities_row(work.resp, k, n * lanes, scratch[0])


@jit_sum
def dot(a, b):
    """Return the scalar product of two vectors."""
    result = 0.0
    for p in range(a.size):
        result += a[p] * b[p]
    return result
