"""The rule that decides whether files are read into memory or in blocks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastgmm.cli.errors import library_errors
from fastgmm.cli.inputs.base import Input
from fastgmm.cli.inputs.blocks import BlockInput
from fastgmm.cli.inputs.table import TableInput
from fastgmm.cli.tables.request import Request
from fastgmm.readers.memory import memory_of_machine
from fastgmm.readers.paths import ENDINGS, files_of, is_pattern

_SHARE = 0.25  # of the machine's memory: a larger file is read in blocks


def open_input(data: Sequence[Path], request: Request) -> Input:
    """Return the rows of DATA: of a table in memory, or of files that are read in blocks.

    Raises
    ------
    Failure
        If they cannot be read.
    """
    if _are_read_in_blocks(data):
        return BlockInput.open(data, request)
    return TableInput.read(data[0], request)


def files_read(data: Sequence[Path]) -> list[Path]:
    """Return the files that DATA stands for."""
    if not _are_read_in_blocks(data):
        return list(data)
    with library_errors():
        return files_of(data)


def _are_read_in_blocks(data: Sequence[Path]) -> bool:
    """Return whether there may be several files, or one too large for the memory."""
    if len(data) > 1 or is_pattern(str(data[0])):
        return True
    file = data[0]
    if not file.is_file() or file.suffix.lower() not in ENDINGS:
        return False
    return file.stat().st_size > _SHARE * memory_of_machine()
