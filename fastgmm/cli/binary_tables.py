"""Parquet files, read by polars, and .npy files, which NumPy maps into memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from fastgmm.cli.columns import Table, choose_columns, not_numeric, numbered_names
from fastgmm.cli.errors import FileProblem
from fastgmm.cli.row_numbers import without_index
from fastgmm.cli.text_tables import file_name

if TYPE_CHECKING:
    from numpy.typing import NDArray


def read_parquet(path: Path, wanted: list[str] | None, header: bool | None) -> Table:
    """Read a Parquet file; single precision is kept, everything else becomes float64."""
    frame = pl.scan_parquet(file_name(path), glob=False)
    schema = frame.collect_schema()
    names = schema.names()
    if wanted is None:
        wanted = without_index(path, names)
    chosen = choose_columns(path, names, wanted)
    chosen_names = [names[j] for j in chosen]
    wrong = [name for name in chosen_names if not schema[name].is_numeric()]
    if wrong:
        raise not_numeric(path, wrong, f"holds {schema[wrong[0]]}", chosen_names)
    single = all(schema[name] == pl.Float32 for name in chosen_names)
    dtype = pl.Float32 if single else pl.Float64
    numbers = frame.select(pl.nth(chosen).cast(dtype)).collect()
    return Table(np.ascontiguousarray(numbers.to_numpy()), tuple(chosen_names), tuple(names))


def read_npy(path: Path, wanted: list[str] | None, header: bool | None) -> Table:
    """Map a .npy file into memory; a one-dimensional array is one column."""
    try:
        values: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except OSError:
        raise
    except Exception as error:  # NumPy parses the header as Python, which fails in many ways
        raise FileProblem(f"{path} is not a .npy file of numbers, or is damaged") from error
    if values.ndim == 1:
        values = values[:, np.newaxis]
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise FileProblem(
            f"{path} must hold a one- or two-dimensional array of real numbers,"
            f" not {values.ndim} dimensions of {values.dtype}"
        )
    if not values.size:  # before naming the columns, of which a header can claim any number
        raise FileProblem(f"{path} holds no rows of data")
    names = numbered_names(values.shape[1])
    if wanted is None:
        return Table(values, tuple(names), tuple(names))
    chosen = choose_columns(path, names, wanted)
    return Table(values[:, chosen], tuple(names[j] for j in chosen), tuple(names))
