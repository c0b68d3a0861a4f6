"""`select`: fit a grid of mixtures, sharing what can be shared, and choose among them.

The data are validated once, their scatter and equal rows are found once, and every number of
components is clustered once by k-means for all covariance types. The seed of a start depends
on its number of components alone, and no fit on another, so the outcome is the same however
many fits run side by side: as many as it takes to keep the threads busy, one where the data
are large.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from copy import deepcopy
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastgmm.api import checks
from fastgmm.api.fit import check_rows, check_settings
from fastgmm.api.mixture import Mixture
from fastgmm.api.options import COVARIANCE_TYPES as DEFAULT_TYPES
from fastgmm.api.options import CRITERIA
from fastgmm.api.progress import GridProgress, grid_progress
from fastgmm.api.selection import Candidate, Selection
from fastgmm.api.sources import rows_to_fit
from fastgmm.em.collapse import CollapsePolicy
from fastgmm.em.loop import Run, Settings, run_em
from fastgmm.em.models import MaximumLikelihood
from fastgmm.jit.threads import PARALLEL_WORK, threads_for
from fastgmm.model import criteria
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.search.kmeans import kmeans
from fastgmm.search.restarts import best_of
from fastgmm.search.spurious import Yardstick, make_yardstick, spurious_components
from fastgmm.search.start import from_labels, make_start
from fastgmm.sources.base import Source
from fastgmm.sources.operands import Densities
from fastgmm.sources.totals import log_likelihood, totals

_CHUNKS_PER_THREAD = 4
_WORK_PER_THREAD = 20_000_000  # operations of an iteration that keep a thread busy
_LITTLE_WORK = 1_000_000  # below it fits side by side wait for the interpreter's lock
_WAIT_SECONDS = 0.1
_EXPECTED_FAILURES = (ValueError, ArithmeticError, MemoryError)


class _Clusters(NamedTuple):
    """Starts of one number of components: labels and centers of `n_init` runs of k-means."""

    runs: list[tuple[np.ndarray, np.ndarray]]
    random_state: np.random.RandomState  # as it was after the last


class _Grid:
    """Fits candidates to rows that are prepared once; shared by all worker threads."""

    def __init__(
        self,
        source: Source,
        settings: Settings,
        reg_covar: float,
        n_init: int,
        seed: int,
        n_folds: int,
    ) -> None:
        self.source = source
        self.settings = settings
        self.reg_covar = reg_covar
        self.n_init = n_init
        self.seed = seed
        self.yardstick: Yardstick = make_yardstick(source)
        self.stop = threading.Event()
        random_state = np.random.RandomState(seed)
        self.folds = source.folds(n_folds, random_state) if n_folds else []

    def cluster(self, n_components: int) -> list[_Clusters]:
        """Return the starts for all rows and for all rows but each fold."""
        sources = [self.source, *(rest for rest, _ in self.folds)]
        return [self._cluster(source, n_components) for source in sources]

    def _cluster(self, source: Source, n_components: int) -> _Clusters:
        check_rows(source, n_components)
        random_state = np.random.RandomState(self.seed)
        rows = source.in_memory(random_state)
        runs = []
        for _ in range(self.n_init):
            if self.stop.is_set():
                raise CancelledError
            runs.append(kmeans(rows, n_components, random_state))
        return _Clusters(runs, random_state)

    def fit(
        self,
        source: Source,
        name: str,
        n_components: int,
        clusters: _Clusters,
        report: Callable[[int, float], object] | None,
    ) -> Run:
        """Return the run of one type from the starts of its number of components."""
        source = source.view(source.n_threads)  # for this fit alone
        model = MaximumLikelihood(COVARIANCE_TYPES[name], self.reg_covar)
        random_state = deepcopy(clusters.random_state)
        start = make_start(source, model, n_components, random_state)

        def callback(iteration: int, log_likelihood: float) -> bool:
            if report is not None:
                report(iteration, log_likelihood)
            return self.stop.is_set()

        def run_start(init: int) -> Run:
            parameters = from_labels(start, *clusters.runs[init])
            policy = CollapsePolicy(self.settings.on_collapse, model, source, random_state)
            settings = self.settings._replace(callback=callback)
            return run_em(source, model, parameters, settings, policy)

        run = best_of(self.n_init, run_start)
        if self.stop.is_set():
            raise CancelledError
        return run

    def candidate(
        self, todo: Candidate, starts: Future[list[_Clusters]], display: GridProgress | None
    ) -> Candidate:
        """Return a candidate, fitted and judged, or with the reason why it failed."""
        report = display.watch(todo.name) if display else None
        try:
            clusters = starts.result()
            begin = time.perf_counter()
            sizes = todo.covariance_type, todo.n_components
            run = self.fit(self.source, *sizes, clusters[0], report)
            held_out = np.nan
            if self.folds:
                held_out = self._held_out(sizes, clusters[1:], report)
            fitted = replace(self._judged(todo, run), held_out=held_out)
            return replace(fitted, seconds=time.perf_counter() - begin)
        except _EXPECTED_FAILURES as error:
            return replace(todo, failure=str(error) or type(error).__name__)

    def _held_out(
        self,
        sizes: tuple[str, int],
        clusters: list[_Clusters],
        report: Callable[[int, float], object] | None,
    ) -> float:
        """Return the mean log-likelihood of a row under the fit without its fold."""
        total = weights = 0.0
        for (rest, fold), start in zip(self.folds, clusters, strict=True):
            run = self.fit(rest, *sizes, start, report)
            model = MaximumLikelihood(COVARIANCE_TYPES[sizes[0]])
            total += log_likelihood(fold, Densities(model, run.parameters))
            weights += fold.total_weight
        return float(total / weights)

    def _judged(self, todo: Candidate, run: Run) -> Candidate:
        """Return a candidate with its mixture and criteria, marked where it is spurious."""
        model = MaximumLikelihood(COVARIANCE_TYPES[todo.covariance_type], self.reg_covar)
        sums = totals(self.source, Densities(model, run.parameters), self.yardstick.distinct)
        bic = criteria.bic(sums.log_likelihood, todo.n_parameters, self.source.total_weight)
        return replace(
            todo,
            mixture=Mixture._build(
                todo.covariance_type,
                run.parameters,
                run.converged,
                run.objectives,
                run.regularized,
            ),
            log_likelihood=sums.log_likelihood,
            bic=bic,
            aic=criteria.aic(sums.log_likelihood, todo.n_parameters),
            icl=criteria.icl(bic, sums.entropy),
            spurious=spurious_components(
                model, run.parameters, run.regularized, self.yardstick, sums.points
            ),
        )


def _divide_threads(source: Source, n_components: int, n_threads: int) -> tuple[int, int]:
    """Return how many fits to run side by side, and the threads of each."""
    work = 10 * source.n_samples * source.n_features * n_components
    if work < _LITTLE_WORK:
        return 1, 1
    busy = min(n_threads, source.n_chunks // _CHUNKS_PER_THREAD, work // _WORK_PER_THREAD)
    n_workers = -(-n_threads // max(1, busy))
    return n_workers, max(1, n_threads // n_workers)


def _in_order(
    grid: _Grid,
    todo: list[Candidate],
    n_workers: int,
    display: GridProgress | None,
    pool: ThreadPoolExecutor,
) -> Iterator[Future[Candidate]]:
    """Submit all work, starts as far ahead of their fits as there are workers.

    A fit waits for its start alone, which has then been begun: nothing can wait forever.
    """
    counts = list(dict.fromkeys(candidate.n_components for candidate in todo))
    starts = [pool.submit(grid.cluster, count) for count in counts[:n_workers]]
    for place, count in enumerate(counts):
        for candidate in todo:
            if candidate.n_components == count:
                yield pool.submit(grid.candidate, candidate, starts[place], display)
        if len(starts) < len(counts):
            starts.append(pool.submit(grid.cluster, counts[len(starts)]))


def _await(futures: list[Future[Candidate]]) -> Iterator[Candidate]:
    """Yield candidates as they are done."""
    waiting = set(futures)
    while waiting:
        # With a limit: an interrupt does not end a wait where a library such as polars has a
        # signal handler of its own, after which system calls start again.
        finished, waiting = wait(waiting, _WAIT_SECONDS, "FIRST_COMPLETED")
        for future in finished:
            yield future.result()


def _winner_name(candidates: Iterable[Candidate], criterion: str) -> str:
    winner = Selection(tuple(candidates), criterion).winner
    return f"{winner.name} ({criterion} {getattr(winner, criterion):.7g})" if winner else ""


def _run(
    grid: _Grid, todo: list[Candidate], n_workers: int, criterion: str, progress: bool
) -> Selection:
    """Fit all candidates; what is done when an interrupt comes is kept."""
    futures: list[Future[Candidate]] = []
    done: list[Candidate] = []
    interrupted = False
    cost = sum(candidate.n_components for candidate in todo)
    with (
        grid_progress(progress, len(todo), cost) as display,
        ThreadPoolExecutor(n_workers, thread_name_prefix="fastgmm-select") as pool,
    ):
        try:
            futures.extend(_in_order(grid, todo, n_workers, display, pool))
            for candidate in _await(futures):
                done.append(candidate)
                if display:
                    display.finished(candidate.n_components, _winner_name(done, criterion))
        except KeyboardInterrupt:
            interrupted = True
        finally:
            grid.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
    if interrupted:
        done = [f.result() for f in futures if not f.cancelled() and f.exception() is None]
        if not done:
            raise KeyboardInterrupt
        warnings.warn(
            f"select was interrupted; {len(done)} of {len(todo)} candidates are done.",
            RuntimeWarning,
            stacklevel=3,
        )
    found = {candidate.name: candidate for candidate in done}
    missing = "interrupted before it was fitted"
    ordered = (found.get(c.name, replace(c, failure=missing)) for c in todo)
    return Selection(tuple(ordered), criterion, interrupted)


def _counts(n_components: int | Iterable[int]) -> list[int]:
    values = n_components if isinstance(n_components, Iterable) else (n_components,)
    counts = [checks.check_integer(value, "n_components", 1) for value in values]
    if not counts:
        raise ValueError("n_components is empty; pass at least one number, or a range.")
    return list(dict.fromkeys(counts))


def _types(covariance_type: str | Iterable[str]) -> list[str]:
    names = [covariance_type] if isinstance(covariance_type, str) else list(covariance_type)
    if not names:
        raise ValueError("covariance_type is empty; pass at least one type.")
    for name in names:
        checks.check_option(name, "covariance_type", COVARIANCE_TYPES)
    return list(dict.fromkeys(names))


def select(
    X: ArrayLike,
    n_components: int | Iterable[int] = range(1, 10),
    covariance_type: str | Iterable[str] = DEFAULT_TYPES,
    criterion: str = "bic",
    *,
    sample_weight: ArrayLike | None = None,
    n_folds: int = 5,
    tol: float = 1e-5,
    reg_covar: float = 1e-6,
    max_iter: int = 500,
    n_init: int = 1,
    on_collapse: str = "regularize",
    random_state: checks.Seed = None,
    n_threads: int | None = None,
    progress: bool = False,
) -> Selection:
    """Fit every number of components with every covariance type and choose the best.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or (n_samples,)
        Finite numbers, a row per observation.
    n_components : int or iterable of int, default=range(1, 10)
        Numbers of components to try.
    covariance_type : str or iterable of str, default=("full", "tied", "diag", "spherical")
        Covariance types to try.
    criterion : {"bic", "aic", "icl", "held_out"}, default="bic"
        What to choose by. The first three are lower for better models, as in scikit-learn;
        "held_out" is the mean log-likelihood of rows left out of the fit, and greater for
        better ones.
    sample_weight : array-like of shape (n_samples,), optional
        Weights of the rows: 2 counts as the row twice, 0 as its absence.
    n_folds : int, default=5
        Parts that the rows are dealt into at random for "held_out".
    tol : float, default=1e-5
        EM stops when the mean log-likelihood of a row changes by less, in nats. `fit` stops at
        1e-3, which is too early to compare models: EM lingers at saddle points.
    reg_covar : float, default=1e-6
        Added to the diagonals of the covariances, in squared units of X.
    max_iter : int, default=500
        Iterations of each start at most.
    n_init : int, default=1
        k-means starts for each number of components.
    on_collapse : {"regularize", "reset", "raise"}, default="regularize"
        What to do with a component that falls onto a single point: see `fit`.
    random_state : int, RandomState, Generator or None, default=None
        Draws one seed, or is it; every number of components starts from that seed, so that a
        candidate is what `fit` returns for the same seed and settings.
    n_threads : int, optional
        Threads to use at most. The result is the same for every number.
    progress : bool, default=False
        Show what is being fitted, the best so far and the time left, on the standard error;
        needs tqdm.

    Returns
    -------
    Selection
        The best mixture and a table of all.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described; the message names it and says what to do. A
        candidate that cannot be fitted is recorded, not raised.
    ImportError
        If `progress` is asked for and tqdm is not installed.

    Warns
    -----
    RuntimeWarning
        If an interrupt stopped the fitting; the candidates that were done are returned.

    Notes
    -----
    A fit in which a component's covariance is at the floor, or which has a component on fewer
    distinct points than its parameters need, is a spurious optimum: its likelihood says how
    small the floor is, not how well the model fits. It is marked in the table and never wins.

    Examples
    --------
    >>> import numpy as np, fastgmm
    >>> draw = np.random.default_rng(0)
    >>> X = np.concatenate([draw.normal(0, 1, (200, 2)), draw.normal(8, 1, (100, 2))])
    >>> selection = fastgmm.select(X, range(1, 5), random_state=0)
    >>> selection.best.n_components
    2
    """
    counts, types = _counts(n_components), _types(covariance_type)
    checks.check_option(criterion, "criterion", CRITERIA)
    n_folds = checks.check_integer(n_folds, "n_folds", 2)
    n_init = checks.check_integer(n_init, "n_init", 1)
    if n_threads is not None:
        n_threads = checks.check_integer(n_threads, "n_threads", 1)
    n_threads = threads_for(PARALLEL_WORK, n_threads)
    settings = check_settings(tol, max_iter, on_collapse)
    reg_covar = checks.check_non_negative(reg_covar, "reg_covar")
    draw = checks.check_random_state(random_state)
    is_seed = isinstance(random_state, int | np.integer)
    seed = int(random_state) if is_seed else draw.randint(2**31 - 1)  # type: ignore[arg-type]
    source = rows_to_fit(X, sample_weight, n_threads)
    if criterion != "held_out":
        n_folds = 0
    else:
        check_rows(source, n_folds)
    n_workers, each = _divide_threads(source, sum(counts) // len(counts), n_threads)
    grid = _Grid(source.view(each), settings, reg_covar, n_init, seed, n_folds)
    todo = [
        Candidate(
            count, name, criteria.n_parameters(COVARIANCE_TYPES[name], count, source.n_features)
        )
        for name in types
        for count in counts
    ]
    return _run(grid, todo, n_workers, criterion, progress)
