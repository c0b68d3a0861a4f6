"""The parameters of a mixture of Gaussians inside the library."""

from typing import NamedTuple

import numpy as np


class Parameters(NamedTuple):
    """The parameters of a mixture; all arrays are float64.

    `weights` is (n_components,) and `means` (n_components, n_features). `covariances` and
    `factors` have the shape of the covariance type. `log_det` (n_components,) holds the
    log-determinants of the factors, NaN where a covariance is not positive definite.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    factors: np.ndarray
    log_det: np.ndarray
