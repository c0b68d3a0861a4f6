"""Rows on the workers of a Dask cluster.

Each partition becomes an array on the worker that loads it, and stays there. A pass sends the
parameters to the workers and adds the statistics of the partitions in a tree whose shape depends
on their number alone. So the results have the same bits for any number of workers, in whatever
order they answer, and if some of them die: Dask then loads their partitions again elsewhere. For
the same reason passes keep no bounds between iterations, which would be lost with a worker.

A task costs the scheduler and its worker some milliseconds, whatever it does. So a pass has one
task for each partition, and the tree adds several sums at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any, NamedTuple, NoReturn

import numpy as np

from fastgmm._errors import ReadingError
from fastgmm.kernels.types import Data
from fastgmm.readers.base import Block
from fastgmm.readers.delayed import Partition
from fastgmm.sources.base import Answers, Statistics, merge
from fastgmm.sources.parts import PartedSource, Sum
from fastgmm.sources.survey import Survey, Tally, check_block

_TELL_SECONDS = 0.2
_DISCONNECTED = "CancelledError", "ClosedClientError", "CommClosedError", "FutureCancelledError"
FAN_IN = 8  # sums that a task of the tree adds
_ONE_THREAD = 1  # a worker runs as many tasks at a time as it has threads


class Parts(NamedTuple):
    """Partitions on the workers of a client: futures of a `Block`, and what they share."""

    client: Any
    futures: list[Any]
    partition: Partition


class ClusterSource(PartedSource):
    """Rows in partitions on the workers of a Dask cluster.

    Parameters
    ----------
    parts : Parts
        The partitions.
    found : Survey, optional
        The result of a first pass, if it was made already.

    Raises
    ------
    ReadingError
        If a partition cannot be loaded, or a value is not finite; the message says where.
    """

    def __init__(self, parts: Parts, found: Survey | None = None):
        self._parts = parts
        self.n_features, self.dtype, self.names = parts.partition[:3]
        self.n_threads = None
        self.n_passes = 0
        self._keep(self._survey() if found is None else found)

    def _survey(self) -> Survey:
        self.n_passes = 1
        tallies = self._for_each(_tally, range(len(self._parts.futures)), gaps=self._has_gaps)
        tally: Tally = self._result(self._tree(_join, tallies))
        return tally.result()

    def _total(self, sum_of_part: Sum) -> Statistics:
        self.n_passes += 1
        shared = self._submit(_itself, sum_of_part)  # workers get it from one another
        leaves = self._for_each(_sum, [shared] * len(self._parts.futures))
        future = self._tree(_add, leaves)
        if self.watch is not None:
            self._follow(future, leaves, self.watch)
        total: Statistics = self._result(future)
        return total

    def _follow(self, future: Any, leaves: list[Any], watch: Callable[[int, int], object]) -> None:
        """Tell which share of the partitions is done, until all are or one fails."""
        from distributed import wait

        watch(0, self.n_samples)
        while not future.done():
            try:
                wait([future], timeout=_TELL_SECONDS)
            except TimeoutError:
                pass
            except Exception as error:
                _explain(error, self._parts)
            n_done = sum(leaf.done() for leaf in leaves)
            watch(n_done * self.n_samples // len(leaves), self.n_samples)

    def _submit(self, function: Any, *arguments: Any) -> Any:
        try:
            return self._parts.client.submit(function, *arguments, pure=False)
        except Exception as error:
            _explain(error, self._parts)

    def _for_each(self, function: Any, *iterables: Any, **shared: Any) -> list[Any]:
        """Return the future of the function's result for each partition."""
        client, futures, _ = self._parts
        try:
            return list(client.map(function, futures, *iterables, pure=False, **shared))
        except Exception as error:
            _explain(error, self._parts)

    def _tree(self, add: Any, futures: list[Any]) -> Any:
        """Return the future of the sum: neighbours are added, then their sums, and so on."""
        while len(futures) > 1:
            groups = [futures[i : i + FAN_IN] for i in range(0, len(futures), FAN_IN)]
            futures = [self._submit(add, group) for group in groups]
        return futures[0]

    def _result(self, future: Any) -> Any:
        try:
            return future.result()
        except (ReadingError, KeyboardInterrupt):
            raise
        except BaseException as error:  # CancelledError is no Exception
            _explain(error, self._parts)

    def answers(self, densities: Any, wanted: Sequence[str], n_rows: int) -> Iterator[Answers]:
        """Yield the results of inference for each partition: see `Source.answers`."""
        begin = 0
        for future in self._parts.futures:
            arguments = self._rows_type, densities, wanted, n_rows
            blocks = self._result(self._submit(_answers, future, *arguments))
            for answers in blocks:
                rows = slice(begin + answers.rows.start, begin + answers.rows.stop)
                yield answers._replace(rows=rows)
            begin += blocks[-1].rows.stop if blocks else 0

    def view(self, n_threads: int | None) -> ClusterSource:
        """Return another source of the same rows, without another first pass."""
        return type(self)(self._parts, self._found)

    def folds(
        self, n_folds: int, random_state: np.random.RandomState
    ) -> list[tuple[ClusterSource, ClusterSource]]:
        """Split the rows at random: see `Source.folds`."""
        seed = int(random_state.randint(2**31))
        return [
            (self._fold(seed, n_folds, fold, False), self._fold(seed, n_folds, fold, True))
            for fold in range(n_folds)
        ]

    def _fold(self, seed: int, n_folds: int, fold: int, inside: bool) -> ClusterSource:
        seeds = [[seed, number] for number in range(len(self._parts.futures))]
        futures = self._for_each(_rows_of_fold, seeds, n_folds=n_folds, fold=fold, inside=inside)
        return type(self)(self._parts._replace(futures=futures))


