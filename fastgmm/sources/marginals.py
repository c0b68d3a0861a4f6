"""Parameters of the marginal distribution of some features."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgmm.model.covariance import CovarianceType
from fastgmm.model.parameters import Parameters

_SLIGHT = 1e-14  # relative to the variances


def marginal_parameters(kind: CovarianceType, parameters: Any, features: np.ndarray) -> Parameters:
    """Return the parameters of some features, given by increasing indices."""
    weights, means, covariances = parameters[:3]
    means = np.ascontiguousarray(means[:, features])
    return factorized(kind, weights, means, kind.marginal(covariances, features))


def factorized(
    kind: CovarianceType, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray
) -> Parameters:
    """Return parameters with the factors of covariances that are positive definite in theory.

    Where rounding makes a nearly singular covariance indefinite, its diagonal is raised.
    """
    covariances = np.array(covariances)
    factors, log_det = kind.factorize(covariances, *means.shape)
    share = _SLIGHT
    while np.isnan(log_det).any() and share < 1.0:
        raised = share * kind.variances(covariances, *means.shape).max(axis=1)
        kind.add_to_diagonal(covariances, np.where(np.isnan(log_det), raised, 0.0))
        factors, log_det = kind.factorize(covariances, *means.shape)
        share *= 10.0
    return Parameters(weights, means, covariances, factors, log_det)
