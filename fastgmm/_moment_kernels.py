"""The M-step's sums over a tile: N = sum w r, S1 = sum w r x, S2 = sum w r x x^T.

The points x are differences from the means under which r was computed, so nothing cancels when
the covariance S2 / N - d d^T is made (d = S1 / N, which vanishes as EM settles).

Responsibilities that cannot matter
    One below exp(-60) of its component's weight changes no bit of any sum and is left out
    (`fastgmm._passes` sees to components that lose nearly all their weight at once).

Three forms
    `moments_of_tile` has lanes over points: all of a tile, or its live points gathered side by
    side. `moments_of_live` gathers live points as rows and has lanes over features. Cycles a
    live point on one AVX-512 core: 5, 23, 39 and 70 against 31, 42, 43 and 62 for 2, 10, 16 and
    24 features; the thresholds in `accumulate_matrices` follow them.
    `accumulate_common` takes the moments of all components about one point they share, as
    products of blocks of components and features: 3.9 cycles a pair against 27 for 16 tied
    components that overlap. It is used only where shifting the moments to the means afterwards
    costs less than 2e-13 (see `fastgmm._passes`).
"""

import numpy as np

from fastgmm._jit import inline, jit, jit_sum
from fastgmm._simd import (
    GRAM_ROWS,
    SQUARE,
    count_bits,
    difference,
    gram_block,
    lanes_of,
    live_bits,
    lowest_bit,
    prefer_wide_vectors,
    product_block,
    store_scaled_difference,
    weighted_corner_block,
    weighted_gram_block,
)
from fastgmm._tile_kernels import FULL, PANEL, TIED, subtract_mean

DEAD = np.exp(-60.0)  # responsibilities below this share of the component's weight are left out
POINT_LANES = 24  # features up to which second moments are summed with lanes over points
SQUARES_COST = 80  # what a live point taken by itself costs, beside its features

# Blocks by the number of their rows or columns: what is left over takes the lower ones.
_gram_1, _gram_2, _gram_3 = (gram_block(GRAM_ROWS, c) for c in (1, 2, 3))
_gram_row_1, _gram_row_2, _gram_row_3 = (gram_block(1, c) for c in (1, 2, 3))
_square_1, _square_2, _square_3, _square_4 = (weighted_gram_block(r, SQUARE) for r in (1, 2, 3, 4))
_product_block, _product_row = product_block(SQUARE, 4), product_block(1, 4)
_product_column, _product = product_block(SQUARE, 1), product_block(1, 1)
_corner_1, _corner_2, _corner_3, _corner_4 = (weighted_corner_block(r) for r in (1, 2, 3, 4))


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
    first n vectors of both; what whole blocks leave over is added number by number.
    """
    size = shares.shape[1]
    rows, columns = n_components // SQUARE * SQUARE, n_features // 4 * 4
    for col in range(0, columns, 4):
        d = (begin + col) * size
        for row in range(0, rows, SQUARE):
            a, at = row * size, o + row * ldo + col
            _product_block(shares, a, points, d, size, n, out, at, ldo)
        for row in range(rows, n_components):
            a, at = row * size, o + row * ldo + col
            _product_row(shares, a, points, d, size, n, out, at, ldo)
    for col in range(columns, n_features):
        d = (begin + col) * size
        for row in range(0, rows, SQUARE):
            a, at = row * size, o + row * ldo + col
            _product_column(shares, a, points, d, size, n, out, at, ldo)
        for row in range(rows, n_components):
            a, at = row * size, o + row * ldo + col
            _product(shares, a, points, d, size, n, out, at, ldo)


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
        n_vectors = min((row + GRAM_ROWS - 1) // lanes + 1, ld // lanes)
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
    matrix = second.shape[1] * second.shape[2] if second.shape[0] > 1 else 0  # one for all: tied
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
    n = size // lanes_of(work.tile)
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
    n = size // lanes_of(X)
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
