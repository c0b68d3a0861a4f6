"""Statistics."""

from typing import NamedTuple

import numpy as np


class Statistics(NamedTuple):
    """Weighted sums over rows under given parameters.

    `log_likelihood` is the sum of w log p(x); `nk` (n_components,) of w r; `first`
    (n_components, n_features) of w r (x - mean); `second`, shaped as covariances of the type, of
    w r (x - mean)(x - mean)^T, for "spherical" of w r |x - mean|^2.
    """

    log_likelihood: float
    nk: np.ndarray
    first: np.ndarray
    second: np.ndarray


def merge(a, b):
    """Return the statistics of two data sets together, taken under the same parameters."""
    return Statistics(*(x + y for x, y in zip(a, b, strict=True)))
