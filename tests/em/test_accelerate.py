"""Accelerated EM: fewer passes, an objective that never falls, and nothing else changed."""

import numpy as np
import problems
import pytest
from reference import COVARIANCE_TYPES

from fastgmm import CollapseError
from fastgmm.em import accelerate
from fastgmm.em.accelerate import run_to_convergence
from fastgmm.em.collapse import CollapsePolicy
from fastgmm.em.loop import Settings, run_em
from fastgmm.em.models import MaximumLikelihood
from fastgmm.model import covariance
from fastgmm.search.start import Given, make_start
from fastgmm.search.starts import starting_parameters
from fastgmm.sources.array import ArraySource

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
N_SLOW = range(4)


def slow_rows(n_features, n_components, seed, n_samples=1500):
    """Rows of heavily overlapping clusters, one of them small."""
    rng = np.random.default_rng([seed, n_features, n_components])
    weights = np.full(n_components, 0.98 / (n_components - 1))
    weights[0] = 0.02
    means = rng.standard_normal((n_components, n_features)) * 1.3 / np.sqrt(n_features)
    labels = rng.choice(n_components, n_samples, p=weights)
    scales = rng.uniform(0.7, 1.3, n_components)
    return means[labels] + scales[labels, None] * rng.standard_normal((n_samples, n_features))


class Problem:
    """A mixture to be fitted from k-means; every method starts afresh."""

    def __init__(self, X, n_components, covariance_type, **options):
        self.X, self.n_components = X, n_components
        self.kind = covariance.COVARIANCE_TYPES[covariance_type]
        self.options = options

    def _start(self, reg_covar=1e-6, weight=(), n_threads=None, on_collapse="regularize"):
        source = ArraySource(self.X, np.asarray(weight, dtype=float), n_threads)
        model = MaximumLikelihood(self.kind, reg_covar)
        random_state = np.random.RandomState(0)
        start = make_start(source, model, self.n_components, random_state)
        parameters = starting_parameters(start, "kmeans", Given(), random_state)
        return source, model, parameters, CollapsePolicy(on_collapse, model, source, random_state)

    def _settings(self, tol, max_iter, callback):
        return Settings(tol, max_iter, self.options.get("on_collapse", "regularize"), callback)

    def plain(self, tol=1e-8, max_iter=20_000, callback=None, start=None):
        source, model, parameters, policy = self._start(**self.options)
        settings = self._settings(tol, max_iter, callback)
        return run_em(source, model, start or parameters, settings, policy)

    def accelerated(self, tol=1e-8, max_iter=20_000, callback=None, accelerate=True, start=None):
        source, model, parameters, policy = self._start(**self.options)
        settings = self._settings(tol, max_iter, callback)
        return run_to_convergence(source, model, start or parameters, settings, policy, accelerate)


def slow(covariance_type, seed, **options):
    n_features = (1, 2, 5)[seed % 3]
    X = slow_rows(n_features, 3 + seed % 2, seed)
    return Problem(X, 3 + seed % 2, covariance_type, **options)


@each_type
def test_a_third_of_the_passes_on_slow_problems(covariance_type):
    ratios = []
    for seed in N_SLOW:
        problem = slow(covariance_type, seed)
        plain, fast = problem.plain(), problem.accelerated()
        assert fast.run.converged
        assert fast.passes == len(fast.run.objectives) + fast.rejected
        assert fast.passes <= 1.1 * len(plain.objectives)
        ratios.append(fast.passes / len(plain.objectives))
    assert np.median(ratios) <= 1 / 3


@each_type
@pytest.mark.parametrize("reg_covar", [0.0, 1e-6])
def test_the_objective_never_falls(covariance_type, reg_covar):
    for seed in N_SLOW:
        objectives = slow(covariance_type, seed, reg_covar=reg_covar).accelerated().run.objectives
        assert np.diff(objectives).min() > -1e-13  # rounding of a mean of 1,500 numbers


@each_type
def test_fast_problems_run_plain_em_bit_for_bit(covariance_type):
    X, _ = problems.blobs(200, 3, 4, distance=12.0)
    problem = Problem(X, 4, covariance_type)
    plain, fast = problem.plain(), problem.accelerated()
    assert fast.run.objectives == plain.objectives
    assert fast.passes == len(plain.objectives)
    np.testing.assert_array_equal(fast.run.parameters.means, plain.parameters.means)


