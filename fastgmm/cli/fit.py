"""The command ``fastgmm fit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import fastgmm
from fastgmm.api.options import COVARIANCE_TYPES, ON_COLLAPSE
from fastgmm.cli.errors import library_errors, library_warnings
from fastgmm.cli.options import (
    FILE,
    NOT_NEGATIVE,
    POSITIVE,
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
from fastgmm.cli.output import print_fit, print_written, wants_progress

if TYPE_CHECKING:
    from fastgmm import Mixture
    from fastgmm.cli.inputs.base import Input
    from fastgmm.cli.standardizing import Units
    from fastgmm.cli.tables.request import Request


@click.command(short_help="Fit a mixture to a table and print its components.")
@data_options
@weights_option
@click.option(
    "--components",
    "n_components",
    type=POSITIVE,
    required=True,
    metavar="N",
    help="Number of components.",
)
@click.option(
    "--covariance",
    "covariance_type",
    type=click.Choice(COVARIANCE_TYPES),
    default="full",
    show_default=True,
    help="Shape of the components. full: each has its own ellipsoid; tied: all share one"
    " ellipsoid; diag: ellipsoids parallel to the axes; spherical: spheres.",
)
@click.option("--out", type=FILE, metavar="FILE", help="Save the model to this .npz file.")
@click.option(
    "--labels",
    type=FILE,
    metavar="FILE",
    help="Write the component of each row to this .csv, .parquet or .npy file.",
)
@click.option(
    "--tol",
    type=NOT_NEGATIVE,
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
@n_init_option("Fit from this many starts and keep the best fit.")
@init_option
@standardize_option
@reg_covar_option
@prior_option
@click.option(
    "--on-collapse",
    type=click.Choice(ON_COLLAPSE),
    default="regularize",
    show_default=True,
    help="What to do with a component that collapses onto a single point. regularize: keep it"
    " there, with the variance --reg-covar; reset: restart it elsewhere; raise: stop with an"
    " error.",
)
@seed_option
@threads_option
@plot_option
@progress_option
def fit(
    data: tuple[Path, ...],
    request: Request,
    out: Path | None,
    labels: Path | None,
    plot: Path | None,
    progress: bool | None,
    standardize: bool,
    **settings: Any,
) -> None:
    """Fit a Gaussian mixture to the rows of DATA and print its components.

    DATA is a file, or several, a folder or a quoted pattern: see "fastgmm --help".
    """
    from fastgmm.cli.files import PICTURES, check_outputs, outputs, write_picture
    from fastgmm.cli.inputs.choice import files_read, open_input
    from fastgmm.cli.writers import ANSWERS, write_blocks
    from fastgmm.model import criteria

    check_outputs(
        files_read(data),
        {"--out": (out, ".npz"), "--labels": (labels, *ANSWERS), "--plot": (plot, *PICTURES)},
    )
    rows = open_input(data, request)
    with outputs(out, labels, plot) as (model_file, labels_file, plot_file):
        units = rows.units(standardize)
        fitted = _fit(rows, units, settings, wants_progress(progress))
        mixture = units.mixture(fitted)
        unnamed = mixture.with_feature_names(None)
        with library_errors():
            score = unnamed.score(rows.values, rows.sample_weight, missing="em")
        if model_file:
            mixture.save(model_file)
        if labels_file:
            write_blocks(labels_file, rows.answers(mixture, proba=False))
        if plot_file:
            write_picture(plot_file, lambda: unnamed.plot(rows.points(), names=rows.columns))
        total = rows.total_weight
        print_fit(unnamed, rows, score, criteria.bic(score * total, fitted.n_parameters, total))
    print_written(out, labels, plot)


def _fit(rows: Input, units: Units, settings: dict[str, Any], progress: bool) -> Mixture:
    """Return the fit; print the library's warnings."""
    # The printed result says whether the fit converged.
    with library_errors(), library_warnings(ignored=fastgmm.ConvergenceWarning):
        return fastgmm.fit(
            rows.standardized(units),
            sample_weight=rows.sample_weight,
            feature_names=rows.names,
            progress=progress,
            missing="em",
            **settings,
        )
