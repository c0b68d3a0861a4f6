"""Information criteria of a fitted mixture: lower is better, in the sign of scikit-learn."""

import numpy as np

from fastgmm.model.covariance import CovarianceType


def n_parameters(kind: CovarianceType, n_components: int, n_features: int) -> int:
    """Return the number of free parameters: weights, means and covariances."""
    free = kind.n_parameters(n_components, n_features)
    return n_components - 1 + n_components * n_features + free


def bic(log_likelihood: float, n_parameters: int, total_weight: float) -> float:
    """Return ``-2 log L + n_parameters log n`` (Schwarz 1978), with n the sum of the weights."""
    return float(-2.0 * log_likelihood + n_parameters * np.log(total_weight))


def aic(log_likelihood: float, n_parameters: int) -> float:
    """Return ``-2 log L + 2 n_parameters`` (Akaike 1974)."""
    return float(-2.0 * log_likelihood + 2.0 * n_parameters)


def icl(bic: float, entropy: float) -> float:
    """Return BIC plus twice the entropy of the responsibilities.

    Biernacki, Celeux and Govaert (2000): overlapping components are paid for.
    """
    return float(bic + 2.0 * entropy)
