"""Copies of a text in the form that polars reads: UTF-8, one separator, no blank lines."""

from __future__ import annotations

import codecs
import csv
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from fastgmm.cli.errors import FileProblem
from fastgmm.cli.tables.dialect import Dialect, fields_of
from fastgmm.cli.tables.unpack import Source

_SEARCHED_BYTES = 1 << 20
_BLANK_LINE = re.compile(rb"\n *\r?\n")


def in_utf8(source: Source) -> Source:
    """Return a text in UTF-8 with line feeds: itself, or a copy.

    The copy is made of UTF-16, of Latin-1, which is what is neither, and of lines that end in
    carriage returns alone.
    """
    with source.file.open("rb") as file:
        start = file.read(_SEARCHED_BYTES)
    encoding = _encoding(start)
    has_returns = b"\r" in start and b"\n" not in start
    if encoding is None and not has_returns:
        return source
    copy = source.folder / "utf8"
    try:
        with (
            source.file.open(encoding=encoding or "utf-8", newline=None) as text,
            copy.open("w", encoding="utf-8", newline="") as target,
        ):
            shutil.copyfileobj(text, target, _SEARCHED_BYTES)
    except UnicodeError as error:
        name = (encoding or "utf-8").upper()
        raise FileProblem(f"{source.name} cannot be read as {name}: {error}") from error
    return source._replace(file=copy)


def is_text(start: bytes) -> bool:
    """Return whether the first bytes of a file may be those of a text."""
    return b"\0" not in start or (_encoding(start) or "").startswith("utf-16")


def _encoding(start: bytes) -> str | None:
    """Return the encoding of a text from its first bytes, None for UTF-8."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # Every second byte of Western text in UTF-16 is zero.
    for encoding, high in (("utf-16-le", start[1::2]), ("utf-16-be", start[::2])):
        if len(start) > 3 and high.count(0) > 0.9 * len(high):
            return encoding
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
        return None
    except UnicodeDecodeError:
        return "latin-1"


def with_tabs(source: Source, dialect: Dialect) -> tuple[Source, Dialect]:
    """Return a copy of the rows whose fields are separated by single tabs."""
    copy = source.folder / "tabs"
    try:
        with _rows(source, dialect) as lines, copy.open("w", encoding="utf-8", newline="") as file:
            rows = (row for row in fields_of(lines, " ") if row)
            csv.writer(file, delimiter="\t", lineterminator="\n").writerows(rows)
    except csv.Error as error:
        raise FileProblem(f"{source.name} cannot be read: {error}") from error
    dialect = dialect._replace(separator="\t", first_line=0, comment=None)
    return source._replace(file=copy), dialect


def without_blank_lines(source: Source, dialect: Dialect) -> Source:
    """Return a copy of the rows without the blank lines among them; the source if it has none."""
    if not _has_blank_lines(source, dialect):
        return source
    copy = source.folder / "filled"
    with _rows(source, dialect) as lines, copy.open("w", encoding="utf-8", newline="") as file:
        file.writelines(line for line in lines if line.strip(" \r\n"))
    return source._replace(file=copy)


def _has_blank_lines(source: Source, dialect: Dialect) -> bool:
    with source.file.open("rb") as file:
        for _ in range(dialect.first_line):
            file.readline()
        tail = b"\n"
        while block := file.read(_SEARCHED_BYTES):
            if _BLANK_LINE.search(tail + block):
                return True
            tail = block[-64:]
    return False


@contextmanager
def _rows(source: Source, dialect: Dialect) -> Iterator[Iterator[str]]:
    """Open a text at its first row and leave out comments."""
    with source.file.open(encoding="utf-8-sig", errors="replace", newline="") as text:
        for _ in range(dialect.first_line):
            text.readline()
        mark = dialect.comment
        yield (line for line in text if mark is None or not line.startswith(mark))
