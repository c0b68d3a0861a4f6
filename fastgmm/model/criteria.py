"""Information criteria of a fitted mixture. Lower is better, as in scikit-learn."""

import numpy as np

from fastgmm.model.covariance import CovarianceType


def n_parameters(covariance_type: CovarianceType, n_components: int, n_features: int) -> int:
    """Return the number of free parameters in weights, means and covariances."""
    free = covariance_type.n_parameters(n_components, n_features)
    return n_components - 1 + n_components * n_features + free


def bic(log_likelihood: float, n_parameters: int, total_weight: float) -> float:
    """Return ``-2 log L + n_parameters log n`` (Schwarz 1978); n is the sum of row weights."""
    return float(-2.0 * log_likelihood + n_parameters * np.log(total_weight))


def aic(log_likelihood: float, n_parameters: int) -> float:
    """Return ``-2 log L + 2 n_parameters`` (Akaike 1974)."""
    return float(-2.0 * log_likelihood + 2.0 * n_parameters)


def icl(bic: float, entropy: float) -> float:
    """Return BIC plus twice the entropy of the responsibilities.

    The entropy penalises components that overlap (Biernacki, Celeux and Govaert 2000).
    """
    return float(bic + 2.0 * entropy)
