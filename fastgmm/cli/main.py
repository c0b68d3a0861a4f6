"""The group of commands, and the exit code of each way that a command ends."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

import click

import fastgmm
from fastgmm.cli.errors import system_errors
from fastgmm.cli.fit import fit
from fastgmm.cli.impute import impute
from fastgmm.cli.predict import predict
from fastgmm.cli.select import select
from fastgmm.cli.warmup import warmup
from fastgmm.cli.wording import one_line, printable


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on `arguments` (`sys.argv` by default) and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character of a name must not stop the program.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with system_errors():
            code = cli.main(arguments, prog_name="fastgmm", standalone_mode=False)
        return code or 0
    except click.exceptions.Abort:
        click.echo("Interrupted", err=True)
        return 130
    except click.ClickException as error:
        click.echo(f"Error: {printable(one_line(error.format_message()))}", err=True)
        return 2


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(fastgmm.__version__, message="fastgmm %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Fit Gaussian mixtures to tables of numbers, fast.

    A table may be text such as CSV, Parquet, Arrow, Excel, JSON lines, .npy or .npz, compressed or
    not; "-" reads it from the standard input. Separators and headers are found out.

    Rows need not fit in memory. A folder, a pattern such as 'data/*.parquet', several names, or a
    .parquet, .arrow, .csv or .npy file larger than a quarter of the memory is read in blocks, anew
    for each pass. Columns that are not numeric are then an error, text has commas and a line of
    names unless options say otherwise, and missing values are an error or used with --missing em.

    "fastgmm run" runs a Python program with fastgmm's mixtures instead of scikit-learn's: see
    "fastgmm run --help".
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (fit, select, predict, impute, warmup):
    cli.add_command(command)
