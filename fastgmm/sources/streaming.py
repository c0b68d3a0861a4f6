"""Answers for rows of a reader in a single pass, which checks every block as it comes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastgmm._errors import ReadingError
from fastgmm.kernels.types import Data
from fastgmm.readers.ahead import blocks_ahead
from fastgmm.readers.base import Reader
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import Answers
from fastgmm.sources.blocks import refuse_changes
from fastgmm.sources.incomplete import IncompleteSource
from fastgmm.sources.operands import Densities
from fastgmm.sources.survey import check_block


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
        If the rows cannot be read, or change meanwhile, or a value is not finite; the message says
        where.
    """
    state = reader.fingerprint()
    begin = 0
    for block in blocks_ahead(reader):
        if not len(block.values):
            continue
        check_block(block, gaps, squares=False)
        data = Data(block.values, block.weight)
        rows = (IncompleteSource if gaps else ArraySource)(*data, n_threads)
        for answers in rows.answers(densities, wanted, len(block.values)):
            end = begin + answers.rows.stop
            yield answers._replace(rows=slice(begin + answers.rows.start, end))
        begin += len(block.values)
    refuse_changes(reader, state)
    if not begin:
        raise ReadingError("X has no rows.")
