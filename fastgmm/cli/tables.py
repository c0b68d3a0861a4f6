"""Tables of finite numbers, read from files.

polars reads CSV, TSV and Parquet: it alone reads all three, on all cores and in a stream. pandas
is no slower on CSV, but needs pyarrow for Parquet.

Every error about a file is a `FileProblem` whose message is one sentence. It counts rows from 1,
without the header.
"""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np

from fastgmm.cli.binary_tables import read_npy, read_parquet
from fastgmm.cli.columns import Table, split_names
from fastgmm.cli.errors import FileProblem
from fastgmm.cli.files import file_errors
from fastgmm.cli.row_numbers import without_row_numbers
from fastgmm.cli.text import shortened
from fastgmm.cli.text_tables import read_text

# Every reader takes the path, the wanted columns and `header`, which only text files have.
_READERS = {".csv": read_text, ".tsv": read_text, ".parquet": read_parquet, ".npy": read_npy}
_NAMELESS = {".npy"}  # files that never name their columns
_BLOCK_ROWS = 1 << 16


def read_table(
    path: Path,
    columns: str | None = None,
    header: bool | None = None,
    fitted: tuple[str, ...] | None = None,
) -> Table:
    """Read a table of finite numbers.

    Parameters
    ----------
    path : Path
        A file whose name ends in .csv, .tsv, .parquet or .npy.
    columns : str, optional
        Names of the columns to read, separated by commas and quoted as in a CSV file; by default
        all columns. Columns without names are column_1, column_2, ...
    header : bool, optional
        Whether the first line of a CSV or TSV file names the columns. By default it does; if it
        holds only numbers, `header` must be given.
    fitted : tuple of str, optional
        The names of the columns to read if `columns` is not given and the file names its columns.

    Returns
    -------
    Table
        At least one row and one column, all values finite.

    Raises
    ------
    FileProblem
        If the file cannot be read, a column is missing, or a value is not a finite number.
    """
    suffix = path.suffix.lower()
    reader = _READERS.get(suffix)
    if reader is None:
        *others, last = _READERS
        raise FileProblem(
            f"{path}: the name of a data file must end in {', '.join(others)} or {last}"
        )
    with file_errors(path, "read"):
        _require_content(path)
        wanted = split_names(columns)
        if wanted is None and fitted and header is not False and suffix not in _NAMELESS:
            wanted = list(fitted)
        table = reader(path, wanted, header)
    _require_finite_rows(path, table)
    return without_row_numbers(path, table) if wanted is None else table


def _require_content(path: Path) -> None:
    """Refuse what is not a regular file, or is empty."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise FileProblem(f"{path} is a folder, not a file; name a file")
    if not stat.S_ISREG(status.st_mode):
        raise FileProblem(f"{path} is not a regular file; copy its contents to a file first")
    if status.st_size == 0:
        raise FileProblem(f"{path} is empty; it must hold at least one row of numbers")


def _require_finite_rows(path: Path, table: Table) -> None:
    """Refuse a table without rows, or with a value that is not finite."""
    values, names = table.values, table.columns
    if not values.size:
        raise FileProblem(f"{path} holds no rows of data")
    for start in range(0, len(values), _BLOCK_ROWS):
        finite = np.isfinite(values[start : start + _BLOCK_ROWS])
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            row += start
            what = "missing" if np.isnan(values[row, column]) else "infinite"
            raise FileProblem(
                f"{path}: the value of {shortened(names[column])} in row {row + 1} is {what};"
                " every value must be a finite number, so remove such rows or fill them in"
            )
