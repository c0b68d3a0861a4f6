"""Bayesian mixtures: iterations, and whole fits of one column as tabular synthesis makes them."""

import warnings

from sklearn.exceptions import ConvergenceWarning

from .common import (
    COVARIANCE_TYPES,
    clusters,
    iteration_seconds,
    median_ratio,
    need,
    offered,
    seconds,
    start,
)
from .common import fit_ours as fit_mixture


def fit(name, X, **options):
    kind = offered(name, "fastgmm.sklearn")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return kind(n_components=10, random_state=0, **options).fit(X)


def fit_ours(X, **options):
    return fit("BayesianGaussianMixture", X, **options)


def fit_theirs(X, **options):
    return fit("TheirBayesianGaussianMixture", X, **options)


class Iterations:
    params = COVARIANCE_TYPES
    param_names = ("covariance_type",)

    def setup(self, covariance_type):
        self.X = clusters(20_000, 8, 10)
        self.options = {
            "covariance_type": covariance_type, "init_params": "random_from_data", "tol": 0.0,
        }  # fmt: skip
        fit_ours(self.X, max_iter=1, **self.options)  # compiles

    def time_50_iterations(self, covariance_type):
        fit_ours(self.X, max_iter=50, **self.options)

    def track_speedup_over_sklearn(self, covariance_type):
        return median_ratio(
            lambda: iteration_seconds(fit_theirs, self.X, 2, **self.options),
            lambda: iteration_seconds(fit_ours, self.X, 50, **self.options),
        )

    track_speedup_over_sklearn.unit = "times"


class Posterior:
    """Iterations of EM under a prior, beside those of maximum likelihood."""

    params = COVARIANCE_TYPES
    param_names = ("covariance_type",)

    def setup(self, covariance_type):
        need(option="prior")
        self.X = clusters(20_000, 8, 10)
        self.start = start(self.X, 10, covariance_type)
        fit_mixture(self.X, max_iter=1, prior="default", **self.start)  # compiles

    def time_50_iterations(self, covariance_type):
        fit_mixture(self.X, max_iter=50, prior="default", **self.start)

    def track_time_over_maximum_likelihood(self, covariance_type):
        return median_ratio(
            lambda: iteration_seconds(fit_mixture, self.X, 50, prior="default", **self.start),
            lambda: iteration_seconds(fit_mixture, self.X, 50, **self.start),
        )

    track_time_over_maximum_likelihood.unit = "times"


class Adaptation:
    """A background model adapted to a speaker: one pass."""

    def setup(self):
        need(method="adapt")
        self.X = clusters(20_000, 16, 64)
        options = start(self.X, 64, "diag")
        self.background = fit_mixture(self.X, max_iter=3, **options)
        self.background.adapt(self.X)  # compiles

    def time_adapt(self):
        self.background.adapt(self.X, what=("weights", "means", "covariances"))


class OneColumn:
    """A whole fit with the defaults to one feature."""

    def setup(self):
        self.X = clusters(20_000, 1, 10)
        fit_ours(self.X, max_iter=1)  # compiles

    def time_fit(self):
        fit_ours(self.X)

    def track_speedup_over_sklearn(self):
        return median_ratio(
            lambda: seconds(fit_theirs, self.X), lambda: seconds(fit_ours, self.X), rounds=1
        )

    track_speedup_over_sklearn.unit = "times"
