"""Micro-kernels one by one: switches, transposition, bits of vectors, the nearest of several."""

import numpy as np
import pytest

from fastgmm.jit.decorators import entry
from fastgmm.jit.intrinsics import intrinsic, ir, types
from fastgmm.kernels.micro import blocks, lanes, rows, vectors
from fastgmm.kernels.micro.rows import LANES, TILE

each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])


@intrinsic
def store_square(typingctx, number, out):
    """Store the square of a number from 1 to 5, by the switch that chooses a block's height."""

    def generate(context, builder, signature, args):
        elements = vectors.elements_of(context, builder, signature, args, 1)

        def emit(n):
            value = ir.Constant(ir.DoubleType(), float(n * n))
            elements.store(builder, value, vectors.index(0))

        vectors.one_of(builder, args[0], range(1, 6), emit)
        return context.get_dummy_value()

    return types.void(types.intp, out), generate


@entry
def squares(numbers, out):
    for i in range(numbers.size):
        store_square(numbers[i], out[i:])


def test_a_switch_runs_the_case_asked_for():
    numbers = np.array([3, 1, 5, 2, 4])
    out = np.zeros(5)
    squares(numbers, out)
    np.testing.assert_array_equal(out, numbers**2)


@entry
def transpose(X, picked, tile):
    n_features, size = tile.shape
    for p in range(0, size, lanes.lanes_of(X)):
        lanes.transpose_rows(X, n_features, picked, p, tile, p, size)


@each_dtype
@pytest.mark.parametrize("n_features", [1, 2, 3, 7, 8, 9, 15, 16, 17, 33])
def test_transposed_rows(n_features, dtype):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, n_features)).astype(dtype)
    picked = rng.integers(50, size=64)
    tile = np.full((n_features, 64), np.nan, dtype)
    transpose(X, picked, tile)
    np.testing.assert_array_equal(tile, X[picked].T)


@entry
def transpose_square(X, picked, feature, tile):
    rows.transpose_block(X, picked, 0, X.shape[1], feature, tile, 0, tile.shape[1])


@each_dtype
def test_transposed_square_of_picked_rows(dtype):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, LANES + 3)).astype(dtype)
    picked = rng.integers(30, size=LANES).astype(np.uintp)
    tile = np.zeros((LANES, LANES))
    transpose_square(X, picked, 2, tile)
    np.testing.assert_array_equal(tile, X[picked, 2 : 2 + LANES].T)


@entry
def find_nearest(distances, best, second, label):
    rows.two_nearest(distances, distances.shape[0], best, second, label, 0)


@pytest.mark.parametrize("n_clusters", [1, 2, 5, 40])
def test_two_nearest(n_clusters):
    """Ties go to the lowest row; NaN and infinity are never nearer than a number."""
    rng = np.random.default_rng(n_clusters)
    distances = rng.integers(0, 4, (n_clusters, TILE)).astype(float)
    distances[rng.random(distances.shape) < 0.2] = np.nan
    distances[rng.random(distances.shape) < 0.1] = np.inf
    best, second, label = np.empty(TILE), np.empty(TILE), np.empty(TILE, np.intp)
    find_nearest(distances, best, second, label)
    ranked = np.where(np.isnan(distances), np.inf, distances)
    np.testing.assert_array_equal(best, ranked.min(axis=0))
    np.testing.assert_array_equal(label, ranked.argmin(axis=0))
    runner_up = np.sort(np.vstack([ranked, np.full(TILE, np.inf)]), axis=0)[1]
    np.testing.assert_array_equal(second, runner_up)


@entry
def examine(values, weight, negligible, like, out):
    bits = lanes.live_bits(values, 1, weight, 2, negligible, like)
    out[0] = bits
    out[1] = lanes.count_bits(bits)
    out[2] = lanes.lowest_bit(bits) if bits else -1.0
    out[3] = lanes.least(values, 1, like)
    out[4] = lanes.greatest(values, 1, like)
    out[5] = lanes.lanes_of(like)


