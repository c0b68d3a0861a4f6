"""The M-step's sums over a tile: N = sum w r, S1 = sum w r x, S2 = sum w r x x^T.

The points x are differences from the means under which r was computed. The covariance is S2 / N - d
d^T with d = S1 / N. Because d vanishes as EM converges, the subtraction does not cancel.

Negligible responsibilities
    A responsibility of at most `negligible`, a tiny fraction of its component's weight, changes no
    bit of any sum and is left out. `fastgmm.em.loop` handles components that lose nearly all of
    their weight or spread in one iteration.

Three forms
    `moments_of_tile` has lanes over points; it reads the vectors that have live points, side by
    side. `moments_of_live` gathers live points as rows and has lanes over features.
    `vectors_are_cheaper` chooses between them. `accumulate_about_center` takes the moments of all
    components about one point, as products of blocks of components and features: 3.9 cycles per
    pair against 27 for 16 tied components that overlap. It is used only if shifting the moments to
    the means afterwards costs less than 2e-13 (see `fastgmm.sources.operands`). For tied components
    it omits S2: about one point, S2 is the same whatever the responsibilities.

Diagonal sums about the center
    From 16 features on, lanes run over features: the points about the center are the rows of
    `Workspace.table`, and a block keeps the sums of GRAM_ROWS components in registers for all
    points of the tile. With lanes over points, the sums of lanes and the second-level cache took as
    long again as the arithmetic. With fewer features, writing the table takes longer than it saves,
    and so do blocks that are far from full (see `rows_are_cheaper`).
"""

import numpy as np

from fastgmm.jit.decorators import jit, jit_sum
from fastgmm.kernels.micro.blocks import (
    add_small_matrix,
    add_weighted_corner,
    add_weighted_gram,
    cross_block,
    product_block,
    weighted_rows,
)
from fastgmm.kernels.micro.lanes import (
    copy_doubles,
    count_bits,
    difference,
    differences_of_strip,
    lanes_of,
    live_bits,
    lowest_bit,
    prefer_wide_vectors,
    store_scaled_difference,
)
from fastgmm.kernels.micro.vectors import GRAM_ROWS, SQUARE, STRIP_VECTORS
from fastgmm.kernels.tiles import MANY_FEATURES, PANEL, fill, subtract_mean

FEW_LIVE = 0.2  # fraction of all pairs; with fewer live ones, components are summed one at a time

# Blocks by their rows and columns; the smaller ones cover what the largest leave over.
_gram_block, _gram_row = cross_block(GRAM_ROWS, (1, 2, 3)), cross_block(1, (1, 2, 3))
_product_block, _product_row = product_block(SQUARE, 4), product_block(1, 4)
_product_column, _product = product_block(SQUARE, 1), product_block(1, 1)
_product_two = product_block(2, 4)


@jit
def choose_vectors(work, k, negligible):
    """Write the positions, in row k of `resp`, of the vectors with live points to `work.chosen`.

    Return the number of these vectors and the number of live points. If most points are live, all
    listed vectors are chosen.
    """
    lanes, size = lanes_of(work.tile), work.peak.size
    live = work.live[k]
    if 2 * live > size:  # nearly all vectors have live points: choose them all
        n = work.counts[k]
        for m in range(n):
            work.chosen[m] = m
        return n, live
    if live == 0:
        return 0, 0
    n = live = 0
    for m in range(work.counts[k]):
        i = k * size + m * lanes
        bits = live_bits(work.resp, i, work.weight, work.places[k, m], negligible, work.tile)
        work.chosen[n] = m
        n += bits != 0
        live += count_bits(bits)
    return n, live


@jit
def list_live_points(work, k, negligible, n):
    """Write the rows of X and the responsibilities of the live points in the n chosen vectors.

    The rows go to `work.index`, the responsibilities to row 0 of `work.scratch`.
    """
    lanes, size = lanes_of(work.tile), work.peak.size
    live = 0
    for c in range(n):
        m = work.chosen[c]
        place = work.places[k, m]
        i = k * size + m * lanes
        bits = live_bits(work.resp, i, work.weight, place, negligible, work.tile)
        while bits:
            lane = lowest_bit(bits)
            work.index[live] = work.rows[place + lane]
            work.scratch[0, live] = work.resp[k, m * lanes + lane]
            live += 1
            bits &= bits - 1


