"""Maximum likelihood, and what every model's M-step begins with."""

from typing import Any

import numpy as np

from fastgmm.kernels.maximize import DWINDLED
from fastgmm.model.base import Model, Terms
from fastgmm.model.covariance import CovarianceType
from fastgmm.model.parameters import Parameters
from fastgmm.model.sums import weighted_mean
from fastgmm.sources.base import Statistics


class MaximumLikelihood(Model):
    """Maximum likelihood, with `reg_covar` added to the diagonals of the covariances.

    Parameters
    ----------
    covariance_type : CovarianceType
        A value of `COVARIANCE_TYPES`.
    reg_covar : float, default=0.0
        Number added to the diagonals, in squared units of the data.
    """

    has_compiled_step = True

    def __init__(self, covariance_type: CovarianceType, reg_covar: float = 0.0) -> None:
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar

    def terms(self, parameters: Parameters) -> Terms:
        """Return the terms of the mixture: see `mixture_terms`."""
        return mixture_terms(parameters)

    def update(
        self, parameters: Parameters, statistics: Statistics, n_threads: int | None = 1
    ) -> Parameters:
        """Return the parameters that maximise the expected log-likelihood.

        A component without rows keeps its mean and covariance and gets weight zero.
        """
        nk, means, covariances = row_estimates(self, parameters, statistics)
        return new_parameters(self, nk / nk.sum(), means, covariances, n_threads)

    def objective(
        self, parameters: Parameters, statistics: Statistics, total_weight: float
    ) -> float:
        """Return the weighted mean of the rows' log-likelihoods."""
        return statistics.log_likelihood / total_weight

    def has_dwindled(self, old: Parameters, new: Parameters) -> bool:
        """Return whether a weight, or weight times variance, fell below 1/1000 of the old value."""
        return has_dwindled(self.covariance_type, old, new, old.weights, new.weights)


def mixture_terms(parameters: Parameters) -> Terms:
    """Return the terms of known parameters: ``offset = log weight + log det U - d/2 log 2 pi``."""
    weights, means, covariances, factors, log_det = parameters
    half_log = 0.5 * means.shape[1] * np.log(2 * np.pi)
    with np.errstate(divide="ignore"):
        offsets = np.log(weights) + log_det - half_log
    return Terms(weights, means, covariances, factors, offsets, log_det - half_log)


def new_parameters(
    model: Model,
    weights: np.ndarray,
    means: np.ndarray,
    covariances: np.ndarray,
    n_threads: int | None,
) -> Parameters:
    """Return the parameters with the factors of the covariances, and with the fixed parts."""
    kind = model.covariance_type
    n_components, n_features = means.shape
    factors, log_det = kind.factorize(covariances, n_components, n_features, n_threads)
    parameters = Parameters(weights, means, covariances, factors, log_det)
    return parameters if model.fixed is None else model.fixed.hold(kind, parameters)


def row_estimates(
    model: Model, parameters: Any, statistics: Statistics
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the number, the mean and the covariance of the rows of each component.

    `reg_covar` is added to the covariances. S1 and S2 are taken about the old means. The mean
    moves by d = S1 / N and the covariance is S2 / N - d d^T. Near convergence d is small, so
    nothing cancels. A component without rows keeps its mean and covariance. A fixed mean does not
    move, and the covariance is about that mean.
    """
    _, nk, s1, s2 = statistics
    empty = ~(nk > 0)
    divisor = np.where(empty, 1.0, nk)
    delta = s1 / divisor[:, None]
    if model.fixed is not None:
        delta[model.fixed.means] = 0.0
    kind = model.covariance_type
    covariances = kind.from_moments(s2, nk, delta, divisor)
    kind.add_to_diagonal(covariances, model.reg_covar)
    if empty.any():
        covariances = kind.select(empty, parameters.covariances, covariances)
    return nk, parameters.means + delta, covariances


def has_dwindled(
    kind: CovarianceType, old: Any, new: Any, old_rows: np.ndarray, new_rows: np.ndarray
) -> bool:
    """Return whether rows, or rows times variance, fell below 1/1000 of the old value.

    `old_rows` and `new_rows` (n_components,) are numbers of rows in any common unit.
    """
    least = DWINDLED * old_rows
    if (new_rows < least).any():
        return True
    spread = new_rows[:, None] * kind.variances(new.covariances, *new.means.shape)
    least_spread = least[:, None] * kind.variances(old.covariances, *old.means.shape)
    return bool((spread < least_spread).any())


def marginal_variance(model: Model, parameters: Parameters) -> np.ndarray:
    """Return the variance (n_features,) of each feature under the mixture, without `reg_covar`."""
    weights, means, covariances = parameters[:3]
    within = model.covariance_type.variances(covariances, *means.shape) - model.reg_covar
    gaps = means - weighted_mean(weights, means)
    return weighted_mean(weights, np.maximum(within, 0.0) + gaps * gaps)
