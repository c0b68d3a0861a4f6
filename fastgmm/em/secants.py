"""Quasi-Newton steps for EM, from the last iterations alone.

An EM iteration is a step along the gradient of the log-likelihood, multiplied by the inverse of
the complete-data information (Lange 1995). `Chart` provides coordinates in which that information
is about the identity. In them EM's step *is* the gradient, and the change of EM's steps from one
point to the next tells the curvature of the log-likelihood. `ascent` turns these secants into a
quasi-Newton step by the two-loop recursion of L-BFGS (Nocedal 1980; for EM Lange 1995, Jamshidian
and Jennrich 1997). It starts from EM's own step, so with no secants it is an EM step.

Coordinates of component k about an origin (weight w, mean, factor U of the covariance):
``sqrt(w) log(weight / w)``, ``sqrt(w) U (mean - origin)`` and sqrt(w) times the coordinates of
`CovarianceType.to_local`. They depend on neither the units nor the rotation of the data, and all
finite coordinates are a valid mixture with positive definite covariances.
"""

from typing import NamedTuple

import numpy as np

from fastgmm.model.covariance import CovarianceType
from fastgmm.model.parameters import Parameters

# A secant along which EM reduces the error by less than this fraction, or along which the
# log-likelihood is not concave, says nothing about the way to the optimum.
_LEAST_CURVATURE = 1e-6
# Greatest change of a logarithm of a weight or deviation, and of a mean in deviations, in a step.
_GREATEST_CHANGE = 2.0


