"""Variational Bayes on the kernels, compared with Bishop's formulas in ``reference.py``."""

import numpy as np
import problems
import pytest
import reference
from reference import COVARIANCE_TYPES

from fastgmm.em.fixed import Fixed
from fastgmm.em.loop import Settings, run_em
from fastgmm.em.priors import Prior
from fastgmm.em.variational import Variational
from fastgmm.em.weight_priors import WEIGHT_PRIORS, Dirichlet, DirichletProcess
from fastgmm.model.covariance import COVARIANCE_TYPES as TYPES
from fastgmm.sources import skipping_check
from fastgmm.sources.array import ArraySource

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
each_prior = pytest.mark.parametrize("weights", list(WEIGHT_PRIORS))
SHAPES = [(400, 1, 3), (400, 2, 3), (900, 5, 4)]


class NoRepair:
    """A policy that finds nothing to repair."""

    floor_raised = False

    def on_few_points(self, parameters):
        return np.zeros(len(parameters.weights), bool)

    def repair(self, parameters, iterated=True):
        assert np.isfinite(parameters.log_det).all()
        return parameters, False


def make_model(X, covariance_type, weight_prior, reg_covar=0.0, **prior):
    """A model whose priors are those that scikit-learn takes by default."""
    kind, n_features = TYPES[covariance_type], X.shape[1]
    covariance = np.atleast_2d(np.cov(X.T))
    scale = {"diag": np.diag(covariance), "spherical": np.diag(covariance).mean()}
    values = {
        "mean_precision": 1.0,
        "mean": X.mean(axis=0),
        "degrees_of_freedom": float(n_features),
        "scale": scale.get(covariance_type, covariance),
    }
    return Variational(kind, reg_covar, weight_prior, Prior(**{**values, **prior}))


def start_of(model, X, n_components, seed=0):
    """The posterior given one random row and half a row of the whole for each component."""
    rows = X[np.random.RandomState(seed).choice(len(X), n_components, replace=False)]
    kind = model.covariance_type
    variances = np.tile(X.var(axis=0), (n_components, 1))
    return model.posterior(np.ones(n_components), rows, kind.from_variances(variances))


UNWEIGHTED = np.empty(0)


def run_of(model, X, start, max_iter, sample_weight=UNWEIGHTED):
    settings = Settings(tol=0.0, max_iter=max_iter)
    return run_em(ArraySource(X, sample_weight), model, start, settings, NoRepair())


def beliefs_of(posterior):
    """The posterior of full covariances in Bishop's parameters."""
    nu = posterior.degrees_of_freedom
    matrices = TYPES["full"].public_covariances(posterior.covariances)
    return reference.Beliefs(
        posterior.concentration,
        posterior.mean_precision,
        posterior.means,
        nu,
        nu[:, None, None] * matrices,
    )


def prior_of(model):
    prior, concentration = model.prior, model.weight_prior.concentration
    if isinstance(model.weight_prior, DirichletProcess):
        concentration = np.array([[1.0], [concentration]])
    return reference.Beliefs(
        concentration,
        np.array([prior.mean_precision]),
        prior.mean[None],
        np.array([prior.degrees_of_freedom]),
        prior.scale[None],
    )


@each_prior
@pytest.mark.parametrize("shape", SHAPES)
def test_five_iterations_are_bishops(shape, weights, assert_close):
    X = problems.overlapping(*shape).X
    weight = np.random.RandomState(1).rand(len(X))
    model = make_model(X, "full", WEIGHT_PRIORS[weights](0.3))
    start = start_of(model, X, shape[2])
    ours = beliefs_of(run_of(model, X, start, 5, weight).parameters)
    theirs = beliefs_of(start)
    for _ in range(5):
        joint = reference.variational_log_joint(X, theirs)
        resp = np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, None])
        theirs = reference.variational_m_step(X, resp, prior_of(model), weight)
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, 1e-11)


@pytest.mark.parametrize("shape", SHAPES)
def test_differences_of_the_objective_are_those_of_the_evidence_bound(shape, assert_close):
    """The objective leaves out constants: terms that depend on the prior and on the shapes."""
    X = problems.overlapping(*shape).X
    model = make_model(X, "full", Dirichlet(0.3), mean_precision=0.5)
    posterior = start_of(model, X, shape[2])
    bounds = []
    for _ in range(4):
        joint = reference.variational_log_joint(X, beliefs_of(posterior))
        resp = np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, None])
        posterior = run_of(model, X, posterior, 1).parameters
        bounds.append(reference.evidence_bound(X, resp, beliefs_of(posterior), prior_of(model)))
    objectives = run_of(model, X, start_of(model, X, shape[2]), 4).objectives
    assert_close(np.diff(objectives), np.diff(bounds), 1e-9)


@each_type
@each_prior
@pytest.mark.parametrize("shape", [*SHAPES, (20_000, 8, 6)])
def test_the_bound_never_falls(shape, weights, covariance_type):
    """In the problem of the largest shape, passes skip pairs."""
    X = problems.overlapping(*shape, covariance_type).X
    model = make_model(X, covariance_type, WEIGHT_PRIORS[weights](1.0 / shape[2]))
    for seed in range(2):
        run = run_of(model, X, start_of(model, X, shape[2], seed), 60)
        gains = np.diff(run.objectives)
        assert gains.min() >= -1e-12 * abs(run.objective)
        assert gains.max() > 1e-3


