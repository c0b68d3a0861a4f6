"""The command line: fit a table, choose a model, predict rows, compile the kernels ahead.

Parsing is click's, tables are rich's, progress is tqdm's, files are `fastgmm.cli.tables`. Only click is
imported at the top, so that ``--help`` answers at once.

Whatever goes wrong is one sentence on the standard error and exit code 2, with nothing
written: results go to temporary files that take their names once all is done.
"""

from __future__ import annotations

import io
import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

import fastgmm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray
    from rich.console import Console
    from rich.table import Table as RichTable

    from fastgmm import Mixture, Selection
    from fastgmm.api.selection import Candidate
    from fastgmm.cli.tables import Table

_Command = TypeVar("_Command", bound=Callable[..., None])

_FILE = click.Path(path_type=Path)
_NOT_NEGATIVE = click.FloatRange(min=0)
_POSITIVE = click.IntRange(min=1)
_COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")
_PICTURES = (".png", ".pdf", ".svg")


class _Failure(click.ClickException):
    """Something the user can put right; the message is one sentence."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on `arguments` (`sys.argv` by default), return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        # The name of a column must not stop the program because a terminal cannot show it.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with _system_failures_told():
            code = cli.main(arguments, prog_name="fastgmm", standalone_mode=False)
        return code or 0
    except click.exceptions.Abort:
        click.echo("Interrupted", err=True)
        return 130
    except click.ClickException as error:
        click.echo(f"Error: {_printable(_one_line(error.format_message()))}", err=True)
        return 2


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(fastgmm.__version__, message="fastgmm %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Fit Gaussian mixtures to tables of numbers, fast.

    Data files are CSV, TSV, Parquet or .npy, told by the ending of their names.

    There is also "fastgmm run", which runs a Python program with scikit-learn's GaussianMixture
    replaced: see "fastgmm run --help".
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def _data_options(command: _Command) -> _Command:
    # Applied like stacked decorators, from the last to the first.
    for decorate in (
        click.option(
            "--header/--no-header",
            default=None,
            help="Whether the first line of a CSV or TSV file names the columns."
            " It does, unless you say otherwise.",
        ),
        click.option(
            "--columns",
            metavar="NAMES",
            help="Use only these columns: names separated by commas.",
        ),
        click.argument("data", type=_FILE),
    ):
        command = decorate(command)
    return command


_PLOT = click.option(
    "--plot", type=_FILE, metavar="FILE", help="Draw the result: a .png, .pdf or .svg file."
)
_SEED = click.option(
    "--seed",
    "random_state",
    metavar="N",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="The same seed gives the same result.",
)
_REG_COVAR = click.option(
    "--reg-covar",
    type=_NOT_NEGATIVE,
    metavar="NUMBER",
    default=1e-6,
    show_default=True,
    help="Add this to every variance.",
)
_THREADS = click.option(
    "--threads",
    "n_threads",
    type=_POSITIVE,
    metavar="N",
    help="Use this many threads. [default: all]",
)
_PROGRESS = click.option(
    "--progress/--no-progress",
    default=None,
    help="Show start, iteration, log-likelihood and the time left. [default: on a terminal]",
)


@cli.command(short_help="Fit a mixture to a table and print its components.")
@_data_options
@click.option(
    "--components",
    "n_components",
    type=_POSITIVE,
    required=True,
    metavar="N",
    help="How many components.",
)
@click.option(
    "--covariance",
    "covariance_type",
    type=click.Choice(_COVARIANCE_TYPES),
    default="full",
    show_default=True,
    help="The shape of the components: any ellipsoid each (full), one ellipsoid for all"
    " (tied), ellipsoids along the axes (diag), balls (spherical).",
)
@click.option("--out", type=_FILE, metavar="FILE", help="Save the model to this .npz file.")
@click.option(
    "--labels",
    type=_FILE,
    metavar="FILE",
    help="Write the component of each row to this .csv file.",
)
@click.option(
    "--tol",
    type=_NOT_NEGATIVE,
    metavar="NUMBER",
    default=1e-3,
    show_default=True,
    help="Stop when the log-likelihood per row changes by less than this.",
)
@click.option(
    "--max-iter",
    metavar="N",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Stop after this many iterations.",
)
@click.option(
    "--n-init",
    metavar="N",
    type=_POSITIVE,
    default=1,
    show_default=True,
    help="Fit from this many starts and keep the best.",
)
@click.option(
    "--init",
    "init_params",
    type=click.Choice(["kmeans", "k-means++", "random", "random_from_data"]),
    default="kmeans",
    show_default=True,
    help="How to find a start.",
)
@_REG_COVAR
@click.option(
    "--on-collapse",
    type=click.Choice(["regularize", "reset", "raise"]),
    default="regularize",
    show_default=True,
    help="What to do with a component that falls onto a single point: let --reg-covar hold"
    " it up, start it again elsewhere, or stop with an error.",
)
@_SEED
@_THREADS
@_PLOT
@_PROGRESS
def fit(
    data: Path,
    columns: str | None,
    header: bool | None,
    out: Path | None,
    labels: Path | None,
    plot: Path | None,
    progress: bool | None,
    **settings: Any,
) -> None:
    """Fit a Gaussian mixture to the rows of DATA and print its components."""
    from fastgmm.cli.tables import output, read_table, write_csv

    _check_outputs(
        data, {"--out": (out, ".npz"), "--labels": (labels, ".csv"), "--plot": (plot, *_PICTURES)}
    )
    table = read_table(data, columns, header)
    with ExitStack() as outputs:
        model_file = outputs.enter_context(output(out)) if out else None
        labels_file = outputs.enter_context(output(labels)) if labels else None
        plot_file = outputs.enter_context(output(plot)) if plot else None
        mixture = _fit(table, settings, _wanted(progress))
        if model_file:
            mixture.save(model_file)
        if labels_file:
            write_csv(labels_file, {"label": mixture.predict(table.values)})
        if plot_file:
            _draw(plot_file, lambda: mixture.plot(table.values, names=table.columns))
        _print_fit(mixture, table)
    _tell_written(out, labels, plot)


class _Range(click.ParamType):
    """Numbers of components: "3", "1:9" with both ends, or "2,4,8"."""

    name = "range"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> list[int]:
        try:
            first, *last = [int(part) for part in value.split(":", 1)] if ":" in value else [0]
            counts = list(range(first, last[0] + 1)) if last else list(map(int, value.split(",")))
        except ValueError:
            counts = []
        if not counts or min(counts) < 1:
            self.fail(f"{value!r} must be like 3, 1:9 or 2,4,8, from 1 upwards", param, context)
        return counts


class _Types(click.ParamType):
    """Covariance types, separated by commas."""

    name = "types"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> list[str]:
        names = [name.strip() for name in value.split(",")]
        for name in names:
            if name not in _COVARIANCE_TYPES:
                self.fail(f"{name!r} is not one of {', '.join(_COVARIANCE_TYPES)}", param, context)
        return names


@cli.command(short_help="Choose the number and the shape of the components.")
@_data_options
@click.option(
    "--components",
    "n_components",
    type=_Range(),
    metavar="RANGE",
    default="1:9",
    show_default=True,
    help="Numbers of components to try: 1:9 has both ends, 2,4,8 just these.",
)
@click.option(
    "--covariance",
    "covariance_type",
    type=_Types(),
    metavar="TYPES",
    default=",".join(_COVARIANCE_TYPES),
    show_default=True,
    help="Shapes to try, separated by commas.",
)
@click.option(
    "--criterion",
    type=click.Choice(["bic", "aic", "icl", "held_out"]),
    default="bic",
    show_default=True,
    help="Choose the lowest bic, aic or icl, or the greatest log-likelihood of held-out rows.",
)
@click.option(
    "--folds",
    "n_folds",
    type=click.IntRange(min=2),
    metavar="N",
    default=5,
    show_default=True,
    help="Deal the rows into this many parts for held_out.",
)
@click.option(
    "--n-init",
    metavar="N",
    type=_POSITIVE,
    default=1,
    show_default=True,
    help="Fit from this many starts each and keep the best.",
)
@_REG_COVAR
@_SEED
@_THREADS
@click.option("--out", type=_FILE, metavar="FILE", help="Save the best model to this .npz file.")
@click.option("--table", type=_FILE, metavar="FILE", help="Write the table to this .csv file.")
@_PLOT
@_PROGRESS
def select(
    data: Path,
    columns: str | None,
    header: bool | None,
    out: Path | None,
    table: Path | None,
    plot: Path | None,
    progress: bool | None,
    **settings: Any,
) -> None:
    """Fit mixtures of many sizes and shapes to the rows of DATA and print which is best."""
    from fastgmm.cli.tables import output, read_table, write_csv

    _check_outputs(
        data, {"--out": (out, ".npz"), "--table": (table, ".csv"), "--plot": (plot, *_PICTURES)}
    )
    rows = read_table(data, columns, header).values
    with ExitStack() as outputs:
        model_file = outputs.enter_context(output(out)) if out else None
        table_file = outputs.enter_context(output(table)) if table else None
        plot_file = outputs.enter_context(output(plot)) if plot else None
        with _refusals_told(), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # an interrupt is told below
            selection = fastgmm.select(rows, progress=_wanted(progress), **settings)
        _print_selection(selection)
        if selection.winner is None:
            raise _Failure("no candidate is fit to win; try fewer components or another shape")
        if model_file:
            selection.best.save(model_file)
        if table_file:
            write_csv(table_file, selection.to_dict())
        if plot_file:
            _draw(plot_file, selection.plot)
    _tell_written(out, table, plot)
    if selection.interrupted:
        raise click.exceptions.Abort


@cli.command()
@click.argument("model", type=_FILE)
@_data_options
@click.option("--proba", is_flag=True, help="Add the probability of each component.")
@click.option(
    "--out",
    type=_FILE,
    metavar="FILE",
    help="Write to this .csv file instead of the standard output.",
)
def predict(
    model: Path,
    data: Path,
    columns: str | None,
    header: bool | None,
    proba: bool,
    out: Path | None,
) -> None:
    """Print the component of each row of DATA, as CSV.

    MODEL is a file that "fastgmm fit" saved with --out.
    """
    from fastgmm.cli.tables import output, read_table, write_csv

    _check_outputs(data, {"--out": (out, ".csv")})
    with _refusals_told():
        mixture = fastgmm.load(model)
    table = read_table(data, columns, header)
    _check_columns(mixture, table, data)
    with output(out) if out else nullcontext(sys.stdout.buffer) as target:
        write_csv(target, _predictions(mixture, table, proba))


@cli.command()
def warmup() -> None:
    """Compile all kernels now, so that no later fit has to wait for it."""
    start = time.perf_counter()
    with _spinner("compiling the kernels"):
        fastgmm.precompile()
    click.echo(f"kernels compiled and cached in {time.perf_counter() - start:.1f} s")


def _wanted(progress: bool | None) -> bool:
    return sys.stderr.isatty() if progress is None else progress


def _fit(table: Table, settings: dict[str, Any], progress: bool) -> Mixture:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with _refusals_told():
            mixture = fastgmm.fit(table.values, progress=progress, **settings)
    for warning in caught:
        # That a fit did not converge is said with its result.
        if not issubclass(warning.category, fastgmm.ConvergenceWarning):
            click.echo(f"Warning: {_one_line(str(warning.message))}", err=True)
    return mixture


def _draw(path: Path, draw: Callable[[], Axes]) -> None:
    """Write the figure that `draw` makes, without a window."""
    try:
        import matplotlib
    except ImportError:
        raise _Failure('--plot needs matplotlib; pip install "fastgmm[plot]"') from None
    matplotlib.use("agg")
    figure = draw().get_figure(root=True)
    assert figure is not None
    figure.savefig(path, dpi=150)


def _tell_written(*paths: Path | None) -> None:
    for path in filter(None, paths):
        click.echo(f"wrote {_printable(str(path))}")


def _predictions(mixture: Mixture, table: Table, proba: bool) -> dict[str, NDArray[Any]]:
    columns = {"label": mixture.predict(table.values)}
    if proba:
        probabilities = mixture.predict_proba(table.values)
        columns |= {f"component_{k}": column for k, column in enumerate(probabilities.T)}
    return columns


def _check_outputs(data: Path, outputs: dict[str, tuple[Path | None, *tuple[str, ...]]]) -> None:
    """Refuse names of outputs that are bound to be a slip."""
    taken = {os.path.realpath(data): "DATA"}
    for option, (path, *suffixes) in outputs.items():
        if path is None:
            continue
        if path.suffix.lower() not in suffixes:
            raise _Failure(f"{option} {path}: the name must end in {' or '.join(suffixes)}")
        other = taken.setdefault(os.path.realpath(path), option)
        if other != option:
            raise _Failure(f"{option} {path} is the same file as {other}")


def _check_columns(mixture: Mixture, table: Table, data: Path) -> None:
    found, fitted = len(table.columns), mixture.n_features
    if found != fitted:
        raise _Failure(
            f"{data} has {found} {_plural(found, 'column')} but the model was fitted to"
            f" {fitted}; choose the same columns with --columns"
        )


@contextmanager
def _spinner(message: str) -> Iterator[None]:
    """Show on a terminal that work goes on."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(message):
        yield


