"""The files of the command line: tables of numbers in, results out.

Tables are read by polars: it alone reads CSV, TSV and Parquet, on all cores and in a
stream (pandas is no slower on CSV, but needs pyarrow beside it for Parquet). NumPy reads
``.npy`` itself, mapped into memory rather than loaded.

The fields of a CSV file are read as text and turned into numbers by a cast in the same
streaming query. Letting the reader infer the types takes columns such as ``nan, 1.5`` or
`` 3`` (with a leading blank) for text, and has to read the file twice to be sure: 3.2 s
against 0.6 s at 1,000,000 x 10 (196 MB, two cores). The text itself is looked at only
where a field did not turn into a number, to say what is wrong with it.

Whatever is wrong with a file is raised as a `FileProblem`, whose message is one sentence.
Its rows are counted from 1, a header aside.
"""

from __future__ import annotations

import csv
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np
import polars as pl

from fastgmm._replacing import replacing

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What people write where a value is missing, in lower case; NaN is a number to polars.
_MISSING = ("", "na", "n/a", "null", "none", "-", "?", ".")
_ROWS_AT_ONCE = 1 << 16
_NAMES_SHOWN = 8
_LETTERS_SHOWN = 60
_BYTES_SEARCHED = 1 << 20
_MAX_COLUMNS = 100_000


class FileProblem(click.ClickException):
    """A file cannot be read or written; the message is one sentence for the user."""


class Table(NamedTuple):
    """Rows of finite numbers and the names of their columns."""

    values: NDArray[Any]  # (n_rows, n_columns)
    columns: tuple[str, ...]


def read_table(path: Path, columns: str | None = None, header: bool | None = None) -> Table:
    """
    Read a table of finite numbers.

    Parameters
    ----------
    path : Path
        A file whose name ends in .csv, .tsv, .parquet or .npy.
    columns : str, optional
        Names of the columns to read, separated by commas and quoted as in a CSV file;
        all of them by default. Columns without names are column_1, column_2, ...
    header : bool, optional
        Whether the first line of a CSV or TSV file names the columns. By default it does,
        unless it holds nothing but numbers: then the caller has to say.

    Returns
    -------
    Table
        At least one row and one column, all finite.

    Raises
    ------
    FileProblem
        Whatever is wrong with the file or the choice of columns.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        *others, last = _READERS
        raise FileProblem(
            f"{path}: the name of a data file must end in {', '.join(others)} or {last}"
        )
    with _told(path, "read"):
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise FileProblem(f"{path} is a folder, not a file")
        if not stat.S_ISREG(status.st_mode):
            raise FileProblem(f"{path} is not a regular file; copy what it holds to one first")
        if status.st_size == 0:
            raise FileProblem(f"{path} is empty")
        table = reader(path, _split(columns), header)
    _require_finite_rows(path, table)
    return table


def write_csv(target: Path | IO[bytes], columns: Mapping[str, Any]) -> None:
    """Write equally long columns, named by their keys, as CSV."""
    frame = pl.DataFrame(dict(columns))
    if isinstance(target, Path):
        with _told(target, "written"), target.open("wb") as file:
            frame.write_csv(file)
        return
    # In pieces of our own: polars reports a closed pipe as an error like any other.
    for n, piece in enumerate(frame.iter_slices(_ROWS_AT_ONCE)):
        target.write(piece.write_csv(include_header=n == 0).encode())
    target.flush()


@contextmanager
def output(path: Path) -> Iterator[Path]:
    """
    Give a temporary file that takes the place of `path` only if the block succeeds.

    The file is created on entry, so that an unwritable place is noticed before the work
    and not after it.
    """
    with _told(path, "written"):
        if path.exists() and not (path.is_file() and os.access(path, os.W_OK)):
            kind = "is read-only" if path.is_file() else "is not a regular file"
            raise FileProblem(f"{path} {kind}; choose another name for the output")
    with replacing(path, lambda: _told(path, "written")) as temporary:
        yield temporary


def _read_csv(path: Path, wanted: list[str] | None, header: bool | None) -> Table:
    _refuse_wide(path)
    if header is None:
        header = _has_header(path)
    text = pl.scan_csv(
        _plain_name(path),
        separator=_separator(path),
        has_header=header,
        infer_schema=False,
        encoding="utf8-lossy",
        glob=False,
    )
    names = [name.strip() for name in text.collect_schema().names()]
    if not header:
        names = _numbered(len(names))
    chosen = _choose(path, names, wanted)
    numbers = text.select(_as_numbers(pl.nth(chosen))).collect(engine="streaming")
    if sum(numbers.null_count().row(0)):
        fields = _without_blank_tail(text.select(pl.all().str.strip_chars()).collect())
        numbers = numbers.head(fields.height)
        _require_no_text(path, fields[:, chosen], numbers, [names[j] for j in chosen])
    return Table(_as_array(numbers), tuple(names[j] for j in chosen))


def _read_parquet(path: Path, wanted: list[str] | None, header: bool | None) -> Table:
    frame = pl.scan_parquet(_plain_name(path), glob=False)
    schema = frame.collect_schema()
    names = schema.names()
    chosen = _choose(path, names, wanted)
    wrong = [names[j] for j in chosen if not schema[names[j]].is_numeric()]
    if wrong:
        kind = f"holds {schema[wrong[0]]}"
        raise FileProblem(_not_numeric(path, wrong, kind, [names[j] for j in chosen]))
    # Single precision stays what it is; everything else becomes double.
    single = all(schema[names[j]] == pl.Float32 for j in chosen)
    dtype = pl.Float32 if single else pl.Float64
    numbers = frame.select(pl.nth(chosen).cast(dtype)).collect()
    return Table(_as_array(numbers), tuple(names[j] for j in chosen))


def _read_npy(path: Path, wanted: list[str] | None, header: bool | None) -> Table:
    try:
        values: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except OSError:
        raise
    except Exception as error:  # numpy parses the header as Python, which fails in many ways
        raise FileProblem(f"{path} is not a .npy file of numbers, or is damaged") from error
    if values.ndim == 1:
        values = values[:, np.newaxis]
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise FileProblem(
            f"{path} must hold a one- or two-dimensional array of real numbers,"
            f" not {values.ndim} dimensions of {values.dtype}"
        )
    _require_rows(path, values)
    names = _numbered(values.shape[1])
    if wanted is not None:
        chosen = _choose(path, names, wanted)
        values, names = values[:, chosen], [names[j] for j in chosen]
    return Table(values, tuple(names))


_READERS = {".csv": _read_csv, ".tsv": _read_csv, ".parquet": _read_parquet, ".npy": _read_npy}


def _plain_name(path: Path) -> str:
    """Return a name that polars takes for a file's: in UTF-8, and not like an address."""
    name = os.path.abspath(path)
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise FileProblem(f"{path} has a name that is not UTF-8; rename the file") from error
    return name


