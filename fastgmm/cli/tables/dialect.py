"""How a text is written: its separator, its decimal mark, its header, and where its rows begin.

The first lines are split by Python's csv module once for each separator that people use. The best
separator gives lines of equal length and the largest share of numbers.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from fastgmm.cli.errors import FileProblem
from fastgmm.cli.tables.fields import decimal_mark, is_missing, is_number
from fastgmm.cli.tables.request import Request
from fastgmm.cli.tables.unpack import Source
from fastgmm.cli.wording import shortened

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "blanks"}
_COMMENTS = ("#", "%", "//")
_PROMISE = re.compile(r'"?sep=[\x00-\x7f]?"?', re.I)  # a first line that Excel writes
_SAMPLE_BYTES = 1 << 18
_SAMPLE_LINES = 300
_LONGEST_LINE = 1 << 24
_MAX_COLUMNS = 100_000


class Dialect(NamedTuple):
    """How a text is written."""

    separator: str
    decimal: str
    comment: str | None  # what a comment begins with
    names: list[str] | None  # of the columns; None without a header
    n_fields: int
    first_line: int  # number of lines before the first row
    units: list[str] | None  # a line below the header that is left out


class _Sample(NamedTuple):
    """The first lines that are neither blank nor comments, and how many lines are before each."""

    lines: list[str]
    before: list[int]
    comment: str | None
    separator: str | None  # from a first line such as sep=;
    is_whole: bool


def sniff(source: Source, request: Request) -> Dialect:
    """Find out how a text is written, as far as the request leaves it open."""
    sample = _read_sample(source.file)
    if not sample.lines:
        raise FileProblem(f"{source.name} cannot be read: it holds no line with data")
    usual = usual_separator(source.suffix)
    separator = (
        request.separator or sample.separator or _best_separator(sample, usual, request.decimal)
    )
    rows = _split(sample, separator)
    _refuse_wide(source.name, len(rows[0]))
    decimal = request.decimal or decimal_mark(_cells(rows[1:] or rows), separator)
    names, data, units = None, rows, None
    has_header = request.header
    if has_header is None:
        is_quoted = _only_first_is_quoted(sample.lines, rows)
        has_header = _has_header(source.name, rows, decimal, is_quoted)
    if has_header:
        names, data = rows[0], rows[1:]
        if _is_units(data, decimal):
            units, data = data[0], data[1:]
        names = _completed_names([name.strip() for name in names], data, separator)
    n_fields = len(rows[0] if names is None else names)
    first_line = _line_of_row(sample, separator, len(rows) - len(data))
    return Dialect(separator, decimal, sample.comment, names, n_fields, first_line, units)


def usual_separator(suffix: str) -> str:
    """Return the separator that the ending of a file's name promises."""
    return "\t" if suffix == ".tsv" else ","


