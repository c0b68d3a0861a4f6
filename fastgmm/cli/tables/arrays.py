"""Arrays of NumPy: .npy files, which are mapped into memory, and .npz files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from fastgmm.cli.errors import FileProblem
from fastgmm.cli.tables.content import ArrayContent, FrameContent
from fastgmm.cli.tables.frames import open_frame
from fastgmm.cli.tables.request import Request
from fastgmm.cli.tables.unpack import Source
from fastgmm.cli.wording import listed, shortened

if TYPE_CHECKING:
    from numpy.typing import NDArray


def open_npy(source: Source, request: Request) -> ArrayContent | FrameContent:
    """Map a .npy file into memory."""
    with _format_errors(source, ".npy"):
        values: NDArray[Any] = np.lib.format.open_memmap(source.file, mode="r")
    return _content(source, str(source.name), values)


def open_npz(source: Source, request: Request) -> ArrayContent | FrameContent:
    """Read the array of a .npz file, or that of the name `request.array` among several."""
    with _format_errors(source, ".npz"):
        arrays = np.load(source.file, allow_pickle=False)
    if isinstance(arrays, np.ndarray):  # a .npy file by another name
        return _content(source, str(source.name), arrays)
    with arrays:
        names = arrays.files
        name = request.array
        if name is None and len(names) != 1:
            raise FileProblem(
                f"{source.name} holds {len(names)} arrays ({listed(names)}); choose one with"
                " --array"
            )
        if name is not None and name not in names:
            raise FileProblem(
                f'{source.name} has no array "{shortened(name)}"; it has {listed(names)}'
            )
        name = names[0] if name is None else name
        with _format_errors(source, ".npz"):
            values = arrays[name]
    return _content(source, f"{source.name}: the array {shortened(name)}", values)


@contextmanager
def _format_errors(source: Source, kind: str) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except OSError as error:
        if error.errno is not None:
            raise
        raise _damaged(source, kind) from error
    except MemoryError:
        raise
    except Exception as error:  # NumPy parses the header as Python, which fails in many ways
        raise _damaged(source, kind) from error


def _damaged(source: Source, kind: str) -> FileProblem:
    return FileProblem(f"{source.name} is not a {kind} file of numbers, or is damaged")


def _content(source: Source, what: str, values: NDArray[Any]) -> ArrayContent | FrameContent:
    if values.dtype.names is not None and values.ndim == 1:
        return open_frame(source, _frame(values))
    if values.ndim == 1:
        values = values[:, np.newaxis]
    if values.ndim != 2 or values.dtype.kind not in "fiub":
        kind = "named fields" if values.dtype.names else str(values.dtype)
        raise FileProblem(
            f"{what} must be a one- or two-dimensional array of real numbers,"
            f" not {values.ndim} dimensions of {kind}"
        )
    if not values.size:  # before naming the columns, of which a header can claim any number
        raise FileProblem(f"{what} holds no rows of data")
    return ArrayContent(values)


def _frame(records: NDArray[Any]) -> pl.DataFrame:
    """Return the fields of a structured array as columns."""
    assert records.dtype.names is not None
    columns = {}
    for name in records.dtype.names:
        field = np.ascontiguousarray(records[name])
        if field.dtype.kind == "S":
            field = np.char.decode(field, "latin-1")
        native = field.astype(field.dtype.newbyteorder("="), copy=False)
        columns[name] = pl.Series(native if field.dtype.kind in "fiub" else native.astype(str))
    return pl.DataFrame(columns)
