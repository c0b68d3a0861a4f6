"""What a first pass over blocks of rows finds out: how many there are, and a sample of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgmm._errors import ReadingError
from fastgmm.readers.base import Block, Reader

_SAMPLE_BYTES = 2**25  # of the rows that are kept in memory
_SEED = 0


class Survey(NamedTuple):
    """The result of a first pass.

    `sample` holds rows drawn in proportion to their weights, in the order of the source, and
    `sample_weight` their weights, empty if all are 1. `counts` are the numbers of rows of the
    blocks.
    """

    n_rows: int
    n_weighted: int
    total_weight: float
    greatest_weight: float
    is_weighted: bool
    sample: np.ndarray
    sample_weight: np.ndarray


class _Reservoir:
    """Rows drawn without replacement, in proportion to their weights, in one pass.

    Each row gets the key -log(u) / weight with u uniform, and the rows with the least keys are
    kept (Efraimidis and Spirakis 2006). The draw does not depend on where blocks end.
    """

    def __init__(self, reader: Reader):
        row_bytes = reader.n_features * reader.dtype.itemsize
        self._size = max(1000, _SAMPLE_BYTES // row_bytes)
        self._random = np.random.Generator(np.random.PCG64(_SEED))
        self._keys = np.empty(0)
        self.rows = np.empty((0, reader.n_features), reader.dtype)
        self.weights = np.empty(0)
        self.has_all = True

    def add(self, values: np.ndarray, weight: np.ndarray) -> None:
        """Offer the rows of a block."""
        keys = self._random.standard_exponential(len(values))
        with np.errstate(divide="ignore"):
            keys /= weight if weight.size else 1.0
        limit = self._keys.max() if len(self._keys) == self._size else np.inf
        chosen = np.flatnonzero(keys < limit)
        every = np.concatenate([self._keys, keys[chosen]])
        kept = np.arange(len(every))
        if len(every) > self._size:
            self.has_all = False
            kept = np.sort(np.argpartition(every, self._size - 1)[: self._size])
        ones = np.ones(len(values))
        self._keys = every[kept]
        self.rows = np.concatenate([self.rows, values[chosen]])[kept]
        self.weights = np.concatenate([self.weights, (weight if weight.size else ones)[chosen]])[
            kept
        ]


def survey(reader: Reader, blocks) -> Survey:
    """Return what a pass over `blocks` finds out, and check every value.

    Raises
    ------
    ReadingError
        If there are no rows, or a value or a weight is not finite; the message says where.
    """
    reservoir = _Reservoir(reader)
    n_rows = n_weighted = 0
    total = greatest = 0.0
    is_weighted = False
    for block in blocks:
        check_block(block)
        n = len(block.values)
        n_rows += n
        is_weighted |= block.weight.size > 0
        n_weighted += int(np.count_nonzero(block.weight)) if block.weight.size else n
        total += float(block.weight.sum()) if block.weight.size else n
        greatest = max(greatest, float(block.weight.max(initial=0.0)) if block.weight.size else 1.0)
        reservoir.add(block.values, block.weight)
    if n_rows == 0:
        raise ReadingError("X has no rows.")
    if total == 0:
        raise ReadingError("all rows have weight zero; at least one must be positive.")
    keeps_weights = is_weighted and reservoir.has_all
    weights = reservoir.weights if keeps_weights else np.empty(0)
    return Survey(n_rows, n_weighted, total, greatest, is_weighted, reservoir.rows, weights)


def check_block(block: Block) -> None:
    """Refuse values that are not finite, or so large that their squares overflow."""
    values, weight = block.values, block.weight
    with np.errstate(over="ignore", invalid="ignore"):
        largest = max(float(values.max(initial=0.0)), -float(values.min(initial=0.0)))
    if not largest < np.sqrt(np.finfo(values.dtype).max) / 64.0:
        bad = ~np.isfinite(values).all(axis=1)
        row = int(np.argmax(bad)) if bad.any() else int(np.argmax(np.abs(values).max(axis=1)))
        what = "a NaN or infinite value" if bad.any() else f"a value as large as {largest:g}"
        raise ReadingError(f"{block.where(row)}, has {what}; drop such rows or correct them.")
    if weight.size and not ((weight >= 0) & (weight < np.inf)).all():
        row = int(np.argmin((weight >= 0) & (weight < np.inf)))
        raise ReadingError(
            f"{block.where(row)}, has the weight {weight[row]:g}; weights must be finite and not"
            " negative."
        )
