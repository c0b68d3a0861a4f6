"""Runs of EM to convergence inside a search, and the rule that says when they have converged.

EM converges linearly: near an optimum each gain is about the same fraction a of the one before.
Aitken's estimate of what is left to gain after a gain of g is then ``g a / (1 - a)`` (Boehning et
al. 1994). A run that creeps has a near 1 and goes on, though its gains are small.
"""

from collections.abc import Callable, Sequence

import numpy as np

from fastgmm.em.loop import em_step
from fastgmm.model.base import Model
from fastgmm.model.parameters import Parameters
from fastgmm.sources.base import Source

LEFT = 1e-5  # nats per row that may be left to gain on all rows
LEFT_ON_SAMPLE = 5e-4  # and on a sample, whose optimum is farther than that from that of all rows
_NOTHING = 0.02  # a gain of so little of what may be left needs no estimate
_MOST_ITERATIONS = 500
_SLOWEST = 0.98  # greatest fraction for which a run that is behind is given up
_HOPE = 3.0  # times Aitken's estimate: a run that even so stays below the best is given up
_SAME = 2e-6  # nats per row: a run that ends so near to the best ends in the same optimum


def left_to_gain(objectives: Sequence[float], slowest: float = 0.9999) -> float:
    """Return Aitken's estimate of the gain left after the last three objectives."""
    if len(objectives) < 3:
        return np.inf
    first, second, third = objectives[-3:]
    before, gain = second - first, third - second
    if not before > 0:
        return max(gain, 0.0)
    fraction = min(max(gain / before, 0.0), slowest)
    return max(gain, 0.0) * fraction / (1.0 - fraction)


def has_converged(objectives: Sequence[float], left: float) -> bool:
    """Return whether the last change and what is left to gain are below `left`."""
    if len(objectives) < 2 or not abs(objectives[-1] - objectives[-2]) < left:
        return False
    if abs(objectives[-1] - objectives[-2]) < _NOTHING * left:
        return True
    return left_to_gain(objectives) < left


def _is_hopeless(objectives, best):
    """Return whether a run will not end above the objective `best`."""
    if best == -np.inf or len(objectives) < 3:
        return False
    last, gain = objectives[-1], objectives[-1] - objectives[-2]
    if gain < _SAME and abs(last - best) < _SAME:
        return True
    return bool(last + _HOPE * left_to_gain(objectives, _SLOWEST) < best)


def climb(
    source: Source,
    model: Model,
    parameters: Parameters,
    best: float = -np.inf,
    tick: Callable[[], None] | None = None,
    most: int = _MOST_ITERATIONS,
    left: float = LEFT,
) -> tuple[Parameters, list[float]]:
    """Run EM to convergence; give up if the run will not end above the objective `best`.

    An accelerated EM replaces the calls of `em_step` here.

    Returns
    -------
    parameters : Parameters
        The last parameters; a log-determinant is NaN if a covariance became singular.
    objectives : list of float
        The objective before each iteration.
    """
    objectives: list[float] = []
    total_weight = source.total_weight
    for _ in range(most):
        if tick is not None:
            tick()
        statistics, new = em_step(source, model, parameters)
        objectives.append(model.objective(parameters, statistics, total_weight))
        if np.isnan(new.log_det).any():
            return new, objectives
        parameters = new
        if has_converged(objectives, left) or _is_hopeless(objectives, best):
            break
    return parameters, objectives
