"""The interface of a reader: rows in blocks, which it yields anew for each pass.

A reader checks nothing but what its format demands. `fastgmm.sources.blocks` checks the values, so
every block can tell where its rows are from.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastgmm.readers.ahead import blocks_ahead

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_BYTES = 2**23  # of the rows of a block: several blocks fit in any memory


class Block(NamedTuple):
    """Consecutive rows.

    `values` (n_rows, n_features) is float32 or float64 and `weight` (n_rows,) float64, empty if all
    weights are 1. `place` names what holds the rows, such as a file, and `first` is the number of
    the first row there, from 0.
    """

    values: NDArray[Any]
    weight: NDArray[Any]
    place: str
    first: int

    def where(self, row: int) -> str:
        """Return where a row of this block is, for a message."""
        return f"{self.place}, row {self.first + row}"


class Text(NamedTuple):
    """How text is written: its separator, its decimal mark, and whether a first line has names."""

    separator: str = ","
    decimal: str = "."
    header: bool = True


class Reader(ABC):
    """Rows that are read in blocks, in the same order every time.

    Attributes
    ----------
    n_features : int
        Number of features.
    dtype : numpy.dtype
        float32 or float64: the type of all blocks.
    names : tuple of str or None
        Names of the features, None if they have none.
    """

    n_features: int
    dtype: np.dtype
    names: tuple[str, ...] | None = None

    @abstractmethod
    def blocks(self) -> Iterator[Block]:
        """Yield all rows.

        Raises
        ------
        ReadingError
            If the rows cannot be read; the message says where.
        """

    def ahead(self) -> Iterator[Block]:
        """Yield all rows as `blocks` does; the next block is read meanwhile."""
        return blocks_ahead(self)

    def fingerprint(self) -> dict[str, tuple[int, ...]]:
        """Return for each place what changes with its rows, such as a file's size and time."""
        return {}


def rows_of_block(n_features: int, itemsize: int = 8) -> int:
    """Return how many rows a block holds."""
    return max(1, BLOCK_BYTES // (n_features * itemsize))


def float_type(dtype: np.dtype) -> np.dtype:
    """Return the type of blocks for rows of a type of numbers: float32 only for float32."""
    return np.dtype(np.float32 if dtype.kind == "f" and dtype.itemsize == 4 else np.float64)


def file_fingerprint(path: Path) -> dict[str, tuple[int, ...]]:
    """Return a file's size and the time of its last change, by its name; none if it is gone."""
    try:
        status = os.stat(path)
    except OSError:
        return {str(path): ()}
    return {str(path): (status.st_size, status.st_mtime_ns)}
