"""The reader of each kind of file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastgmm.cli.errors import FileProblem
from fastgmm.cli.tables.arrays import open_npy, open_npz
from fastgmm.cli.tables.content import Content
from fastgmm.cli.tables.frames import open_arrow, open_json, open_parquet, open_workbook
from fastgmm.cli.tables.request import Request
from fastgmm.cli.tables.rewriting import is_text
from fastgmm.cli.tables.text import TextContent
from fastgmm.cli.tables.unpack import Source, zip_kind

_READERS: dict[Callable[[Source, Request], Content], tuple[str, ...]] = {
    open_parquet: (".parquet", ".pq"),
    open_arrow: (".arrow", ".feather", ".ipc"),
    open_workbook: (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"),
    open_json: (".jsonl", ".ndjson", ".json"),
    open_npy: (".npy",),
    open_npz: (".npz",),
    TextContent: (".csv", ".tsv"),  # and any other ending, if the file holds text
}
_BY_SUFFIX = {suffix: reader for reader, suffixes in _READERS.items() for suffix in suffixes}
# The first bytes tell the kind of a file with another ending, or of the standard input.
_BY_MAGIC = {
    b"PAR1": ".parquet",
    b"ARROW1": ".arrow",
    b"\xff\xff\xff\xff": ".arrow",
    b"\x93NUMPY": ".npy",
    b"\xd0\xcf\x11\xe0": ".xls",
    b"{": ".jsonl",
    b"[{": ".json",
}
_SEARCHED_BYTES = 1 << 16


def open_table(source: Source, request: Request) -> Content:
    """Open a table: the ending of its name tells the kind, or else its first bytes."""
    reader = _BY_SUFFIX.get(source.suffix) or _by_content(source)
    return reader(source, request)


def _by_content(source: Source) -> Callable[[Source, Request], Content]:
    start = _first_bytes(source.file)
    suffix = next((kind for magic, kind in _BY_MAGIC.items() if start.startswith(magic)), None)
    suffix = suffix or zip_kind(source.file)
    if suffix:
        return _BY_SUFFIX[suffix]
    if not is_text(start):
        raise FileProblem(
            f"{source.name} is no table that can be read; fastgmm reads text such as CSV, Parquet,"
            " Arrow, Excel, JSON lines, .npy and .npz"
        )
    return TextContent


def _first_bytes(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(_SEARCHED_BYTES)
