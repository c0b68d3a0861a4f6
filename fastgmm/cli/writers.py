"""Tables that are written block by block, so that they need not fit in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import polars as pl

from fastgmm.cli.errors import Failure
from fastgmm.cli.files import file_errors, write_csv

if TYPE_CHECKING:
    from numpy.typing import NDArray

Blocks = Iterable[Mapping[str, Any]]
ANSWERS = (".csv", ".parquet", ".npy")  # endings


def write_blocks(target: Path | IO[bytes], blocks: Blocks) -> None:
    """Write blocks of columns, the same in each, as the ending of the name says; CSV to a stream.

    A .npy file has no names. It holds the only column (n_rows,), or all columns but the labels
    (n_rows, n_columns). Empty labels become -1 there, other empty values NaN.
    """
    if isinstance(target, Path):
        _WRITERS[target.suffix.lower()](target, blocks)
    else:
        _write_csv(target, blocks)


def _write_csv(target: Path | IO[bytes], blocks: Blocks) -> None:
    with ExitStack() as stack:
        if isinstance(target, Path):
            file: IO[bytes] = stack.enter_context(target.open("wb"))
        else:
            file = target
        for number, block in enumerate(blocks):
            write_csv(file, block, header=number == 0)


def _write_parquet(target: Path, blocks: Blocks) -> None:
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise Failure(
            'Parquet files are written by pyarrow; install it with: pip install "fastgmm[parquet]"'
        ) from None
    with ExitStack() as stack:
        writer = None
        for block in blocks:
            rows = pl.DataFrame(dict(block)).to_arrow()
            with file_errors(target, "written"):
                if writer is None:
                    writer = stack.enter_context(pq.ParquetWriter(target, rows.schema))
                writer.write_table(rows)


def _write_npy(target: Path, blocks: Blocks) -> None:
    """Write an array whose length is known at the end: the header has room for any."""
    n_rows = 0
    with target.open("wb") as file:
        for block in blocks:
            rows = _array_of(block)
            if not n_rows:
                _write_header(file, rows, 0)
                begin = file.tell()
            with file_errors(target, "written"):
                file.write(rows.data)
            n_rows += len(rows)
        file.seek(0)
        _write_header(file, rows, n_rows)
        assert file.tell() == begin


def _write_header(file: IO[bytes], rows: NDArray[Any], n_rows: int) -> None:
    descr = np.lib.format.dtype_to_descr(rows.dtype)
    header = {"descr": descr, "fortran_order": False, "shape": (n_rows, *rows.shape[1:])}
    np.lib.format.write_array_header_1_0(file, header)


def _array_of(block: Mapping[str, Any]) -> NDArray[Any]:
    """Return the columns of a block as an array without names."""
    series = {name: pl.Series(values) for name, values in block.items()}
    if list(series) == ["label"]:
        return np.ascontiguousarray(series["label"].fill_null(-1).to_numpy())
    others = [column.to_numpy() for name, column in series.items() if name != "label"]
    return np.ascontiguousarray(np.column_stack(others))


_WRITERS = {".csv": _write_csv, ".parquet": _write_parquet, ".npy": _write_npy}
