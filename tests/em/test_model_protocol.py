"""A model with a prior runs through the unchanged EM loop.

The model below finds the maximum of the posterior under a fixed inverse-Wishart prior on each
covariance: Fraley and Raftery, "Bayesian regularization for normal mixture estimation and
model-based clustering" (2007).
"""

import numpy as np
import problems
import pytest

from fastgmm.em.collapse import CollapsePolicy
from fastgmm.em.loop import Settings, run_em
from fastgmm.em.models import MaximumLikelihood
from fastgmm.model.base import Model
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.model.parameters import Parameters
from fastgmm.sources.array import ArraySource


class MaximumAPosteriori(Model):
    """Full covariances with the prior ``|S|^-(df + d + 1)/2 exp(-tr(scale S^-1) / 2)``."""

    reg_covar = 0.0

    def __init__(self, df, scale):
        self.covariance_type = COVARIANCE_TYPES["full"]
        self.likelihood = MaximumLikelihood(self.covariance_type)
        self.df = df
        self.scale = scale

    def terms(self, parameters):
        return self.likelihood.terms(parameters)

    def update(self, parameters, statistics, n_threads=1):
        _, nk, s1, s2 = statistics
        n_features = s1.shape[1]
        delta = s1 / nk[:, None]
        scatter = np.tril(s2) - nk[:, None, None] * delta[:, :, None] * delta[:, None, :]
        lower = np.tril(scatter) + np.tril(self.scale)
        covariances = lower / (nk + self.df + n_features + 1.0)[:, None, None]
        means = parameters.means + delta
        factors, log_det = self.covariance_type.factorize(covariances, *means.shape)
        return Parameters(nk / nk.sum(), means, covariances, factors, log_det)

    def objective(self, old, statistics, new, total_weight):
        return (statistics.log_likelihood + self.log_prior(old)) / total_weight

    def has_dwindled(self, old, new):
        return self.likelihood.has_dwindled(old, new)

    def log_prior(self, parameters):
        n_features = parameters.means.shape[1]
        factors, log_det = parameters.factors, parameters.log_det  # of the inverse roots
        traces = np.einsum("kij,jl,kil->k", factors, self.scale, factors)
        return ((self.df + n_features + 1.0) * log_det - 0.5 * traces).sum()


def map_run(shape, max_iter=60):
    problem = problems.overlapping(*shape)
    source = ArraySource(problem.X)
    n_features = problem.X.shape[1]
    model = MaximumAPosteriori(n_features + 2.0, 0.5 * np.cov(problem.X.T).reshape(n_features, -1))
    factors, log_det = model.covariance_type.factorize(problem.covariances, *problem.means.shape)
    start = Parameters(problem.weights, problem.means, problem.covariances, factors, log_det)
    policy = CollapsePolicy("raise", model, source, np.random.RandomState(0))
    settings = Settings(tol=0.0, max_iter=max_iter, on_collapse="raise")
    return problem, model, run_em(source, model, start, settings, policy)


@pytest.mark.parametrize("shape", [(400, 2, 3), (1500, 5, 4), (30_000, 8, 6)])
def test_the_objective_never_falls(shape):
    """The likelihood alone may fall. In the problem of the largest shape, passes skip pairs."""
    _, _, run = map_run(shape)
    gains = np.diff(run.objectives)
    assert gains.min() >= -1e-13 * abs(run.objective)
    assert gains.max() > 1e-3


def test_the_end_is_a_maximum_of_the_posterior():
    """Any small change of a covariance lowers the posterior."""
    problem, model, run = map_run((400, 2, 3), max_iter=3000)

    def posterior(covariances):
        factors, log_det = model.covariance_type.factorize(covariances, *problem.means.shape)
        moved = run.parameters._replace(covariances=covariances, factors=factors, log_det=log_det)
        statistics = ArraySource(problem.X).statistics(model, moved)
        return model.objective(moved, statistics, moved, 1.0)

    best = posterior(run.parameters.covariances)
    for k in range(3):
        for direction in ((0, 0), (1, 1), (1, 0)):
            for step in (-1e-3, 1e-3):
                moved = run.parameters.covariances.copy()
                moved[k][direction] += step
                assert posterior(moved) < best
