"""What the commands print: tables, the names of written files, a spinner."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fastgmm.cli.wording import plural, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

    from fastgmm import Mixture, Selection
    from fastgmm.api.selection import Candidate
    from fastgmm.cli.inputs.base import Input

_COLUMN_WIDTH = 18  # characters, of a mean and its standard deviation
_FIXED_WIDTH = 22  # characters, of the component and its weight
_FIXED_NOTATION = (1e-6, 1e6)  # standard deviations that are printed without an exponent


def wants_progress(progress: bool | None) -> bool:
    """Return whether to show progress: by default on a terminal."""
    return sys.stderr.isatty() if progress is None else progress


@contextmanager
def spinner(message: str) -> Iterator[None]:
    """Show on a terminal that work is in progress."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(message):
        yield


def note(sentence: str) -> None:
    """Say on the standard error what was decided for the user."""
    click.echo(f"Note: {printable(sentence)}", err=True)


def print_written(*paths: Path | None) -> None:
    """Print which files were written; None is skipped."""
    for path in filter(None, paths):
        click.echo(f"wrote {printable(str(path))}")


def print_fit(mixture: Mixture, rows: Input, score: float, bic: float) -> None:
    """Print the components of a mixture and how well it fits."""
    console = _console()
    n_rows, n_columns = rows.n_rows, len(rows.columns)
    n_components = mixture.n_components
    console.print(
        f"{n_rows} {plural(n_rows, 'row')}, {n_columns} {plural(n_columns, 'column')};"
        f" {n_components} {mixture.covariance_type} {plural(n_components, 'component')}"
    )
    n_shown = min(n_columns, max(1, (console.width - _FIXED_WIDTH) // _COLUMN_WIDTH))
    console.print(_components(mixture, rows.columns[:n_shown]))
    if n_shown < n_columns:
        console.print(f"(the first {n_shown} of {n_columns} columns)\n")
    console.print(f"log-likelihood  {score * rows.total_weight:.3f} ({score:.6f} per row)")
    console.print(f"BIC             {bic:.3f}")
    end = "converged" if mixture.converged else "not converged; raise --max-iter"
    console.print(f"iterations      {mixture.n_iter}, {end}")
    if mixture.search:
        console.print(f"search          {mixture.search}")
    if mixture.regularized:
        which = ", ".join(map(str, mixture.regularized))
        console.print(
            f"collapsed       {plural(len(mixture.regularized), 'component')} {which}, kept by"
            " --reg-covar; try fewer components, or --on-collapse reset",
            soft_wrap=True,
        )


def print_selection(selection: Selection) -> None:
    """Print all candidates, mark the best one, and say below what is wrong with others."""
    console = _console()
    console.print(_candidates(selection))
    for candidate in selection:
        if candidate.spurious or candidate.failure:
            console.print(f"{candidate.name}: {candidate.note}", soft_wrap=True)
    better = "greater" if selection.criterion == "held_out" else "lower"
    if selection.winner:
        best = selection.winner.name
        console.print(f"best by {selection.criterion} ({better} is better): {best}")


def _console() -> Console:
    """Return a console that prints text as it is: names of columns are not markup."""
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False)


def _components(mixture: Mixture, columns: Sequence[str]) -> RichTable:
    """Return a table of the components: weight, means and standard deviations."""
    from rich import box
    from rich.table import Table

    from fastgmm.model.covariance import COVARIANCE_TYPES

    grid = Table("component", box=box.SIMPLE, caption="mean (standard deviation)")
    grid.add_column("weight", justify="right")
    for name in columns:
        grid.add_column(printable(name), justify="right")
    kind = COVARIANCE_TYPES[mixture.covariance_type]
    sizes = mixture.n_components, mixture.n_features
    deviations = kind.variances(mixture.covariances, *sizes) ** 0.5
    for k, weight in enumerate(mixture.weights):
        cells = map(_with_deviation, mixture.means[k, : len(columns)], deviations[k])
        grid.add_row(str(k), f"{weight:.4f}", *cells)
    return grid


def _with_deviation(mean: float, deviation: float) -> str:
    """Return mean and deviation, both to the third significant digit of the deviation."""
    low, high = _FIXED_NOTATION
    if not low < deviation < high:
        return f"{mean:.6g} ({deviation:.3g})"
    decimals = max(0, 2 - int(f"{deviation:e}".partition("e")[2]))
    return f"{mean:.{decimals}f} ({deviation:.{decimals}f})"


def _candidates(selection: Selection) -> RichTable:
    """Return a table of the candidates, the best one in bold."""
    from rich import box
    from rich.table import Table

    columns = {"log-lik.": "log_likelihood", "BIC": "bic", "AIC": "aic", "ICL": "icl"}
    if selection.criterion == "held_out":
        columns |= {"held out": "held_out"}
        del columns["ICL"]
    headers = ("model", *columns, "params", "s", "")
    grid = Table(*headers, box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for column in grid.columns:
        column.no_wrap = True
        column.justify = "right" if column.header in headers[1:-1] else "left"
    for candidate in selection:
        values = [getattr(candidate, name) for name in columns.values()]
        cells = [_figure(value) for value in (*values, candidate.seconds)]
        cells.insert(len(columns), str(candidate.n_parameters))
        style = "bold" if candidate is selection.winner else None
        grid.add_row(candidate.name, *cells, _mark(selection, candidate), style=style)
    return grid


def _figure(value: float) -> str:
    """Return a number as text, nothing for NaN."""
    if math.isnan(value):
        return ""
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.2f}"


def _mark(selection: Selection, candidate: Candidate) -> str:
    """Return the last cell of a candidate: the best one, or the first word of its note."""
    if candidate is selection.winner:
        return "<- best"
    return candidate.note.partition(":")[0]
