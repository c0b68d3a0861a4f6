"""The command ``fastgmm predict``."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import fastgmm
from fastgmm.cli.errors import Failure, library_errors
from fastgmm.cli.options import FILE, data_options
from fastgmm.cli.output import note
from fastgmm.cli.wording import listed, plural

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastgmm import Mixture
    from fastgmm.cli.tables.request import Request, Table


@click.command()
@click.argument("model", type=FILE)
@data_options
@click.option("--proba", is_flag=True, help="Add the probability of each component.")
@click.option(
    "--out",
    type=FILE,
    metavar="FILE",
    help="Write to this .csv file instead of the standard output.",
)
def predict(
    model: Path,
    data: Path,
    request: Request,
    proba: bool,
    out: Path | None,
) -> None:
    """Print the component of each row of DATA, as CSV.

    MODEL is a file that "fastgmm fit" or "fastgmm select" saved with --out.
    """
    from fastgmm.cli.files import check_outputs, output, write_csv
    from fastgmm.cli.tables.answers import for_each_row
    from fastgmm.cli.tables.reading import read_table

    check_outputs(data, {"--out": (out, ".csv")})
    with library_errors():
        mixture = fastgmm.load(model)
    table = matched(mixture, read_table(data, request._replace(fitted=mixture.feature_names)), data)
    with output(out) if out else nullcontext(sys.stdout.buffer) as target:
        answers = _predictions(mixture.with_feature_names(None), table, proba)
        write_csv(target, for_each_row(table, answers))


def matched(mixture: Mixture, table: Table, data: Path) -> Table:
    """Return the columns in the order of the fit; say so where the file has others."""
    _check_columns(mixture, table, data)
    fitted, names = mixture.feature_names, table.names
    if fitted is None or names is None or names == fitted == table.in_file:
        return table
    if set(names) != set(fitted):
        raise Failure(
            f"{data}: the model was fitted to the columns {listed(fitted)}, not to {listed(names)};"
            " choose the same columns with --columns"
        )
    if tuple(name for name in table.in_file if name in fitted) != fitted:
        note(f"{data}: columns are matched by name, in the order of the fit: {listed(fitted)}")
    positions = [names.index(name) for name in fitted]
    return table._replace(values=table.values[:, positions], columns=fitted)


def _check_columns(mixture: Mixture, table: Table, data: Path) -> None:
    found, fitted = len(table.columns), mixture.n_features
    if found != fitted:
        raise Failure(
            f"{data} has {found} {plural(found, 'column')} but the model was fitted to"
            f" {fitted}; choose the same columns with --columns"
        )


def _predictions(mixture: Mixture, table: Table, proba: bool) -> dict[str, NDArray[Any]]:
    """Return columns (n_rows,): the labels and, if wanted, the probability of each component."""
    columns = {"label": mixture.predict(table.values, missing="em")}
    if proba:
        probabilities = mixture.predict_proba(table.values, missing="em")
        columns |= {f"component_{k}": column for k, column in enumerate(probabilities.T)}
    return columns
