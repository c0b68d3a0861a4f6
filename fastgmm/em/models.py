"""Models that the EM loop fits. There is one, maximum likelihood."""

import numpy as np

from fastgmm.model.base import Model, Terms
from fastgmm.model.covariance import CovarianceType
from fastgmm.model.parameters import Parameters
from fastgmm.model.sums import weighted_mean
from fastgmm.sources.base import Statistics

# Relative. If a component's weight, and its weight times each variance, stay above this fraction
# of their old values, then dropped responsibilities change its moments by less than 2e-14. If the
# component keeps most of both, the change is less than 2e-17.
_DWINDLED = 1e-3


class MaximumLikelihood(Model):
    """Maximum likelihood, with `reg_covar` added to the diagonals of the covariances.

    Parameters
    ----------
    covariance_type : CovarianceType
        A value of `COVARIANCE_TYPES`.
    reg_covar : float, default=0.0
        Number added to the diagonals, in squared units of the data.
    """

    def __init__(self, covariance_type: CovarianceType, reg_covar: float = 0.0) -> None:
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar

    def terms(self, parameters: Parameters) -> Terms:
        """Return the parameters with ``offset = log weight + log det U - d/2 log 2 pi``."""
        weights, means, covariances, factors, log_det = parameters
        half_log = 0.5 * means.shape[1] * np.log(2 * np.pi)
        with np.errstate(divide="ignore"):
            offsets = np.log(weights) + log_det - half_log
        return Terms(weights, means, covariances, factors, offsets, log_det - half_log)

    def update(
        self, parameters: Parameters, statistics: Statistics, n_threads: int | None = 1
    ) -> Parameters:
        """Return the parameters that maximise the expected log-likelihood.

        S1 and S2 are taken about the old means. The mean moves by d = S1 / N and the covariance
        is S2 / N - d d^T. Near convergence d is small, so nothing cancels. A component without
        rows keeps its mean and covariance and gets weight zero.
        """
        _, nk, s1, s2 = statistics
        empty = ~(nk > 0)
        divisor = np.where(empty, 1.0, nk)
        delta = s1 / divisor[:, None]
        kind = self.covariance_type
        covariances = kind.from_moments(s2, nk, delta, divisor)
        kind.add_to_diagonal(covariances, self.reg_covar)
        if empty.any():
            covariances = kind.select(empty, parameters.covariances, covariances)
        means = parameters.means + delta
        n_components, n_features = means.shape
        factors, log_det = kind.factorize(covariances, n_components, n_features, n_threads)
        return Parameters(nk / nk.sum(), means, covariances, factors, log_det)

    def objective(
        self, parameters: Parameters, statistics: Statistics, total_weight: float
    ) -> float:
        """Return the weighted mean of the rows' log-likelihoods."""
        return statistics.log_likelihood / total_weight

    def has_dwindled(self, old: Parameters, new: Parameters) -> bool:
        """Return whether a weight, or weight times variance, fell below 1/1000 of the old value."""
        kind, shape = self.covariance_type, old.means.shape
        least = _DWINDLED * old.weights
        spread = new.weights[:, None] * kind.variances(new.covariances, *shape)
        least_spread = least[:, None] * kind.variances(old.covariances, *shape)
        return bool((new.weights < least).any() or (spread < least_spread).any())


def marginal_variance(model: Model, parameters: Parameters) -> np.ndarray:
    """Return the variance (n_features,) of each feature under the mixture, without `reg_covar`."""
    weights, means, covariances = parameters[:3]
    within = model.covariance_type.variances(covariances, *means.shape) - model.reg_covar
    gaps = means - weighted_mean(weights, means)
    return weighted_mean(weights, np.maximum(within, 0.0) + gaps * gaps)
