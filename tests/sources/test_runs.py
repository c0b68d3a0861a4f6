"""Several EM steps in one launch, against one pass and one M-step at a time."""

import numpy as np
import pytest

import fastgmm
from fastgmm.em.loop import em_step, em_steps
from fastgmm.em.models import MaximumLikelihood
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.search.start import Start, from_labels
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import Seed

TYPES = ["full", "tied", "diag", "spherical"]


def _problem(kind, n_components, weighted, reg_covar=1e-6):
    """Overlapping clusters far from the origin: a source, a model and two mixtures."""
    draw = np.random.default_rng(3)
    labels = draw.integers(0, n_components, 500)
    X = 100.0 + draw.normal(size=(500, 3)) + 2.0 * draw.normal(size=(n_components, 3))[labels]
    source = ArraySource(X, draw.random(500) if weighted else np.empty(0))
    model = MaximumLikelihood(COVARIANCE_TYPES[kind], reg_covar)
    start = Start(source, model, n_components)
    mixtures = []
    for share in (0.3, 0.6):
        wrong = draw.random(500) < share
        mixed = np.where(wrong, draw.integers(0, n_components, 500), labels).astype(np.int32)
        mixtures.append(from_labels(start, mixed, X[:n_components].copy()))
    return source, model, mixtures


def _plain(source, model, parameters, n_iter):
    objectives = []
    for _ in range(n_iter):
        statistics, new = em_step(source, model, parameters)
        objectives.append(model.objective(parameters, statistics, source.total_weight))
        parameters = new
    return parameters, objectives


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", TYPES)
def test_steps_are_those_of_em(kind, weighted, assert_close):
    source, model, mixtures = _problem(kind, 4, weighted)
    results = source.steps(model, mixtures, 12)
    for mixture, steps in zip(mixtures, results, strict=True):
        expected, objectives = _plain(source, model, mixture, 12)
        assert_close(steps.objectives, objectives, 1e-13)
        for name in ("weights", "means", "covariances", "factors", "log_det"):
            actual, wanted = getattr(steps.parameters, name), getattr(expected, name)
            if actual.ndim > 1 and actual.shape[-1] == actual.shape[-2]:
                actual, wanted = np.tril(actual), np.tril(wanted)
            assert_close(actual, wanted, 1e-11)


@pytest.mark.parametrize("kind", TYPES)
def test_mixtures_of_labels_and_responsibilities(kind, assert_close):
    source, model, (first, second) = _problem(kind, 3, True)
    start = Start(source, model, 3)
    labels = np.random.default_rng(1).integers(0, 3, 500).astype(np.int32)
    expected = from_labels(start, labels, first.means)
    for seed in (Seed(first.means, labels), Seed(second.means, resp=np.eye(3)[labels])):
        for found in source.mixtures_from(model, [seed, seed]):
            assert_close(found.weights, expected.weights, 1e-13)
            assert_close(found.means, expected.means, 1e-12)
            assert_close(found.log_det, expected.log_det, 1e-11)
    empty = Seed(first.means, np.zeros(500, np.int32))
    found = source.mixtures_from(model, [empty])[0]
    assert (found is None) == (kind != "tied")  # components without rows


@pytest.mark.parametrize("kind", TYPES)
def test_a_run_ends_where_the_change_is_below_tol(kind):
    source, model, (mixture, _) = _problem(kind, 3, False)
    (steps,) = source.steps(model, [mixture], 200, tol=1e-4)
    changes = np.abs(np.diff(steps.objectives))
    assert 3 < len(steps.objectives) < 200
    assert changes[-1] < 1e-4
    assert (changes[:-1] >= 1e-4).all()
    (none,) = source.steps(model, [mixture], 200, tol=1e-4, previous=steps.objectives[0] + 5e-5)
    assert len(none.objectives) == 1


def test_threads_and_neighbours_change_no_bit():
    source, model, mixtures = _problem("full", 4, True)
    together = source.view(3).steps(model, mixtures * 40, 5)
    for mixture, steps in zip(mixtures, together, strict=False):
        (alone,) = source.view(1).steps(model, [mixture], 5)
        assert steps.objectives == alone.objectives
        np.testing.assert_array_equal(steps.parameters.covariances, alone.parameters.covariances)


@pytest.mark.parametrize("kind", ["full", "tied", "diag"])
def test_a_singular_covariance_ends_the_steps(kind):
    """Two points in three features, without reg_covar: the first step makes it singular."""
    X = np.repeat([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], 20, axis=0)
    source, model = ArraySource(X), MaximumLikelihood(COVARIANCE_TYPES[kind])
    wide = MaximumLikelihood(model.covariance_type, 1.0)
    labels = np.repeat([0, 1], 20).astype(np.int32)
    start = from_labels(Start(source, wide, 2), labels, X[[0, 20]].copy())
    (steps,) = em_steps(source, model, [start], 300)
    assert len(steps.objectives) == 1
    assert np.isnan(steps.parameters.log_det).all()


def test_a_step_that_loses_most_of_a_component_is_left_to_python():
    """The pass has dropped responsibilities that then matter: it is repeated without dropping."""
    X = np.concatenate([np.linspace(-1, 1, 5000), [40.0]])[:, None]
    source, model = ArraySource(X), MaximumLikelihood(COVARIANCE_TYPES["full"], 1e-6)
    labels = np.repeat([0, 1], [5000, 1]).astype(np.int32)
    mixture = from_labels(Start(source, model, 2), labels, np.array([[0.0], [40.0]]))
    (steps,) = source.steps(model, [mixture._replace(weights=np.array([0.5, 0.5]))], 5)
    assert steps.objectives == []
    (steps,) = source.steps(model, [mixture], 5)
    assert len(steps.objectives) == 5


def test_float32_rows_and_large_problems_take_no_steps():
    source, model, mixtures = _problem("diag", 3, False)
    single = ArraySource(source.rows(np.arange(500)).astype(np.float32))
    assert [s.objectives for s in single.steps(model, mixtures, 5)] == [[], []]
    large = ArraySource(np.random.default_rng(0).normal(size=(200_000, 3)))
    assert large.steps(model, mixtures, 5)[0].objectives == []


@pytest.mark.parametrize("kind", TYPES)
def test_a_fit_that_is_watched_has_the_same_bits(kind, assert_same_mixture):
    """A callback makes EM return to Python after each step."""
    X = np.random.default_rng(5).normal(size=(300, 2)) * [1.0, 3.0]
    options = {"covariance_type": kind, "init_params": "kmeans", "random_state": 0, "tol": 1e-5}
    seen = []
    watched = fastgmm.fit(
        X, 3, callback=lambda i, value: seen.append(value), max_iter=1000, **options
    )
    alone = fastgmm.fit(X, 3, max_iter=1000, **options)
    assert len(seen) == alone.n_iter
    assert_same_mixture(alone, watched)
