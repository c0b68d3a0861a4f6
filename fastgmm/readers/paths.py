"""Readers for files: a name, a pattern, a folder, or a list of these."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastgmm._errors import ReadingError
from fastgmm.readers.base import Reader, Text
from fastgmm.readers.memory import fit_in_cache

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
        files = [file for file in sorted(path.rglob("*")) if _is_part(file, path)]
        if not files:
            raise ReadingError(f"the folder {name} has no file that ends in {', '.join(ENDINGS)}.")
        yield from files
    elif path.exists():
        yield path
    else:
        matches = sorted(glob.glob(name, recursive=True))
        if not matches:
            raise ReadingError(f"there is no file {name}, and no file matches it as a pattern.")
        for match in matches:
            yield from _files(match) if os.path.isdir(match) else [Path(match)]


def is_pattern(name: str) -> bool:
    """Return whether a name stands for several files: a folder, or a pattern that is no file."""
    return os.path.isdir(name) or (glob.has_magic(name) and not os.path.exists(name))


def columns_of(file: Path, text: Text = Text()) -> tuple[str, ...] | None:  # noqa: B008
    """Return the names of all columns of a file, None if it is an array.

    Raises
    ------
    ReadingError, ImportError
        As `open_paths`.
    """
    if _kind_of(file) == "npy":
        return None
    types = _tables(file).FILE_READERS[_kind_of(file)].types_of(file, text)
    return tuple(types)


def _is_part(file: Path, folder: Path) -> bool:
    """Return whether a file below a folder is data, and not hidden or metadata of a writer."""
    hidden = any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)
    return _kind(file) is not None and not hidden and file.is_file()


def open_paths(
    paths: Paths,
    weight: str | None = None,
    columns: Sequence[str] | None = None,
    text: Text = Text(),  # noqa: B008
) -> Reader:
    """Return a reader of the rows of files.

    Parameters
    ----------
    paths : str, path or list of these
        Names, patterns or folders of .parquet, .arrow, .feather, .csv and .npy files.
    weight : str, optional
        The column that holds the weights of the rows.
    columns : sequence of str, optional
        The columns that are features; all but the weights by default. Arrays in .npy files have no
        names, and all their columns are features.
    text : Text, optional
        How CSV files are written.

    Raises
    ------
    ReadingError
        If a file cannot be read, or has other columns than the first.
    ImportError
        If pyarrow is not installed, which reads all but .npy files.
    """
    from fastgmm.readers.arrays import ManyReaders

    readers: list[Reader] = []
    files = files_of(paths)
    cached = fit_in_cache(files)
    for file in files:
        chosen = columns if columns is not None or not readers else readers[0].names
        readers.append(_open(file, weight, chosen, text, cached))
        if columns is None:
            _refuse_other_columns(file, readers)
    return readers[0] if len(readers) == 1 else ManyReaders(readers)


def _refuse_other_columns(file: Path, readers: Sequence[Reader]) -> None:
    """Refuse columns of the last reader that the first one does not have."""
    first, last = (getattr(reader, "all_names", ()) for reader in (readers[0], readers[-1]))
    for name in last:
        if name not in first:
            raise ReadingError(
                f"{file} has a column {name!r} that other files do not have; choose the columns, or"
                " leave the file out."
            )


def _open(
    file: Path, weight: str | None, columns: Sequence[str] | None, text: Text, cached: bool
) -> Reader:
    kind = _kind_of(file)
    if kind == "npy":
        from fastgmm.readers.arrays import NpyReader

        if weight is not None:
            raise ReadingError(
                f"{file} is an array, whose columns have no names; write a table such as Parquet,"
                " with the weights in a column."
            )
        return NpyReader(file, cached)
    return _tables(file).FILE_READERS[kind](file, weight, columns, text)


def _tables(file: Path) -> Any:
    """Return the module that reads tables."""
    if find_spec("pyarrow") is None:
        raise ImportError(
            f'{file} is read by pyarrow; install it with: pip install "fastgmm[parquet]"'
        )
    from fastgmm.readers import tables

    return tables


def _kind_of(file: Path) -> str:
    kind = _kind(file)
    if kind is None:
        raise ReadingError(f"{file}: the name must end in {', '.join(ENDINGS)}.")
    return kind


_KINDS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".csv": "csv",
    ".npy": "npy",
}
ENDINGS = tuple(_KINDS)  # of names of files that can be read


def _kind(file: Path) -> str | None:
    return _KINDS.get(file.suffix.lower())