class Chart:
    """Coordinates of mixtures about a mixture `origin`, in which EM's steps are gradients."""

    def __init__(self, kind: CovarianceType, origin: Parameters) -> None:
        self._kind = kind
        self._origin = origin
        self._positive = origin.weights > 0
        # A component without weight has no coordinates but needs a scale to divide by.
        self._roots = np.sqrt(np.where(self._positive, origin.weights, 1.0))
        shapes = kind.to_local(0.0 * origin.means, origin.factors, origin.factors)[1]
        one_for_all = len(shapes) < len(self._roots)  # its weight is that of all components
        self._scales = np.ones((1, 1)) if one_for_all else self._roots[:, None]

    def coordinates(self, weights, means, factors):
        """Return coordinates (n_points, n_coordinates) of mixtures, stacked along a first axis."""
        origin, n_points = self._origin, len(weights)
        valid = self._positive & (weights > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.where(valid, np.log(weights / origin.weights), 0.0)
        logs -= np.einsum("k,pk->p", origin.weights, logs)[:, None]  # only ratios of weights count
        moves, shapes = self._kind.to_local(means - origin.means, factors, origin.factors)
        parts = self._roots * logs, self._roots[:, None] * moves, self._scales * shapes
        return np.concatenate([part.reshape(n_points, -1) for part in parts], axis=1)

    def parameters(self, coordinates: np.ndarray) -> Parameters:
        """Return the mixture at coordinates (n_coordinates,)."""
        origin, kind = self._origin, self._kind
        logs, moves, shapes = self._in_own_units(coordinates)
        weights = origin.weights * np.exp(logs - logs.max())
        gaps, covariances = kind.from_local(moves, shapes, origin.factors)
        factors, log_det = kind.factorize(covariances, *origin.means.shape)
        return Parameters(
            weights / weights.sum(), origin.means + gaps, covariances, factors, log_det
        )

    def shortened(self, step: np.ndarray) -> np.ndarray:
        """Return the step, shortened if a weight, mean or deviation would change too much."""
        greatest = max(np.abs(part).max(initial=0.0) for part in self._in_own_units(step))
        return step * min(1.0, _GREATEST_CHANGE / max(greatest, _GREATEST_CHANGE))

    def _in_own_units(self, coordinates):
        """Return the parts of coordinates (n_coordinates,) without the roots of the weights."""
        n_components, n_features = self._origin.means.shape
        logs, moves, shapes = np.split(
            coordinates, np.cumsum([n_components, n_components * n_features])
        )
        return (
            logs / self._roots,
            moves.reshape(n_components, n_features) / self._roots[:, None],
            shapes.reshape(len(self._scales), -1) / self._scales,
        )


class Secants:
    """The last EM iterations.

    Attribute `pairs` has mixtures, and where an EM step leads from each of them.
    """

    def __init__(self, kind: CovarianceType, most: int) -> None:
        self._kind = kind
        self._most = most
        self.pairs: list[tuple[Parameters, Parameters]] = []

    def __len__(self) -> int:
        return len(self.pairs)

    def add(self, before: Parameters, after: Parameters) -> None:
        """Add an EM step; the oldest is dropped beyond `most`."""
        self.pairs.append((before, after))
        del self.pairs[: -self._most or None]

    def clear(self) -> None:
        """Forget all EM steps."""
        self.pairs = []

    def step(self) -> "Step | None":
        """Return the quasi-Newton step from the last mixture; None if it is not an ascent."""
        chart = Chart(self._kind, self.pairs[-1][1])
        points = chart.coordinates(*_stacked([mixture for pair in self.pairs for mixture in pair]))
        starts, steps = points[::2], points[1::2] - points[::2]
        if not np.isfinite(steps).all():
            return None
        direction = ascent(np.diff(starts, axis=0), -np.diff(steps, axis=0), steps[-1])
        slope = _dot(direction, steps[-1])
        if not (np.isfinite(direction).all() and slope > 0):
            return None
        return Step(chart, starts[-1], steps[-1], direction)


class Step(NamedTuple):
    """A quasi-Newton step in the coordinates of a chart: from `start` along `direction`.

    `em` is EM's own step, which is the gradient of the objective per row.
    """

    chart: Chart
    start: np.ndarray
    em: np.ndarray
    direction: np.ndarray

    @property
    def gain(self) -> float:
        """The rise of the objective up to the optimum, if the objective is quadratic."""
        return 0.5 * _dot(self.direction, self.em)

    def gain_of(self, part: "Step") -> float:
        """Return the rise expected of a `part` of this step, if the objective is quadratic."""
        share = part.stretch / self.stretch
        return 2.0 * self.gain * share * (1.0 - 0.5 * share)

    @property
    def em_gain(self) -> float:
        """The squared length of EM's step: about the gain of the EM step."""
        return _dot(self.em, self.em)

    @property
    def stretch(self) -> float:
        """The length of the step in units of EM's step."""
        return float(np.sqrt(_dot(self.direction, self.direction) / self.em_gain))

    def at_most(self, stretch: float) -> "Step":
        """Return the step shortened to at most `stretch` times the length of EM's step."""
        direction = self.direction * min(1.0, stretch / self.stretch)
        return self._replace(direction=self.chart.shortened(direction))

    def end(self) -> Parameters:
        """Return the mixture at the end of the step."""
        return self.chart.parameters(self.start + self.direction)


def ascent(moves: np.ndarray, changes: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Return L-BFGS's direction of ascent (Nocedal 1980), with the identity to begin with.

    Parameters
    ----------
    moves, changes : ndarray of shape (n_secants, n_coordinates)
        Moves from point to point, oldest first, and how much the gradient falls along each.
    gradient : ndarray of shape (n_coordinates,)
        The gradient at the last point.
    """
    direction = gradient.copy()
    used = []
    for move, change in zip(moves[::-1], changes[::-1], strict=True):
        curvature = _dot(move, change)
        if curvature > _LEAST_CURVATURE * _dot(move, move):
            share = _dot(move, direction) / curvature
            direction -= share * change
            used.append((move, change, curvature, share))
    for move, change, curvature, share in reversed(used):
        direction += move * (share - _dot(change, direction) / curvature)
    return direction


def _dot(a, b):
    """Return the inner product of two vectors, without BLAS: see `fastgmm.model.sums`."""
    return float(np.einsum("i,i", a, b))


def _stacked(mixtures):
    """Return weights, means and factors of mixtures, each stacked along a first axis."""
    names = "weights", "means", "factors"
    return (np.stack([getattr(mixture, name) for mixture in mixtures]) for name in names)
