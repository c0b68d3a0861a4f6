"""Columns that number the rows of a table: no feature, though they hold numbers.

pandas and R write such a column first and, as a rule, without a name. A mixture fitted to it would
find the order of the rows. pandas lists the index of a Parquet file in the file's metadata.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from fastgmm.cli.columns import Table
from fastgmm.cli.output import note
from fastgmm.cli.text import listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Names that pandas and R give to a first column without a name when they write it once more.
_RENAMED = ("Unnamed: 0", "rownames", "row.names")


def without_row_numbers(path: Path, table: Table) -> Table:
    """Leave out a first column that numbers the rows, and say so.

    A column without a name holds the numbers of rows if all are whole and different; they need not
    be consecutive, because rows may have been removed. A column of `_RENAMED` must count them.
    """
    first, n_columns = table.columns[0], len(table.columns)
    numbers = table.values[:, 0]
    if n_columns < 2 or not _numbers_rows(first, numbers):
        return table
    name = first or '""'
    _say_left_out(path, f"the first column ({name}) numbers the rows")
    return Table(
        np.ascontiguousarray(table.values[:, 1:]),
        table.columns[1:],
        tuple(name for name in table.in_file if name != first),
    )


def _numbers_rows(name: str, numbers: NDArray[Any]) -> bool:
    if name and name not in _RENAMED:
        return False
    ordered = np.sort(numbers)
    steps = np.diff(ordered)
    if not np.array_equal(ordered, np.floor(ordered)) or not (steps > 0).all():
        return False
    return not name or bool((steps == 1).all())


def without_index(path: Path, names: list[str]) -> list[str]:
    """Leave out the columns of a Parquet file that its metadata call the index, and say so."""
    index = {name for name in names if re.fullmatch(r"__index_level_\d+__", name)}
    index |= set(_pandas_index(path)) & set(names)
    if not index or len(index) == len(names):
        return names
    which = [name for name in names if name in index]
    _say_left_out(path, f"{listed(which)} is the index of the table")
    return [name for name in names if name not in index]


def _pandas_index(path: Path) -> list[str]:
    """Return the columns that pandas' metadata of a Parquet file call the index."""
    try:
        metadata = json.loads(pl.read_parquet_metadata(path).get("pandas", "{}"))
        columns = metadata.get("index_columns", [])
        return [name for name in columns if isinstance(name, str)]
    except (AttributeError, TypeError, ValueError, pl.exceptions.PolarsError):
        return []


def _say_left_out(path: Path, what: str) -> None:
    note(f"{path}: {what} and is left out; name it with --columns to use it")
