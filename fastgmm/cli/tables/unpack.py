"""A plain file of any data: the standard input is copied, and what is compressed is unpacked.

Libraries unpack: Python's own for gzip, bzip2, xz and zip, zstandard for Zstandard. The kind is
seen from the first bytes, whatever the name of the file.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import stat
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from fastgmm.cli.errors import Failure, FileProblem
from fastgmm.cli.wording import listed

_STREAMS = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")
_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
_WORKBOOKS = ("xl/workbook.xml", "xl/workbook.bin", "content.xml")


class Source(NamedTuple):
    """A file to read, and what to call it."""

    name: Path  # as the user gave it, for messages
    file: Path  # `name` itself, or a copy in `folder`
    suffix: str  # ending of the table's name in lower case, such as ".csv"
    folder: Path  # for temporary copies; removed when the table has been read

    @property
    def for_polars(self) -> str:
        """A name that polars takes for a file: valid UTF-8 that is no address."""
        name = os.path.abspath(self.file)
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise FileProblem(
                f"{self.name} has a name that is not UTF-8; rename the file"
            ) from error
        return name


@contextmanager
def plain_file(path: Path) -> Iterator[Source]:
    """Yield the file at `path`, or a copy of what it packs or of the standard input."""
    with tempfile.TemporaryDirectory(prefix="fastgmm-") as folder:
        if str(path) == "-" or str(path).startswith(_STREAMS):
            source = _copied(path, Path(folder))
        else:
            source = Source(path, path, path.suffix.lower(), Path(folder))
        _require_content(source)
        opener = _opener(source.file)
        if opener:
            source = _unpacked(source, opener)
            _require_content(source)
        yield source


def zip_kind(file: Path) -> str | None:
    """Return ``.xlsx`` or ``.npz`` if a file is a zip archive of such a kind."""
    if not zipfile.is_zipfile(file):
        return None
    try:
        with zipfile.ZipFile(file) as archive:
            members = _files_in(archive)
    except Exception:  # it is reported when the file is unpacked
        return None
    if any(name in members for name in _WORKBOOKS):
        return ".xlsx"
    return ".npz" if members and all(name.endswith(".npy") for name in members) else None


def _copied(path: Path, folder: Path) -> Source:
    """Copy a stream to a file."""
    copy = folder / "stream"
    with copy.open("wb") as target:
        if str(path) in ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"):
            shutil.copyfileobj(sys.stdin.buffer, target)
        else:
            with path.open("rb") as stream:
                shutil.copyfileobj(stream, target)
    return Source(path, copy, "", folder)


def _require_content(source: Source) -> None:
    """Refuse what is not a regular file, or is empty."""
    status = source.file.stat()
    if stat.S_ISDIR(status.st_mode):
        raise FileProblem(f"{source.name} is a folder, not a file; name a file")
    if not stat.S_ISREG(status.st_mode):
        raise FileProblem(f"{source.name} is not a regular file; copy its contents to a file first")
    if status.st_size == 0:
        raise FileProblem(f"{source.name} is empty; it must hold at least one row of numbers")


# --- compressed files


class _Zstandard:
    """Data compressed by Zstandard; unlike that library's own reader it notices where they end."""

    def __init__(self, file: Path, library: Any):
        self._new = library.ZstdDecompressor().decompressobj
        self._frame: Any = None
        self._file = file.open("rb")

    def __enter__(self) -> _Zstandard:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def read(self, size: int) -> bytes:
        """Return some bytes, none at the end."""
        unpacked = b""
        while not unpacked:
            block = self._file.read(size)
            if not block:
                break
            unpacked = b"".join(self._frames(block))
        if not unpacked and self._frame is not None:
            raise EOFError("the data end before their last frame does")
        return unpacked

    def _frames(self, block: bytes) -> Iterator[bytes]:
        while block:
            self._frame = self._frame or self._new()
            yield self._frame.decompress(block)
            block = b""
            if self._frame.eof:
                block, self._frame = self._frame.unused_data, None


def _open_zstandard(source: Source) -> tuple[Any, str]:
    try:
        import zstandard
    except ImportError:
        raise Failure(
            f"{source.name} is compressed by Zstandard; install its reader with:"
            ' pip install "fastgmm[cli]"'
        ) from None
    return _Zstandard(source.file, zstandard), _inner_suffix(source)


def _open_zip(source: Source) -> tuple[Any, str]:
    archive = zipfile.ZipFile(source.file)
    members = _files_in(archive)
    if len(members) != 1:
        raise FileProblem(
            f"{source.name} must hold one file, but holds {len(members)}: {listed(members)};"
            " unpack it and name one"
        )
    return archive.open(members[0]), Path(members[0]).suffix.lower()


def _by_module(module: Any) -> Callable[[Source], tuple[Any, str]]:
    return lambda source: (module.open(source.file, "rb"), _inner_suffix(source))


_OPENERS: dict[bytes, Callable[[Source], tuple[Any, str]]] = {
    b"\x1f\x8b": _by_module(gzip),
    b"BZh": _by_module(bz2),
    b"\xfd7zXZ\0": _by_module(lzma),
    b"\x28\xb5\x2f\xfd": _open_zstandard,
    b"PK\x03\x04": _open_zip,
}


def _opener(file: Path) -> Callable[[Source], tuple[Any, str]] | None:
    """Return what unpacks a file; None if it is not packed, or is a workbook or a .npz file."""
    with file.open("rb") as opened:
        start = opened.read(8)
    for magic, opener in _OPENERS.items():
        if start.startswith(magic):
            return None if opener is _open_zip and zip_kind(file) else opener
    return None


def _inner_suffix(source: Source) -> str:
    """Return the ending before that of the compression: ``.csv`` of table.csv.gz."""
    name = source.name.stem if source.suffix in _PACKED else source.name
    return Path(name).suffix.lower()


def _files_in(archive: zipfile.ZipFile) -> list[str]:
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    return [name for name in names if not name.startswith("__MACOSX/")]


def _unpacked(source: Source, opener: Callable[[Source], tuple[Any, str]]) -> Source:
    copy = source.folder / "unpacked"
    with _unpacking_errors(source.name):
        packed, suffix = opener(source)
        with packed, copy.open("wb") as target:
            shutil.copyfileobj(packed, target, 1 << 20)
    return source._replace(file=copy, suffix=suffix)


@contextmanager
def _unpacking_errors(path: Path) -> Iterator[None]:
    """Turn what the libraries say of damaged or encrypted data into a `FileProblem`."""
    try:
        yield
    except (Failure, MemoryError):
        raise
    except Exception as error:  # the libraries raise nearly everything for damaged data
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the system, not of the data
        raise _not_unpacked(path, error) from error


def _not_unpacked(path: Path, error: Exception) -> FileProblem:
    return FileProblem(f"{path} cannot be unpacked: {error}")