def fields_of(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    """Split lines into fields; a blank as separator means any number of blanks and tabs."""
    if separator == " ":
        lines = (re.sub(r"[ \t]+", " ", line.strip()) for line in lines)
    with _fields_of_any_size():
        yield from csv.reader(lines, delimiter=separator)


def _refuse_wide(path: Path, n_columns: int) -> None:
    """Refuse more columns than polars reads in reasonable time and memory.

    A file of 1,000,000 columns and two rows took 80 s and 8 GB.
    """
    if n_columns > _MAX_COLUMNS:
        raise FileProblem(
            f"{path} has {n_columns} columns; more than {_MAX_COLUMNS} can only be read from a"
            " .npy file"
        )


# --- the first lines


def _read_sample(file: Path) -> _Sample:
    lines: list[str] = []
    before: list[int] = []
    comment, separator = None, None
    size, number, line = 0, 0, b""
    with file.open("rb") as opened:
        while size < _SAMPLE_BYTES or len(lines) < 3:
            line = opened.readline(_LONGEST_LINE)
            if not line or len(lines) == _SAMPLE_LINES:
                break
            size += len(line)
            text = line.decode("utf-8", "replace")
            text = text.removeprefix("\ufeff") if number == 0 else text
            mark = _comment_mark(text.strip())
            if number == 0 and _PROMISE.fullmatch(text.strip(" \r\n")):
                separator = text.strip(' \r\n"')[4:5] or "\t"
            elif mark and comment in (None, mark):
                comment = mark
            elif text.strip():
                lines.append(text)
                before.append(number)
            number += 1
    return _Sample(lines, [*before, number], comment, separator, not line)


def _comment_mark(text: str) -> str | None:
    """Return the mark that a comment begins with; a mark alone may be the name of a column."""
    mark = next((one for one in _COMMENTS if text.startswith(one)), None)
    alone = mark and text[len(mark) : len(mark) + 1] in {",", ";", "\t", "|"}
    return None if alone else mark


@contextmanager
def _fields_of_any_size() -> Iterator[None]:
    before = csv.field_size_limit(_LONGEST_LINE)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _split(sample: _Sample, separator: str) -> list[list[str]]:
    """Return the fields of the lines; the last row is left out where the sample may cut it."""
    try:
        rows = list(fields_of(sample.lines, separator))
    except csv.Error:
        return [[line.strip()] for line in sample.lines]
    return rows if sample.is_whole or len(rows) < 3 else rows[:-1]


def _line_of_row(sample: _Sample, separator: str, n_rows: int) -> int:
    """Return the number of lines before the row that follows the first `n_rows`."""
    n_lines = 0
    try:
        with _fields_of_any_size():
            reader = csv.reader(sample.lines, delimiter=separator)
            for _ in range(n_rows):
                next(reader)
            n_lines = reader.line_num
    except (csv.Error, StopIteration):
        n_lines = n_rows
    return sample.before[min(n_lines, len(sample.lines))]


def _cells(rows: list[list[str]]) -> list[str]:
    return [cell.strip() for row in rows for cell in row]


# --- the separator


def _best_separator(sample: _Sample, usual: str, decimal: str | None) -> str:
    scores = {}
    candidates = (one for one in SEPARATORS if one != decimal)
    for separator in sorted(candidates, key=lambda one: one != usual):
        rows = _split(sample, separator)
        width, alike = Counter(len(row) for row in rows[1:] or rows).most_common(1)[0]
        if width > 1:
            scores[separator] = alike / len(rows[1:] or rows) * (0.05 + _share(rows, separator))
    if not scores:
        return usual if decimal != usual else ";"
    return max(scores, key=scores.__getitem__)


def _share(rows: list[list[str]], separator: str) -> float:
    """Return the share of numbers among the fields that are not missing."""
    cells = [cell for cell in _cells(rows[1:] or rows) if not is_missing(cell)]
    decimal = decimal_mark(cells, separator)
    return sum(is_number(cell, decimal) for cell in cells) / max(len(cells), 1)


# --- the header


def _has_header(path: Path, rows: list[list[str]], decimal: str, is_quoted: bool) -> bool:
    """Return whether the first row names the columns; refuse to guess where it may be data.

    `is_quoted` says whether it alone has quotation marks about all of its fields.
    """
    first, *others = [_kinds(row, decimal) for row in rows[:2]]
    numbers = [cell for cell, kind in zip(rows[0], first, strict=True) if kind == "number"]
    if is_quoted or _are_years(numbers):
        return True
    refuse_numbers_as_names(path, rows[0], decimal)
    if numbers and any(_may_be_data(first, second) for second in others):
        shown = shortened(", ".join(cell.strip() for cell in rows[0]))
        raise FileProblem(
            f"the first line of {path} ({shown}) holds numbers and text as the second does; say"
            " --no-header if it is data, or --header if it names the columns"
        )
    return True


def _are_years(numbers: Sequence[str]) -> bool:
    """Return whether numbers, of which there are two or more, increase as years do."""
    years = [int(number) for number in numbers if re.fullmatch(r"[12]\d{3}", number.strip())]
    steps = {later - year for year, later in pairwise(years)}
    return len(years) == len(numbers) and len(steps) == 1 and min(steps) in range(1, 11)


def _only_first_is_quoted(lines: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether all fields of the first line are in quotation marks, but not of the second."""
    quoted = [
        line.count('"') >= 2 * len(row) for line, row in zip(lines[:2], rows[:2], strict=False)
    ]
    return quoted == [True, False]


def refuse_numbers_as_names(path: Path, names: Sequence[str], decimal: str = ".") -> None:
    """Refuse a first line of numbers, which may be data or names."""
    kinds = _kinds(names, decimal)
    if "number" in kinds and "text" not in kinds:
        raise FileProblem(
            f"the first line of {path} holds only numbers; say --no-header if they are data, or"
            " --header if they are the names of the columns"
        )


def _may_be_data(first: list[str], second: list[str]) -> bool:
    """Return whether a row has numbers wherever the next one has."""
    return len(first) == len(second) and all(
        a != "text" or b != "number" for a, b in zip(first, second, strict=True)
    )


def _kinds(row: Sequence[str], decimal: str) -> list[str]:
    """Say of each field of a row whether it is a number, missing or text."""

    def kind(cell: str) -> str:
        if is_missing(cell):
            return "missing"
        return "number" if is_number(cell, decimal) else "text"

    return [kind(cell.strip()) for cell in row]


def _is_units(data: list[list[str]], decimal: str) -> bool:
    """Return whether the first row has text, and no number, above columns of numbers only."""
    if len(data) < 3:
        return False
    first, *others = (_kinds(row, decimal) for row in data[:20])
    if "number" in first or "text" not in first:
        return False
    below = [{row[j] for row in others if j < len(row)} for j in range(len(first))]
    numeric = ["number" in kinds and "text" not in kinds for kinds in below]
    return any(a and b == "text" for a, b in zip(numeric, first, strict=True))


def _completed_names(names: list[str], data: list[list[str]], separator: str) -> list[str]:
    """Return a name for each field, "" for a field beyond those that the header names.

    R writes no name above the names of rows. A separator at the end of each row makes an empty
    field, which has no name either.
    """
    if not data or any(len(row) != len(names) + 1 for row in data):
        return names
    if all(not row[-1].strip() for row in data):
        return [*names, ""]
    return ["", *names] if len(names) > 1 or separator in " \t" else names
