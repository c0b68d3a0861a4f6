"""Runs of EM to convergence inside a search, given up where they will not beat the best so far."""

from collections.abc import Callable

import numpy as np

from fastgmm.em.loop import em_steps
from fastgmm.em.stopping import has_converged, remaining_gain
from fastgmm.model.base import Model
from fastgmm.model.parameters import Parameters
from fastgmm.sources.base import Source

LEFT = 1e-6  # nats per row that may be left to gain on all rows
LEFT_ON_SAMPLE = 5e-4  # and on a sample, whose optimum is farther than that from that of all rows
_NOTHING = 0.02  # a gain of so little of what may be left needs no estimate
_MOST_ITERATIONS = 500
_STEPS = 4  # between two looks at the objectives
_SLOWEST = 0.98  # rate of convergence: a run that is behind is not expected to creep more slowly
_HOPE = 3.0  # times Aitken's estimate: a run that even so stays below the best is given up
_SAME = 2e-6  # nats per row: a run that ends so near to the best ends in the same optimum


def _is_at_the_end(objectives, left):
    """Return whether the last change and what is left to gain are below `left`."""
    tiny = len(objectives) > 1 and abs(objectives[-1] - objectives[-2]) < _NOTHING * left
    return tiny or has_converged(objectives, left)


def _is_hopeless(objectives, best):
    """Return whether a run will not end above the objective `best`."""
    if best == -np.inf or len(objectives) < 3:
        return False
    last, gain = objectives[-1], objectives[-1] - objectives[-2]
    if gain < _SAME and abs(last - best) < _SAME:
        return True
    return bool(last + _HOPE * remaining_gain(objectives, _SLOWEST) < best)


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

    Returns
    -------
    parameters : Parameters
        The last parameters; a log-determinant is NaN if a covariance became singular.
    objectives : list of float
        The objective before each iteration.
    """
    objectives: list[float] = []
    while len(objectives) < most:
        if tick is not None:
            tick()
        n_iter = min(_STEPS, most - len(objectives))
        (steps,) = em_steps(source, model, [parameters], n_iter)
        parameters = steps.parameters
        objectives += steps.objectives
        if np.isnan(parameters.log_det).any():
            break
        if _is_at_the_end(objectives, left) or _is_hopeless(objectives, best):
            break
    return parameters, objectives