@each_dtype
def test_bits_and_extremes_of_a_vector(dtype):
    rng = np.random.default_rng(0)
    n = vectors.VECTOR_BYTES // np.dtype(dtype).itemsize
    out = np.empty(6)
    for _ in range(20):
        values, weight = rng.random(n + 2), rng.random(n + 2)
        weight[2] = 2.0 * values[1]  # exactly at the limit: not live
        examine(values, weight, 0.5, np.empty(0, dtype), out)
        live = values[1 : 1 + n] > 0.5 * weight[2:]
        expected = [sum(1 << i for i in np.flatnonzero(live)), live.sum()]
        expected += [np.flatnonzero(live)[0] if live.any() else -1]
        expected += [values[1 : 1 + n].min(), values[1 : 1 + n].max(), n]
        np.testing.assert_array_equal(out, expected)


_products = {shape: blocks.product_block(*shape) for shape in ((1, 1), (2, 4))}
_product_1_1, _product_2_4 = _products.values()


@entry
def add_products(A, D, n, small, large):
    _product_1_1(A, 0, D, 0, A.shape[1], n, small, 0, 1)
    _product_2_4(A, 0, D, 0, A.shape[1], n, large, 0, 4)


@each_dtype
def test_sums_over_lanes(dtype):
    """Integers, so that the order of additions does not matter."""
    rng = np.random.default_rng(0)
    A, D = (rng.integers(-9, 9, (4, 64)).astype(dtype) for _ in range(2))
    small, large = np.ones((1, 1)), np.ones((2, 4))
    n = 64 * A.itemsize // vectors.VECTOR_BYTES
    add_products(A, D, n, small, large)
    np.testing.assert_array_equal(small, 1.0 + A[:1] @ D[:1].T)
    np.testing.assert_array_equal(large, 1.0 + A[:2] @ D.T)


@entry
def weighted_sums(W, P, out):
    for j in range(0, P.shape[1], lanes.lanes_of(P)):
        blocks.weighted_rows(
            W, 0, W.shape[1], P, j, P.shape[1], P.shape[0], out, j, P.shape[1]
        )  # fmt: skip


@each_dtype
def test_weighted_sums_of_rows_and_squares(dtype):
    """Two vectors of columns, side by side; integers, so that sums are exact."""
    rng = np.random.default_rng(0)
    n_columns = 2 * vectors.VECTOR_BYTES // np.dtype(dtype).itemsize
    W = rng.integers(-9, 9, (vectors.GRAM_ROWS, 21)).astype(dtype)
    P = rng.integers(-9, 9, (21, n_columns)).astype(dtype)
    out = np.full((2 * vectors.GRAM_ROWS, n_columns), np.nan)
    weighted_sums(W, P, out)
    np.testing.assert_array_equal(out, np.concatenate([W @ P, W @ P**2]))


_three_scaled = blocks.distances_block(3, blocks.scaled_difference)
_three_about_center = blocks.distances_block(3, blocks.scaled_point_difference)


@entry
def distances_of_three(D, places, M, L, S, scaled, about_center):
    n, ldd = D.shape
    _three_scaled(D, ldd, places, 0, n, M, L, S, 0, n, scaled, 0, ldd)
    _three_about_center(D, ldd, places, 0, n, M, L, S, 0, n, about_center, 0, ldd)


@each_dtype
def test_distances_scale_the_difference_or_the_point(dtype):
    """Small integers, so that all terms are exact."""
    rng = np.random.default_rng(0)
    width = vectors.VECTOR_BYTES // np.dtype(dtype).itemsize
    size = vectors.STRIP_VECTORS * width
    D, M, L, S = (
        rng.integers(-9, 9, shape).astype(dtype) for shape in ((5, size), (3, 5), (3, 5), (3, 5))
    )
    places = np.arange(0, size, width)
    scaled, about_center = np.empty((3, size)), np.empty((3, size))
    distances_of_three(D, places, M, L, S, scaled, about_center)
    X, mean, scale = D.T, (M + L if dtype is np.float32 else M)[:, None], S[:, None]
    np.testing.assert_array_equal(scaled, (((X - mean) * scale) ** 2).sum(axis=2))
    np.testing.assert_array_equal(about_center, ((X * scale - mean) ** 2).sum(axis=2))
