"""What readers give: the names of a table's columns, and numbers of the columns that are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Wrong(NamedTuple):
    """Why a column is not numeric, and what to do if that is clear."""

    reason: str
    advice: str = ""


class Numbers(NamedTuple):
    """Columns as numbers, NaN where a value is missing."""

    values: NDArray[Any]  # (n_rows, n_columns): the chosen columns without the wrong ones
    wrong: dict[int, Wrong]  # by position in the file
    empty: tuple[int, ...] = ()  # positions of columns without any value


class Content(Protocol):
    """An open table. A column is given by its position in the file, counted from 0."""

    names: list[str]  # of all columns; "" where a column of a text has none
    named: bool  # whether the file names its columns
    index: frozenset[int]  # columns that the file's metadata call the index of the table
    remarks: list[str]  # what was found out about the file, one clause each

    def numbers(self, chosen: Sequence[int]) -> Numbers:
        """Return columns as numbers."""
        ...

    def column(self, position: int) -> pl.Series:
        """Return one column as it is."""
        ...


def numbered_names(n_columns: int) -> list[str]:
    """Return names for columns that have none."""
    return [f"column_{j}" for j in range(1, n_columns + 1)]


class ArrayContent:
    """A matrix (n_rows, n_columns) whose columns have no names."""

    named = False
    index: frozenset[int] = frozenset()

    def __init__(self, values: NDArray[Any]):
        self._values = values
        self.remarks: list[str] = []
        self.names = numbered_names(values.shape[1])

    def numbers(self, chosen: Sequence[int]) -> Numbers:
        """Return the chosen columns; the matrix itself if these are all in their order."""
        everything = list(chosen) == list(range(self._values.shape[1]))
        values = self._values if everything else self._values[:, list(chosen)]
        return Numbers(values.astype(np.float64) if values.dtype == bool else values, {})

    def column(self, position: int) -> pl.Series:
        """Return one column."""
        return pl.Series(np.ascontiguousarray(self._values[:, position]))


class FrameContent:
    """Columns with types, read by polars."""

    def __init__(self, frame: pl.LazyFrame, index: Sequence[str] = (), named: bool = True):
        self._frame = frame
        self._types = frame.collect_schema().dtypes()
        names = frame.collect_schema().names()
        self.index = frozenset(j for j, name in enumerate(names) if name in index)
        self.named = named
        self.names = names if named else numbered_names(len(names))
        self.remarks: list[str] = []

    def numbers(self, chosen: Sequence[int]) -> Numbers:
        """Return columns as float64; as float32 if all chosen columns are."""
        types = self._types
        wrong = {
            j: Wrong("holds text" if types[j] == pl.String else f"holds {types[j]}")
            for j in chosen
            if not (types[j].is_numeric() or types[j] in (pl.Boolean, pl.Null))
        }
        good = [j for j in chosen if j not in wrong]
        single = bool(good) and all(types[j] == pl.Float32 for j in good)
        cast = pl.nth(good).cast(pl.Float32 if single else pl.Float64)
        frame = self._frame.select(cast).collect() if good else pl.DataFrame()
        return Numbers(as_matrix(frame), wrong, empty_columns(good, frame))

    def column(self, position: int) -> pl.Series:
        """Return one column."""
        return self._frame.select(pl.nth(position)).collect().to_series()


def as_matrix(frame: pl.DataFrame) -> NDArray[Any]:
    """Return the columns of a frame as a matrix in C order, NaN where a value is missing."""
    return np.ascontiguousarray(frame.to_numpy())


def empty_columns(positions: Sequence[int], frame: pl.DataFrame) -> tuple[int, ...]:
    """Return the positions of the columns in which every value is missing."""
    return tuple(
        j
        for j, column in zip(positions, frame, strict=True)
        if column.len() and column.null_count() == column.len()
    )