@jit_sum
def round_resp(values, k, weight, negligible, tile_resp, row, n):
    """Write n responsibilities of component k in the precision of the tile; return the sum of all.

    Negligible ones become zero in `tile_resp`, because arithmetic on subnormal numbers is slow.
    """
    prefer_wide_vectors()
    total = 0.0
    for p in range(n):
        value = values[k, p]
        tile_resp[row, p] = value if value > negligible * weight[p] else 0.0
        total += value
    return total


@jit
def gather_resp(work, k, negligible, n):
    """Write component k's responsibilities in the n chosen vectors, side by side; return their sum.

    They go to row 0 of `work.tile_resp`.
    """
    lanes, size = lanes_of(work.tile), work.peak.size
    if n * lanes == size:  # all vectors, in the order of the tile
        return round_resp(work.resp, k, work.weight, negligible, work.tile_resp, 0, size)
    for c in range(n):
        m = work.chosen[c]
        copy_doubles(work.resp, k * size + m * lanes, work.scratch, c * lanes, work.tile)
        copy_doubles(work.weight, work.places[k, m], work.scratch, size + c * lanes, work.tile)
    return round_resp(work.scratch, 0, work.scratch[1], negligible, work.tile_resp, 0, n * lanes)


@jit
def offsets_of_chosen(work, k, n):
    """Replace component k's n chosen positions by places in the tile, padded to a full strip."""
    for c in range(n):
        work.chosen[c] = work.places[k, work.chosen[c]]
    c = n
    while c % STRIP_VECTORS:
        work.chosen[c] = work.chosen[0]
        c += 1


@jit
def gather_differences(work, means, lows, row, n):
    """Write the differences of the n chosen vectors from one mean, side by side, to `work.points`.

    `work.chosen` holds the places of the vectors; the mean is row `row` of `means` plus `lows`.
    """
    n_features, size = work.tile.shape
    lanes = lanes_of(work.tile)
    at = row * means.shape[1]
    for c in range(0, n, STRIP_VECTORS):
        differences_of_strip(
            work.tile, size, n_features, work.chosen, c, means, lows, at,
            work.points, c * lanes, size,
        )  # fmt: skip


@jit
def products_of_tile(tile_resp, points, begin, shape, n, out, o, ldo):
    """Add ``tile_resp @ points.T`` to `out`, in place; rows of `out` begin at o and lie ldo apart.

    `shape` (rows, columns) is the number of rows of `tile_resp`, from 0 on, and of `points`, from
    `begin` on, that are multiplied over the first n vectors of both. Narrower blocks cover the rows
    and columns that remain after the largest blocks.
    """
    size = tile_resp.shape[1]
    n_components, n_features = shape
    rows, columns = n_components // SQUARE * SQUARE, n_features // 4 * 4
    for col in range(0, columns, 4):
        d = (begin + col) * size
        for row in range(0, rows, SQUARE):
            a, at = row * size, o + row * ldo + col
            _product_block(tile_resp, a, points, d, size, n, out, at, ldo)
        row = rows
        if row + 2 <= n_components:
            a, at = row * size, o + row * ldo + col
            _product_two(tile_resp, a, points, d, size, n, out, at, ldo)
            row += 2
        if row < n_components:
            a, at = row * size, o + row * ldo + col
            _product_row(tile_resp, a, points, d, size, n, out, at, ldo)
    for col in range(columns, n_features):
        d = (begin + col) * size
        for row in range(0, rows, SQUARE):
            a, at = row * size, o + row * ldo + col
            _product_column(tile_resp, a, points, d, size, n, out, at, ldo)
        for row in range(rows, n_components):
            a, at = row * size, o + row * ldo + col
            _product(tile_resp, a, points, d, size, n, out, at, ldo)


@jit
def moments_of_tile(weight, diffs, n_features, n, s2, o, s1, f):
    """Add ``sum w x`` and ``sum w x x^T`` (lower triangle), in place.

    The sums run over the first n vectors of the first `n_features` rows of `diffs`; the weights w
    are row 0 of `weight`. The matrix begins at offset o of `s2`, the vector at offset f of `s1`.
    """
    size = diffs.shape[1]
    ld = s2.shape[2]
    for row in range(0, n_features, SQUARE):
        height = min(SQUARE, n_features - row)
        at = o + row * ld
        for col in range(0, row, SQUARE):
            add_weighted_gram(height, weight, diffs, size, n, row, col, s2, at + col, ld)
        add_weighted_corner(height, weight, diffs, size, n, row, s2, at + row, ld, s1, f + row)


