"""Starts and single steps of maximum likelihood, as `GaussianMixture` takes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgmm.api import checks
from fastgmm.em.collapse import CollapsePolicy
from fastgmm.em.loop import Policy
from fastgmm.model.parameters import Parameters
from fastgmm.search.start import Given, Start
from fastgmm.sklearn.attributes import covariance_type_of, doubles, set_attributes
from fastgmm.sklearn.fallback import unsupported_parameters
from fastgmm.sklearn.parity import NoRepair, TheirPolicy, starting_parameters
from fastgmm.sources.array import ArraySource


def policy(model: Any, start: Start, random_state: np.random.RandomState) -> Policy:
    """Return what to do with collapsed components, as `on_collapse` says."""
    if model.on_collapse == "raise":
        return NoRepair() if unsupported_parameters(model) else _their_policy(start)
    return CollapsePolicy(model.on_collapse, start.model, start.source, random_state)


def _their_policy(start: Start) -> TheirPolicy:
    return TheirPolicy(start.model, start.source.total_weight, start.source.dtype)


def make_start(model: Any, source: ArraySource, n_components: int | None = None) -> Start:
    """Return the rows, the model and the number of components that a start is made for."""
    return Start(source, model._em_model(), n_components or model.n_components)


def given_start(model: Any, n_features: int) -> Given:
    """Return the starting values that the estimator was given."""
    given = Given(
        weights=None if model.weights_init is None else doubles(model.weights_init),
        means=None if model.means_init is None else doubles(model.means_init),
    )
    if model.precisions_init is not None:
        covariances, factors, log_det = covariance_type_of(model).from_precisions(
            doubles(model.precisions_init), model.n_components, n_features
        )
        given = given._replace(covariances=covariances, factors=factors, log_det=log_det)
    return given


def new_parameters(model: Any, start: Start, random_state: np.random.RandomState) -> Parameters:
    """Return the parameters of a new start."""
    given = given_start(model, start.source.n_features)
    policy = _their_policy(start)
    return starting_parameters(start, model.init_params, given, policy, random_state)


def m_step(model: Any, X: np.ndarray, log_resp: np.ndarray) -> bool:
    """Set the attributes to the M-step from given responsibilities.

    `log_resp` (n_samples, n_components) are their logarithms. Return False, with nothing set,
    if a covariance cannot be factorised.
    """
    source = ArraySource(checks.for_kernels(X), n_threads=model.n_threads)
    resp = checks.for_kernels(np.exp(log_resp).astype(X.dtype, copy=False))
    n_components = resp.shape[1]
    start = make_start(model, source, n_components)
    means = np.tile(X.mean(axis=0, dtype=np.float64), (n_components, 1))
    statistics = source.given(covariance_type_of(model), means, resp=resp)
    parameters = _their_policy(start).dilute(start.estimate(means, statistics))
    if np.isnan(parameters.log_det).any():
        return False
    set_attributes(model, parameters, X.dtype)
    return True


def initialize(model: Any, X: np.ndarray, random_state: np.random.RandomState) -> None:
    """Set the attributes to those of a new start."""
    source = ArraySource(checks.for_kernels(X), n_threads=model.n_threads)
    set_attributes(model, new_parameters(model, make_start(model, source), random_state), X.dtype)
