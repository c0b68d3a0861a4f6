"""One Gaussian fitted to incomplete rows: their mean, covariance, and values to fill gaps with.

The sums over the rows of a pattern of missing features, about a fixed point, do not change during
this fit. For patterns of many rows, EM therefore reads the rows once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.model.parameters import Parameters
from fastgmm.model.sums import shifted
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import Statistics, merge
from fastgmm.sources.patterns import PatternRows

_MAX_ITER = 100
_TOL = 1e-3  # change of means and covariances, in units of the standard deviations
_RIDGE = 1e-10  # relative to the variances: with fewer rows than features they become singular
_BLOCK = 2**16  # rows whose means and variances are summed at a time


class Part(NamedTuple):
    """Rows of one pattern: the indices of their observed features, and the values of these."""

    observed: np.ndarray
    source: ArraySource


class Gaussian(NamedTuple):
    """A mean (n_features,) and a covariance matrix (n_features, n_features)."""

    mean: np.ndarray
    covariance: np.ndarray

    def parameters(self) -> Parameters:
        """Return the Gaussian as a mixture of one component with a full covariance."""
        none = np.empty(0)
        return Parameters(np.ones(1), self.mean[None], self.covariance[None], none, none)


def moments_of_observed(X: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted mean and variance (n_features,) of the observed values of each feature.

    A feature without values has mean 0 and variance 0. `weight` is empty if all weights are 1.
    """
    total, s1, s2 = np.zeros((3, X.shape[1]))
    for power, sums in enumerate((s1, s2)):
        mean = np.divide(s1, total, out=np.zeros_like(s1), where=total > 0)
        for begin in range(0, len(X), _BLOCK):
            rows = slice(begin, begin + _BLOCK)
            found = ~np.isnan(X[rows])
            gaps = np.where(found, X[rows] - mean, 0.0)
            w = weight[rows] if weight.size else np.ones(len(gaps))
            if power == 0:
                total += np.einsum("i,ij->j", w, found.astype(np.float64))
            sums += np.einsum("i,ij->j", w, gaps if power == 0 else gaps * gaps)
    divisor = np.where(total > 0, total, 1.0)
    return s1 / divisor, s2 / divisor


def fit_gaussian(
    start: tuple[np.ndarray, np.ndarray], parts: Iterable[Part], rest: PatternRows | None
) -> Gaussian:
    """Fit a Gaussian to incomplete rows by EM (Little and Rubin 2019, section 11.2).

    Parameters
    ----------
    start : tuple of ndarray of shape (n_features,)
        Mean and variance of the observed values of each feature.
    parts : iterable of Part
        Rows of one pattern each.
    rest : PatternRows or None
        The other rows.

    Returns
    -------
    Gaussian
        The maximum of the likelihood, with a relative ridge of 1e-10.
    """
    full = COVARIANCE_TYPES["full"]
    point, variance = start
    scale = np.where(variance > 0, variance, variance.max() or 1.0)
    sums = [(part.observed, part.source.moments(full, point[part.observed])) for part in parts]
    deviation = np.sqrt(scale)
    fitted = Gaussian(point, np.diag(scale))
    for _ in range(_MAX_ITER):
        before = fitted
        statistics = [_completed(fitted, point, *each) for each in sums]
        if rest is not None:
            statistics.append(rest.statistics(full, fitted.parameters()))
        fitted = _update(fitted, merge(statistics), _RIDGE * scale)
        moved = np.abs(fitted.mean - before.mean) / deviation
        changed = np.abs(fitted.covariance - before.covariance) / np.outer(deviation, deviation)
        if max(moved.max(), changed.max()) < _TOL:
            break
    return fitted


def _completed(fitted, point, observed, sums):
    """Return the statistics of all features, from sums of the observed ones about `point`."""
    one = Statistics(0.0, sums.nk, sums.s1, sums.s2[0])
    s1, s2 = shifted(one, (fitted.mean - point)[observed])
    statistics = Statistics(0.0, sums.nk, s1, s2[None])
    n_features = len(point)
    if len(observed) == n_features:
        return statistics
    full = COVARIANCE_TYPES["full"]
    return full.complete(statistics, fitted.covariance[None], observed, n_features)


def _update(fitted, statistics, ridge):
    """Return the M-step's Gaussian, with `ridge` added to the diagonal."""
    delta = statistics.s1[0] / statistics.nk[0]
    lower = np.tril(statistics.s2[0] / statistics.nk[0] - np.outer(delta, delta))
    covariance = lower + np.tril(lower, -1).T + np.diag(ridge)
    return Gaussian(fitted.mean + delta, covariance)