def _console() -> Console:
    """Return a console that takes text as it is: names of columns are not markup."""
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False)


def _print_selection(selection: Selection) -> None:
    """Print the table, the winner marked, and what is wrong with the others below it."""
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
    console = _console()
    console.print(grid)
    for candidate in selection:
        if candidate.spurious or candidate.failure:
            console.print(f"{candidate.name}: {candidate.note}", soft_wrap=True)
    better = "greater" if selection.criterion == "held_out" else "lower"
    if selection.winner:
        found = f"best by {selection.criterion} ({better} is better): {selection.winner.name}"
        console.print(found)


def _figure(value: float) -> str:
    """Return a number as text, nothing for NaN."""
    if math.isnan(value):
        return ""
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.2f}"


def _mark(selection: Selection, candidate: Candidate) -> str:
    if candidate is selection.winner:
        return "<- best"
    return candidate.note.partition(":")[0]


def _print_fit(mixture: Mixture, table: Table) -> None:
    console = _console()
    n_rows, n_columns = table.values.shape
    score = mixture.score(table.values)
    console.print(
        f"{n_rows} {_plural(n_rows, 'row')}, {n_columns} {_plural(n_columns, 'column')};"
        f" {mixture.n_components} {mixture.covariance_type}"
        f" {_plural(mixture.n_components, 'component')}"
    )
    # A column takes about 18 characters; what does not fit is in the saved model.
    n_shown = min(n_columns, max(1, (console.width - 22) // 18))
    console.print(_components(mixture, table.columns[:n_shown]))
    if n_shown < n_columns:
        console.print(f"(the first {n_shown} of {n_columns} columns)\n")
    console.print(f"log-likelihood  {score * n_rows:.3f} ({score:.6f} per row)")
    console.print(f"BIC             {mixture.bic(table.values):.3f}")
    console.print(f"iterations      {_outcome(mixture)}")
    if mixture.regularized:
        which = ", ".join(map(str, mixture.regularized))
        console.print(
            f"collapsed       {_plural(len(mixture.regularized), 'component')} {which}, held up by"
            " --reg-covar: try fewer components, or --on-collapse reset",
            soft_wrap=True,
        )


def _components(mixture: Mixture, columns: Sequence[str]) -> RichTable:
    from rich import box
    from rich.table import Table

    grid = Table("component", box=box.SIMPLE, caption="mean (standard deviation)")
    grid.add_column("weight", justify="right")
    for name in columns:
        grid.add_column(_printable(name), justify="right")
    deviations = _deviations(mixture)
    for k, weight in enumerate(mixture.weights):
        cells = map(_with_deviation, mixture.means[k, : len(columns)], deviations[k])
        grid.add_row(str(k), f"{weight:.4f}", *cells)
    return grid


def _deviations(mixture: Mixture) -> NDArray[Any]:
    """Standard deviations, (n_components, n_features)."""
    from fastgmm.model.covariance import COVARIANCE_TYPES

    variances = COVARIANCE_TYPES[mixture.covariance_type].variances
    return variances(mixture.covariances, mixture.n_components, mixture.n_features) ** 0.5


def _with_deviation(mean: float, deviation: float) -> str:
    """Mean and deviation to three digits of the deviation, beyond which nothing is known."""
    if not 1e-6 < deviation < 1e6:
        return f"{mean:.6g} ({deviation:.3g})"
    decimals = max(0, 2 - int(f"{deviation:e}".partition("e")[2]))
    return f"{mean:.{decimals}f} ({deviation:.{decimals}f})"


def _outcome(mixture: Mixture) -> str:
    end = "converged" if mixture.converged else "not converged; raise --max-iter"
    return f"{mixture.n_iter}, {end}"


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"


def _one_line(message: str) -> str:
    return " ".join(message.split())


def _printable(text: str) -> str:
    """Return text in which nothing moves a terminal's cursor or turns its writing round."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextmanager
def _system_failures_told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise _Failure(f"{where}{error.strerror or error}") from error
    except MemoryError as error:
        reason = str(error) or "there is not enough memory; use a part of the rows or columns"
        raise _Failure(reason) from error


@contextmanager
def _refusals_told() -> Iterator[None]:
    """Pass on what the library says about its arguments; elsewhere these would be bugs."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise _Failure(str(error)) from error