@each_type
def test_no_pair_is_skipped_that_matters(covariance_type, monkeypatch):
    monkeypatch.setattr("fastgmm.sources.passes.CHECKED", True)
    checked = []
    check = skipping_check.check_skipped

    def count(*args):
        checked.append(skipping_check.skipped_vectors(*args[3:]).mean())
        check(*args)

    monkeypatch.setattr("fastgmm.sources.passes.check_skipped", count)
    problem = problems.separated(8000, 16, 20, covariance_type)
    X = problem.X
    kind = TYPES[covariance_type]
    scale = kind.one(kind.from_variances(np.ones((20, 16))))
    model = make_model(X, covariance_type, DirichletProcess(0.1), scale=scale, mean_precision=1e-3)
    means = problem.means + np.random.RandomState(0).randn(20, 16)
    start = model.posterior(400.0 * np.ones(20), means, 4.0 * problem.covariances)
    lazy = run_of(model, X, start, 30)
    assert max(checked) > 0.1
    monkeypatch.setattr("fastgmm.sources.skipping.affordable", lambda *_: False)
    dense = run_of(model, X, start, 30)
    np.testing.assert_allclose(lazy.objectives, dense.objectives, rtol=1e-12)
    np.testing.assert_allclose(lazy.parameters.means, dense.parameters.means, rtol=0, atol=1e-9)


@each_type
@each_prior
def test_weights_count_as_repeated_rows(covariance_type, weights, assert_close):
    X = problems.overlapping(300, 2, 3, covariance_type).X
    weight = np.random.RandomState(0).randint(0, 4, size=300)
    repeated = np.repeat(X, weight, axis=0)
    model = make_model(X, covariance_type, WEIGHT_PRIORS[weights](0.5), reg_covar=1e-3)
    start = start_of(model, X, 3)
    weighted = run_of(model, X, start, 20, weight.astype(float))
    plain = run_of(model, repeated, start, 20)
    assert_close(weighted.objectives, plain.objectives, 1e-12)
    assert_close(weighted.parameters.covariances, plain.parameters.covariances, 1e-10)


@each_type
def test_one_component_is_the_same_for_matrices_of_any_kind(covariance_type, assert_close):
    """A component's posterior follows from the rows alone, without responsibilities."""
    X = problems.overlapping(200, 3, 2).X
    model = make_model(X, covariance_type, Dirichlet(1.0), mean=np.array([1.0, -2.0, 0.5]))
    posterior = run_of(model, X, start_of(model, X, 1), 1).parameters
    full = make_model(X, "full", Dirichlet(1.0), mean=np.array([1.0, -2.0, 0.5]))
    matrix = reference.variational_m_step(X, np.ones((200, 1)), prior_of(full)).w_inverse[0]
    expected = {
        "full": [matrix], "tied": matrix, "diag": [np.diag(matrix)],
        "spherical": [np.diag(matrix).mean()],
    }[covariance_type]  # fmt: skip
    made = TYPES[covariance_type].public_covariances(posterior.covariances)
    assert_close(203.0 * made, expected, 1e-12)


def test_a_component_that_loses_its_rows_ends_at_the_prior(assert_close):
    X = np.random.RandomState(0).randn(300, 2)
    model = make_model(X, "full", DirichletProcess(1e-3))
    run = run_of(model, X, start_of(model, X, 4), 200)
    empty = run.parameters.mean_precision < 1.0 + 1e-6
    assert empty.sum() >= 2
    assert_close(run.parameters.degrees_of_freedom[empty], np.full(empty.sum(), 2.0), 1e-6)
    assert_close(run.parameters.means[empty], np.tile(X.mean(axis=0), (empty.sum(), 1)), 1e-4)


@each_type
@each_prior
@pytest.mark.parametrize("parts", ["weights", "means", "both", "some"])
def test_fixed_parts_stay_and_the_bound_never_falls(covariance_type, weights, parts):
    X = problems.overlapping(400, 2, 3, covariance_type).X
    free = make_model(X, covariance_type, WEIGHT_PRIORS[weights](0.5), mean_precision=2.0)
    start = start_of(free, X, 3)
    every, none = np.ones(3, bool), np.zeros(3, bool)
    means = {"weights": none, "some": np.arange(3) == 1}.get(parts, every)
    held = Fixed(every if parts in ("weights", "both") else none, means, none)
    run = run_of(free.holding(held).from_start(start), X, start, 40)
    end = run.parameters
    np.testing.assert_array_equal(end.means[means], start.means[means])
    assert (end.means[~means] != start.means[~means]).all()
    assert np.array_equal(end.weights, start.weights) == held.weights.any()
    gains = np.diff(run.objectives)
    assert gains.min() >= -1e-12 * abs(run.objective)
    assert gains.max() > 1e-3


@pytest.mark.parametrize("parts", ["weights", "means"])
def test_the_bound_with_fixed_parts_is_the_evidence_bound(parts, assert_close):
    X = problems.overlapping(300, 2, 3).X
    free = make_model(X, "full", Dirichlet(0.3), mean_precision=2.0)
    posterior = start_of(free, X, 3)
    every, none = np.ones(3, bool), np.zeros(3, bool)
    held = Fixed(every, none, none) if parts == "weights" else Fixed(none, every, none)
    model = free.holding(held).from_start(posterior)
    bounds, start = [], posterior
    for _ in range(4):
        joint = reference.variational_log_joint(X, beliefs_of(posterior))
        resp = np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, None])
        posterior = run_of(model, X, posterior, 1).parameters
        bounds.append(reference.evidence_bound(X, resp, beliefs_of(posterior), prior_of(model)))
    objectives = run_of(model, X, start, 4).objectives
    assert_close(np.diff(objectives), np.diff(bounds), 1e-9)