# --- what workers run


def _tally(block: Block, number: int, gaps: bool) -> Tally:
    check_block(block, gaps)
    tally = Tally(block.values.shape[1], block.values.dtype, number, gaps)
    tally.add(block.values, block.weight)
    return tally


def _join(tallies: list[Tally]) -> Tally:
    return reduce(Tally.with_later, tallies)  # a worker may need the parts again, unchanged


def _itself(value: Any) -> Any:
    return value


def _sum(block: Block, sum_of_part: Sum) -> Statistics | None:
    data = Data(block.values, block.weight)
    return sum_of_part(data, _ONE_THREAD) if len(block.values) else None


def _add(sums: list[Statistics | None]) -> Statistics | None:
    filled = [statistics for statistics in sums if statistics is not None]
    return merge(filled) if filled else None


def _answers(
    block: Block, rows_type: Any, densities: Any, wanted: Sequence[str], n_rows: int
) -> list[Answers]:
    if not len(block.values):
        return []
    rows = rows_type(block.values, block.weight, _ONE_THREAD)
    answers = rows.answers(densities, wanted, n_rows)
    return [Answers(part.rows, *(array.copy() for array in part[1:])) for part in answers]


def _rows_of_fold(block: Block, seed: Any, n_folds: int, fold: int, inside: bool) -> Block:
    random = np.random.Generator(np.random.PCG64(seed))
    chosen = (random.integers(n_folds, size=len(block.values)) == fold) == inside
    weight = block.weight[chosen] if block.weight.size else block.weight
    return block._replace(values=block.values[chosen], weight=weight)


# --- errors


def _explain(error: BaseException, parts: Parts) -> NoReturn:
    """Raise the error that says which partition failed, if it was one, and what to do."""
    killed = []  # Dask blames all partitions that a worker was to load when it died
    for number, future in enumerate(parts.futures):
        if future.status == "error":
            cause = future.exception()
            if isinstance(cause, ReadingError):
                raise cause from error
            kind = type(cause).__name__
            if kind != "KilledWorker":
                raise ReadingError(
                    f"partition {number} of X cannot be loaded: {kind}: {cause}"
                ) from error
            killed.append(str(number))
    if killed:
        raise ReadingError(
            f"workers died again and again while they loaded partitions {', '.join(killed)} of X;"
            " these may be too large for their memory, so use more and smaller partitions."
        ) from error
    if type(error).__name__ == "KilledWorker":
        raise ReadingError(
            "workers died again and again during a pass; give them more memory, or use smaller"
            " partitions."
        ) from error
    if type(error).__name__ in _DISCONNECTED or parts.client.status in ("closing", "closed"):
        raise ReadingError(
            "the client lost its connection to the cluster during the fit; connect again and fit"
            " again."
        ) from error
    raise error