@jit
def moments_of_few_features(operands, work, k, n, s1, s2, o):
    """Add the same as `moments_of_tile`, for up to SQUARE features, over vectors in `work.chosen`.

    Differences from the mean of component k are computed as they are needed. Storing them first
    pays if several blocks read each of them; here it takes a quarter to a half longer.
    """
    n_features, size = work.tile.shape
    w, tile, chosen, ld = work.tile_resp, work.tile, work.chosen, s2.shape[2]
    M, L = operands.means, operands.means_low
    m, f = k * M.shape[1], k * s1.shape[1]
    add_small_matrix(n_features, w, tile, size, chosen, n, M, L, m, s2, o, ld, s1, f)


@jit
def gather_live_points(operands, X, index, begin, count, k, root, panel):
    """Write ``root (x - mean_k)`` and ``root`` of `count` live points, one row each, to `panel`.

    Full vectors are read where memory allows, even past the end of a row: the extra numbers land in
    columns that nobody reads.
    """
    n_features = X.shape[1]
    ld = panel.shape[1]
    means, lows = operands.means, operands.means_low
    lanes = lanes_of(X)
    for m in range(count):
        row = index[begin + m]
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
def gram_of_panel(panel, n, n_features, s2, o):
    """Add ``panel.T @ panel`` (lower triangle) to `s2` from offset o, in place."""
    ld = panel.shape[1]
    lanes = lanes_of(panel)
    for row in range(0, n_features, GRAM_ROWS):
        n_vectors = min((row + GRAM_ROWS - 1) // lanes + 1, ld // lanes)
        for c in range(0, n_vectors, 3):
            col = c * lanes
            at = o + row * ld + col
            columns = min(3, n_vectors - c)
            _gram_block(columns, panel, row, panel, col, ld, n, s2, at)


@jit
def last_row_of_gram(panel, n, n_features, s1, o):
    """Add the panel's column of roots times the panel, which is S1 and N, to `s1` from offset o."""
    ld = panel.shape[1]
    lanes = lanes_of(panel)
    n_vectors = ld // lanes
    for c in range(0, n_vectors, 3):
        col = c * lanes
        columns = min(3, n_vectors - c)
        _gram_row(columns, panel, n_features, panel, col, ld, n, s1, o + col)


@jit
def square_roots(values, count):
    """Replace the first `count` values by their square roots, in place."""
    prefer_wide_vectors()
    for m in range(count):
        values[m] = np.sqrt(values[m])


@jit
def moments_of_live(operands, X, live, k, work, s1, s2, o):
    """Add the same as `moments_of_tile` over the live points in `work.index`, in place."""
    n_features = X.shape[1]
    root, panel = work.root, work.panel
    for begin in range(0, live, PANEL):
        n = min(PANEL, live - begin)
        for m in range(n):
            root[m] = work.scratch[0, begin + m]
        square_roots(root, n)
        gather_live_points(operands, X, work.index, begin, n, k, root, panel)
        last_row_of_gram(panel, n, n_features, s1, k * s1.shape[1])
        gram_of_panel(panel, n, n_features, s2, o)


@jit
def vectors_are_cheaper(n, live, n_features, lanes):
    """Say whether summing n vectors costs less than summing their live points one by one.

    The model is in cycles on one AVX-512 core: 0.52 d (d + 10) for a vector of points; 25 + 0.39 d
    for a live point and a vector of features.
    """
    width = n_features // lanes + 1
    return 0.52 * n * n_features * (n_features + 10) <= live * (25 + 0.39 * n_features * width)


@jit
def accumulate_matrices(operands, X, work, s1, s2):
    """Add the moments of a tile for full and tied covariances, in place; return the live pairs."""
    n_features = work.tile.shape[0]
    means, lows = operands.means, operands.means_low
    matrix = s2.shape[1] * s2.shape[2] if s2.shape[0] > 1 else 0  # tied has one matrix in all
    lanes = lanes_of(X)
    pairs = 0
    for k in range(work.resp.shape[0]):
        negligible = operands.negligible[k]
        n, live = choose_vectors(work, k, negligible)
        pairs += live
        if live == 0:
            continue
        if not vectors_are_cheaper(n, live, n_features, lanes):
            list_live_points(work, k, negligible, n)
            moments_of_live(operands, X, live, k, work, s1, s2, k * matrix)
            continue
        s1[k, n_features] += gather_resp(work, k, negligible, n)
        offsets_of_chosen(work, k, n)
        o, f = k * matrix, k * s1.shape[1]
        if n_features <= SQUARE:
            moments_of_few_features(operands, work, k, n, s1, s2, o)
        else:
            gather_differences(work, means, lows, k, n)
            moments_of_tile(work.tile_resp, work.points, n_features, n, s2, o, s1, f)
    return pairs


@jit
def square_rows(points, n_features, n_squares, n):
    """Write the squares of n points of each feature, or their sum over features, in place.

    They go to the rows of `points` below the features: `n_squares` rows, one per feature or one.
    """
    prefer_wide_vectors()
    for j in range(n_features):
        at = n_features + j * (n_squares > 1)
        for p in range(n):
            square = points[j, p] * points[j, p]
            points[at, p] = square if n_squares > 1 or j == 0 else points[at, p] + square


@jit
def add_weighted_sums(work, n_rows, n, k, squared, s1, s2):
    """Add ``sum w x`` and, if `squared`, ``sum w x^2`` of n vectors to rows k and on, in place.

    x are the differences in `work.points`, w the first `n_rows` rows of `work.tile_resp`. A row of
    `s2` has one column per feature, or one column for the sum over features.
    """
    n_features = work.tile.shape[0]
    tile_resp, points = work.tile_resp, work.points
    ldo, ldq = s1.shape[1], s2.shape[2]
    products_of_tile(tile_resp, points, 0, (n_rows, n_features), n, s1, k * ldo, ldo)
    if squared:
        n_squares = min(n_features, ldq)
        square_rows(points, n_features, n_squares, n * lanes_of(work.tile))
        shape = n_rows, n_squares
        products_of_tile(tile_resp, points, n_features, shape, n, s2, k * ldq, ldq)


@jit
def accumulate_each(operands, work, means, lows, shift, squared, s1, s2):
    """Add the moments of a tile one component at a time, in place; return the live pairs.

    Component k's moments are about row ``shift * k`` of `means` plus `lows`; `shift` is 1 or 0. See
    `add_weighted_sums` for `squared`.
    """
    n_features = work.tile.shape[0]
    pairs = 0
    for k in range(work.resp.shape[0]):
        negligible = operands.negligible[k]
        n, live = choose_vectors(work, k, negligible)
        pairs += live
        if live:
            s1[k, n_features] += gather_resp(work, k, negligible, n)
            offsets_of_chosen(work, k, n)
            gather_differences(work, means, lows, shift * k, n)
            add_weighted_sums(work, 1, n, k, squared, s1, s2)
    return pairs


@jit
def scatter_resp(work, k, negligible):
    """Write component k's responsibilities to row k of `work.tile_resp`, in the order of the tile.

    Return their sum. Vectors that the component does not list get zeros.
    """
    lanes, size = lanes_of(work.tile), work.peak.size
    n = work.counts[k]
    if n * lanes == size:
        return round_resp(work.resp, k, work.weight, negligible, work.tile_resp, k, size)
    fill(work.scratch[0], 0.0)
    for m in range(n):
        copy_doubles(work.resp, k * size + m * lanes, work.scratch, work.places[k, m], work.tile)
    return round_resp(work.scratch, 0, work.weight, negligible, work.tile_resp, k, size)


@jit
def live_pairs(operands, work):
    """Return the number of live pairs of the tile."""
    pairs = 0
    for k in range(work.resp.shape[0]):
        live = work.live[k]
        pairs += live if live >= 0 else choose_vectors(work, k, operands.negligible[k])[1]
    return pairs


@jit
def scatter_all_resp(operands, work, s1):
    """Write all responsibilities to `work.tile_resp` in tile order and add N to `s1`, in place."""
    n_features = work.tile.shape[0]
    for k in range(work.resp.shape[0]):
        s1[k, n_features] += scatter_resp(work, k, operands.negligible[k])


@jit
def rows_are_cheaper(n_components, n_features, lanes):
    """Say whether summing rows of `Workspace.table` costs less than summing vectors of points.

    Blocks of rows are padded to GRAM_ROWS components and full vectors of features. If that adds
    more than a quarter, they take as long or longer.
    """
    n_rows = (n_components + GRAM_ROWS - 1) // GRAM_ROWS * GRAM_ROWS
    n_columns = (n_features + lanes - 1) // lanes * lanes
    fills_blocks = 4 * n_rows * n_columns <= 5 * n_components * n_features
    return fills_blocks and n_features >= MANY_FEATURES


@jit
def write_table(operands, X, work):
    """Write the points about the center to the rows of `work.table`, in place; padding is zero."""
    table, center, low = work.table, operands.center, operands.center_low
    n_features, width, lanes = X.shape[1], table.shape[1], lanes_of(X)
    full = n_features // lanes * lanes
    for p in range(table.shape[0]):
        row = work.rows[p]
        for j in range(0, full, lanes):
            i, o = row * n_features + j, p * width + j
            store_scaled_difference(X, i, center, low, j, 1.0, table, o)
        for j in range(full, width):
            inside = j < n_features
            table[p, j] = difference(X[row, j], center[0, j], low[0, j]) if inside else 0.0


@jit
def add_sums_of_table(work, s1, s2):
    """Add the sums of `work.table` and of its squares, weighted by all responsibilities, in place.

    Components are padded with rows of zeros to full blocks.
    """
    W, table, sums = work.tile_resp, work.table, work.sums
    (size, width), lanes = table.shape, lanes_of(table)
    n_components, n_features = work.resp.shape[0], work.tile.shape[0]
    for k in range(0, n_components, GRAM_ROWS):
        for j in range(0, n_features, lanes):
            weighted_rows(W, k * size, size, table, j, width, size, sums, j, width)
        for r in range(min(GRAM_ROWS, n_components - k)):
            for j in range(n_features):
                s1[k + r, j] += sums[r, j]
                s2[0, k + r, j] += sums[GRAM_ROWS + r, j]


@jit
def sum_rows(operands, X, work, s1, s2):
    """Add the sums of a table's rows, in place, if that is cheaper; return whether it is."""
    if not rows_are_cheaper(work.resp.shape[0], X.shape[1], lanes_of(X)):
        return False
    write_table(operands, X, work)
    add_sums_of_table(work, s1, s2)
    return True


@jit
def sum_no_rows(operands, X, work, s1, s2):
    """Add nothing: for types without a square for each feature."""
    return False


def about_center_of(squared, sum_rows):
    """Return ``f(operands, X, work, s1, s2)``: it adds the moments of a tile about the center.

    They are products of all responsibilities with the points, and with their squares if `squared`,
    in blocks of components and features. If few pairs are live, components are summed one at a
    time. `sum_rows` adds sums of rows and squares, or returns false.
    """

    @jit
    def accumulate_about_center(operands, X, work, s1, s2):
        """Add the moments about `operands.center`, in place; return the live pairs."""
        n_components, size = work.resp.shape
        center, low = operands.center, operands.center_low
        pairs = live_pairs(operands, work)
        if pairs < FEW_LIVE * n_components * size:
            return accumulate_each(operands, work, center, low, 0, squared, s1, s2)
        scatter_all_resp(operands, work, s1)
        if sum_rows(operands, X, work, s1, s2):
            return pairs
        subtract_mean(work.tile, center, low, 0, work.points)
        n = size // lanes_of(work.tile)
        add_weighted_sums(work, n_components, n, 0, squared, s1, s2)
        return pairs

    return accumulate_about_center


tied_about_center = about_center_of(False, sum_no_rows)
diag_about_center = about_center_of(True, sum_rows)
spherical_about_center = about_center_of(True, sum_no_rows)


@jit
def accumulate_squares(operands, X, work, s1, s2):
    """Add the moments of a tile for diag and spherical covariances; return the live pairs."""
    return accumulate_each(operands, work, operands.means, operands.means_low, 1, True, s1, s2)
