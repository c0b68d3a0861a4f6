"""The prior of means and covariances, and what all rows together say about its defaults."""

from typing import NamedTuple

import numpy as np

from fastgmm.model.covariance import CovarianceType
from fastgmm.sources.base import Source


class Prior(NamedTuple):
    """The prior of means and precisions: Normal(mean, (mean_precision Lambda)^-1) and Wishart.

    `scale` is W^-1 in the shape of one component's covariance, `mean` is (n_features,).
    """

    mean_precision: float
    mean: np.ndarray
    degrees_of_freedom: float
    scale: np.ndarray


def unbiased_covariance(source: Source, kind: CovarianceType, mean: np.ndarray) -> np.ndarray:
    """Return the covariance of all rows about their mean, in the shape of one component's.

    The sum is divided by the total weight minus 1, so weights count rows.
    """
    _, nk, s1, s2 = source.moments(kind, mean)
    covariances = kind.from_moments(s2, nk, s1 / nk[:, None], nk)
    total = source.total_weight
    return kind.one(kind.public_covariances(covariances)) * (total / (total - 1.0))
