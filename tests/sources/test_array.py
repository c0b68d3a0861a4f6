"""The array source against plain NumPy, and its copies in other processes."""

import pickle

import numpy as np
import problems
import pytest
import reference

from fastgmm.em.models import MaximumLikelihood
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.model.parameters import Parameters
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import merge

each_type = pytest.mark.parametrize("covariance_type", reference.COVARIANCE_TYPES)
X = np.random.default_rng(0).normal([0.0, 10.0, -100.0], size=(203, 3))
WEIGHT = np.random.default_rng(1).integers(0, 4, len(X)) * 0.7


def both():
    """Return a source without weights and one with weights, each with its weights."""
    return (ArraySource(X), np.ones(len(X))), (ArraySource(X, WEIGHT), WEIGHT)


def test_weights():
    for source, weight in both():
        assert source.total_weight == pytest.approx(weight.sum(), rel=1e-15)
        assert source.n_weighted == np.count_nonzero(weight)
        assert source.effective_rows == pytest.approx(weight.sum() / weight.max(), rel=1e-15)
        np.testing.assert_array_equal(source.weights(np.array([3, 5])), weight[[3, 5]])
        assert source.weights(7) == weight[7]


@pytest.mark.parametrize("most", [0, 2**16])
def test_mean_and_variance(monkeypatch, most):
    """By a pass, and for few numbers by NumPy."""
    monkeypatch.setattr("fastgmm.sources.array._FEW_NUMBERS", most)
    for source, weight in both():
        mean, variance = source.mean_and_variance()
        expected = np.average(X, axis=0, weights=weight)
        np.testing.assert_allclose(mean, expected, rtol=1e-14)
        squares = (X - expected) ** 2
        np.testing.assert_allclose(variance, np.average(squares, axis=0, weights=weight), 1e-13)


def test_moments():
    """All rows in one component, about any point."""
    point = np.array([1.0, 9.0, -99.0])
    for source, weight in both():
        _, nk, s1, s2 = source.moments(COVARIANCE_TYPES["full"], point)
        expected = reference.statistics(X, np.ones((len(X), 1)), point[None], weight)
        np.testing.assert_allclose(nk, expected[0], rtol=1e-14)
        np.testing.assert_allclose(s1, expected[1], rtol=1e-12)
        np.testing.assert_allclose(np.tril(s2), np.tril(expected[2]), rtol=1e-12, atol=1e-12)


def test_draw_is_in_proportion_to_weights():
    weight = np.zeros(len(X))
    weight[[2, 5]] = 1.0, 3.0
    rows = ArraySource(X, weight).draw(np.random.RandomState(0), 4000)
    assert set(rows[:, 0]) == set(X[[2, 5], 0])
    assert abs(np.mean(rows[:, 0] == X[5, 0]) - 0.75) < 0.03
    all_rows = ArraySource(X).draw(np.random.RandomState(0), len(X), replace=False)
    np.testing.assert_array_equal(np.sort(all_rows, axis=0), np.sort(X, axis=0))


def test_blocks_are_the_rows_in_order():
    for source, weight in both():
        blocks = list(source.blocks(50))
        assert [rows.stop - rows.start for rows, _ in blocks] == [50, 50, 50, 50, 3]
        for rows, block in blocks:
            np.testing.assert_array_equal(block.rows(slice(None)), X[rows])
            np.testing.assert_array_equal(block.weights(np.arange(block.n_samples)), weight[rows])


def test_folds_partition_the_rows_of_positive_weight():
    for source, weight in both():
        folds = source.folds(4, np.random.RandomState(0))
        held_out = np.concatenate([fold.rows(slice(None)) for _, fold in folds])
        expected = X[weight > 0]
        np.testing.assert_array_equal(np.sort(held_out, axis=0), np.sort(expected, axis=0))
        for rest, fold in folds:
            total = rest.total_weight + fold.total_weight
            assert total == pytest.approx(source.total_weight, rel=1e-14)
            assert not set(fold.rows(slice(None))[:, 0]) & set(
                X[rest.weights(np.arange(len(X))) > 0, 0]
            )


def test_first_of_equals():
    """The first of equal rows with weight counts; 0.0 equals -0.0."""
    rows = np.array([[0.0, 1.0], [2.0, 1.0], [-0.0, 1.0], [2.0, 1.0], [3.0, 1.0]])
    for dtype in (np.float64, np.float32):
        mask = ArraySource(rows.astype(dtype)).first_of_equals()
        assert mask.tolist() == [True, True, False, False, True]
        weighted = ArraySource(rows.astype(dtype), np.array([1.0, 0.0, 1.0, 2.0, 0.0]))
        assert weighted.first_of_equals().tolist() == [True, False, False, True, False]


def start_of(covariance_type):
    problem = problems.overlapping(601, 3, 4, covariance_type)
    kind = COVARIANCE_TYPES[covariance_type]
    factors, log_det = kind.factorize(problem.covariances, *problem.means.shape)
    parameters = Parameters(*problem.parameters[:3], factors, log_det)
    return problem.X, MaximumLikelihood(kind), parameters


def assert_same_statistics(ours, theirs, covariance_type, rtol=1e-12):
    """Compare on the scale of each sum's largest entry, of matrices the lower triangle."""
    if covariance_type in ("full", "tied"):
        ours, theirs = (s._replace(s2=np.tril(s.s2)) for s in (ours, theirs))
    for one, other in zip(ours, theirs, strict=True):
        assert np.abs(one - other).max() <= rtol * np.abs(other).max()


@each_type
def test_a_weight_of_two_is_the_row_twice(covariance_type):
    X, model, parameters = start_of(covariance_type)
    twice = ArraySource(np.concatenate([X, X[:300]]))
    weighted = ArraySource(X, np.where(np.arange(len(X)) < 300, 2.0, 1.0))
    ours, theirs = (source.statistics(model, parameters) for source in (weighted, twice))
    assert_same_statistics(ours, theirs, covariance_type)


@each_type
def test_merged_parts_are_all_rows(covariance_type):
    X, model, parameters = start_of(covariance_type)
    parts = (ArraySource(rows) for rows in (X[:100], X[100:101], X[101:]))
    merged = merge(part.statistics(model, parameters) for part in parts)
    together = ArraySource(X).statistics(model, parameters)
    assert_same_statistics(merged, together, covariance_type)


@each_type
def test_copies_by_pickle_work_on(covariance_type):
    """A source on another machine gets a new copy of the model in every iteration.

    It must recognise the covariance type, or it would lose its buffers and bounds each time.
    """
    X, model, parameters = start_of(covariance_type)
    source = ArraySource(X, np.ones(len(X)))
    expected = source.statistics(model, parameters)
    copy = pickle.loads(pickle.dumps(source))
    assert copy.is_weighted
    passes = []
    for _ in range(2):
        received = pickle.loads(pickle.dumps(model))
        assert_same_statistics(
            copy.statistics(received, parameters), expected, covariance_type, 0.0
        )
        passes.append(copy._pass)
    assert passes[0] is passes[1]
