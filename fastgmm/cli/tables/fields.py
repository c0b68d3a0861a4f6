"""Fields of a text as numbers: missing values, decimal marks, thousands, true and false."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import polars as pl

from fastgmm.cli.tables.content import Wrong
from fastgmm.cli.wording import shortened

# What people write where a value is missing, in lower case.
_MISSING = ("", "na", "n/a", "nan", "null", "none", "-", "?", ".")
_BOOLEANS = {"true": 1.0, "false": 0.0}
_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.I | re.A)
_EXPONENT = r"([eE][+-]?\d+)?"
# A number whose thousands are parted, by the decimal mark that goes with them.
_GROUPED = {
    ".": rf"^[+-]?\d{{1,3}}(,\d{{3}})+(\.\d*)?{_EXPONENT}$",
    ",": rf"^[+-]?\d{{1,3}}(\.\d{{3}})+(,\d*)?{_EXPONENT}$",
}
_WITH_COMMA = re.compile(rf"[+-]?(\d{{1,3}}(\.\d{{3}})+|\d*),\d*{_EXPONENT}", re.A)
_GROUP_MARKS = {".": ",", ",": "."}


def is_missing(cell: str) -> bool:
    """Return whether a field says that its value is missing."""
    return cell.strip().lower() in _MISSING


def is_number(cell: str, decimal: str) -> bool:
    """Return whether a field is a number."""
    if _PLAIN.fullmatch(cell) or re.match(_GROUPED[decimal], cell):
        return True
    return decimal == "," and bool(_WITH_COMMA.fullmatch(cell)) and any(map(str.isdigit, cell))


def decimal_mark(cells: Iterable[str], separator: str) -> str:
    """Return the decimal mark of fields: a comma where a comma cannot part thousands."""
    cells = list(cells)
    with_comma = [cell for cell in cells if "," in cell and _WITH_COMMA.fullmatch(cell)]
    if not with_comma:
        return "."
    if not all(re.match(_GROUPED["."], cell) for cell in with_comma):
        return ","
    points = any("." in cell and _PLAIN.fullmatch(cell) for cell in cells)
    return "," if separator == ";" and not points else "."


class Column(NamedTuple):
    """A column of fields as numbers."""

    numbers: pl.Series  # (n_rows,) float64; null where a value is missing
    wrong: Wrong | None  # why it is not numeric
    grouped: bool  # whether thousands are parted


def as_numbers(text: pl.Expr, decimal: str, grouped: bool) -> pl.Expr:
    """Return the query that makes float64 of text, and null of what is not a number.

    `grouped` says whether to look for marks between thousands, which takes time.
    """
    text = text.str.strip_chars()
    if grouped:
        parted = text.str.contains(_GROUPED[decimal])
        whole = text.str.replace_all(_GROUP_MARKS[decimal], "", literal=True)
        text = pl.when(parted).then(whole).otherwise(text)
    if decimal == ",":
        text = text.str.replace(",", ".", literal=True)
    return text.cast(pl.Float64, strict=False)


def parse(fields: pl.Series, decimal: str) -> Column:
    """Return a column of fields as numbers."""
    text, lower = pl.col("text"), pl.col("text").str.to_lowercase()
    frame = pl.DataFrame({"text": fields.fill_null("").str.strip_chars()})
    frame = frame.select(
        text,
        lower.is_in(_MISSING).alias("missing"),
        lower.replace_strict(_BOOLEANS, default=None, return_dtype=pl.Float64).alias("boolean"),
        text.str.contains(_GROUPED[decimal]).alias("grouped"),
        as_numbers(text, decimal, grouped=True).fill_nan(None).alias("number"),
    )
    known = frame.filter(~pl.col("missing"))
    if known.height and known["boolean"].null_count() == 0:
        return Column(frame["boolean"], None, False)
    return Column(frame["number"], _wrong(frame, decimal), bool(known["grouped"].any()))


def _wrong(frame: pl.DataFrame, decimal: str) -> Wrong | None:
    """Return the first field that is neither a number nor missing, None if there is none."""
    is_text = frame.select(pl.col("number").is_null() & ~pl.col("missing")).to_series()
    texts = frame["text"].filter(is_text)
    if not len(texts):
        return None
    reason = f'row {is_text.arg_true()[0] + 1} holds "{shortened(texts[0])}"'
    if decimal == "." and all(map(_WITH_COMMA.fullmatch, texts)):
        return Wrong(reason, "if commas mark decimals, say --decimal ,")
    n_numbers = frame["number"].count()
    if n_numbers > len(texts):  # perhaps misprints
        share = n_numbers / (n_numbers + len(texts))
        reason += f" but {_percent(share)} of the fields are numbers"
    return Wrong(reason)


def _percent(share: float) -> str:
    """Return a share in percent, 100% only for all."""
    return f"{min(round(100 * share, 1), 99.9):g}%"
