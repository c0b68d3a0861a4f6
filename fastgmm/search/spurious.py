"""Spurious optima: components that fit an accident of the data with a high likelihood.

The likelihood of a mixture has no upper bound. A component that shrinks onto equal values, or
onto just enough rows for a regular covariance, raises the likelihood by more than any penalty
for its parameters (Day 1969; McLachlan and Peel 2000, section 3.10). There are two tests.

At the floor
    In some direction the component's variance without ``reg_covar`` is at most ``reg_covar``, or
    at most 1e-10 of the variance of all rows, and it is at most 1e-3 of the variance of all rows.
    Directions in which the rows do not vary at all are left out.
On too few points
    The responsibilities of the distinct rows sum to fewer than two numbers for each parameter of
    the component's own mean and covariance. Equal rows count once, so that many repeated values
    do not pass for many rows. If all components have the same covariance, none can collapse
    alone and this test is left out.
"""

from typing import NamedTuple

import numpy as np

from fastgmm.model.base import Model
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.model.parameters import Parameters
from fastgmm.sources.base import Source

_NARROW = 1e-3  # relative to the variance of all rows: no greater variance counts as collapsed
_COLLAPSED = 1e-10  # relative to the variance of all rows: collapsed for every `reg_covar`
_FLAT = 1e-10  # relative to the largest variance of all rows: the rows do not vary
_NUMBERS_PER_PARAMETER = 2


class Yardstick(NamedTuple):
    """Properties of the rows with which components are compared, computed once for a search.

    `whitening` (n_features, rank) transforms the rows to unit covariance and leaves out directions
    in which they do not vary. `distinct` (n_samples,) is a mask of one row of each set of equal
    rows of positive weight.
    """

    whitening: np.ndarray
    distinct: np.ndarray


def make_yardstick(source: Source) -> Yardstick:
    """Return the yardstick of the rows of a source."""
    mean, variance = source.mean_and_variance()
    moments = source.moments(COVARIANCE_TYPES["full"], mean)
    scale = np.sqrt(np.where(variance > 0, variance, 1.0))
    correlation = np.tril(moments.s2[0] / moments.nk[0] / scale / scale[:, None])
    values, axes = np.linalg.eigh(correlation)  # reads the lower triangle
    varies = values > _FLAT * values[-1]
    whitening = axes[:, varies] / np.sqrt(values[varies]) / scale[:, None]
    return Yardstick(whitening, source.first_of_equals())


def points_needed(model: Model, n_features: int) -> int:
    """Return how many distinct rows a component needs.

    It is 0 if all have the same covariance, or if a prior keeps covariances regular.
    """
    kind = model.covariance_type
    own = kind.n_parameters(2, n_features) - kind.n_parameters(1, n_features)
    if own == 0 or model.is_bounded:
        return 0
    return -(-_NUMBERS_PER_PARAMETER * (n_features + own) // n_features)


def spurious_components(
    model: Model,
    parameters: Parameters,
    regularized: tuple[int, ...],
    yardstick: Yardstick,
    points: np.ndarray,
) -> dict[int, str]:
    """Return a description of the fault of each spurious component, by component index.

    If a prior keeps covariances regular, there is none.

    Parameters
    ----------
    model : Model
        The model that was fitted.
    parameters : Parameters
        The fitted parameters.
    regularized : tuple of int
        Components that collapsed during the fit.
    yardstick : Yardstick
        The yardstick of the rows that it was fitted to.
    points : ndarray of shape (n_components,)
        Sums of responsibilities over distinct rows: see `Totals`.
    """
    weights, n_features = parameters.weights, parameters.means.shape[1]
    found = dict.fromkeys(regularized, "collapsed")
    found |= dict.fromkeys(at_floor(model, parameters, yardstick), "covariance at the floor")
    needed = points_needed(model, n_features)
    for k in np.flatnonzero((points < needed - 0.5) & (weights > 0)):
        found.setdefault(int(k), f"on {points[k]:.0f} distinct points, needs {needed}")
    return found


def at_floor(model: Model, parameters: Parameters, yardstick: Yardstick) -> list[int]:
    """Return the indices of components whose covariance is at the floor in some direction.

    With a prior there is no floor.
    """
    if model.is_bounded:
        return []
    kind, reg_covar, shape = model.covariance_type, model.reg_covar, parameters.means.shape
    covariances = kind.public_covariances(parameters.covariances)
    raw = kind.matrices(covariances, *shape) - reg_covar * np.eye(shape[1])
    whitening = yardstick.whitening
    relative = whitening.T @ raw @ whitening
    identity = np.eye(whitening.shape[1])
    highest = reg_covar * whitening.T @ whitening + _COLLAPSED * identity
    if _exceed(relative, _NARROW * identity) or _exceed(relative, highest):
        return []
    ratios, axes = np.linalg.eigh(relative)
    lengths = ((whitening @ axes) ** 2).sum(axis=1)
    floor = np.minimum(_NARROW, np.maximum(reg_covar * lengths, _COLLAPSED))
    flat = (ratios <= floor).any(axis=1) & (parameters.weights > 0)
    return np.flatnonzero(flat).tolist()


def _exceed(matrices, floor):
    """Return whether all matrices (n, rank, rank) exceed `floor` (rank, rank) in every direction.

    A Cholesky decomposition takes a tenth of the time of the eigenvalues, or a hundredth where
    LAPACK wakes threads for these.
    """
    try:
        np.linalg.cholesky(matrices - 1.001 * floor)
    except np.linalg.LinAlgError:
        return False
    return True