@each_type
def test_the_same_bits_for_every_number_of_threads(covariance_type):
    X = slow_rows(2, 3, 0, n_samples=12_000)
    one, two = (
        Problem(X, 3, covariance_type, n_threads=n).accelerated(max_iter=60) for n in (1, 2)
    )
    assert one.accepted > 0
    assert one.run.objectives == two.run.objectives
    for first, second in zip(one.run.parameters, two.run.parameters, strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_weight_of_two_counts_as_the_row_twice():
    X = slow_rows(2, 3, 1, n_samples=600)
    weight = np.where(np.arange(600) % 3 == 0, 2.0, 1.0)
    weighted = Problem(X, 3, "full", weight=weight)
    start = weighted._start(weight=weight)[2]
    twice = Problem(np.concatenate([X, X[::3]]), 3, "full")
    runs = [problem.accelerated(max_iter=40, start=start) for problem in (weighted, twice)]
    assert runs[0].accepted == runs[1].accepted > 10
    first, second = (run.run.objectives for run in runs)
    np.testing.assert_allclose(first, second, rtol=1e-9)  # rounding grows from step to step


@each_type
def test_float32(covariance_type):
    X = slow_rows(2, 3, 2).astype(np.float32)
    problem = Problem(X, 3, covariance_type)
    plain, fast = problem.plain(1e-6), problem.accelerated(1e-6)
    assert fast.run.converged
    assert fast.run.objective > plain.objective - 1e-6
    assert fast.passes < 20_000


@each_type
def test_a_large_reg_covar_does_not_stop_the_acceleration(covariance_type):
    """The likelihood falls near the end of such runs, and must not be what steps are judged by."""
    problem = slow(covariance_type, 1, reg_covar=0.05)
    fast = problem.accelerated()
    assert fast.run.converged
    assert fast.rejected <= 0.1 * fast.passes + 5
    further = problem.plain(tol=0.0, max_iter=500, start=fast.run.parameters)
    assert further.objective == pytest.approx(fast.run.objective, abs=1e-6)


def test_aitkens_rule_without_acceleration_goes_on_where_em_creeps():
    problem = slow("full", 0)
    by_change, by_rest = problem.plain(1e-4), problem.accelerated(1e-4, accelerate=False)
    assert by_rest.accepted == by_rest.rejected == 0
    assert len(by_rest.run.objectives) > 2 * len(by_change.objectives)
    n = len(by_change.objectives)
    assert by_rest.run.objectives[:n] == by_change.objectives
    exact = problem.plain(1e-12).objective
    assert exact - by_rest.run.objective < 0.5 * (exact - by_change.objective)


def test_the_callback_sees_every_pass_and_can_stop():
    seen = []
    problem = slow("full", 0)
    run = problem.accelerated(callback=lambda *pair: seen.append(pair))
    assert [number for number, _ in seen] == list(range(1, run.passes + 1))
    assert [value for _, value in seen][-1] == run.run.objective
    stopped = problem.accelerated(callback=lambda number, _: number == 12)
    assert stopped.run.stopped
    assert not stopped.run.converged
    assert stopped.passes == 12


def test_an_interrupt_passes_through():
    def interrupt(number, _):
        if number == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        slow("full", 0).accelerated(callback=interrupt)


@pytest.mark.parametrize("max_iter", [0, 1, 7, 20])
def test_max_iter_counts_passes(max_iter):
    run = slow("diag", 0).accelerated(max_iter=max_iter)
    assert run.passes == max_iter
    assert not run.run.converged
    assert np.isfinite(run.run.parameters.log_det).all()


def with_repeated_row():
    """Overlapping clusters, and one far row 20 times: a component collapses onto it."""
    X = slow_rows(2, 3, 3)
    return np.concatenate([X, np.full((20, 2), 9.0)])


@each_type
@pytest.mark.parametrize("on_collapse", ["regularize", "reset"])
def test_collapsed_components(covariance_type, on_collapse):
    run = Problem(with_repeated_row(), 4, covariance_type, on_collapse=on_collapse).accelerated()
    assert run.run.converged
    assert np.isfinite(run.run.parameters.log_det).all()
    plain = Problem(with_repeated_row(), 4, covariance_type, on_collapse=on_collapse).plain()
    assert run.run.regularized == plain.regularized


def test_collapse_raises_as_in_plain_em():
    problem = Problem(with_repeated_row(), 4, "full", on_collapse="raise")
    with pytest.raises(CollapseError):
        problem.plain()
    with pytest.raises(CollapseError):
        problem.accelerated()


def test_no_memory_for_secants_is_plain_em(monkeypatch):
    problem = slow("full", 0)
    accelerated = problem.accelerated()
    monkeypatch.setattr(accelerate, "_BYTES", 100)
    plain = problem.accelerated(max_iter=accelerated.passes)
    assert plain.accepted == 0
    assert plain.run.objectives == problem.plain(max_iter=accelerated.passes).objectives
