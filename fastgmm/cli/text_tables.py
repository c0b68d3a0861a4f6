"""CSV and TSV files, read by polars.

Every field is read as text, and a cast in the same streaming query turns it into a number. If
polars inferred the types instead, it would take columns such as ``nan, 1.5`` or `` 3`` (with a
leading blank) for text, and would have to read the file twice to be sure: 3.2 s instead of 0.6 s
at 1,000,000 x 10 (196 MB, two cores). The text is read again only if a field is not a number, to
say which and why.
"""

from __future__ import annotations

import csv
import os
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl

from fastgmm.cli.columns import Table, choose_columns, not_numeric, numbered_names
from fastgmm.cli.errors import FileProblem
from fastgmm.cli.text import shortened

# What people write where a value is missing, in lower case; polars reads nan as a number.
_MISSING = ("", "na", "n/a", "null", "none", "-", "?", ".")
_MAX_COLUMNS = 100_000
_SEARCHED_BYTES = 1 << 20
_HEADER_LINES = 100  # searched for the first line that is not blank


def read_text(path: Path, wanted: list[str] | None, header: bool | None) -> Table:
    """Read a CSV or TSV file; see `fastgmm.cli.tables.read_table`."""
    _refuse_wide(path)
    try:
        if header is None:
            header = _has_header(path)
        table = _read(path, wanted, header)
    except pl.exceptions.PolarsError as error:
        reason = _uneven_line(path) or shortened(str(error).partition("\n")[0])
        raise FileProblem(f"{path} cannot be read: {reason}{_return_remark(path)}") from error
    if not table.values.size:
        raise FileProblem(f"{path} holds no rows of data{_return_remark(path)}")
    return table


def file_name(path: Path) -> str:
    """Return a name that polars takes for a file: valid UTF-8 that is no address."""
    name = os.path.abspath(path)
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise FileProblem(f"{path} has a name that is not UTF-8; rename the file") from error
    return name


def _read(path: Path, wanted: list[str] | None, header: bool) -> Table:
    text = pl.scan_csv(
        file_name(path),
        separator=_separator(path),
        has_header=header,
        infer_schema=False,
        encoding="utf8-lossy",
        glob=False,
    )
    names = [name.strip() for name in text.collect_schema().names()]
    if not header:
        names = numbered_names(len(names))
    chosen = choose_columns(path, names, wanted)
    chosen_names = [names[j] for j in chosen]
    numbers = text.select(_as_numbers(pl.nth(chosen))).collect(engine="streaming")
    if sum(numbers.null_count().row(0)):
        fields = _without_blank_tail(text.select(pl.all().str.strip_chars()).collect())
        numbers = numbers.head(fields.height)
        _refuse_text(path, fields[:, chosen], numbers, chosen_names)
    return Table(np.ascontiguousarray(numbers.to_numpy()), tuple(chosen_names), tuple(names))


def _separator(path: Path) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else ","


def _refuse_wide(path: Path) -> None:
    """Refuse more columns than polars reads in reasonable time and memory.

    A file of 1,000,000 columns and two rows took 80 s and 8 GB.
    """
    n_columns = 1
    separator = _separator(path).encode()
    with path.open("rb") as file:
        while block := file.readline(_SEARCHED_BYTES):
            n_columns += block.count(separator)
            if block.endswith(b"\n"):
                break
    if n_columns > _MAX_COLUMNS:
        raise FileProblem(
            f"{path} has {n_columns} columns; more than {_MAX_COLUMNS} can only be read from"
            " a .npy file"
        )


def _has_header(path: Path) -> bool:
    """Return True, or refuse a first line of numbers, which may be data or names."""
    lines = pl.read_csv(
        file_name(path),
        separator=_separator(path),
        has_header=False,
        infer_schema=False,
        encoding="utf8-lossy",
        glob=False,
        n_rows=_HEADER_LINES,
    )
    # Blank lines before the header do not count.
    first = lines.filter(~pl.all_horizontal(pl.all().is_null())).head(1)
    if first.height and not sum(first.select(_as_numbers(pl.all())).null_count().row(0)):
        raise FileProblem(
            f"the first line of {path} holds only numbers; say --no-header if they are data,"
            " or --header if they are the names of the columns"
        )
    return True


def _as_numbers(text: pl.Expr) -> pl.Expr:
    """Return the query that makes float64 of text, and null of text that is not a number."""
    return text.str.strip_chars().cast(pl.Float64, strict=False)


def _without_blank_tail(fields: pl.DataFrame) -> pl.DataFrame:
    """Drop the blank lines at the end of a file, which are not rows of missing values."""
    filled = fields.select(pl.any_horizontal(pl.all().fill_null("") != "")).to_series()
    rows = filled.arg_true()
    return fields.head(rows[-1] + 1 if len(rows) else 0)


def _refuse_text(path: Path, fields: pl.DataFrame, numbers: pl.DataFrame, names: list[str]) -> None:
    """Refuse columns in which a field is neither a number nor a missing value."""
    wrong, reason = [], ""
    for name, field, number in zip(names, fields, numbers, strict=True):
        missing = field.fill_null("").str.to_lowercase().is_in(_MISSING)
        rows = (number.is_null() & ~missing).arg_true()
        if len(rows):
            reason = reason or f'row {rows[0] + 1} holds "{shortened(field[rows[0]])}"'
            wrong.append(name)
    if wrong:
        raise not_numeric(path, wrong, reason, names)


def _uneven_line(path: Path) -> str | None:
    """Return which line has more fields than the first; polars refuses it without its number."""
    # Where the csv module cannot split the lines either, the message of polars must do.
    with (
        suppress(OSError, csv.Error),
        path.open(newline="", encoding="utf-8", errors="replace") as text,
    ):
        lines = csv.reader(text, delimiter=_separator(path))
        n_fields = len(next(lines, []))
        for fields in lines:
            if len(fields) > n_fields:
                return f"line {lines.line_num} has {len(fields)} fields, line 1 has {n_fields}"
    return None


def _return_remark(path: Path) -> str:
    """Return a remark if lines near the start of the file end in a carriage return alone."""
    with path.open("rb") as file:
        found = re.search(rb"\r(?!\n)", file.read(_SEARCHED_BYTES))
    return "; lines must end in a line feed, not in a carriage return alone" if found else ""
