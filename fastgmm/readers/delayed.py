"""Partitions of a Dask collection, computed one after the other where there is no cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fastgmm._errors import ReadingError
from fastgmm.readers.base import Block, Reader


class Partition(NamedTuple):
    """A partition: its features, the type of its numbers, its names and its number."""

    n_features: int
    dtype: np.dtype
    names: tuple[str, ...] | None = None
    number: int = 0

    @property
    def place(self) -> str:
        """What to call it in messages."""
        return f"partition {self.number} of X"


def load(values: Any, weight: Any, partition: Partition) -> Block:
    """Return a partition as a block of rows.

    `values` is an array or a data frame. `weight` is an array, the name of a column or None.

    Raises
    ------
    ReadingError
        If the partition does not hold numbers, or has other columns than it should.
    """
    if isinstance(weight, str):
        values, weight = values.drop(columns=[weight]), values[weight]
    weights = np.empty(0) if weight is None else np.array(weight, np.float64).ravel()
    try:
        if hasattr(values, "to_numpy"):
            values = values.to_numpy(partition.dtype, na_value=np.nan)
        rows = np.require(values, partition.dtype, ["C", "A", "W"])
    except (TypeError, ValueError) as error:
        raise ReadingError(f"{partition.place} does not hold numbers: {error}") from error
    rows = rows[:, None] if rows.ndim == 1 else rows
    if rows.shape[1] != partition.n_features or weights.size not in (0, len(rows)):
        raise ReadingError(
            f"{partition.place} has shape {rows.shape} and {weights.size} weights; it must have"
            f" {partition.n_features} features and a weight for each row."
        )
    return Block(rows, weights, partition.place, 0)


class DelayedReader(Reader):
    """Delayed blocks, which are computed in order.

    Parameters
    ----------
    loads : list
        Delayed calls of `load`.
    partition : Partition
        What all partitions have in common.
    """

    def __init__(self, loads: list[Any], partition: Partition):
        self.n_features, self.dtype, self.names = partition[:3]
        self._loads = loads

    def blocks(self) -> Iterator[Block]:
        """Compute the partitions."""
        for number, delayed in enumerate(self._loads):
            try:
                yield delayed.compute()
            except (ReadingError, MemoryError):
                raise
            except Exception as error:
                kind = type(error).__name__
                raise ReadingError(
                    f"partition {number} of X cannot be loaded: {kind}: {error}"
                ) from error