def _separator(path: Path) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else ","


def _refuse_wide(path: Path) -> None:
    """Refuse more columns than polars can read in reasonable time and memory.

    1,000,000 of them took it 80 s and 8 GB, whatever the number of rows.
    """
    n_columns = 1
    separator = _separator(path).encode()
    with path.open("rb") as file:
        while block := file.readline(_BYTES_SEARCHED):
            n_columns += block.count(separator)
            if block.endswith(b"\n"):
                break
    if n_columns > _MAX_COLUMNS:
        raise FileProblem(
            f"{path} has {n_columns} columns; more than {_MAX_COLUMNS} can only be read from"
            " a .npy file"
        )


def _has_header(path: Path) -> bool:
    lines = pl.read_csv(
        _plain_name(path),
        separator=_separator(path),
        has_header=False,
        infer_schema=False,
        encoding="utf8-lossy",
        glob=False,
        n_rows=100,
    )
    # Blank lines before the header do not count.
    first = lines.filter(~pl.all_horizontal(pl.all().is_null())).head(1)
    if first.height and not sum(first.select(_as_numbers(pl.all())).null_count().row(0)):
        raise FileProblem(
            f"the first line of {path} holds nothing but numbers; say --no-header if they"
            " are data, or --header if they are the names of the columns"
        )
    return True


def _as_numbers(text: pl.Expr) -> pl.Expr:
    return text.str.strip_chars().cast(pl.Float64, strict=False)


def _as_array(numbers: pl.DataFrame) -> NDArray[Any]:
    return np.ascontiguousarray(numbers.to_numpy())


def _without_blank_tail(fields: pl.DataFrame) -> pl.DataFrame:
    """Leave out the blank lines at the end of a file, which are not missing values."""
    filled = fields.select(pl.any_horizontal(pl.all().fill_null("") != "")).to_series()
    rows = filled.arg_true()
    return fields.head(rows[-1] + 1 if len(rows) else 0)


