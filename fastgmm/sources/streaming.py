"""Rows of a reader in a single pass, which checks every block as it comes, and answers for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastgmm._errors import ReadingError
from fastgmm.kernels.types import Data
from fastgmm.readers.base import Block, Reader
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import Answers
from fastgmm.sources.blocks import refuse_changes
from fastgmm.sources.incomplete import IncompleteSource
from fastgmm.sources.operands import Densities
from fastgmm.sources.survey import check_block


def checked_blocks(reader: Reader, gaps: bool = False) -> Iterator[Block]:
    """Yield the blocks of a reader that have rows; one more is read meanwhile.

    Raises
    ------
    ReadingError
        If there are no rows, they cannot be read, or change meanwhile, or a value is not finite;
        the message says where.
    """
    state = reader.fingerprint()
    is_empty = True
    for block in reader.ahead():
        if len(block.values):
            check_block(block, gaps, squares=False)
            is_empty = False
            yield block
    refuse_changes(reader, state)
    if is_empty:
        raise ReadingError("X has no rows.")


def stream_answers(
    reader: Reader,
    densities: Densities,
    wanted: Sequence[str],
    n_threads: int | None = None,
    gaps: bool = False,
) -> Iterator[Answers]:
    """Yield the results of inference for the blocks of a reader, in order.

    `wanted` names the arrays to compute: see `Source.answers`. If `gaps` is true, NaN stands for
    missing values.

    Raises
    ------
    ReadingError
        As `checked_blocks`.
    """
    begin = 0
    for block in checked_blocks(reader, gaps):
        data = Data(block.values, block.weight)
        rows = (IncompleteSource if gaps else ArraySource)(*data, n_threads)
        for answers in rows.answers(densities, wanted, len(block.values)):
            end = begin + answers.rows.stop
            yield answers._replace(rows=slice(begin + answers.rows.start, end))
        begin += len(block.values)
