"""Tables written as text: CSV and its many relatives, read by polars.

Every field is read as text, and a cast in the same streaming query turns it into a number. If
polars inferred the types instead, it would take columns such as ``nan, 1.5`` or `` 3`` (with a
leading blank) for text, and would have to read the file twice to be sure: 3.2 s instead of 0.6 s
at 1,000,000 x 10 (196 MB, two cores). Only columns in which a field is no plain number are read
again, to tell missing values, thousands and truth values from text.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from contextlib import suppress

import polars as pl

from fastgmm.cli.errors import FileProblem
from fastgmm.cli.tables.content import Numbers, Wrong, as_matrix, empty_columns, numbered_names
from fastgmm.cli.tables.dialect import SEPARATORS, Dialect, sniff, usual_separator
from fastgmm.cli.tables.fields import as_numbers, parse
from fastgmm.cli.tables.request import Request
from fastgmm.cli.tables.rewriting import in_utf8, with_tabs, without_blank_lines
from fastgmm.cli.tables.unpack import Source
from fastgmm.cli.wording import listed, plural, shortened

_SEARCHED_BYTES = 1 << 20


class TextContent:
    """A table written as text."""

    index: frozenset[int] = frozenset()

    def __init__(self, source: Source, request: Request):
        source = in_utf8(source)
        dialect = sniff(source, request)
        self.remarks = _remarks(source, dialect, request)
        if dialect.separator == " ":
            source, dialect = with_tabs(source, dialect)
        self._source, self._dialect = source, dialect
        self.named = dialect.names is not None
        self.names = dialect.names or numbered_names(dialect.n_fields)

    def numbers(self, chosen: Sequence[int]) -> Numbers:
        """Return columns of fields as numbers."""
        decimal = self._dialect.decimal
        query = as_numbers(pl.nth(list(chosen)), decimal, grouped=decimal == ",")
        frame = self._collect(lambda text: text.select(query).collect(engine="streaming"))
        places = [place for place, n in enumerate(frame.null_count().row(0)) if n]
        if places and len(self.names) > 1:
            before, self._source = self._source, without_blank_lines(self._source, self._dialect)
            if self._source is not before:
                self._dialect = self._dialect._replace(first_line=0, comment=None)
                return self.numbers(chosen)
        frame, wrong = self._parsed(chosen, places, frame)
        good = [place for place, j in enumerate(chosen) if j not in wrong]
        frame = frame.select(pl.nth(good)) if good else pl.DataFrame()
        return Numbers(as_matrix(frame), wrong, empty_columns([chosen[p] for p in good], frame))

    def column(self, position: int) -> pl.Series:
        """Return the fields of one column as text."""
        query = pl.nth(position).str.strip_chars()
        fields = self._collect(lambda text: text.select(query).collect()).to_series()
        return _without_blank_tail(fields) if len(self.names) == 1 else fields

    def _parsed(
        self, chosen: Sequence[int], places: Sequence[int], frame: pl.DataFrame
    ) -> tuple[pl.DataFrame, dict[int, Wrong]]:
        """Look again at the columns in which a field is no plain number."""
        columns, wrong, grouped = {}, {}, False
        for place in places:
            column = parse(self.column(chosen[place]), self._dialect.decimal)
            columns[frame.columns[place]] = column.numbers
            grouped |= column.grouped
            if column.wrong:
                wrong[chosen[place]] = column.wrong
        if grouped and self._dialect.decimal == ".":
            self.remarks.append("commas part thousands (say --decimal , if they mark decimals)")
        n_rows = min([frame.height, *map(len, columns.values())])  # without a blank tail
        return frame.head(n_rows).with_columns(**columns), wrong

    def _collect(self, query: Callable[[pl.LazyFrame], pl.DataFrame]) -> pl.DataFrame:
        """Run a query over all fields; say which line is wrong if polars cannot."""
        path, dialect = self._source.name, self._dialect
        try:
            text = pl.scan_csv(
                self._source.for_polars,
                separator=dialect.separator,
                has_header=False,
                skip_lines=dialect.first_line,
                comment_prefix=dialect.comment,
                infer_schema=False,
                encoding="utf8-lossy",
                glob=False,
            )
            n_fields = len(text.collect_schema())
            if n_fields != dialect.n_fields:
                raise FileProblem(f"{path} cannot be read: {self._uneven_header(n_fields)}")
            return query(text)
        except pl.exceptions.NoDataError as error:
            remark = _return_remark(self._source)
            raise FileProblem(f"{path} holds no rows of data{remark}") from error
        except pl.exceptions.PolarsError as error:
            reason = _uneven_line(self._source, dialect) or shortened(str(error).partition("\n")[0])
            remark = _return_remark(self._source)
            raise FileProblem(f"{path} cannot be read: {reason}{remark}") from error

    def _uneven_header(self, n_fields: int) -> str:
        in_header = self._dialect.n_fields
        reason = (
            f"its header has {in_header} {plural(in_header, 'field')}, its first row {n_fields}"
        )
        if self._dialect.separator == "," and self._dialect.decimal == ".":
            reason += "; if commas mark decimals, say --decimal ,"
        return reason + _return_remark(self._source)


def _remarks(source: Source, dialect: Dialect, request: Request) -> list[str]:
    """Say what was found out where it is not what the name of the file promises."""
    said, options = [], []
    separator = dialect.separator
    is_unusual = separator != usual_separator(source.suffix) and dialect.n_fields > 1
    if request.separator is None and is_unusual:
        said.append(f"fields are separated by {SEPARATORS.get(separator, repr(separator))}")
        options.append("--separator")
    if request.decimal is None and dialect.decimal == ",":
        said.append("commas mark decimals")
        options.append("--decimal")
    remarks = [f"{' and '.join(said)} (to change that: {', '.join(options)})"] if said else []
    if dialect.units is not None:
        units = listed([unit.strip() for unit in dialect.units])
        remarks.append(f"the line below the header holds units ({units}) and is left out")
    return remarks


def _without_blank_tail(fields: pl.Series) -> pl.Series:
    """Drop the blank lines at the end of a single column: they are no missing values."""
    filled = (fields.fill_null("") != "").arg_true()
    return fields.head(filled[-1] + 1 if len(filled) else 0)


# --- what is refused


def _uneven_line(source: Source, dialect: Dialect) -> str | None:
    """Return which line has more fields than the header; polars does not say its number."""
    # Where the csv module cannot split the lines either, the message of polars must do.
    with (
        suppress(OSError, csv.Error),
        source.file.open(newline="", encoding="utf-8", errors="replace") as text,
    ):
        for _ in range(dialect.first_line):
            text.readline()
        lines = csv.reader(text, delimiter=dialect.separator)
        for fields in lines:
            if len(fields) > dialect.n_fields:
                number = dialect.first_line + lines.line_num
                return f"line {number} has {len(fields)} fields instead of {dialect.n_fields}"
    return None


def _return_remark(source: Source) -> str:
    """Return a remark if lines near the start of the file end in a carriage return alone."""
    with source.file.open("rb") as file:
        found = re.search(rb"\r(?!\n)", file.read(_SEARCHED_BYTES))
    return "; lines must end in a line feed, not in a carriage return alone" if found else ""