def _require_no_text(
    path: Path, fields: pl.DataFrame, numbers: pl.DataFrame, names: list[str]
) -> None:
    """Refuse columns in which a field is neither a number nor a missing value."""
    wrong, first = [], ""
    for name, field, number in zip(names, fields, numbers, strict=True):
        missing = field.fill_null("").str.to_lowercase().is_in(_MISSING)
        rows = (number.is_null() & ~missing).arg_true()
        if len(rows):
            first = first or f'row {rows[0] + 1} holds "{_shown(field[rows[0]])}"'
            wrong.append(name)
    if wrong:
        raise FileProblem(_not_numeric(path, wrong, first, names))


def _not_numeric(path: Path, wrong: list[str], first: str, names: list[str]) -> str:
    which = f"column {_shown(wrong[0])} is" if len(wrong) == 1 else f"columns {_listed(wrong)} are"
    message = f"{path}: {which} not numeric ({first})"
    rest = [name for name in names if name not in wrong]
    if not rest:
        return message
    return f"{message}; choose numeric columns with --columns, such as --columns {_shown(rest[0])}"


def _require_rows(path: Path, values: NDArray[Any]) -> None:
    if not values.size:
        raise FileProblem(f"{path} holds no rows of data{_lone_returns(path)}")


def _require_finite_rows(path: Path, table: Table) -> None:
    values, names = table
    _require_rows(path, values)
    for start in range(0, len(values), _ROWS_AT_ONCE):
        block = values[start : start + _ROWS_AT_ONCE]
        finite = np.isfinite(block)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            what = "missing" if np.isnan(block[row, column]) else "infinite"
            raise FileProblem(
                f"{path}: the value of {_shown(names[column])} in row {start + row + 1} is {what};"
                " every value must be a finite number, so leave out or fill in such rows"
            )


def _split(columns: str | None) -> list[str] | None:
    if columns is None:
        return None
    try:
        names = next(csv.reader([columns], skipinitialspace=True), [])
    except csv.Error as error:
        raise FileProblem(f"--columns {_shown(columns)} cannot be read: {error}") from error
    return [name.strip() for name in names]


def _numbered(n_columns: int) -> list[str]:
    return [f"column_{j}" for j in range(1, n_columns + 1)]


def _choose(path: Path, names: list[str], wanted: list[str] | None) -> list[int]:
    """Positions of the wanted columns, in the order in which they were asked for."""
    if wanted is None:
        return list(range(len(names)))
    if not wanted:
        raise FileProblem("--columns names no column")
    places = {name: place for place, name in reversed(list(enumerate(names)))}
    seen = set()
    for name in wanted:
        if name not in places:
            message = f'{path} has no column "{_shown(name)}"; it has {_listed(names)}'
            raise FileProblem(message)
        if name in seen:
            raise FileProblem(f'--columns names "{_shown(name)}" twice')
        seen.add(name)
    return [places[name] for name in wanted]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(_shown, names[:_NAMES_SHOWN]))
    hidden = len(names) - _NAMES_SHOWN
    return f"{shown} and {hidden} more" if hidden > 0 else shown


def _shown(text: str) -> str:
    """Return a field or a name, shortened to what a sentence can hold."""
    return text if len(text) <= _LETTERS_SHOWN else f"{text[:_LETTERS_SHOWN]}..."


@contextmanager
def _told(path: Path, done: str) -> Iterator[None]:
    """Say in one sentence what the operating system or polars has against a file."""
    try:
        yield
    except OSError as error:
        raise FileProblem(f"{path} cannot be {done}: {error.strerror or error}") from error
    except pl.exceptions.PolarsError as error:
        reason = _uneven_line(path) or _shown(str(error).partition("\n")[0])
        raise FileProblem(f"{path} cannot be {done}: {reason}{_lone_returns(path)}") from error


def _uneven_line(path: Path) -> str | None:
    """Find the line of a CSV file that polars refused without naming it."""
    if _READERS.get(path.suffix.lower()) is not _read_csv:
        return None
    # If its lines cannot be told apart either, the words of polars have to do.
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


def _lone_returns(path: Path) -> str:
    """Return a remark if lines near the head of a CSV file end in a carriage return alone."""
    if _READERS.get(path.suffix.lower()) is not _read_csv:
        return ""
    with path.open("rb") as file:
        found = re.search(rb"\r(?!\n)", file.read(_BYTES_SEARCHED))
    return "; lines must end in a line feed, not in a carriage return alone" if found else ""
