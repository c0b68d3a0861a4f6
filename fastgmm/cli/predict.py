"""The command ``fastgmm predict``."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

import fastgmm
from fastgmm.cli.errors import library_errors
from fastgmm.cli.options import FILE, data_options

if TYPE_CHECKING:
    from fastgmm.cli.tables.request import Request


@click.command()
@click.argument("model", type=FILE)
@data_options
@click.option("--proba", is_flag=True, help="Add the probability of each component.")
@click.option(
    "--out",
    type=FILE,
    metavar="FILE",
    help="Write to this .csv, .parquet or .npy file instead of the standard output. A .npy file"
    " holds the labels, or with --proba the probabilities.",
)
def predict(
    model: Path,
    data: tuple[Path, ...],
    request: Request,
    proba: bool,
    out: Path | None,
) -> None:
    """Print the component of each row of DATA, as CSV.

    MODEL is a file that "fastgmm fit" or "fastgmm select" saved with --out. DATA is a file, or
    several, a folder or a quoted pattern: see "fastgmm --help". Their columns are found by name.
    """
    from fastgmm.cli.files import check_outputs, output
    from fastgmm.cli.inputs.choice import files_read, open_input
    from fastgmm.cli.writers import ANSWERS, write_blocks

    check_outputs(files_read(data), {"--out": (out, *ANSWERS)})
    with library_errors():
        mixture = fastgmm.load(model)
    rows = open_input(data, request._replace(fitted=mixture.feature_names)).matched(mixture)
    with output(out) if out else nullcontext(sys.stdout.buffer) as target:
        write_blocks(target, rows.answers(mixture, proba))
