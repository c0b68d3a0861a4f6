"""The command ``fastgmm select``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import fastgmm
from fastgmm.api.options import COVARIANCE_TYPES, CRITERIA
from fastgmm.cli.errors import Failure, library_errors, library_warnings
from fastgmm.cli.options import (
    FILE,
    CountRange,
    TypeList,
    data_options,
    init_option,
    n_init_option,
    plot_option,
    prior_option,
    progress_option,
    reg_covar_option,
    seed_option,
    standardize_option,
    threads_option,
    weights_option,
)
from fastgmm.cli.output import print_selection, print_written, wants_progress

if TYPE_CHECKING:
    from fastgmm.cli.tables.request import Request


@click.command(short_help="Choose the number and the shape of the components.")
@data_options
@weights_option
@click.option(
    "--components",
    "n_components",
    type=CountRange(),
    metavar="RANGE",
    default="1:9",
    show_default=True,
    help="Numbers of components to try: 1:9 is every number from 1 to 9; 2,4,8 is these three.",
)
@click.option(
    "--covariance",
    "covariance_type",
    type=TypeList(),
    metavar="TYPES",
    default=",".join(COVARIANCE_TYPES),
    show_default=True,
    help="Covariance types to try, separated by commas.",
)
@click.option(
    "--criterion",
    type=click.Choice(CRITERIA),
    default="bic",
    show_default=True,
    help="Choose the model with the lowest bic, aic or icl, or with the greatest log-likelihood of"
    " rows that were left out of the fit (held_out).",
)
@click.option(
    "--folds",
    "n_folds",
    type=click.IntRange(min=2),
    metavar="N",
    default=5,
    show_default=True,
    help="Number of parts for held_out: each is left out of one fit.",
)
@n_init_option("Fit every model from this many starts and keep the best fit.")
@init_option
@standardize_option
@reg_covar_option
@prior_option
@seed_option
@threads_option
@click.option("--out", type=FILE, metavar="FILE", help="Save the best model to this .npz file.")
@click.option("--table", type=FILE, metavar="FILE", help="Write the table to this .csv file.")
@plot_option
@progress_option
def select(
    data: tuple[Path, ...],
    request: Request,
    out: Path | None,
    table: Path | None,
    plot: Path | None,
    progress: bool | None,
    standardize: bool,
    **settings: Any,
) -> None:
    """Fit mixtures of many sizes and shapes to the rows of DATA and print which is best.

    DATA is a file, or several, a folder or a quoted pattern: see "fastgmm --help".
    """
    from fastgmm.cli.files import PICTURES, check_outputs, outputs, write_csv, write_picture
    from fastgmm.cli.inputs.choice import files_read, open_input

    check_outputs(
        files_read(data),
        {"--out": (out, ".npz"), "--table": (table, ".csv"), "--plot": (plot, *PICTURES)},
    )
    rows = open_input(data, request)
    with outputs(out, table, plot) as (model_file, table_file, plot_file):
        units = rows.units(standardize)
        # An interrupt is reported below.
        with library_errors(), library_warnings(ignored=RuntimeWarning):
            selection = fastgmm.select(
                rows.standardized(units),
                sample_weight=rows.sample_weight,
                feature_names=rows.names,
                progress=wants_progress(progress),
                missing="em",
                **settings,
            )
        selection = units.selection(selection)
        print_selection(selection)
        if selection.winner is None:
            raise Failure(
                "no model can be chosen, because every fit failed or is spurious; try fewer"
                " components or other covariance types"
            )
        if model_file:
            selection.best.save(model_file)
        if table_file:
            write_csv(table_file, selection.to_dict())
        if plot_file:
            write_picture(plot_file, selection.plot)
    print_written(out, table, plot)
    if selection.interrupted:
        raise click.exceptions.Abort
