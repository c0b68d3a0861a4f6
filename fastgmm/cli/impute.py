"""The command ``fastgmm impute``."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

import fastgmm
from fastgmm.cli.errors import library_errors
from fastgmm.cli.options import FILE, reading_options, seed_option

if TYPE_CHECKING:
    from fastgmm.cli.tables.request import Request


@click.command(short_help="Fill in the missing values of a table.")
@click.argument("model", type=FILE)
@reading_options
@click.option(
    "--draw",
    is_flag=True,
    help="Draw missing values at random, given those of their row. Values filled in by their"
    " expectation vary too little for variances and tests.",
)
@seed_option
@click.option(
    "--out",
    type=FILE,
    metavar="FILE",
    help="Write to this .csv, .parquet or .npy file instead of the standard output.",
)
def impute(
    model: Path,
    data: tuple[Path, ...],
    request: Request,
    draw: bool,
    random_state: int,
    out: Path | None,
) -> None:
    """Print the columns of the fit with missing values filled in, as CSV.

    DATA is a file, or several, a folder or a quoted pattern: see "fastgmm --help".

    A missing value is replaced by its expectation given the other values of its row. MODEL is a
    file that "fastgmm fit" or "fastgmm select" saved with --out.
    """
    from fastgmm.cli.files import check_outputs, output
    from fastgmm.cli.inputs.choice import files_read, open_input
    from fastgmm.cli.writers import ANSWERS, write_blocks

    check_outputs(files_read(data), {"--out": (out, *ANSWERS)})
    with library_errors():
        mixture = fastgmm.load(model)
    request = request._replace(fitted=mixture.feature_names, missing="em")
    rows = open_input(data, request).matched(mixture)
    with output(out) if out else nullcontext(sys.stdout.buffer) as target:
        write_blocks(target, rows.imputed(mixture, random_state if draw else None))
