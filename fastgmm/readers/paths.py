"""Readers for files: a name, a pattern, a folder, or a list of these."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fastgmm._errors import ReadingError
from fastgmm.readers.base import Reader

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def is_paths(X: Any) -> bool:
    """Return whether X names files."""
    if isinstance(X, list | tuple):
        return bool(X) and all(isinstance(item, str | os.PathLike) for item in X)
    return isinstance(X, str | os.PathLike)


def files_of(paths: Paths) -> list[Path]:
    """Return the files that names, patterns and folders stand for, each kind of name sorted.

    Raises
    ------
    ReadingError
        If a name or a pattern stands for no file, or a folder has none that can be read.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else paths
    return [file for name in given for file in _files(os.fspath(name))]


def _files(name: str) -> Iterator[Path]:
    path = Path(name)
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if _kind(file) and file.is_file()]
        if not files:
            raise ReadingError(f"the folder {name} has no file that ends in {_ENDINGS}.")
        yield from files
    elif path.exists():
        yield path
    else:
        matches = sorted(glob.glob(name, recursive=True))
        if not matches:
            raise ReadingError(f"there is no file {name}, and no file matches it as a pattern.")
        for match in matches:
            yield from _files(match) if os.path.isdir(match) else [Path(match)]


def open_paths(
    paths: Paths, weight: str | None = None, columns: Sequence[str] | None = None
) -> Reader:
    """Return a reader of the rows of files.

    Parameters
    ----------
    paths : str, path or list of these
        Names, patterns or folders of .parquet, .arrow, .feather, .csv and .npy files.
    weight : str, optional
        The column that holds the weights of the rows.
    columns : sequence of str, optional
        The columns that are features; all but the weights by default.

    Raises
    ------
    ReadingError
        If a file cannot be read, or has other columns than the first.
    ImportError
        If pyarrow is not installed, which reads all but .npy files.
    """
    from fastgmm.readers.arrays import ManyReaders

    readers: list[Reader] = []
    for file in files_of(paths):
        chosen = columns if columns is not None or not readers else readers[0].names
        readers.append(_open(file, weight, chosen))
    return readers[0] if len(readers) == 1 else ManyReaders(readers)


def _open(file: Path, weight: str | None, columns: Sequence[str] | None) -> Reader:
    kind = _kind(file)
    if kind is None:
        raise ReadingError(f"{file}: the name must end in {_ENDINGS}.")
    if kind == "npy":
        from fastgmm.readers.arrays import NpyReader

        if weight is not None or columns is not None:
            raise ReadingError(f"{file} is an array, whose columns have no names.")
        return NpyReader(file)
    try:
        from fastgmm.readers import tables
    except ImportError:
        raise ImportError(
            f'{file} is read by pyarrow; install it with: pip install "fastgmm[parquet]"'
        ) from None
    return tables.FILE_READERS[kind](file, weight, columns)


_KINDS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".csv": "csv",
    ".npy": "npy",
}
_ENDINGS = ", ".join(_KINDS)


def _kind(file: Path) -> str | None:
    return _KINDS.get(file.suffix.lower())
