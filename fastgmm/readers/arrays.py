"""Readers of arrays: .npy files, whatever can be sliced, and blocks that a function yields."""

from __future__ import annotations

import mmap
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from fastgmm._errors import ReadingError
from fastgmm.readers.base import Block, Reader, file_fingerprint, float_type, rows_of_block

_EMPTY = np.empty(0)
_IN_FLIGHT = 2  # blocks: one that is worked on, and one that is ready


class SliceReader(Reader):
    """Rows of an object with `shape`, `dtype` and slices: a data set of HDF5, a Zarr array.

    Parameters
    ----------
    array : object
        What is sliced along its first axis; it has one dimension or two.
    place : str
        What to call it in messages.
    """

    def __init__(self, array: Any, place: str = "X"):
        if len(array.shape) not in (1, 2):
            raise ReadingError(
                f"{place} must have 2 dimensions (rows, features) but has {len(array.shape)}."
            )
        kind = np.dtype(array.dtype)
        if kind.kind not in "fiub":
            raise ReadingError(f"{place} must hold real numbers but holds {kind}.")
        self.n_features = array.shape[1] if len(array.shape) == 2 else 1
        self.dtype = float_type(kind)
        self._array, self._place = array, place
        # A block begins and ends with chunks of the file, where there are chunks.
        rows = rows_of_block(self.n_features, max(kind.itemsize, self.dtype.itemsize))
        chunk = (getattr(array, "chunks", None) or (1,))[0]
        self._n_rows = max(1, rows // chunk) * chunk if isinstance(chunk, int) else rows

    def blocks(self) -> Iterator[Block]:
        """Yield slices."""
        for first in range(0, self._array.shape[0], self._n_rows):
            try:
                values = np.asarray(self._rows(first, first + self._n_rows))
            except ReadingError:
                raise
            except Exception as error:  # of any library
                place = f"{self._place}, rows from {first}"
                raise ReadingError(f"{place}, cannot be read: {error}") from error
            values = values.reshape(len(values), self.n_features)
            yield Block(np.require(values, self.dtype, "C"), _EMPTY, self._place, first)

    def _rows(self, first: int, last: int) -> Any:
        """Return a slice."""
        return self._array[first:last]

    def fingerprint(self) -> dict[str, tuple[int, ...]]:
        """Return the shape."""
        return {self._place: tuple(self._array.shape)}


class NpyReader(SliceReader):
    """Rows of a .npy file, which is mapped into memory.

    Mapped pages need no copy. A pass over a file in the system's cache takes 1.07 times that over
    an array in memory; with a file that is read into buffers it takes 1.19 times (4M x 10, K = 8).

    If files are larger than memory, the system has to find pages to give up while kernels work,
    which took them three times as long (26 GiB with 23 GiB of memory). So the pages of a block are
    given up once it has been used.

    Parameters
    ----------
    path : Path
        The file.
    cached : bool, default=True
        Whether the system can keep all files that are read from one pass to the next.
    """

    def __init__(self, path: Path, cached: bool = True):
        try:
            array = np.load(path, mmap_mode="r")
        except (ValueError, EOFError) as error:
            raise ReadingError(f"{path} is not a .npy file of numbers, or is damaged.") from error
        self._path, self._cached = path, cached
        super().__init__(array, str(path))

    def blocks(self) -> Iterator[Block]:
        """Yield slices; give up the pages of those before the last two."""
        used: deque[int] = deque()
        for block in super().blocks():
            used.append(block.first)
            yield block
            if not self._cached and len(used) > _IN_FLIGHT:
                first = used.popleft()
                self._give_up(first, first + self._n_rows)

    def _give_up(self, first: int, last: int) -> None:
        """Drop the pages of rows from this program and from the system's cache."""
        if hasattr(mmap, "MADV_DONTNEED") and hasattr(os, "posix_fadvise"):
            begin, length = self._pages(first, last)
            self._array._mmap.madvise(mmap.MADV_DONTNEED, begin, length)
            with self._path.open("rb") as file:
                os.posix_fadvise(file.fileno(), begin, length, os.POSIX_FADV_DONTNEED)

    def _pages(self, first: int, last: int) -> tuple[int, int]:
        """Return the begin and the length of the pages of the file that hold rows."""
        array = self._array
        row = array.nbytes // len(array)
        begin = (array.offset + first * row) // mmap.PAGESIZE * mmap.PAGESIZE
        return begin, min(array.offset + last * row, len(array._mmap)) - begin

    def _rows(self, first: int, last: int) -> Any:
        """Return a slice, which the system begins to read."""
        array = self._array
        # The system kills a program that reads mapped pages beyond the end of their file.
        if self._path.stat().st_size < array.offset + array.nbytes:
            raise ReadingError(
                f"{self._path} has become shorter; start again when nothing writes to it."
            )
        if hasattr(mmap, "MADV_WILLNEED") and array.flags.c_contiguous and len(array):
            array._mmap.madvise(mmap.MADV_WILLNEED, *self._pages(first, last))
        return array[first:last]

    def fingerprint(self) -> dict[str, tuple[int, ...]]:
        """Return the size and the time of the file."""
        return file_fingerprint(self._path)


class CallableReader(Reader):
    """Blocks that a function yields, the same on every call.

    Parameters
    ----------
    call : callable
        ``call()`` returns an iterable of arrays (n_rows, n_features), or of pairs of such an array
        and of weights (n_rows,).
    """

    def __init__(self, call: Callable[[], Iterable[Any]]):
        self._call = call
        first = next(self._arrays(), None)
        if first is None:
            raise ReadingError("X() yields no block of rows.")
        self.n_features = first[0].shape[1]
        self.dtype = float_type(first[0].dtype)

    def blocks(self) -> Iterator[Block]:
        """Yield what the function yields, cut to blocks of at most the usual size."""
        n_rows = rows_of_block(self.n_features, self.dtype.itemsize)
        for number, (values, weight) in enumerate(self._arrays()):
            place = f"block {number} of X()"
            if values.shape[1] != self.n_features:
                raise ReadingError(
                    f"{place} has {values.shape[1]} features but the first block has"
                    f" {self.n_features}; yield blocks with the same columns."
                )
            values = np.require(values, self.dtype, "C")
            for first in range(0, len(values), n_rows):
                part = slice(first, first + n_rows)
                yield Block(values[part], weight[part], place, first)

    def _arrays(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for number, item in enumerate(self._call()):
            values, weight = item if isinstance(item, tuple) else (item, _EMPTY)
            values, weight = np.asarray(values), np.asarray(weight, np.float64)
            place = f"block {number} of X()"
            if values.ndim == 1:
                values = values[:, None]
            if values.ndim != 2 or values.dtype.kind not in "fiub":
                raise ReadingError(
                    f"{place} must be an array (n_rows, n_features) of real numbers, not of"
                    f" {values.ndim} dimensions of {values.dtype}."
                )
            if weight.size and weight.shape != (len(values),):
                raise ReadingError(
                    f"{place} has {len(values)} rows but weights of shape {weight.shape}; yield"
                    " one weight for each row."
                )
            yield values, weight


class ManyReaders(Reader):
    """The rows of several readers, one after the other."""

    def __init__(self, readers: list[Reader]):
        first = readers[0]
        for other in readers[1:]:
            if other.n_features != first.n_features or other.names != first.names:
                raise ReadingError(
                    f"{_name(other)} has {other.n_features} columns but {_name(first)} has"
                    f" {first.n_features}; every file must have the same columns."
                )
        self.n_features, self.names = first.n_features, first.names
        single = all(reader.dtype == np.float32 for reader in readers)
        self.dtype = np.dtype(np.float32 if single else np.float64)
        self._readers = readers

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks of all readers."""
        for block in chain.from_iterable(reader.blocks() for reader in self._readers):
            yield block._replace(values=np.require(block.values, self.dtype, "C"))

    def fingerprint(self) -> dict[str, tuple[int, ...]]:
        """Return those of all readers."""
        return {
            place: state
            for reader in self._readers
            for place, state in reader.fingerprint().items()
        }


def _name(reader: Reader) -> str:
    return str(getattr(reader, "_place", "a file"))
