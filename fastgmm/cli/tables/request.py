"""What is asked of a table, and what is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

MISSING = ("error", "drop", "em")


class Request(NamedTuple):
    """How to read a table; the options of the command line have the same names.

    Attributes
    ----------
    columns, exclude : str, optional
        Columns to use and to leave out: names, numbers from 1 and ranges, separated by commas.
    id_column : str, optional
        The column that identifies the rows; it is no feature.
    strict : bool
        Refuse columns that are not numeric instead of leaving them out.
    missing : {"error", "drop", "em"}
        What to do with a row in which a value is missing: stop, leave it out, or keep it.
    header : bool, optional
        Whether the first line names the columns; None: find out.
    separator, decimal : str, optional
        The characters between fields and before decimals; None: find out.
    array : str, optional
        The name of the array in a .npz file, or of the sheet in a workbook.
    fitted : tuple of str, optional
        The columns that a model was fitted to; used where the file names its columns.
    weights : str, optional
        The column that holds the weights of the rows; it is no feature.
    """

    columns: str | None = None
    exclude: str | None = None
    id_column: str | None = None
    strict: bool = False
    missing: str = "error"
    header: bool | None = None
    separator: str | None = None
    decimal: str | None = None
    array: str | None = None
    fitted: tuple[str, ...] | None = None
    weights: str | None = None


class Table(NamedTuple):
    """Rows of numbers and the names of their columns.

    The numbers are finite; NaN stands for missing values if rows that lack some are kept.
    """

    values: NDArray[Any]  # (n_kept, n_columns)
    columns: tuple[str, ...]
    in_file: tuple[str, ...]  # the names of all columns of the file, in its order
    named: bool = True  # whether the file names its columns
    kept: NDArray[Any] | None = None  # (n_rows,) bool: the rows that are used; None: all
    ids: pl.Series | None = None  # (n_rows,): the column that identifies the rows
    weights: NDArray[Any] | None = None  # (n_kept,): the weights of the rows that are used

    @property
    def names(self) -> tuple[str, ...] | None:
        """The names of the columns, None if the file does not name them."""
        return self.columns if self.named else None
