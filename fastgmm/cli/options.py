"""Options that several commands share, and the types of their values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from fastgmm.api.options import COVARIANCE_TYPES

Command = TypeVar("Command", bound=Callable[..., None])

FILE = click.Path(path_type=Path)
NOT_NEGATIVE = click.FloatRange(min=0)
POSITIVE = click.IntRange(min=1)


class CountRange(click.ParamType):
    """Numbers of components: "3", "1:9" from 1 to 9, or "2,4,8"."""

    name = "range"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> list[int]:
        """Return the numbers in a text."""
        try:
            if ":" in value:
                first, last = map(int, value.split(":"))
                counts = list(range(first, last + 1))
            else:
                counts = [int(part) for part in value.split(",")]
        except ValueError:
            counts = []
        if not counts or min(counts) < 1:
            self.fail(
                f"{value!r} must be a number such as 3, an increasing range such as 1:9 or a list"
                " such as 2,4,8, and every number must be at least 1",
                param,
                context,
            )
        return counts


class TypeList(click.ParamType):
    """Covariance types, separated by commas."""

    name = "types"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> list[str]:
        """Return the types in a text."""
        names = [name.strip() for name in value.split(",")]
        for name in names:
            if name not in COVARIANCE_TYPES:
                self.fail(f"{name!r} is not one of {', '.join(COVARIANCE_TYPES)}", param, context)
        return names


def data_options(command: Command) -> Command:
    """Add the argument DATA and the options that say how to read it."""
    # In the order of stacked decorators from the lowest one: --help lists the last one first.
    for decorate in (
        click.option(
            "--header/--no-header",
            default=None,
            help="Whether the first line of a CSV or TSV file holds the names of the columns. By"
            " default it does; if it holds only numbers, give one of the two options.",
        ),
        click.option(
            "--columns",
            metavar="NAMES",
            help="Use only these columns: names separated by commas.",
        ),
        click.argument("data", type=FILE),
    ):
        command = decorate(command)
    return command


def n_init_option(help_text: str) -> Callable[[Command], Command]:
    """Return the option --n-init with a help text."""
    return click.option(
        "--n-init", metavar="N", type=POSITIVE, default=1, show_default=True, help=help_text
    )


plot_option = click.option(
    "--plot",
    type=FILE,
    metavar="FILE",
    help="Draw the result to this .png, .pdf or .svg file.",
)
seed_option = click.option(
    "--seed",
    "random_state",
    metavar="N",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Seed of the random numbers. The same seed gives the same result.",
)
reg_covar_option = click.option(
    "--reg-covar",
    type=NOT_NEGATIVE,
    metavar="NUMBER",
    default=1e-6,
    show_default=True,
    help="Add this number to every variance.",
)
threads_option = click.option(
    "--threads",
    "n_threads",
    type=POSITIVE,
    metavar="N",
    help="Number of threads. [default: all]",
)
progress_option = click.option(
    "--progress/--no-progress",
    default=None,
    help="Show the start, the iteration, the log-likelihood and the time left. [default: only on"
    " a terminal]",
)
