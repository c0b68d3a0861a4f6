"""Conversion between an estimator's fitted attributes and `Parameters`."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.mixture._gaussian_mixture import _compute_log_det_cholesky

from fastgmm.em.variational import Posterior, make_posterior
from fastgmm.em.weight_priors import WEIGHT_PRIORS
from fastgmm.model.covariance import COVARIANCE_TYPES, CovarianceType
from fastgmm.model.parameters import Parameters
from fastgmm.sklearn.fallback import is_foreign


def covariance_type_of(model: Any) -> CovarianceType:
    """Return the covariance type that an estimator names."""
    return COVARIANCE_TYPES[model.covariance_type]


def set_attributes(model: Any, parameters: Parameters, dtype: np.dtype) -> None:
    """Set the attributes that hold the parameters, in the precision of the data."""
    kind = covariance_type_of(model)
    model.weights_ = parameters.weights.astype(dtype)
    model.means_ = parameters.means.astype(dtype)
    model.covariances_ = kind.public_covariances(parameters.covariances).astype(dtype)
    model.precisions_cholesky_ = kind.public_factors(parameters.factors).astype(dtype)


def fitted_parameters(model: Any) -> Parameters | None:
    """Return the parameters that the attributes hold, or None if they describe no mixture."""
    attributes = model.weights_, model.means_, model.precisions_cholesky_
    if any(map(is_foreign, attributes)):
        return None
    kind = covariance_type_of(model)
    weights, means, cholesky = map(doubles, attributes)
    if means.ndim != 2 or weights.shape != means.shape[:1]:
        return None
    if cholesky.shape != kind.shape(*means.shape):
        return None
    finite = all(np.isfinite(array).all() for array in (weights, means, cholesky))
    factors = kind.public_factors(cholesky)
    if not finite or not kind.are_factors(factors) or (weights < 0).any():
        return None
    covariances = doubles(getattr(model, "covariances_", cholesky))
    if covariances.shape != cholesky.shape:  # set by hand; answers do not need them
        covariances = cholesky
    log_det = _compute_log_det_cholesky(cholesky, model.covariance_type, means.shape[1])
    return Parameters(
        weights,
        means,
        covariances,
        factors,
        np.broadcast_to(log_det, len(means)).copy(),
    )


def set_posterior(model: Any, posterior: Posterior) -> None:
    """Set the attributes that hold a posterior, in float64.

    scikit-learn's `_set_parameters` computes `weights_` and `precisions_` from them.
    """
    kind = covariance_type_of(model)
    concentration = posterior.concentration
    model.weight_concentration_ = concentration if concentration.ndim == 1 else (*concentration,)
    model.mean_precision_ = posterior.mean_precision
    model.means_ = posterior.means
    model.degrees_of_freedom_ = posterior.degrees_of_freedom
    model.covariances_ = kind.public_covariances(posterior.covariances)
    model.precisions_cholesky_ = kind.public_factors(posterior.factors)


def fitted_posterior(model: Any) -> Posterior | None:
    """Return the posterior that the attributes hold, or None if they describe none."""
    names = ("weight_concentration_", "mean_precision_", "degrees_of_freedom_")
    values: list[Any] = [getattr(model, name, None) for name in names]
    mixture = fitted_parameters(model)
    if mixture is None or any(value is None or is_foreign(value) for value in values):
        return None
    concentration, beta, nu = map(doubles, values)
    weight_prior = WEIGHT_PRIORS[model.weight_concentration_prior_type](np.nan)
    nk = mixture.weights
    rows = covariance_type_of(model).rows_per_matrix(nk)
    shapes = weight_prior.posterior(nk).shape, nk.shape, np.shape(rows)
    if (concentration.shape, beta.shape, nu.shape) != shapes:
        return None
    positive = (concentration > 0).all() and (beta > 0).all()
    if not positive or not (nu > mixture.means.shape[1] - 1).all():
        return None
    return make_posterior(weight_prior, mixture, concentration, beta, nu)


def doubles(values: ArrayLike) -> np.ndarray:
    """Return a copy of an array in float64."""
    return np.array(values, np.float64)


def copy_as(model: Any, kind: type) -> Any:
    """Return an estimator of class `kind` with copies of the attributes that it can have."""
    made = kind()
    unknown = set(model.get_params(deep=False)) - set(made.get_params(deep=False))
    state = {name: value for name, value in vars(model).items() if name not in unknown}
    vars(made).update(copy.deepcopy(state))
    return made
