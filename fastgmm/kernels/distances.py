"""Squared Mahalanobis distances of a tile's points, for each covariance type.

Let component k have mean m and lower-triangular U, the inverse Cholesky factor of its covariance.
The squared distance of x is ``|U (x - m)|^2``. Because U is triangular, a full covariance takes d^2
/ 2 multiplications per point. For tied covariances the tile is whitened once; distances are then
Euclidean.

Rejected: a full form specialised on the number of features at compile time. The blocks of
`micro.blocks` reach 80% of the machine's arithmetic rate from 8 features on, and for fewer features
loading and exponentials cost more than the triangle.

If moments are taken about a center, a diagonal distance may sum ``(u x' - u m')^2``, where x' and
m' are about the center: two multiply-adds for a pair and feature in place of three instructions.
The rounded product u m' is as good as a mean that is rounded. This is done from 16 features and 8
components on, for four components at a time that list all vectors. The others take little of the
time, and blocks for them would take as long to compile.
"""

import numpy as np

from fastgmm.jit.decorators import jit
from fastgmm.kernels.micro.blocks import (
    NORM_ROWS,
    distances_block,
    plain_difference,
    product_rows_block,
    row_norms_block,
    scaled_difference,
    scaled_point_difference,
    write_top_norms,
)
from fastgmm.kernels.micro.lanes import differences_of_strip, lanes_of, prefer_wide_vectors
from fastgmm.kernels.micro.vectors import STRIP_VECTORS
from fastgmm.kernels.tiles import MANY_FEATURES, fill_strip, subtract_mean

_HALF = STRIP_VECTORS // 2
_MANY_MEANS = 8  # components; with fewer, a center saves diagonal distances nothing
_norms_6, _half_norms_6 = row_norms_block(6, STRIP_VECTORS), row_norms_block(6, _HALF)
_rows_1, _rows_6 = product_rows_block(1), product_rows_block(6)
_one, _two, _four = (distances_block(rows, plain_difference) for rows in (1, 2, 4))
_one_scaled, _two_scaled, _four_scaled = (
    distances_block(rows, scaled_difference) for rows in (1, 2, 4)
)
_four_about_center = distances_block(4, scaled_point_difference)


@jit
def mahalanobis_full(operands, work):
    """Write the squared distances of the points that each component lists, in place.

    Row k of `work.resp` receives those of component k, side by side, strip by strip. The top block
    has 1 to NORM_ROWS rows of U and subtracts the mean itself. For the blocks below it, all
    differences of a strip are stored in `work.points`, which stays in the first-level cache. If at
    most half of the last strip is used, the blocks below compute only that half.

    This is one function because a call with its 20 array fields costs as much as a strip of two
    features.
    """
    tile, points, places, counts, maha = work.tile, work.points, work.places, work.counts, work.resp
    n, size = tile.shape
    U, M, L = operands.factors, operands.means, operands.means_low
    lanes, ldp = lanes_of(tile), places.shape[1]
    strip = STRIP_VECTORS * lanes
    top = (n - 1) % NORM_ROWS + 1
    for k in range(maha.shape[0]):
        fill_strip(places, k, counts[k])
        u, m = k * n * n, k * M.shape[1]
        for v in range(0, counts[k], STRIP_VECTORS):
            i, o = k * ldp + v, k * size + v * lanes
            write_top_norms(top, U, u, n, tile, size, places, i, M, L, m, maha, o)
            if top < n:
                differences_of_strip(tile, size, n, places, i, M, L, m, points, 0, strip)
            if counts[k] - v > _HALF:
                for j in range(top, n, 6):
                    _norms_6(U, u, n, j, points, strip, maha, o)
            else:
                for j in range(top, n, 6):
                    _half_norms_6(U, u, n, j, points, strip, maha, o)


@jit
def whiten_tile(operands, tile, points):
    """Write ``U (x - center)`` for every point of a tile to `points`, in place.

    Rows are computed from the last to the first, so that each overwrites a difference that no other
    row needs.
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
def components_together(counts, k, n_vectors):
    """Return how many components, from k on, are computed together: four, two or one.

    They are computed together if each of them lists all vectors.
    """
    n = 0
    while n < 4 and k + n < counts.size and counts[k + n] == n_vectors:
        n += 1
    return 4 if n == 4 else 2 if n >= 2 else 1


@jit
def write_distances(points, means, lows, factors, work):
    """Write squared distances of the listed vectors to all means into `work.resp`, in place.

    The distances of the listed vectors of `points` (>= n_features, size) to a mean go, side by
    side, to the mean's row. The rows of `means` may be padded.
    """
    places, counts, out = work.places, work.counts, work.resp
    n, size = work.tile.shape
    n_means, ldm, ldp = out.shape[0], means.shape[1], places.shape[1]
    lanes = lanes_of(points)
    k = 0
    while k < n_means:
        together = components_together(counts, k, ldp)
        fill_strip(places, k, counts[k])
        for v in range(0, counts[k], STRIP_VECTORS):
            i, o = k * ldp + v, k * size + v * lanes
            if together == 4:
                _four(points, size, places, i, n, means, lows, factors, k, ldm, out, o, size)
            elif together == 2:
                _two(points, size, places, i, n, means, lows, factors, k, ldm, out, o, size)
            else:
                _one(points, size, places, i, n, means, lows, factors, k, ldm, out, o, size)
        k += together


@jit
def mahalanobis_tied(operands, work):
    """Write the same as `mahalanobis_full`, from a tile that is whitened once.

    The whitened tile stays in `work.points`.
    """
    centers, lows = operands.centers, operands.centers_low
    whiten_tile(operands, work.tile, work.points)
    write_distances(work.points, centers, lows, operands.factors, work)


@jit
def mahalanobis_diag(operands, work):
    """Write the same as `mahalanobis_full`, with one factor per component and feature.

    Where the points about the center are needed, they are written to `work.points`.
    """
    tile, points, places, counts, out = work.tile, work.points, work.places, work.counts, work.resp
    M, L, S = operands.means, operands.means_low, operands.factors
    C, E = operands.centers, operands.centers_low
    n, size = tile.shape
    n_means, ldm, ldp, lanes = out.shape[0], M.shape[1], places.shape[1], lanes_of(tile)
    about_center = operands.about_center and n >= MANY_FEATURES and n_means >= _MANY_MEANS
    if about_center:
        subtract_mean(tile, operands.center, operands.center_low, 0, points)
    k = 0
    while k < n_means:
        together = components_together(counts, k, ldp)
        fill_strip(places, k, counts[k])
        for v in range(0, counts[k], STRIP_VECTORS):
            i, o = k * ldp + v, k * size + v * lanes
            if together == 4 and about_center:
                _four_about_center(points, size, places, i, n, C, E, S, k, n, out, o, size)
            elif together == 4:
                _four_scaled(tile, size, places, i, n, M, L, S, k, ldm, out, o, size)
            elif together == 2:
                _two_scaled(tile, size, places, i, n, M, L, S, k, ldm, out, o, size)
            else:
                _one_scaled(tile, size, places, i, n, M, L, S, k, ldm, out, o, size)
        k += together


@jit
def mahalanobis_spherical(operands, work):
    """Write the same as `mahalanobis_full`, with one factor per component."""
    prefer_wide_vectors()
    maha = work.resp
    write_distances(work.tile, operands.means, operands.means_low, operands.factors, work)
    lanes = lanes_of(work.tile)
    for k in range(maha.shape[0]):
        precision = np.float64(operands.factors[k, 0]) ** 2
        for p in range(work.counts[k] * lanes):
            maha[k, p] *= precision
