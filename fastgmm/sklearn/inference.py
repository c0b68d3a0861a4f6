"""Log-densities, responsibilities and labels of a fitted estimator, computed by the kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastgmm.api import checks
from fastgmm.em.variational import Posterior
from fastgmm.model.parameters import Parameters
from fastgmm.sklearn.attributes import covariance_type_of
from fastgmm.sklearn.compat import finite_values, takes_gaps, validate_data
from fastgmm.sources.incomplete_answers import answers_for
from fastgmm.sources.inference import infer
from fastgmm.sources.operands import Densities

AnyParameters = Parameters | Posterior


def checked_rows(model: Any, X: ArrayLike) -> np.ndarray:
    """Return X (n_samples, n_features) as the kernels read it, checked by scikit-learn."""
    return rows_for_kernels(model, validate_data(model, X, reset=False, **finite_values(model)))


def rows_for_kernels(model: Any, X: np.ndarray) -> np.ndarray:
    """Return X (n_samples, n_features) in the precision in which scikit-learn would answer."""
    n_features = model.means_.shape[1]
    # `n_features_in_`, which scikit-learn checks, is missing where attributes were set by hand.
    if X.ndim != 2 or X.shape[1] != n_features:
        raise ValueError(
            f"X has {X.shape[-1]} features, but {type(model).__name__} is expecting "
            f"{n_features} features as input."
        )
    dtype = np.result_type(X, model.means_)
    single = np.float32 if dtype.itemsize <= 4 and dtype.kind == "f" else np.float64
    return checks.for_kernels(X.astype(single, copy=False))


def log_densities(model: Any, X: np.ndarray, parameters: AnyParameters) -> np.ndarray:
    """Return the log-densities (n_samples,) of rows under the mixture."""
    log_prob = np.empty(len(X), X.dtype)
    _infer(model, X, parameters, log_prob=log_prob)
    return log_prob


def responsibilities(model: Any, X: np.ndarray, parameters: AnyParameters) -> np.ndarray:
    """Return the responsibilities (n_samples, n_components)."""
    proba = np.empty((len(X), len(parameters.means)), X.dtype)
    _infer(model, X, parameters, proba=proba)
    return proba


def labels(model: Any, X: np.ndarray, parameters: AnyParameters) -> np.ndarray:
    """Return the index (n_samples,) of the most probable component of each row."""
    found = np.empty(len(X), np.intp)
    _infer(model, X, parameters, labels=found)
    return found


def component_log_densities(model: Any, X: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return the log-densities (n_samples, n_components) under each component alone."""
    kind = covariance_type_of(model)
    log_prob = np.empty((len(parameters.means), len(X)), X.dtype)
    for k, out in enumerate(log_prob):
        one = slice(k, k + 1)
        covariances, factors = parameters.covariances, parameters.factors
        if factors.shape != kind.shape(1, X.shape[1]):  # a factor for each component
            covariances, factors = covariances[one], factors[one]
        alone = Parameters(
            np.ones(1), parameters.means[one], covariances, factors, parameters.log_det[one]
        )
        _infer(model, X, alone, log_prob=out)
    return log_prob.T


def _infer(model: Any, X: np.ndarray, parameters: AnyParameters, **outputs: np.ndarray) -> None:
    """Fill the outputs in place: see `fastgmm.sources.inference.infer`."""
    em_model = model._em_model()
    if not takes_gaps(model) or not np.isnan(X).any():
        infer(X, Densities(em_model, parameters), model.n_threads, **outputs)
        return
    # The attribute `covariances_` may have been set by hand, and then answers do not read it.
    kind = em_model.covariance_type
    precisions = kind.precisions(kind.public_factors(parameters.factors))
    covariances = kind.from_precisions(precisions, *parameters.means.shape)[0]
    densities = Densities(em_model, parameters._replace(covariances=covariances))
    found = answers_for(X, densities, outputs, model.n_threads)
    for name, array in outputs.items():
        array[:] = found[name]
