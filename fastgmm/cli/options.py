"""Options that several commands share, and the types of their values."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import click

from fastgmm.api.options import COVARIANCE_TYPES, DEFAULT_PRIOR, INIT_PARAMS
from fastgmm.cli.tables.request import MISSING, Request

Command = Callable[..., None]

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


class Mark(click.ParamType):
    """A character between fields, itself or by its name."""

    name = "mark"
    _NAMES: ClassVar = {
        "comma": ",",
        "semicolon": ";",
        "tab": "\t",
        "\\t": "\t",
        "bar": "|",
        "blank": " ",
        "space": " ",
    }

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> str:
        """Return the character."""
        mark = self._NAMES.get(value, value)
        if len(mark) != 1 or not mark.isascii() or mark in '"\r\n' or mark.isalnum():
            self.fail(
                f"{value!r} must be one character, or comma, semicolon, tab, bar or blank",
                param,
                context,
            )
        return mark


_missing_option = click.option(
    "--missing",
    type=click.Choice(MISSING),
    default="error",
    show_default=True,
    help="What to do with rows in which a value is missing. error: stop; drop: leave them out, and"
    " leave their labels empty; em: use their other values, which is exact if values are missing at"
    " random.",
)


def data_options(command: Command) -> Command:
    """Add the argument DATA and the options that say how to read it.

    The command is called with `data`, the paths, and `request`, the options.
    """
    return reading_options(command, _missing_option)


def reading_options(command: Command, missing_option: Any = None) -> Command:
    """Add the same as `data_options`, with or without the option --missing."""

    @functools.wraps(command)
    def with_request(**arguments: Any) -> None:
        given = {name: arguments.pop(name) for name in Request._fields if name in arguments}
        command(request=Request(**given), **arguments)

    # In the order of stacked decorators from the lowest one: --help lists the last one first.
    for decorate in (
        click.option(
            "--array",
            metavar="NAME",
            help="Read this array of an .npz file, or this sheet of a workbook.",
        ),
        click.option(
            "--decimal",
            type=click.Choice([".", ","]),
            help="What marks decimals in a text. [default: found out]",
        ),
        click.option(
            "--separator",
            type=Mark(),
            metavar="MARK",
            help="What separates the fields of a text: a character, or comma, semicolon, tab, bar"
            " or blank. [default: found out]",
        ),
        click.option(
            "--header/--no-header",
            default=None,
            help="Whether the first line of a text holds the names of the columns. By default it"
            " does; if it may be data, give one of the two options.",
        ),
        *([missing_option] if missing_option else []),
        click.option(
            "--strict",
            is_flag=True,
            help="Refuse columns that are not numeric, instead of leaving them out.",
        ),
        click.option(
            "--id",
            "id_column",
            metavar="COLUMN",
            help="The column that identifies the rows: it is no feature, and is copied to the"
            " labels.",
        ),
        click.option(
            "--exclude", metavar="COLUMNS", help="Leave these columns out; see --columns."
        ),
        click.option(
            "--columns",
            metavar="COLUMNS",
            help="Use only these columns: names, numbers from 1, or ranges such as 2:5 and a:d,"
            " separated by commas.",
        ),
        click.argument("data", type=FILE, nargs=-1, required=True),
    ):
        with_request = decorate(with_request)
    return with_request


weights_option = click.option(
    "--weights",
    metavar="COLUMN",
    help="The column that holds the weights of the rows: a weight of 2 counts as the row twice. It"
    " is no feature.",
)


def n_init_option(help_text: str) -> Callable[[Command], Command]:
    """Return the option --n-init with a help text."""
    return click.option(
        "--n-init", metavar="N", type=POSITIVE, default=1, show_default=True, help=help_text
    )


init_option = click.option(
    "--init",
    "init_params",
    type=click.Choice(INIT_PARAMS),
    default="auto",
    show_default=True,
    help="How to find the starts.",
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
prior_option = click.option(
    "--prior",
    type=click.Choice([DEFAULT_PRIOR]),
    help="Fit to the posterior under the prior of Fraley and Raftery (2007), as mclust does: no"
    " component can collapse. --reg-covar is then added to the prior.",
)
standardize_option = click.option(
    "--standardize",
    is_flag=True,
    help="Fit columns scaled to mean 0 and variance 1, and report in their own units. --reg-covar"
    " is then in units of these variances, and spherical components become diag.",
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
