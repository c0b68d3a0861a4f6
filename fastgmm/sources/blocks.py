"""A source of rows that are read in blocks, anew for each pass: they need not fit in memory.

The statistics of the blocks are added in their order. The blocks depend on the reader alone, so
the results have the same bits for every number of threads, however far blocks are read ahead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastgmm._errors import ReadingError
from fastgmm.kernels.types import Data
from fastgmm.readers.ahead import blocks_ahead
from fastgmm.readers.base import Block, Reader
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import Answers, Source, Statistics, merge
from fastgmm.sources.double import DoubleRows
from fastgmm.sources.passes import chunk_count
from fastgmm.sources.precision import needs_double
from fastgmm.sources.survey import Survey, survey
from fastgmm.sources.wide import make_pass


class BlockSource(Source):
    """Rows that a reader yields.

    Parameters
    ----------
    reader : Reader
        Where the rows come from.
    n_threads : int, optional
        Greatest number of threads.
    found : Survey, optional
        The result of a first pass, if it was made already.

    Attributes
    ----------
    n_passes : int
        Number of passes over all rows so far, the first one included.

    Raises
    ------
    ReadingError
        If the rows cannot be read, or a value is not finite; the message says where.
    """

    def __init__(self, reader: Reader, n_threads: int | None = None, found: Survey | None = None):
        self._reader = reader
        self._state = reader.fingerprint()
        self.n_features, self.dtype, self.names = reader.n_features, reader.dtype, reader.names
        self.n_threads = n_threads
        self.n_passes = 0
        self._found = survey(reader, self._read()) if found is None else found
        self.n_samples, self.is_weighted = self._found.n_rows, self._found.is_weighted

    @property
    def total_weight(self) -> float:
        """Sum of the row weights."""
        return self._found.total_weight

    @property
    def n_weighted(self) -> int:
        """Number of rows with positive weight."""
        return self._found.n_weighted

    @property
    def effective_rows(self) -> float:
        """Total weight divided by the greatest weight of a row."""
        return self._found.total_weight / self._found.greatest_weight

    @property
    def n_chunks(self) -> int:
        """Number of chunks of a block's pass."""
        return chunk_count(self._found.sample)

    def _read(self) -> Iterator[Block]:
        """Yield all blocks that have rows; refuse rows that changed since the first pass."""
        self.n_passes += 1
        self._refuse_changes()
        for block in blocks_ahead(self._reader):
            if len(block.values):
                yield block
        self._refuse_changes()

    def _refuse_changes(self) -> None:
        now = self._reader.fingerprint()
        for place, state in self._state.items():
            if now.get(place) != state:
                raise ReadingError(
                    f"{place} has changed since it was first read; fit again when nothing writes to"
                    " it."
                )

    def _data(self) -> Iterator[Data]:
        n_rows = 0
        for block in self._read():
            n_rows += len(block.values)
            yield self._data_of(block)
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

    def statistics(self, model: Any, parameters: Any, complete: bool = False) -> Statistics:
        """Return the statistics of all rows: see `Source.statistics`."""
        kind = model.covariance_type
        if needs_double(kind, parameters, self.dtype):
            return self._sums(model, parameters, complete, double=True)
        statistics = self._sums(model, parameters, complete, double=False)
        if complete and self.dtype != np.float64:
            new = model.update(parameters, statistics, self.n_threads)
            if needs_double(kind, new, self.dtype):
                return self._sums(model, parameters, complete, double=True)
        return statistics

    def _sums(self, model: Any, parameters: Any, complete: bool, double: bool) -> Statistics:
        kind, n_components = model.covariance_type, len(parameters.weights)

        def of_block(data: Data) -> Statistics:
            if double and self.dtype != np.float64:
                return DoubleRows(data, self.n_threads).statistics(model, parameters, complete)
            once = make_pass(data, kind, n_components, self.n_threads)
            return once.statistics(model, parameters, complete)

        return merge(map(of_block, self._data()))

    def moments(self, covariance_type: Any, point: np.ndarray) -> Statistics:
        """Return N, S1 and S2 about a point: see `Source.moments`."""
        means = np.atleast_2d(point)
        return merge(
            make_pass(data, covariance_type, len(means), self.n_threads).given(means)
            for data in self._data()
        )

    def first_row(self) -> np.ndarray:
        """Return the first row of the sample as float64."""
        return self._found.sample[0].astype(np.float64)

    def draw(
        self, random_state: np.random.RandomState, n_rows: int, replace: bool = True
    ) -> np.ndarray:
        """Return rows of the sample, drawn at random."""
        return self.in_memory(random_state).draw(random_state, n_rows, replace)

    def in_memory(self, random_state: np.random.RandomState) -> ArraySource:
        """Return the sample of the first pass: all rows if they are few."""
        return ArraySource(self._found.sample, self._found.sample_weight, self.n_threads)

    def answers(self, densities: Any, wanted: Any, n_rows: int) -> Iterator[Answers]:
        """Yield the results of inference for blocks of rows: see `Source.answers`."""
        begin = 0
        for data in self._data():
            rows = ArraySource(*data, self.n_threads)
            for answers in rows.answers(densities, wanted, n_rows):
                part = slice(begin + answers.rows.start, begin + answers.rows.stop)
                yield answers._replace(rows=part)
            begin += len(data.X)

    def first_of_equals(self) -> np.ndarray:
        """Return a mask that is true for all rows: equal rows are not searched for."""
        return np.broadcast_to(True, self.n_samples)

    def view(self, n_threads: int | None) -> BlockSource:
        """Return another source of the same rows, without another first pass."""
        return BlockSource(self._reader, n_threads, self._found)

    def folds(
        self, n_folds: int, random_state: np.random.RandomState
    ) -> list[tuple[BlockSource, BlockSource]]:
        """Split the rows at random: see `Source.folds`."""
        seed = int(random_state.randint(2**31))
        return [
            (
                BlockSource(FoldReader(self._reader, seed, n_folds, fold, False), self.n_threads),
                BlockSource(FoldReader(self._reader, seed, n_folds, fold, True), self.n_threads),
            )
            for fold in range(n_folds)
        ]


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
        seed, n_folds, fold, inside = self._draw
        random = np.random.Generator(np.random.PCG64(seed))
        for block in self._reader.blocks():
            chosen = (random.integers(n_folds, size=len(block.values)) == fold) == inside
            weight = block.weight[chosen] if block.weight.size else block.weight
            yield block._replace(values=block.values[chosen], weight=weight)

    def fingerprint(self) -> dict[str, tuple[int, ...]]:
        """Return that of the reader."""
        return self._reader.fingerprint()
