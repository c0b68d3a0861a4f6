"""Tiles: their sizes, and the rows that they hold."""

import numpy as np
import pytest
from loaded_tile import lanes_of

from fastgmm.jit.decorators import entry
from fastgmm.kernels import tiles
from fastgmm.kernels.micro.vectors import STRIP_VECTORS


@entry
def load(X, sample_weight, order, block, start, count, work):
    tiles.find_rows(order, block, start, count, work.rows)
    tiles.load_tile(X, work.rows, work.tile, start + tiles.prefetch_distance(X))
    tiles.load_weights(sample_weight, work.rows, count, work.weight)


@entry
def tiles_of_chunks(n_chunks, n_samples, size, group, begins, ends):
    for chunk in range(n_chunks):
        begins[chunk], ends[chunk] = tiles.chunk_tiles(chunk, n_chunks, n_samples, size, group)


@entry
def copy_there_and_back(values, places, n, scratch, out, like):
    tiles.fill_strip(places, 0, n)
    tiles.gather_doubles(values, places, 0, n, scratch, 1, like)
    tiles.scatter_doubles(scratch, 1, places, 0, n, out, like)


@pytest.mark.parametrize("itemsize", [4, 8])
@pytest.mark.parametrize("n_features", [1, 2, 5, 8, 16, 24, 25, 96, 97, 1000])
def test_a_tile_is_an_odd_number_of_strips(itemsize, n_features):
    """An even number of them maps its rows to the same lines of the first-level cache."""
    strip = tiles.STRIP_BYTES // itemsize
    size = tiles.tile_size(10**6, n_features, itemsize)
    assert size % strip == 0
    assert size // strip % 2 == 1
    assert tiles.tile_size(1, n_features, itemsize) == strip


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n_features", [1, 2, 3, 7, 8, 9, 15, 16, 17, 18, 40])
@pytest.mark.parametrize("ordered", [False, True])
def test_a_tile_holds_the_rows_it_is_given(dtype, n_features, ordered):
    """The last tile, too, whose padding repeats its first row with weight zero."""
    rng = np.random.default_rng(0)
    n_samples = 4 * tiles.tile_size(10**6, n_features, np.dtype(dtype).itemsize) + 7
    X, w = rng.standard_normal((n_samples, n_features)).astype(dtype), rng.random(n_samples)
    work = tiles.make_workspace(X, 1)
    size = work.peak.size
    block = 2 * size  # the first row of the block, of two tiles and a part of one
    order = np.zeros(n_samples, np.uint16)
    order[block:] = rng.permutation(n_samples - block)
    rows_of = block + order if ordered else np.arange(n_samples)
    for start in range(block, n_samples, size):
        count = min(size, n_samples - start)
        load(X, w, order if ordered else order[:0], block, start, count, work)
        rows = rows_of[start : start + count]
        np.testing.assert_array_equal(work.rows[:count], rows)
        assert (work.rows[count:] == rows[0]).all()
        np.testing.assert_array_equal(work.tile, X[work.rows].T)
        np.testing.assert_array_equal(work.weight, np.append(w[rows], np.zeros(size - count)))


@pytest.mark.parametrize("group", [1, 3])
@pytest.mark.parametrize("n_samples", [1, 31, 32, 33, 1000, 1025])
def test_chunks_cover_all_tiles_once(group, n_samples):
    """In order, and in whole groups but for the last."""
    begins, ends = np.empty(8, int), np.empty(8, int)
    tiles_of_chunks(8, n_samples, 32, group, begins, ends)
    assert begins[0] == 0
    assert ends[-1] == -(-n_samples // 32)
    np.testing.assert_array_equal(begins[1:], np.maximum(ends[:-1], begins[1:]))
    assert (begins % group == 0).all()
    assert (np.clip(ends - begins, 0, None)).sum() == ends[-1]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_listed_vectors_are_gathered_and_scattered(dtype):
    like = np.zeros(1, dtype)
    lanes = lanes_of(like)
    values, scratch = np.arange(8.0 * lanes), np.full((2, 8 * lanes), np.nan)
    places = np.zeros((1, 8), np.intp)
    places[0, :3] = np.array([0, 2, 5]) * lanes
    out = np.zeros_like(values)
    copy_there_and_back(values, places, 3, scratch, out, like)
    listed = np.isin(np.arange(8 * lanes) // lanes, [0, 2, 5])
    np.testing.assert_array_equal(scratch[1, : 3 * lanes], values[listed])
    np.testing.assert_array_equal(out, values * listed)
    end = -(-3 // STRIP_VECTORS) * STRIP_VECTORS
    assert (places[0, 3:end] == 5 * lanes).all()  # strips are computed whole
