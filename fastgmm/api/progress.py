"""Progress of fits, shown by tqdm on the standard error: a terminal, a notebook or a log file.

tqdm is imported when progress is first shown. In a log file, where tqdm would overwrite one line
again and again, a new line is written every few seconds.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from fastgmm.search.record import SearchRecord

Callback = Callable[[int, float], object]

_REFRESH_SECONDS = 0.1
_LOG_SECONDS = 5.0
_FIT_FORMAT = "{desc} | {n_fmt}/{total_fmt} iterations [{elapsed}<{remaining}, {rate_fmt}]{postfix}"
_GRID_FORMAT = "{desc} | {percentage:3.0f}% [{elapsed}<{remaining}]{postfix}"


class _Lines:
    """A stream that writes every state of a tqdm bar on a line of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = ""

    def write(self, text: str) -> None:
        for line in text.replace("\r", "\n").split("\n"):
            line = line.rstrip()
            if line and line != self._last:
                self._stream.write(line + "\n")
                self._last = line

    def flush(self) -> None:
        self._stream.flush()


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    return shell is not None and getattr(shell.get_ipython(), "kernel", None) is not None


def _bar(**options: Any) -> Any:
    """Return a tqdm bar for a terminal, a notebook or a log file."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise ImportError(
            'progress=True needs tqdm; install with: pip install "fastgmm[progress]"'
        ) from None
    # A tiny delay keeps tqdm from drawing the bar before it has a description.
    options |= {"dynamic_ncols": True, "mininterval": _REFRESH_SECONDS, "delay": 1e-9}
    if not sys.stderr.isatty() and not _in_notebook():
        options |= {"file": _Lines(sys.stderr), "mininterval": _LOG_SECONDS}
        options |= {"dynamic_ncols": False}
    return tqdm(**options)


class _Display:
    """A bar with a text, redrawn at most once per interval, from any thread."""

    def __init__(self, bar: Any) -> None:
        self.bar = bar
        self._drawn = time.monotonic()
        self._lock = threading.Lock()

    def show(self, description: str, postfix: str, now: bool = False) -> None:
        """Set the texts; redraw the bar if the interval has passed, or `now`."""
        with self._lock:
            self.bar.set_description_str(description, refresh=False)
            self.bar.set_postfix_str(postfix, refresh=False)
            if now or time.monotonic() - self._drawn >= self.bar.mininterval:
                self.bar.refresh()
                self._drawn = time.monotonic()


def change(log_likelihood: float, previous: float | None) -> str:
    """Return a log-likelihood as text, with its change since the previous one."""
    text = f"log-likelihood {log_likelihood:.6f}"
    return text if previous is None else f"{text} ({log_likelihood - previous:+.1e})"


class NoProgress:
    """What `fit` tells its progress to, if it is not shown."""

    def begin(self, init: int) -> None:
        """Hear that a start begins; starts are counted from 0."""

    def searching(self, record: SearchRecord) -> None:
        """Hear what the search of this start has done so far."""

    def reading(self, n_done: int, n_rows: int) -> None:
        """Hear how many rows of a pass are done, of all rows (0 if their number is not known)."""

    def __call__(self, iteration: int, log_likelihood: float) -> None:
        """Hear of an iteration of this start."""


class FitProgress(NoProgress):
    """Callback of `fit` that shows start, iteration, log-likelihood, rate and time left.

    The time left assumes ``max_iter`` iterations; EM may converge earlier. During a search it shows
    what was tried. For rows outside memory it shows the share of the pass, the rows a second, and
    the time that is left of the pass.
    """

    def __init__(self, bar: Any, n_init: int) -> None:
        self._display = _Display(bar)
        self._n_init = n_init
        self._previous: float | None = None
        self._is_first = True
        self._pass_began = time.monotonic()
        self.begin(0)
        self._show("starting", now=True)

    def begin(self, init: int) -> None:
        """Show the number of the start from now on."""
        self._title = f"start {init + 1} of {self._n_init}"
        self._is_first = True
        self._display.bar.n = 0

    def searching(self, record: SearchRecord) -> None:
        """Show what the search has done."""
        self._show(f"search: {record}")

    def reading(self, n_done: int, n_rows: int) -> None:
        """Show how far a pass is; it begins with no row done."""
        if n_done == 0:
            self._pass_began = time.monotonic()
            return
        rate = n_done / max(time.monotonic() - self._pass_began, 1e-9)
        text = f"{n_done:,} rows read" if not n_rows else f"{n_done / n_rows:.0%} of a pass"
        text += f" at {rate:,.0f} rows/s"
        if n_rows:
            text += f", {_minutes((n_rows - n_done) / rate)} left"
        done = f"{self._text}; " if n_rows else ""
        self._display.show(self._title, done + text)

    def _show(self, text: str, now: bool = False) -> None:
        self._text = text
        self._display.show(self._title, text, now)

    def __call__(self, iteration: int, log_likelihood: float) -> None:
        """Show an iteration."""
        bar = self._display.bar
        if self._is_first:
            self._is_first, self._previous = False, None
            # tqdm computes the rate and the time left from the beginning of this start.
            bar.start_t = bar.last_print_t = time.time()
            bar.initial = iteration - 1
        bar.n = iteration
        text = change(log_likelihood, self._previous)
        self._previous = log_likelihood
        self._show(text)


def _minutes(seconds: float) -> str:
    """Return a time as minutes and seconds, with hours if there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


