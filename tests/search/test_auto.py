"""The start "auto": it finds optima that k-means misses, in any units, and gives up gracefully."""

import pickle

import numpy as np
import problems
import pytest
from reference import COVARIANCE_TYPES

import fastgmm
from fastgmm.em.models import MaximumLikelihood
from fastgmm.model.covariance import COVARIANCE_TYPES as KINDS
from fastgmm.search.cell import Cell, Proposal
from fastgmm.search.coordinates import make_coordinates
from fastgmm.search.merging import merged_partitions
from fastgmm.search.moves import merges, splits
from fastgmm.search.sample import make_sample
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import Seed

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)


def cigars(n_samples, n_features, n_clusters, seed=0):
    """Long parallel clusters, turned at random, and their labels."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, n_clusters, n_samples)
    X = draw.normal(size=(n_samples, n_features))
    X[:, 0] *= 50
    X[:, 1] += 7 * labels
    return X @ np.linalg.qr(draw.normal(size=(n_features, n_features)))[0].T, labels


def share_in_own_cluster(labels, found):
    """Return the share of rows whose found label is the most frequent one of their cluster."""
    table = np.zeros((labels.max() + 1, found.max() + 1))
    np.add.at(table, (labels, found), 1)
    return table.max(axis=1).sum() / len(labels)


@pytest.mark.parametrize(("n_features", "n_clusters"), [(2, 2), (2, 3), (5, 3), (20, 4)])
def test_long_parallel_clusters_are_found(n_features, n_clusters):
    X, labels = cigars(1500, n_features, n_clusters)
    found = fastgmm.fit(X, n_clusters, random_state=0).predict(X)
    assert np.unique(found).size == n_clusters
    assert share_in_own_cluster(labels, found) > 0.99
    missed = fastgmm.fit(X, n_clusters, init_params="kmeans", random_state=0).predict(X)
    assert share_in_own_cluster(labels, missed) < 0.8


def test_units_do_not_matter():
    """A feature in other units changes the log-likelihood by the logarithm of the unit alone."""
    X, _ = cigars(600, 3, 3)
    scale = np.array([1e-3, 1.0, 1e4])
    plain = fastgmm.fit(X, 3, reg_covar=0.0, random_state=0)
    scaled = fastgmm.fit(X * scale, 3, reg_covar=0.0, random_state=0)
    change = plain.score(X) - np.log(scale).sum()
    assert scaled.score(X * scale) == pytest.approx(change, abs=1e-4)


@each_type
def test_it_is_no_worse_than_k_means(covariance_type):
    for seed in range(3):
        X = problems.overlapping(500, 3, 4, covariance_type, seed=seed).X
        options = {"covariance_type": covariance_type, "random_state": seed, "tol": 1e-5}
        auto = fastgmm.fit(X, 5, **options)
        kmeans = fastgmm.fit(X, 5, init_params="kmeans", max_iter=1000, **options)
        assert auto.score(X) > kmeans.score(X) - 2e-3  # one nat of all rows


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_same_bits_for_every_number_of_threads(dtype, assert_same_mixture):
    X = problems.overlapping(5000, 8, 6).X.astype(dtype)
    one, three = (fastgmm.fit(X, 6, random_state=1, n_threads=n) for n in (1, 3))
    assert_same_mixture(one, three)


def test_rows_of_weight_zero_do_not_matter(assert_close):
    X, _ = cigars(400, 2, 2)
    weights = np.concatenate([np.ones(400), np.zeros(50)])
    more = np.concatenate([X, np.full((50, 2), 1e6)])
    kept = fastgmm.fit(X, 2, random_state=0)
    with_more = fastgmm.fit(more, 2, sample_weight=weights, random_state=0)
    assert with_more.score(X) == pytest.approx(kept.score(X), abs=1e-5)


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((20, 3)),
        np.arange(6.0)[:, None],
        np.repeat([[0.0, 0.0], [1.0, 0.0], [5.0, 0.0]], 30, axis=0),
        np.column_stack([np.linspace(0, 1, 40) ** 2, np.full(40, 7.0)]),
        np.random.default_rng(0).normal(size=(12, 30)),
        np.array([[0.0], [1.0], [2.0]]),
    ],
    ids=["equal", "few", "repeated", "constant column", "wide", "three rows"],
)
@each_type
def test_rows_that_allow_no_search(X, covariance_type):
    mixture = fastgmm.fit(X, 3, covariance_type=covariance_type, random_state=0)
    assert np.isfinite(mixture.score(X))


def test_a_sample_of_a_large_table_serves():
    """A search on some thousand rows leaves few passes over all."""
    X = problems.overlapping(60_000, 3, 3).X
    mixture = fastgmm.fit(X, 3, random_state=0)
    sure = fastgmm.fit(X, 3, init_params="kmeans", tol=1e-7, max_iter=1000, random_state=0)
    assert mixture.n_iter < 60
    assert mixture.score(X) > sure.score(X) - 1e-3


def test_coordinates_do_not_depend_on_units():
    X, labels = cigars(2000, 4, 2)
    weight = np.ones(len(X))
    coordinates = make_coordinates(X, weight)
    np.testing.assert_allclose(np.cov(coordinates.whitened.T, bias=True), np.eye(4), atol=1e-9)
    first = coordinates.invariant[:, 0]
    assert abs(np.corrcoef(first, labels)[0, 1]) > 0.95
    scaled = make_coordinates(X * [1.0, 1e-4, 1e5, 10.0] + 3.0, weight).invariant[:, 0]
    assert abs(np.corrcoef(first, scaled)[0, 1]) > 1 - 1e-6


def test_directions_without_variation_are_left_out():
    X, _ = cigars(500, 2, 2)
    X = np.column_stack([X, X[:, 0] - X[:, 1], np.full(500, 3.0)])
    assert make_coordinates(X, np.ones(500)).whitened.shape == (500, 2)


def test_merging_finds_separated_blobs():
    X, labels = problems.blobs(n_components=4)
    found = merged_partitions(ArraySource(X), 40, [2, 4], np.random.RandomState(0))
    assert sorted(found) == [2, 4]
    assert share_in_own_cluster(labels, found[4]) == 1.0


def test_a_merge_undoes_a_split():
    """The first proposal of each move between two and three blobs is the right one."""
    X, labels = problems.blobs(n_components=3)
    sample = make_sample(ArraySource(X), 3, np.random.RandomState(0))
    whitened, weight = sample.coordinates.whitened, sample.weight
    exact = np.eye(3)[labels]
    means = np.array([X[labels == k].mean(axis=0) for k in range(3)])
    joined = np.column_stack([exact[:, 0] + exact[:, 1], exact[:, 2]])
    split = splits(whitened, weight, joined, means[[0, 2]], 1)[0]
    np.testing.assert_array_equal(np.sort(split.seed.resp.sum(axis=0)), np.sort(exact.sum(axis=0)))
    halves = np.column_stack([exact, np.where(np.arange(len(X)) % 2, exact[:, 2], 0.0)])
    halves[:, 2] -= halves[:, 3]
    merged = merges(whitened, weight, halves, means[[0, 1, 2, 2]], 1)[0]
    np.testing.assert_array_equal(np.sort(merged.seed.resp.sum(axis=0)), np.sort(exact.sum(axis=0)))


def test_a_spurious_optimum_is_not_kept():
    draw = np.random.default_rng(0)
    X = np.concatenate([draw.normal(size=(200, 2)), np.full((30, 2), 0.5)])
    sample = make_sample(ArraySource(X), 2, np.random.RandomState(0))
    cell = Cell(sample, MaximumLikelihood(KINDS["full"], 1e-6), 2, lambda record: None)
    labels = np.repeat(np.array([0, 1], np.int32), [200, 30])
    seed = Seed(np.array([[0.0, 0.0], [0.5, 0.5]]), labels)
    (trial,) = cell.trials([Proposal("given", seed, is_move=False)])
    assert cell.offer(trial)  # whether it is spurious
    assert cell.best is None
    assert cell.record.n_passes > 0


def test_the_mixture_says_how_it_was_found():
    X = cigars(900, 3, 3)[0]
    mixture = fastgmm.fit(X, 3, random_state=0)
    record = mixture.search
    assert record.n_candidates >= 5
    assert record.n_rows == 900
    assert record.n_passes > record.n_candidates
    assert str(record).endswith(" passes over 900 rows")
    assert fastgmm.fit(X, 3, random_state=0).search == record
    assert fastgmm.fit(X, 3, init_params="kmeans", random_state=0).search is None
    assert pickle.loads(pickle.dumps(mixture)).search == record
    candidate = fastgmm.select(X, [3], "full", random_state=0)[0]
    assert candidate.mixture.search.n_candidates >= 5
