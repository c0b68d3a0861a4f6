"""The EM loop: iterations and convergence."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastgmm.em.journal import NO_JOURNAL, Journal
from fastgmm.model.base import Model
from fastgmm.model.parameters import Parameters
from fastgmm.sources.base import Source, Statistics, Steps
from fastgmm.sources.precision import needs_double


class Settings(NamedTuple):
    """When EM stops, and how it repairs collapsed components: see `fastgmm.fit`.

    `run_em` is given a policy and does not read `on_collapse`, from which callers make it. The run
    tells the journal its state before the first pass and after each one.
    """

    tol: float
    max_iter: int
    on_collapse: str = "raise"
    callback: Callable[[int, float], object] | None = None
    journal: Journal = NO_JOURNAL


_STEPS = 16  # of a launch that takes several EM steps
_STATE = "parameters", "objectives", "previous", "converged"  # of `run_em`, for the journal


class Policy(Protocol):
    """The interface of a repair of collapsed components: see `CollapsePolicy`."""

    @property
    def floor_raised(self) -> np.ndarray | bool:
        """Mask (n_components,) of components that needed more than `reg_covar`, or False."""

    def on_few_points(self, parameters: Any) -> np.ndarray:
        """Return a mask (n_components,) of the components on a single point or on few rows."""

    def leaves(self, parameters: Any) -> bool:
        """Return whether `repair` would return the parameters of an iteration as they are."""

    def repair(self, parameters: Any, iterated: bool = True) -> tuple[Any, bool]:
        """Return valid parameters, and whether a component was moved."""


class Run(NamedTuple):
    """The result of one start.

    `parameters` are what the model's `update` returns. `stopped` is true if the callback ended
    the run. `objectives` has one entry per iteration, and `regularized` the indices of collapsed
    components.
    """

    parameters: Any
    converged: bool
    stopped: bool
    objectives: tuple[float, ...]
    regularized: tuple[int, ...]

    @property
    def objective(self) -> float:
        """The last entry of `objectives`; minus infinity if there were no iterations."""
        return self.objectives[-1] if self.objectives else -np.inf


def em_step(source: Source, model: Model, parameters: Any) -> tuple[Statistics, Any]:
    """Return the statistics under `parameters` and the new parameters from the M-step.

    A pass drops responsibilities that are negligible relative to their component's weight. If a
    component dwindles, they may no longer be negligible, so the pass is repeated with nothing
    dropped. It is also repeated if the new covariances are closer to singular than sums of float32
    rows can tell, and the old ones were not.
    """
    for complete in (False, True):
        statistics = source.statistics(model, parameters, complete)
        new = model.update(parameters, statistics, source.n_threads)
        if not pass_is_imprecise(source, model, parameters, new):
            break
    return statistics, new


def pass_is_imprecise(source: Source, model: Model, old: Any, new: Any) -> bool:
    """Return whether the pass from `old` to `new` must be repeated: see `em_step`."""
    kind, dtype = model.covariance_type, source.dtype
    imprecise = needs_double(kind, new, dtype) and not needs_double(kind, old, dtype)
    return imprecise or model.has_dwindled(old, new)


def em_steps(
    source: Source, model: Model, mixtures: Sequence[Parameters], n_iter: int
) -> list[Steps]:
    """Return each of the mixtures after `n_iter` EM steps, and the objectives before each step.

    A mixture with a singular covariance, whose log-determinant is NaN, ends its steps.
    """
    return [
        _complete(source, model, steps, n_iter) for steps in source.steps(model, mixtures, n_iter)
    ]


def _complete(source, model, steps, n_iter):
    """Return a mixture after the rest of its `n_iter` steps."""
    parameters, objectives = steps
    while len(objectives) < n_iter and not np.isnan(parameters.log_det).any():
        statistics, new = em_step(source, model, parameters)
        total_weight = source.total_weight
        objectives.append(model.objective_of_step(parameters, statistics, new, total_weight))
        parameters = new
    return Steps(parameters, objectives)


def run_em(
    source: Source,
    model: Model,
    parameters: Any,
    settings: Settings,
    policy: Policy,
    previous: float = -np.inf,
) -> Run:
    """Iterate from `parameters` until the objective changes by less than ``settings.tol``.

    As in scikit-learn, the objective of an iteration is that of the parameters before its M-step.
    `previous` is the last objective of the run that this one continues, if any. Where nobody
    watches the iterations and none needs repair, the source may take several steps in one launch.
    """
    journal = settings.journal
    trace: list[float] = []
    converged = stop = False
    kept = journal.kept()
    if kept is None:
        parameters, _ = policy.repair(parameters, iterated=False)
        journal.keep(parameters, trace, _state(parameters, trace, previous, converged))
    else:
        parameters, trace, previous, converged = (kept[name] for name in _STATE)
    n_steps = 1 if settings.callback is not None or journal.writes else _STEPS
    while len(trace) < settings.max_iter and not (converged or stop):
        n_iter = min(n_steps, settings.max_iter - len(trace))
        (steps,) = source.steps(model, [parameters], n_iter, settings.tol, previous)
        if n_iter > 1 and not (steps.objectives and policy.leaves(steps.parameters)):
            n_steps = 1  # so that each step can be repaired
            continue
        parameters, objectives = steps if steps.objectives else _complete(source, model, steps, 1)
        parameters, moved = policy.repair(parameters)
        trace += objectives
        earlier = objectives[-2] if len(objectives) > 1 else previous
        converged = not moved and abs(trace[-1] - earlier) < settings.tol
        previous = -np.inf if moved else trace[-1]
        journal.keep(parameters, trace, _state(parameters, trace, previous, converged))
        stop = settings.callback is not None and settings.callback(len(trace), trace[-1]) is True
    at_floor = policy.on_few_points(parameters) | policy.floor_raised
    regularized = tuple(np.flatnonzero(at_floor).tolist())
    return Run(parameters, converged, stop, tuple(trace), regularized)


def _state(*values):
    """Return the state of `run_em` by name."""
    return dict(zip(_STATE, values, strict=True))
