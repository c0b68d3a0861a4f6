"""Files that give each column a type: Parquet, Arrow, workbooks and JSON, all read by polars."""

from __future__ import annotations

import json
import re
from typing import Any

import polars as pl

from fastgmm.cli.errors import Failure, FileProblem
from fastgmm.cli.tables.content import FrameContent
from fastgmm.cli.tables.dialect import refuse_numbers_as_names
from fastgmm.cli.tables.fields import decimal_mark, parse
from fastgmm.cli.tables.request import Request
from fastgmm.cli.tables.unpack import Source
from fastgmm.cli.wording import listed, shortened

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


def open_parquet(source: Source, request: Request) -> FrameContent:
    """Open a Parquet file."""
    frame = pl.scan_parquet(source.for_polars, glob=False)
    return _opened(source, frame, _pandas_index(source))


def open_arrow(source: Source, request: Request) -> FrameContent:
    """Open an Arrow file, which Feather files are, too."""
    with source.file.open("rb") as file:
        is_stream = file.read(4) == b"\xff\xff\xff\xff"
    if is_stream:
        return _opened(source, pl.read_ipc_stream(source.for_polars).lazy())
    return _opened(source, pl.scan_ipc(source.for_polars, glob=False))


def open_json(source: Source, request: Request) -> FrameContent:
    """Open a file of JSON: one object a line, or one list of objects."""
    with source.file.open("rb") as file:
        is_list = file.read(64).lstrip().startswith(b"[")
    read = pl.read_json if is_list else pl.read_ndjson
    return _opened(source, read(source.for_polars, infer_schema_length=None).lazy())


def open_workbook(source: Source, request: Request) -> FrameContent:
    """Open a sheet of a workbook: the first one, or that of the name `request.array`."""
    try:
        import fastexcel
    except ImportError:
        raise Failure(
            f'{source.name} is a workbook; install its reader with: pip install "fastgmm[excel]"'
        ) from None
    try:
        sheets = fastexcel.read_excel(source.for_polars).sheet_names
        sheet = request.array or sheets[0]
        if sheet not in sheets:
            raise FileProblem(f'{source.name} has no sheet "{shortened(sheet)}": {listed(sheets)}')
        frame = pl.read_excel(
            source.for_polars,
            sheet_name=sheet,
            has_header=request.header is not False,
            raise_if_empty=False,
        )
    except fastexcel.FastExcelError as error:
        reason = shortened(str(error).partition("\n")[0])
        raise FileProblem(f"{source.name} cannot be read as a workbook: {reason}") from error
    unnamed = {name: "" for name in frame.columns[:1] if name.startswith("__UNNAMED__")}
    frame = frame.rename(unnamed)
    if request.header is None:
        refuse_numbers_as_names(source.name, frame.columns)
    content = _opened(
        source, _with_numbers(frame, request).lazy(), named=request.header is not False
    )
    if len(sheets) > 1 and request.array is None:
        others = listed([name for name in sheets if name != sheet])
        content.remarks.append(
            f"the first sheet ({shortened(sheet)}) is read; the others are {others}"
            " (choose one with --array)"
        )
    return content


def open_frame(source: Source, frame: pl.DataFrame) -> FrameContent:
    """Open a frame that was made from something else."""
    return _opened(source, frame.lazy())


def _opened(
    source: Source, frame: pl.LazyFrame, index: tuple[str, ...] = (), named: bool = True
) -> FrameContent:
    frame = _without_lists(source, frame)
    names = frame.collect_schema().names()
    index = tuple(name for name in names if name in index or _PANDAS_INDEX.fullmatch(name))
    return FrameContent(frame, index, named)


def _with_numbers(frame: pl.DataFrame, request: Request) -> pl.DataFrame:
    """Turn columns of text into numbers where all their fields are: cells may hold either."""
    for name, kind in frame.schema.items():
        if kind == pl.String:
            fields = frame[name]
            decimal = request.decimal or decimal_mark(fields.drop_nulls().to_list(), ";")
            column = parse(fields, decimal)
            if column.wrong is None:
                frame = frame.with_columns(column.numbers.alias(name))
    return frame


def _pandas_index(source: Source) -> tuple[str, ...]:
    """Return the columns that pandas' metadata of a Parquet file call the index."""
    try:
        metadata: Any = json.loads(pl.read_parquet_metadata(source.file).get("pandas", "{}"))
        columns = metadata.get("index_columns", [])
        return tuple(name for name in columns if isinstance(name, str))
    except (AttributeError, TypeError, ValueError, pl.exceptions.PolarsError):
        return ()


def _without_lists(source: Source, frame: pl.LazyFrame) -> pl.LazyFrame:
    """Give each place of lists of numbers, all of one length, a column of its own."""
    columns: list[pl.Expr] = []
    for name, kind in frame.collect_schema().items():
        column = pl.col(name)
        if isinstance(kind, pl.Array) and len(kind.shape) == 1 and _is_number(kind.inner):
            length = kind.size
        elif isinstance(kind, pl.List) and _is_number(kind.inner):
            length = _length_of_lists(source, frame, name)
            column = column.list.to_array(length)
        else:
            columns.append(column)
            continue
        columns += [column.arr.get(j).alias(f"{name}_{j + 1}") for j in range(length)]
    return frame.select(columns)


def _is_number(kind: Any) -> bool:
    return kind is not None and (kind.is_numeric() or kind == pl.Boolean)


def _length_of_lists(source: Source, frame: pl.LazyFrame, name: str) -> int:
    lengths = pl.col(name).list.len()
    shortest, longest = frame.select(lengths.min(), lengths.max().alias("max")).collect().row(0)
    if shortest != longest:
        raise FileProblem(
            f"{source.name}: the lists of column {shortened(name)} hold {shortest} to {longest}"
            " numbers; all must have the same length"
        )
    return shortest or 0
