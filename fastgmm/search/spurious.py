"""Spurious optima: components that fit an accident of the data, with a likelihood to match.

The likelihood of a mixture has no upper bound: a component that shrinks onto equal values,
or onto as few points as can hold its covariance up, gains more than any penalty for its
parameters takes away (Day 1969; McLachlan and Peel 2000, section 3.10). Such a component is
told in two ways.

At the floor
    In some direction its variance, without ``reg_covar``, is no more than ``reg_covar`` (or
    1e-10 of that of all the data) while that of all the data is a thousand times as large. A
    direction in which all the data are flat is no component's fault.
On too few points
    The distinct points that belong to it, each counted by its responsibility, hold fewer than
    two numbers for every parameter of its own mean and covariance. Equal rows are one point,
    which is what tells repeated values from many rows. A component whose covariance is shared
    by all cannot collapse on its own and is not counted.
"""

from typing import NamedTuple

import numpy as np

from fastgmm.api.mixture import Mixture
from fastgmm.kernels.types import Data
from fastgmm.model.covariance import COVARIANCE_TYPES, CovarianceType
from fastgmm.search.kmeans import mean_and_variance
from fastgmm.sources.array import Pass

_NARROW = 1e-3  # of the variance of all the data: what may count as collapsed
_NOTHING = 1e-10  # of it: collapsed whatever the floor is
_FLAT = 1e-10  # of the largest: directions in which the data themselves do not vary
_NUMBERS_PER_PARAMETER = 2
_MIXER = np.uint64(0x9E3779B97F4A7C15)
_BLOCK = 2**16


class Yardstick(NamedTuple):
    """What components are measured against: found once for all candidates.

    `whitening` (n_features, rank) takes the data to unit covariance, leaving out directions in
    which they are flat. `distinct` is a mask (n_samples,) of one row of each set of equal ones
    that have weight.
    """

    whitening: np.ndarray
    distinct: np.ndarray


def make_yardstick(data: Data, n_threads: int | None = None) -> Yardstick:
    """Return the yardstick of some data."""
    mean, variance = mean_and_variance(data, n_threads)
    whole = Pass(data, COVARIANCE_TYPES["full"], 1, n_threads).given(mean[None])
    scale = np.sqrt(np.where(variance > 0, variance, 1.0))
    correlation = np.tril(whole.second[0] / whole.nk[0] / scale / scale[:, None])
    roots, axes = np.linalg.eigh(correlation)  # reads the lower triangle
    varies = roots > _FLAT * roots[-1]
    whitening = axes[:, varies] / np.sqrt(roots[varies]) / scale[:, None]
    return Yardstick(whitening, _first_of_equals(data))


def _first_of_equals(data):
    """Return a mask of rows that no earlier row of positive weight is equal to, by their bits."""
    keys = np.zeros(len(data.X), np.uint64)
    for begin in range(0, len(keys), _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        bits = (data.X[rows] + data.X.dtype.type(0)).view(f"u{data.X.itemsize}")  # -0.0 is 0.0
        for column in bits.T:
            keys[rows] = (keys[rows] ^ column) * _MIXER
            keys[rows] ^= keys[rows] >> np.uint64(29)
    weighted = np.arange(len(keys))
    if data.sample_weight.size:
        weighted = np.flatnonzero(data.sample_weight > 0)
    _, first = np.unique(keys[weighted], return_index=True)
    mask = np.zeros(len(keys), bool)
    mask[weighted[first]] = True
    return mask


def points_needed(kind: CovarianceType, n_features: int) -> int:
    """Return how many distinct points a component needs; 0 where covariances are shared."""
    own = kind.n_parameters(2, n_features) - kind.n_parameters(1, n_features)
    if own == 0:
        return 0
    return -(-_NUMBERS_PER_PARAMETER * (n_features + own) // n_features)


def spurious_components(
    mixture: Mixture, yardstick: Yardstick, points: np.ndarray, reg_covar: float
) -> dict[int, str]:
    """Return what is wrong with each spurious component, by its place.

    Parameters
    ----------
    mixture : Mixture
        A fitted mixture.
    yardstick : Yardstick
        That of the data it was fitted to.
    points : ndarray of shape (n_components,)
        Sums of responsibilities over distinct rows.
    reg_covar : float
        What was added to the variances.
    """
    kind = COVARIANCE_TYPES[mixture.covariance_type]
    at_floor = _at_floor(kind, mixture, yardstick, reg_covar)
    found = dict.fromkeys(mixture.regularized, "collapsed")
    found |= dict.fromkeys(at_floor, "covariance at the floor")
    needed = points_needed(kind, mixture.n_features)
    for k in np.flatnonzero((points < needed - 0.5) & (mixture.weights > 0)):
        found.setdefault(int(k), f"on {points[k]:.0f} distinct points, needs {needed}")
    return found


def _at_floor(kind, mixture, yardstick, reg_covar):
    """Return the places of components whose covariance is at the floor in some direction."""
    n_features = mixture.n_features
    covariances = mixture.covariances
    if not kind.dense:
        variances = kind.variances(covariances, mixture.n_components, n_features)
        covariances = variances[:, :, None] * np.eye(n_features)
    raw = covariances.reshape(-1, n_features, n_features) - reg_covar * np.eye(n_features)
    whitening = yardstick.whitening
    ratios, axes = np.linalg.eigh(whitening.T @ raw @ whitening)
    lengths = ((whitening @ axes) ** 2).sum(axis=1)
    floor = np.minimum(_NARROW, np.maximum(reg_covar * lengths, _NOTHING))
    flat = (ratios <= floor).any(axis=1) & (mixture.weights > 0)
    return np.flatnonzero(flat).tolist()
