"""The command line: fit a table, predict its rows, compile the kernels ahead.

Parsing is click's, tables and progress are rich's, files are `_files`. Only click is
imported at the top, so that ``--help`` answers at once.

Whatever goes wrong is one sentence on the standard error and exit code 2, with nothing
written: results go to temporary files that take their names once all is done.
"""

from __future__ import annotations

import io
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
    from numpy.typing import NDArray
    from rich.table import Table as RichTable

    from fastgmm import Mixture
    from fastgmm._files import Table

    Report = Callable[[int, float], bool | None]

_Command = TypeVar("_Command", bound=Callable[..., None])

_FILE = click.Path(path_type=Path)
_NOT_NEGATIVE = click.FloatRange(min=0)
_POSITIVE = click.IntRange(min=1)


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
    type=click.Choice(["full", "tied", "diag", "spherical"]),
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
@click.option(
    "--reg-covar",
    type=_NOT_NEGATIVE,
    metavar="NUMBER",
    default=1e-6,
    show_default=True,
    help="Add this to every variance.",
)
@click.option(
    "--on-collapse",
    type=click.Choice(["regularize", "reset", "raise"]),
    default="regularize",
    show_default=True,
    help="What to do with a component that falls onto a single point: let --reg-covar hold"
    " it up, start it again elsewhere, or stop with an error.",
)
@click.option(
    "--seed",
    "random_state",
    metavar="N",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="The same seed gives the same result.",
)
@click.option(
    "--threads",
    "n_threads",
    type=_POSITIVE,
    metavar="N",
    help="Use this many threads. [default: all]",
)
def fit(
    data: Path,
    columns: str | None,
    header: bool | None,
    out: Path | None,
    labels: Path | None,
    **settings: Any,
) -> None:
    """Fit a Gaussian mixture to the rows of DATA and print its components."""
    from fastgmm._files import output, read_table, write_csv

    _check_outputs(data, {"--out": (out, ".npz"), "--labels": (labels, ".csv")})
    table = read_table(data, columns, header)
    with ExitStack() as outputs:
        model_file = outputs.enter_context(output(out)) if out else None
        labels_file = outputs.enter_context(output(labels)) if labels else None
        mixture = _fit(table, settings)
        if model_file:
            mixture.save(model_file)
        if labels_file:
            write_csv(labels_file, {"label": mixture.predict(table.values)})
        _print_fit(mixture, table)
    for path in filter(None, (out, labels)):
        click.echo(f"wrote {_printable(str(path))}")


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
    from fastgmm._files import output, read_table, write_csv

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


def _fit(table: Table, settings: dict[str, Any]) -> Mixture:
    with warnings.catch_warnings(record=True) as caught, _spinner("starting") as report:
        warnings.simplefilter("always")
        with _refusals_told():
            mixture = fastgmm.fit(table.values, callback=report, **settings)
    for warning in caught:
        # That a fit did not converge is said with its result.
        if not issubclass(warning.category, fastgmm.ConvergenceWarning):
            click.echo(f"Warning: {_one_line(str(warning.message))}", err=True)
    return mixture


def _predictions(mixture: Mixture, table: Table, proba: bool) -> dict[str, NDArray[Any]]:
    columns = {"label": mixture.predict(table.values)}
    if proba:
        probabilities = mixture.predict_proba(table.values)
        columns |= {f"component_{k}": column for k, column in enumerate(probabilities.T)}
    return columns


def _check_outputs(data: Path, outputs: dict[str, tuple[Path | None, str]]) -> None:
    """Refuse names of outputs that are bound to be a slip."""
    taken = {os.path.realpath(data): "DATA"}
    for option, (path, suffix) in outputs.items():
        if path is None:
            continue
        if path.suffix.lower() != suffix:
            raise _Failure(f"{option} {path}: the name must end in {suffix}")
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
def _spinner(message: str) -> Iterator[Report | None]:
    """Show on a terminal that work goes on; yield a callback for `fastgmm.fit`, or None."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(message, total=None)

        def report(iteration: int, log_likelihood: float) -> None:
            text = f"iteration {iteration}, log-likelihood {log_likelihood:.6f} per row"
            progress.update(task, description=text)

        yield report


def _print_fit(mixture: Mixture, table: Table) -> None:
    from rich.console import Console

    # Names of columns are text, not markup.
    console = Console(markup=False, highlight=False, emoji=False)
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
    from fastgmm._covariance import COVARIANCE_TYPES

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
