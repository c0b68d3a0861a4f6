"""The reader for rows that need not fit in memory: files, sliced arrays, functions, lazy frames.

Packages other than NumPy are recognised by the class of their objects, so none is imported.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastgmm._errors import ReadingError
from fastgmm.api.objects import has_type
from fastgmm.readers.base import Reader
from fastgmm.readers.memory import memory_of_machine

_is_dataset = has_type("pyarrow", "Dataset")
_is_lazy_frame = has_type("polars", "LazyFrame")
_IN_MEMORY = ("__array_interface__", "__dlpack__", "__dask_graph__", "nnz", "iloc")
_SHARE = 0.5  # of the machine's memory: a larger array in a file is read in blocks


def reader_of(
    X: Any, sample_weight: Any = None, columns: Sequence[str] | None = None
) -> Reader | None:
    """Return the reader of the rows of X, None if they are in memory.

    `columns` are the features, where X is a table; all columns but the weights by default.

    Raises
    ------
    ReadingError, OSError
        If X names files that cannot be read.
    TypeError
        If `sample_weight` is given where it cannot be used.
    """
    if isinstance(X, Reader):
        return X
    if isinstance(X, np.ndarray) and not _is_large_file(X):
        return None
    from fastgmm.readers.paths import is_paths, open_paths

    if is_paths(X):
        return open_paths(X, _column(sample_weight), columns)
    if _is_dataset(X) or _is_lazy_frame(X):
        from fastgmm.readers.tables import DatasetReader, LazyFrameReader

        kind = DatasetReader if _is_dataset(X) else LazyFrameReader
        return kind(X, _column(sample_weight), columns)
    from fastgmm.readers.arrays import CallableReader, SliceReader

    if _is_sliceable(X) or isinstance(X, np.ndarray):
        _refuse_weight(sample_weight, "give a function that yields pairs of rows and weights")
        return SliceReader(X)
    if callable(X) and not hasattr(X, "__array__"):
        _refuse_weight(sample_weight, "let X() yield pairs of rows and weights")
        return CallableReader(X)
    return None


def is_collection(X: Any) -> bool:
    """Return whether X is an array or a data frame of Dask."""
    return hasattr(X, "__dask_graph__") and hasattr(X, "to_delayed")


def _is_large_file(X: np.ndarray) -> bool:
    return isinstance(X, np.memmap) and X.nbytes > _SHARE * memory_of_machine()


def _is_sliceable(X: Any) -> bool:
    """Return whether X is an array in a file, of which slices are read: HDF5, Zarr."""
    if any(hasattr(X, name) for name in _IN_MEMORY):
        return False
    return all(hasattr(X, name) for name in ("shape", "dtype", "chunks")) and hasattr(
        type(X), "__getitem__"
    )


def _column(sample_weight: Any) -> str | None:
    if sample_weight is None or isinstance(sample_weight, str):
        return sample_weight
    raise TypeError(
        "sample_weight must be the name of a column where X is a table in a file, but is"
        f" {type(sample_weight).__name__}; pass the name of the column with the weights."
    )


def _refuse_weight(sample_weight: Any, advice: str) -> None:
    if sample_weight is not None:
        raise ReadingError(f"sample_weight was given, but X is read in blocks; {advice}.")
