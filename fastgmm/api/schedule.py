"""How the fits of `select` are divided among threads, and what an interrupt leaves.

Small fits run side by side, as many as keep the threads busy; large ones run one after another,
each on all threads. Fits that read the rows together all run at once, but no more of them compute
at the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace

from fastgmm.api.grid import Grid
from fastgmm.api.progress import GridProgress, grid_progress
from fastgmm.api.selection import Candidate, Selection
from fastgmm.api.warn import warn_caller
from fastgmm.sources.base import Source

_CHUNKS_PER_THREAD = 4
_WORK_PER_THREAD = 20_000_000  # operations of an iteration that keep a thread busy
_LITTLE_WORK = 1_000_000  # operations; smaller fits side by side wait for the interpreter lock
_WAIT_SECONDS = 0.1


def divide_threads(source: Source, n_components: int, n_threads: int) -> tuple[int, int]:
    """Return the number of fits to run side by side, and the number of threads of each."""
    work = 10 * source.n_samples * source.n_features * n_components
    if work < _LITTLE_WORK:
        return 1, 1
    busy = min(n_threads, source.n_chunks // _CHUNKS_PER_THREAD, work // _WORK_PER_THREAD)
    n_workers = -(-n_threads // max(1, busy))
    return n_workers, max(1, n_threads // n_workers)


def run_grid(
    grid: Grid, todo: list[Candidate], n_workers: int, criterion: str, progress: bool
) -> Selection:
    """Fit all candidates; an interrupt keeps those that are done.

    Raises
    ------
    KeyboardInterrupt
        If an interrupt came before any candidate was done.

    Warns
    -----
    RuntimeWarning
        If an interrupt came later; the warning points at the caller's caller.
    """
    futures: list[Future[Candidate]] = []
    done: list[Candidate] = []
    interrupted = False
    cost = sum(candidate.n_components for candidate in todo)
    n_threads = 2 * len(todo) if grid.in_lockstep else n_workers  # a start, and a fit, each
    with (
        grid_progress(progress, len(todo), cost) as display,
        ThreadPoolExecutor(n_threads, thread_name_prefix="fastgmm-select") as pool,
    ):
        try:
            futures.extend(_submit(grid, todo, n_workers, display, pool))
            for candidate in _as_completed(futures):
                done.append(candidate)
                if display:
                    display.finished(candidate.n_components, _best_so_far(done, criterion))
        except KeyboardInterrupt:
            interrupted = True
        finally:
            grid.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
    if interrupted:
        done = [f.result() for f in futures if not f.cancelled() and f.exception() is None]
        if not done:
            raise KeyboardInterrupt
        warn_caller(
            f"select was interrupted; {len(done)} of {len(todo)} candidates are done.",
            RuntimeWarning,
        )
    return Selection(_in_order(todo, done), criterion, interrupted)


def _submit(
    grid: Grid,
    todo: list[Candidate],
    n_workers: int,
    display: GridProgress | None,
    pool: ThreadPoolExecutor,
) -> Iterator[Future[Candidate]]:
    """Submit all starts and fits, and yield the futures of the fits.

    Starts run ahead of fits by as many numbers of components as there are workers. A fit waits
    for its start alone, and the pool takes tasks in order, so that start already runs or is
    done: no fit waits forever.
    """
    counts = list(dict.fromkeys(candidate.n_components for candidate in todo))
    starts = [pool.submit(grid.prepare, count) for count in counts[:n_workers]]
    for place, count in enumerate(counts):
        for candidate in todo:
            if candidate.n_components == count:
                yield pool.submit(grid.candidate, candidate, starts[place], display)
        if len(starts) < len(counts):
            starts.append(pool.submit(grid.prepare, counts[len(starts)]))


def _as_completed(futures: list[Future[Candidate]]) -> Iterator[Candidate]:
    """Yield candidates as they are done."""
    waiting = set(futures)
    while waiting:
        # A wait without limit could miss an interrupt: libraries such as polars install a signal
        # handler after which system calls are resumed.
        finished, waiting = wait(waiting, _WAIT_SECONDS, "FIRST_COMPLETED")
        for future in finished:
            yield future.result()


def _best_so_far(candidates: Iterable[Candidate], criterion: str) -> str:
    """Return the name and the criterion of the best candidate; empty if there is none."""
    winner = Selection(tuple(candidates), criterion).winner
    return f"{winner.name} ({criterion} {getattr(winner, criterion):.7g})" if winner else ""


def _in_order(todo: list[Candidate], done: list[Candidate]) -> tuple[Candidate, ...]:
    """Return all candidates in the order of `todo`; those not done count as failed."""
    found = {candidate.name: candidate for candidate in done}
    missing = "interrupted before it was fitted"
    return tuple(found.get(c.name, replace(c, failure=missing)) for c in todo)
