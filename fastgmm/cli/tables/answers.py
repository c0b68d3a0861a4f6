"""Answers for the rows of a table, in the order of its file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from fastgmm.cli.tables.request import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray


def for_each_row(table: Table, answers: Mapping[str, NDArray[Any]]) -> dict[str, pl.Series]:
    """Return columns with an entry for each row of the file, after the column of --id.

    `answers` has an entry (n_kept,) for each row that was kept; the others stay empty.
    """
    columns = {}
    if table.ids is not None:
        name = "id" if table.ids.name in ("", *answers) else table.ids.name
        columns[name] = table.ids
    return columns | {name: _spread(table, values) for name, values in answers.items()}


def _spread(table: Table, values: NDArray[Any]) -> pl.Series:
    if table.kept is None:
        return pl.Series(values)
    places = np.cumsum(table.kept) - 1
    spread = pl.Series(values)[places.clip(min=0)]
    return pl.select(pl.when(pl.Series(table.kept)).then(spread)).to_series()
