"""Files that a command writes, and errors of the operating system about any file.

An output is a temporary file until the command succeeds, so that a failure leaves no trace and
no earlier result is lost.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import polars as pl

from fastgmm._replacing import replacing
from fastgmm.cli.errors import Failure, FileProblem
from fastgmm.cli.wording import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURES = (".png", ".pdf", ".svg")
_BLOCK_ROWS = 1 << 16


def check_outputs(
    data: Iterable[Path], outputs: Mapping[str, tuple[Path | None, *tuple[str, ...]]]
) -> None:
    """Refuse outputs with a wrong ending, or with the name of another file of the command.

    `data` are the files that are read. `outputs` maps an option to its path and the endings that
    the path may have.
    """
    taken = {os.path.realpath(file): "DATA" for file in data}
    for option, (path, *suffixes) in outputs.items():
        if path is None:
            continue
        if path.suffix.lower() not in suffixes:
            raise Failure(f"{option} {path}: the name must end in {' or '.join(suffixes)}")
        other = taken.setdefault(os.path.realpath(path), option)
        if other != option:
            raise Failure(f"{option} {path} is the same file as {other}; choose another name")


@contextmanager
def file_errors(path: Path, action: str) -> Iterator[None]:
    """Turn errors of the operating system and of polars about a file into a `FileProblem`.

    `action` is what cannot be done: "read" or "written".
    """
    try:
        yield
    except OSError as error:
        raise FileProblem(f"{path} cannot be {action}: {error.strerror or error}") from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = shortened(str(error).partition("\n")[0])
        raise FileProblem(f"{path} cannot be {action}: {reason}") from error


@contextmanager
def output(path: Path) -> Iterator[Path]:
    """Yield a temporary file that replaces `path` if the block succeeds.

    It is created on entry, so that a place that cannot be written is reported before the work.
    """
    with file_errors(path, "written"):
        if path.exists() and not (path.is_file() and os.access(path, os.W_OK)):
            reason = "is read-only" if path.is_file() else "is not a regular file"
            raise FileProblem(f"{path} {reason}; choose another name for the output")
    with replacing(path, lambda: file_errors(path, "written")) as temporary:
        yield temporary


@contextmanager
def outputs(*paths: Path | None) -> Iterator[list[Path | None]]:
    """Yield a temporary file for each path, and None for None; see `output`."""
    with ExitStack() as stack:
        yield [stack.enter_context(output(path)) if path else None for path in paths]


def write_csv(target: Path | IO[bytes], columns: Mapping[str, Any], header: bool = True) -> None:
    """Write columns of equal length, named by their keys, as CSV, perhaps without their names."""
    frame = pl.DataFrame(dict(columns))
    if isinstance(target, Path):
        with file_errors(target, "written"), target.open("wb") as file:
            frame.write_csv(file, include_header=header)
        return
    # Blocks are written by Python, not by polars, which hides a closed pipe in an error of its own.
    for n, block in enumerate(frame.iter_slices(_BLOCK_ROWS)):
        target.write(block.write_csv(include_header=header and n == 0).encode())
    target.flush()


def write_picture(path: Path, draw: Callable[[], Axes]) -> None:
    """Write the figure that `draw` returns, without opening a window."""
    try:
        import matplotlib
    except ImportError:
        raise Failure(
            '--plot needs matplotlib; install with: pip install "fastgmm[plot]"'
        ) from None
    matplotlib.use("agg")
    figure = draw().get_figure(root=True)
    assert figure is not None
    figure.savefig(path, dpi=150)
