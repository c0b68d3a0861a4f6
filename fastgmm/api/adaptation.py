"""MAP adaptation of a mixture to a few rows, as speaker recognition adapts a background model.

Reynolds, Quatieri and Dunn, "Speaker verification using adapted Gaussian mixture models", Digital
Signal Processing 10, 2000, section 3.3. With the number n of a component's rows, its share
``alpha = n / (n + relevance)``, the mean E x of its rows and the number T of all rows,

    weight = (alpha n / T + (1 - alpha) weight) gamma            (equation 11)
    mean = alpha E x + (1 - alpha) mean                          (equation 12)
    variance = alpha E x^2 + (1 - alpha) (variance + mean^2) - new mean^2    (equation 13)

where gamma makes the weights sum to one. Sums are about the old mean: with ``d = alpha E (x -
mean)`` the last equation is ``alpha E (x - mean)^2 + (1 - alpha) variance - d^2``, in which nothing
cancels. A mean that is not adapted has d = 0. Matrices have outer products in place of squares, and
one matrix for all components has the sums over components of both n and relevance.
"""

from collections.abc import Collection

import numpy as np

from fastgmm.model.covariance import CovarianceType
from fastgmm.model.parameters import Parameters
from fastgmm.sources.base import Statistics


def adapted(
    kind: CovarianceType,
    parameters: Parameters,
    statistics: Statistics,
    relevance: float,
    what: Collection[str],
) -> Parameters:
    """Return the adapted parameters from statistics that were taken under `parameters`.

    `what` names the parts to adapt; the others are returned as they are.
    """
    weights, means, covariances, factors, log_det = parameters
    nk = statistics.nk
    shift = np.zeros_like(means)
    if "means" in what:
        shift = statistics.s1 / (nk + relevance)[:, None]
    if "covariances" in what:
        covariances = _covariances(kind, covariances, statistics, relevance, shift)
        factors, log_det = kind.factorize(covariances, *means.shape)
    if "weights" in what:
        alpha = nk / (nk + relevance)
        weights = alpha * nk / nk.sum() + (1.0 - alpha) * weights
        weights = weights / weights.sum()
    return Parameters(weights, means + shift, covariances, factors, log_det)


def _covariances(
    kind: CovarianceType,
    covariances: np.ndarray,
    statistics: Statistics,
    relevance: float,
    shift: np.ndarray,
) -> np.ndarray:
    """Return the adapted covariances about means that move by `shift`."""
    _, nk, _, s2 = statistics
    one, rows = np.ones(len(nk)), np.asarray(kind.rows_per_matrix(nk))
    axes = (1,) * (covariances.ndim - rows.ndim)
    about_old = kind.from_moments(s2, nk, np.zeros_like(shift), np.where(nk > 0, nk, one))
    share = (rows / (rows + relevance)).reshape(rows.shape + axes)
    blended = share * about_old + (1.0 - share) * covariances
    return blended + kind.from_moments(np.zeros_like(blended), nk + relevance, shift, one)
