"""A source of rows that are read in blocks, anew for each pass: they need not fit in memory.

The statistics of the blocks are added in their order. The blocks depend on the reader alone, so
the results have the same bits for every number of threads, however far blocks are read ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import repeat
from typing import Any, Self

import numpy as np

from fastgmm._errors import ReadingError
from fastgmm.kernels.types import Data
from fastgmm.readers.base import Block, Reader
from fastgmm.readers.lockstep import Lockstep, SharedReader
from fastgmm.sources.base import Answers, Statistics, merge
from fastgmm.sources.parts import PartedSource, Sum
from fastgmm.sources.survey import Survey, survey


class BlockSource(PartedSource):
    """Rows that a reader yields.

    Parameters
    ----------
    reader : Reader
        Where the rows come from.
    n_threads : int, optional
        Greatest number of threads.
    found : Survey, optional
        The result of a first pass, if it was made already.
    watch : callable, optional
        See `Source`.

    Raises
    ------
    ReadingError
        If the rows cannot be read, or a value is not finite; the message says where.
    """

    def __init__(
        self,
        reader: Reader,
        n_threads: int | None = None,
        found: Survey | None = None,
        watch: Callable[[int, int], object] | None = None,
    ) -> None:
        self._reader = reader
        self._state = reader.fingerprint()
        self.n_features, self.dtype, self.names = reader.n_features, reader.dtype, reader.names
        self.n_threads = n_threads
        self.n_passes, self.watch = 0, watch
        self.n_samples = 0
        if found is None:
            found = survey(self._read(), self.n_features, self.dtype, self._has_gaps)
        self._keep(found)

    def _read(self) -> Iterator[Block]:
        """Yield all blocks that have rows; refuse rows that changed since the first pass."""
        self.n_passes += 1
        refuse_changes(self._reader, self._state)
        n_done = 0
        if self.watch is not None:
            self.watch(0, self.n_samples)
        for block in self._reader.ahead():
            n_rows = len(block.values)
            if n_rows:
                yield block
                del block  # fits in lockstep wait here, and must not all keep a block of a fold
                n_done += n_rows
                if self.watch is not None:
                    self.watch(n_done, self.n_samples)
        refuse_changes(self._reader, self._state)

    def _data(self) -> Iterator[Data]:
        n_rows = 0
        for block in self._read():
            n_rows += len(block.values)
            data = self._data_of(block)
            del block
            yield data
            del data
        if n_rows != self.n_samples:
            raise ReadingError(
                f"X had {self.n_samples} rows in the first pass and has {n_rows} now; it must"
                " yield the same rows each time."
            )

    def _data_of(self, block: Block) -> Data:
        weight = block.weight
        if self.is_weighted and not weight.size:
            weight = np.ones(len(block.values))
        values = np.require(block.values, requirements=["C", "A"])
        return Data(values, np.require(weight, np.float64, ["C", "A"]))

    def _total(self, sum_of_part: Sum) -> Statistics:
        return merge(map(sum_of_part, self._data(), repeat(self.n_threads)))

    def answers(self, densities: Any, wanted: Any, n_rows: int) -> Iterator[Answers]:
        """Yield the results of inference for blocks of rows: see `Source.answers`."""
        begin = 0
        for rows in map(self._rows, self._data()):
            n_done = rows.n_samples
            for answers in rows.answers(densities, wanted, n_rows):
                part = slice(begin + answers.rows.start, begin + answers.rows.stop)
                yield answers._replace(rows=part)
            del rows, answers
            begin += n_done

    def view(self, n_threads: int | None) -> Self:
        """Return another source of the same rows, without another first pass."""
        return self._again(self._reader, n_threads)

    def shared(self, lockstep: Lockstep) -> Self:
        """Return a source of the same rows that fits in lockstep read together."""
        return self._again(SharedReader(self._reader, lockstep), self.n_threads)

    def _again(self, reader: Reader, n_threads: int | None) -> Self:
        """Return a source of the same rows, which must not have changed since the first pass."""
        source = type(self)(reader, n_threads, self._found)
        source._state = self._state
        return source

    def folds(
        self, n_folds: int, random_state: np.random.RandomState
    ) -> list[tuple[BlockSource, BlockSource]]:
        """Split the rows at random: see `Source.folds`."""
        seed = int(random_state.randint(2**31))
        return [
            (
                type(self)(FoldReader(self._reader, seed, n_folds, fold, False), self.n_threads),
                type(self)(FoldReader(self._reader, seed, n_folds, fold, True), self.n_threads),
            )
            for fold in range(n_folds)
        ]


def refuse_changes(reader: Reader, state: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse rows that changed since `state` was the reader's fingerprint."""
    now = reader.fingerprint()
    for place, then in state.items():
        if now.get(place) != then:
            raise ReadingError(
                f"{place} has changed since it was first read; start again when nothing writes to"
                " it."
            )


class FoldReader(Reader):
    """The rows of a reader that are, or are not, in one of several random folds.

    Rows are drawn into folds in their order by a generator that starts anew for each pass, so that
    nothing is stored for a row.
    """

    def __init__(self, reader: Reader, seed: int, n_folds: int, fold: int, inside: bool):
        self.n_features, self.dtype, self.names = reader.n_features, reader.dtype, reader.names
        self._reader, self._draw = reader, (seed, n_folds, fold, inside)

    def blocks(self) -> Iterator[Block]:
        """Yield the rows of each block that are meant."""
        return self._chosen(self._reader.blocks())

    def ahead(self) -> Iterator[Block]:
        """Yield the same; the reader may read its next block meanwhile."""
        return self._chosen(self._reader.ahead())

    def _chosen(self, blocks: Iterator[Block]) -> Iterator[Block]:
        seed, n_folds, fold, inside = self._draw
        random = np.random.Generator(np.random.PCG64(seed))
        for block in blocks:
            chosen = (random.integers(n_folds, size=len(block.values)) == fold) == inside
            weight = block.weight[chosen] if block.weight.size else block.weight
            yield block._replace(values=block.values[chosen], weight=weight)

    def fingerprint(self) -> dict[str, tuple[int, ...]]:
        """Return that of the reader."""
        return self._reader.fingerprint()