class GridProgress:
    """Shows how many fits of a grid are done, and which is the best so far.

    A fit counts as many steps as it has components: its time is roughly proportional to them.
    """

    def __init__(self, bar: Any, n_fits: int) -> None:
        self._display = _Display(bar)
        self._n_fits = n_fits
        self._n_done = 0
        self._best = ""
        self._display.show(self._title(), "starting", now=True)

    def _title(self) -> str:
        return f"{self._n_done} of {self._n_fits} fits"

    def watch(self, name: str) -> Callback:
        """Return a callback for the EM loop of the fit called `name`."""
        start, previous = 0, None

        def report(iteration: int, log_likelihood: float) -> None:
            nonlocal start, previous
            if iteration == 1:
                start, previous = start + 1, None
            text = change(log_likelihood, previous)
            previous = log_likelihood
            where = f"{self._best}{name}: start {start}, iteration {iteration}, {text}"
            self._display.show(self._title(), where)

        return report

    def finished(self, cost: int, best: str) -> None:
        """Count a finished fit with its cost, and show the name of the best fit so far."""
        self._n_done += 1
        self._best = f"best {best}; " if best else ""
        self._display.bar.n += cost
        self._display.show(self._title(), self._best.removesuffix("; "))


@contextmanager
def fit_progress(shown: bool, n_init: int, max_iter: int) -> Iterator[NoProgress]:
    """Yield a callback that shows the progress of a fit, or does nothing."""
    if not shown:
        yield NoProgress()
        return
    with _bar(total=max_iter, unit="it", bar_format=_FIT_FORMAT) as bar:
        yield FitProgress(bar, n_init)


@contextmanager
def grid_progress(shown: bool, n_fits: int, total_cost: int) -> Iterator[GridProgress | None]:
    """Yield a display of the progress of a grid of fits, or None."""
    if not shown:
        yield None
        return
    with _bar(total=total_cost, bar_format=_GRID_FORMAT) as bar:
        yield GridProgress(bar, n_fits)


def both(report: Callback, callback: Callback | None) -> Callback | None:
    """Return a callback that calls both and returns the value of the second, None for nobody."""
    if type(report) is NoProgress:
        return callback
    if callback is None:
        return report

    def call(iteration: int, log_likelihood: float) -> object:
        report(iteration, log_likelihood)
        return callback(iteration, log_likelihood)

    return call
