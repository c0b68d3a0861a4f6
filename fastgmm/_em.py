"""The only EM loop: iterations, convergence, collapsed components and restarts."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastgmm._collapse import CollapsePolicy, on_few_points
from fastgmm._covariance import Parameters, m_step
from fastgmm._errors import CollapseError


class Settings(NamedTuple):
    """When to stop and what to add: see `fastgmm.fit`."""

    tol: float
    reg_covar: float
    max_iter: int
    on_collapse: str
    callback: Callable | None


class Run(NamedTuple):
    """The outcome of one start."""

    parameters: Parameters
    converged: bool
    stopped: bool
    log_likelihoods: tuple
    regularized: tuple

    @property
    def log_likelihood(self):
        return self.log_likelihoods[-1] if self.log_likelihoods else -np.inf


def run_em(source, parameters, settings, policy):
    """Iterate from `parameters` until the mean log-likelihood settles; return a `Run`.

    `source` gives statistics: ``source.expectation(parameters)``. As in scikit-learn the
    log-likelihood of an iteration is that of the parameters before its M-step, and two
    consecutive ones closer than ``tol`` mean convergence.
    """
    covariance_type, reg_covar = source.covariance_type, settings.reg_covar
    total_weight = source.total_weight
    parameters, _ = policy.repair(parameters, iterated=False)
    trace, converged, stop, previous = [], False, False, -np.inf
    for iteration in range(1, settings.max_iter + 1):
        statistics = source.expectation(parameters)
        parameters = m_step(covariance_type, parameters, statistics, reg_covar, source.n_threads)
        parameters, moved = policy.repair(parameters)
        trace.append(statistics.log_likelihood / total_weight)
        stop = settings.callback is not None and settings.callback(iteration, trace[-1]) is True
        converged = not moved and abs(trace[-1] - previous) < settings.tol
        if converged or stop:
            break
        previous = -np.inf if moved else trace[-1]
    at_floor = (
        on_few_points(covariance_type, parameters, reg_covar, total_weight) | policy.floor_raised
    )
    regularized = tuple(np.flatnonzero(at_floor).tolist())
    return Run(parameters, converged, stop, tuple(trace), regularized)


def best_of(n_init, make_start, source, settings, data, random_state):
    """Run EM from `n_init` starts and return the `Run` with the greatest log-likelihood.

    A start that fails does not stop the others; only when all fail is the last error raised.
    """
    best, failure = None, None
    for _ in range(n_init):
        policy = CollapsePolicy(
            settings.on_collapse, source.covariance_type, settings.reg_covar, data, random_state
        )
        try:
            run = run_em(source, make_start(), settings, policy)
        except CollapseError as error:
            failure = error
            continue
        if best is None or run.log_likelihood > best.log_likelihood:
            best = run
    if best is None:
        raise failure
    return best
