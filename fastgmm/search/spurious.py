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

from fastgmm.model.base import Model
from fastgmm.model.covariance import COVARIANCE_TYPES, CovarianceType
from fastgmm.model.parameters import Parameters
from fastgmm.sources.base import Source

_NARROW = 1e-3  # of the variance of all the data: what may count as collapsed
_NOTHING = 1e-10  # of it: collapsed whatever the floor is
_FLAT = 1e-10  # of the largest: directions in which the data themselves do not vary
_NUMBERS_PER_PARAMETER = 2


class Yardstick(NamedTuple):
    """What components are measured against: found once for all candidates.

    `whitening` (n_features, rank) takes the data to unit covariance, leaving out directions in
    which they are flat. `distinct` is a mask (n_samples,) of one row of each set of equal ones
    that have weight.
    """

    whitening: np.ndarray
    distinct: np.ndarray


def make_yardstick(source: Source) -> Yardstick:
    """Return the yardstick of the rows of a source."""
    mean, variance = source.mean_and_variance()
    everything = source.moments(COVARIANCE_TYPES["full"], mean)
    scale = np.sqrt(np.where(variance > 0, variance, 1.0))
    correlation = np.tril(everything.s2[0] / everything.nk[0] / scale / scale[:, None])
    roots, axes = np.linalg.eigh(correlation)  # reads the lower triangle
    varies = roots > _FLAT * roots[-1]
    whitening = axes[:, varies] / np.sqrt(roots[varies]) / scale[:, None]
    return Yardstick(whitening, source.first_of_equals())


def points_needed(kind: CovarianceType, n_features: int) -> int:
    """Return how many distinct points a component needs; 0 where covariances are shared."""
    own = kind.n_parameters(2, n_features) - kind.n_parameters(1, n_features)
    if own == 0:
        return 0
    return -(-_NUMBERS_PER_PARAMETER * (n_features + own) // n_features)


def spurious_components(
    model: Model,
    parameters: Parameters,
    regularized: tuple[int, ...],
    yardstick: Yardstick,
    points: np.ndarray,
) -> dict[int, str]:
    """Return what is wrong with each spurious component, by its place.

    Parameters
    ----------
    model : Model
        The model that was fitted.
    parameters : Parameters
        What was found.
    regularized : tuple of int
        Components that collapsed during the fit.
    yardstick : Yardstick
        That of the rows it was fitted to.
    points : ndarray of shape (n_components,)
        Sums of responsibilities over distinct rows.
    """
    weights, n_features = parameters.weights, parameters.means.shape[1]
    found = dict.fromkeys(regularized, "collapsed")
    found |= dict.fromkeys(_at_floor(model, parameters, yardstick), "covariance at the floor")
    needed = points_needed(model.covariance_type, n_features)
    for k in np.flatnonzero((points < needed - 0.5) & (weights > 0)):
        found.setdefault(int(k), f"on {points[k]:.0f} distinct points, needs {needed}")
    return found


def _at_floor(model, parameters, yardstick):
    """Return the places of components whose covariance is at the floor in some direction."""
    kind, reg_covar, shape = model.covariance_type, model.reg_covar, parameters.means.shape
    covariances = kind.public_covariances(parameters.covariances)
    raw = kind.matrices(covariances, *shape) - reg_covar * np.eye(shape[1])
    whitening = yardstick.whitening
    ratios, axes = np.linalg.eigh(whitening.T @ raw @ whitening)
    lengths = ((whitening @ axes) ** 2).sum(axis=1)
    floor = np.minimum(_NARROW, np.maximum(reg_covar * lengths, _NOTHING))
    flat = (ratios <= floor).any(axis=1) & (parameters.weights > 0)
    return np.flatnonzero(flat).tolist()
