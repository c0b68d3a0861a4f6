"""The only EM loop: iterations, convergence, collapsed components and restarts."""

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from fastgmm._errors import CollapseError
from fastgmm.em.collapse import CollapsePolicy
from fastgmm.kernels.types import Data
from fastgmm.model.covariance import CovarianceType, m_step
from fastgmm.model.parameters import Parameters
from fastgmm.sources.array import Pass
from fastgmm.sources.base import Statistics

# Of its weight, and of its weight times each variance: a component that keeps more loses at most
# 2e-14 of its moments to what kernels leave out, and one that keeps most of them 2e-17.
_RARE = 1e-3


class Settings(NamedTuple):
    """When to stop and what to add: see `fastgmm.fit`."""

    tol: float
    reg_covar: float
    max_iter: int
    on_collapse: str
    callback: Callable[[int, float], object] | None


class Policy(Protocol):
    """What to do about collapsed components: see `CollapsePolicy`."""

    @property
    def floor_raised(self) -> np.ndarray | bool: ...

    def on_few_points(self, parameters: Parameters) -> np.ndarray: ...

    def repair(self, parameters: Parameters, iterated: bool = True) -> tuple[Parameters, bool]: ...


class Run(NamedTuple):
    """The outcome of one start."""

    parameters: Parameters
    converged: bool
    stopped: bool
    log_likelihoods: tuple[float, ...]
    regularized: tuple[int, ...]

    @property
    def log_likelihood(self) -> float:
        return self.log_likelihoods[-1] if self.log_likelihoods else -np.inf


def _dwindled(covariance_type: CovarianceType, old: Parameters, new: Parameters) -> bool:
    """Say whether any component has lost nearly all its weight or the spread of a feature."""
    shape, few = old.means.shape, _RARE * old.weights
    spread = few[:, None] * covariance_type.variances(old.covariances, *shape)
    left = new.weights[:, None] * covariance_type.variances(new.covariances, *shape)
    return bool((new.weights < few).any() or (left < spread).any())


def em_step(
    source: Pass, parameters: Parameters, reg_covar: float
) -> tuple[Statistics, Parameters]:
    """Return the statistics under `parameters`, and the parameters that the M-step makes of them.

    ``source.expectation(parameters)`` leaves out responsibilities that are next to nothing
    beside their component's weight. Where a component dwindles, they may be something beside
    what is left of it: then the whole is taken.
    """
    for whole in (False, True):
        statistics = source.expectation(parameters, whole)
        new = m_step(source.covariance_type, parameters, statistics, reg_covar, source.n_threads)
        if not _dwindled(source.covariance_type, parameters, new):
            break
    return statistics, new


def run_em(
    source: Pass,
    parameters: Parameters,
    settings: Settings,
    policy: Policy,
    previous: float = -np.inf,
) -> Run:
    """Iterate from `parameters` until the mean log-likelihood settles; return a `Run`.

    `source` gives statistics: see `em_step`. As in scikit-learn the log-likelihood of an iteration
    is that of the parameters before its M-step, and two consecutive ones closer than ``tol`` mean
    convergence. `previous` is the last one of a run that this one continues.
    """
    total_weight = source.total_weight
    parameters, _ = policy.repair(parameters, iterated=False)
    trace, converged, stop = [], False, False
    for iteration in range(1, settings.max_iter + 1):
        statistics, parameters = em_step(source, parameters, settings.reg_covar)
        parameters, moved = policy.repair(parameters)
        trace.append(statistics.log_likelihood / total_weight)
        stop = settings.callback is not None and settings.callback(iteration, trace[-1]) is True
        converged = not moved and abs(trace[-1] - previous) < settings.tol
        if converged or stop:
            break
        previous = -np.inf if moved else trace[-1]
    at_floor = policy.on_few_points(parameters) | policy.floor_raised
    regularized = tuple(np.flatnonzero(at_floor).tolist())
    return Run(parameters, converged, stop, tuple(trace), regularized)


def _is_better(log_likelihood: float, other: float) -> bool:
    """Say whether one is greater than the other, and not by rounding alone."""
    same = math.isclose(log_likelihood, other, rel_tol=1e-12, abs_tol=1e-12)
    return log_likelihood > other and not same


def best_of(
    n_init: int,
    make_start: Callable[[], Parameters],
    source: Pass,
    settings: Settings,
    data: Data,
    random_state: np.random.RandomState,
) -> Run:
    """Run EM from `n_init` starts and return the `Run` with the greatest log-likelihood.

    Of those that differ by rounding alone the first, on every machine: starts often end in the
    same mixture with its components in another order.

    A start that fails does not stop the others; only when all fail is the last error raised.
    """
    best: Run | None = None
    failure = CollapseError()
    for _ in range(n_init):
        policy = CollapsePolicy(
            settings.on_collapse, source.covariance_type, settings.reg_covar, data, random_state
        )
        try:
            run = run_em(source, make_start(), settings, policy)
        except CollapseError as error:
            failure = error
            continue
        if best is None or _is_better(run.log_likelihood, best.log_likelihood):
            best = run
    if best is None:
        raise failure
    return best
