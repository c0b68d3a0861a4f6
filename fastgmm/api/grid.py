"""The fits of `select`: candidates that are fitted to rows prepared once.

The distinct rows and their scatter are found once for all candidates. The starts of a number of
components are computed once for all covariance types, and those of "auto" once for the whole grid.
The seed of a start does not depend on other starts, and no fit depends on another, so the results
are the same in any order.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from copy import deepcopy
from dataclasses import replace
from functools import partial

import numpy as np

from fastgmm.api.fit import refuse_few_rows
from fastgmm.api.mixture import Mixture
from fastgmm.api.names import Names
from fastgmm.api.priors import priors_of
from fastgmm.api.progress import GridProgress
from fastgmm.api.selection import Candidate
from fastgmm.em.collapse import CollapsePolicy
from fastgmm.em.loop import Run, Settings, run_em
from fastgmm.jit.registry import compiling_seconds
from fastgmm.model import criteria
from fastgmm.model.base import Model
from fastgmm.readers.lockstep import Lockstep
from fastgmm.search.final import FINAL_RUNS
from fastgmm.search.grid_starts import GridPlan, Prepared, grid_starts
from fastgmm.search.record import SearchRecord
from fastgmm.search.restarts import best_of
from fastgmm.search.settling import settled_outside_memory
from fastgmm.search.spurious import Yardstick, make_yardstick, spurious_components
from fastgmm.search.start import make_start
from fastgmm.sources.base import Source
from fastgmm.sources.operands import Densities
from fastgmm.sources.totals import log_likelihood, totals

_EXPECTED_FAILURES = (ValueError, ArithmeticError, MemoryError)

Report = Callable[[int, float], object]


def _seconds_of_work() -> float:
    """Return the time by the clock, without what this thread has waited for compilation."""
    return time.perf_counter() - compiling_seconds()


def _end_if(stop: threading.Event) -> None:
    """Raise CancelledError if all fits are to end early."""
    if stop.is_set():
        raise CancelledError


class Grid:
    """Fits candidates to rows that are prepared once; all worker threads use the same object.

    Parameters
    ----------
    source : Source
        The rows.
    settings : Settings
        Settings of the EM loop.
    plan : GridPlan
        How the candidates start.
    models : sequence of Model
        What the candidates fit: one model for each covariance type.
    n_folds : int
        Number of parts for cross-validation; 0 for none.
    n_at_once : int
        Number of fits that compute at the same time.
    feature_names : tuple of str or None
        Names of the features, which the mixtures keep.

    Attributes
    ----------
    stop : threading.Event
        Set this to end all fits early.
    in_lockstep : bool
        Whether the fits read the rows together: then no fit goes on until all have begun.
    """

    def __init__(
        self,
        source: Source,
        settings: Settings,
        plan: GridPlan,
        models: Sequence[Model],
        n_folds: int,
        n_at_once: int,
        feature_names: Names = None,
    ) -> None:
        self.stop = threading.Event()
        self._turns = threading.Semaphore(n_at_once)
        n_fits = len(models) * len(plan.counts)
        self._tick = partial(_end_if, self.stop)
        self._lockstep = Lockstep(n_fits, self._turns, self._tick)
        shared = source.shared(self._lockstep)
        self.in_lockstep = shared is not None
        source = source if shared is None else shared
        self._source = source
        self._settings = settings
        self._search_models = {model.covariance_type.name: model for model in plan.models}
        self._models = {model.covariance_type.name: model for model in models}
        self._feature_names = feature_names
        self._yardstick: Yardstick = make_yardstick(source)
        random_state = np.random.RandomState(plan.seed)
        self._folds = source.folds(n_folds, random_state) if n_folds else []
        rows = [source, *(rest for rest, _ in self._folds)]
        self._run_em = FINAL_RUNS.get(plan.init_params, run_em)
        self._starts = [grid_starts(part, plan, self._tick) for part in rows]

    def prepare(self, n_components: int) -> list[Prepared]:
        """Return the starts for all rows, and for the rows outside each fold."""
        for starts in self._starts:
            refuse_few_rows(starts.source, n_components)
        with self._turns:
            return [starts.prepare(n_components) for starts in self._starts]

    def candidate(
        self, todo: Candidate, starts: Future[list[Prepared]], display: GridProgress | None
    ) -> Candidate:
        """Return `todo` with its fit and criteria, or with the reason why the fit failed."""
        report = display.watch(todo.name) if display else None
        try:
            with self._lockstep.member():
                prepared = starts.result()
                with self._turns:
                    return self._fitted(todo, prepared, report)
        except _EXPECTED_FAILURES as error:
            return replace(todo, failure=str(error) or type(error).__name__)

    def _fitted(
        self, todo: Candidate, prepared: list[Prepared], report: Report | None
    ) -> Candidate:
        """Return `todo` with its fit and criteria."""
        begin = _seconds_of_work()
        record = SearchRecord()
        run = self._fit(self._source, todo, prepared[0], report, record)
        held_out = self._held_out(todo, prepared[1:], report) if self._folds else np.nan
        fitted = replace(self._with_criteria(todo, run, record), held_out=held_out)
        return replace(fitted, seconds=_seconds_of_work() - begin)

    def _fit(
        self,
        source: Source,
        todo: Candidate,
        prepared: Prepared,
        report: Report | None,
        record: SearchRecord | None = None,
    ) -> Run:
        """Return the best run of EM from the starts; add what a search did to `record`."""
        source = source.view(source.n_threads)  # buffers of a view belong to this fit alone
        model = self._models[todo.covariance_type]
        random_state = deepcopy(prepared.random_state)
        search_model = self._search_models[todo.covariance_type]
        start = make_start(source, search_model, todo.n_components, random_state)
        start = start if record is None else start._replace(record=record)

        def callback(iteration: int, log_likelihood: float) -> bool:
            if report is not None:
                report(iteration, log_likelihood)
            return self.stop.is_set()

        def run_start(init: int) -> Run:
            parameters = prepared.runs[init](start, random_state)
            parameters = settled_outside_memory(source, model, parameters)
            policy = CollapsePolicy(self._settings.on_collapse, model, source, random_state)
            settings = self._settings._replace(callback=callback)
            return self._run_em(source, model, parameters, settings, policy)

        run = best_of(len(prepared.runs), run_start)
        self._tick()
        return run

    def _held_out(self, todo: Candidate, prepared: list[Prepared], report: Report | None) -> float:
        """Return the mean log-likelihood of a row under the fit to the other folds."""
        total = weights = 0.0
        for (rest, fold), starts in zip(self._folds, prepared, strict=True):
            run = self._fit(rest, todo, starts, report)
            densities = Densities(self._models[todo.covariance_type], run.parameters)
            total += log_likelihood(fold, densities)
            weights += fold.total_weight
        return float(total / weights)

    def _with_criteria(self, todo: Candidate, run: Run, record: SearchRecord) -> Candidate:
        """Return a candidate with its mixture, its criteria and its spurious components."""
        model = self._models[todo.covariance_type]
        sums = totals(self._source, Densities(model, run.parameters), self._yardstick.distinct)
        bic = criteria.bic(sums.log_likelihood, todo.n_parameters, self._source.total_weight)
        return replace(
            todo,
            mixture=Mixture._of_run(
                todo.covariance_type,
                run,
                self._feature_names,
                record,
                prior=priors_of(model, todo.n_components),
            ),
            log_likelihood=sums.log_likelihood,
            bic=bic,
            aic=criteria.aic(sums.log_likelihood, todo.n_parameters),
            icl=criteria.icl(bic, sums.entropy),
            spurious=spurious_components(
                model, run.parameters, run.regularized, self._yardstick, sums.points
            ),
        )
