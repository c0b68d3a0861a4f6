"""Tables, and the names and the choice of their columns."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fastgmm.cli.errors import FileProblem
from fastgmm.cli.text import listed, shortened

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Table(NamedTuple):
    """Rows of numbers and the names of their columns."""

    values: NDArray[Any]  # (n_rows, n_columns)
    columns: tuple[str, ...]
    in_file: tuple[str, ...]  # the names of all columns of the file, in its order

    @property
    def names(self) -> tuple[str, ...] | None:
        """The names of the columns, None if the file does not name them."""
        unnamed = list(self.in_file) == numbered_names(len(self.in_file))
        return None if unnamed else self.columns


def split_names(columns: str | None) -> list[str] | None:
    """Return names that are separated by commas and quoted as in a CSV file."""
    if columns is None:
        return None
    try:
        names = next(csv.reader([columns], skipinitialspace=True), [])
    except csv.Error as error:
        raise FileProblem(f"--columns {shortened(columns)} cannot be read: {error}") from error
    return [name.strip() for name in names]


def numbered_names(n_columns: int) -> list[str]:
    """Return names for columns that have none."""
    return [f"column_{j}" for j in range(1, n_columns + 1)]


def choose_columns(path: Path, names: list[str], wanted: list[str] | None) -> list[int]:
    """Return the positions of the wanted columns, in the wanted order; of all if None.

    A name that occurs several times in the file means its first column.
    """
    if wanted is None:
        return list(range(len(names)))
    if not wanted:
        raise FileProblem("--columns names no column; list names, separated by commas")
    positions = {name: j for j, name in reversed(list(enumerate(names)))}
    seen = set()
    for name in wanted:
        if name not in positions:
            raise FileProblem(f'{path} has no column "{shortened(name)}"; it has {listed(names)}')
        if name in seen:
            raise FileProblem(f'--columns names "{shortened(name)}" twice; name every column once')
        seen.add(name)
    return [positions[name] for name in wanted]


def not_numeric(path: Path, wrong: list[str], reason: str, names: list[str]) -> FileProblem:
    """Return the error for chosen columns (`names`) of which some are `wrong`."""
    which = (
        f"column {shortened(wrong[0])} is" if len(wrong) == 1 else f"columns {listed(wrong)} are"
    )
    numeric = [name for name in names if name not in wrong]
    advice = "every column must hold numbers"
    example = shortened(next(filter(None, numeric), ""))
    if example:
        advice = f"choose numeric columns with --columns, such as --columns {example}"
    return FileProblem(f"{path}: {which} not numeric ({reason}); {advice}")
