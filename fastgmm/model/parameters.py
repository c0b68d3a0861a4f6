"""The parameters of a mixture of Gaussians, as the library passes them on internally."""

from typing import NamedTuple

import numpy as np


class Parameters(NamedTuple):
    """A mixture, float64 throughout.

    `weights` (n_components,), `means` (n_components, n_features), `covariances` and `factors`
    shaped by the covariance type, `log_det` (n_components,) the log-determinants of the
    factors, NaN where a covariance is not positive definite.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    factors: np.ndarray
    log_det: np.ndarray
