"""What a first pass over rows finds out: how many there are, and a sample of them."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import NamedTuple

import numpy as np

from fastgmm._errors import ReadingError
from fastgmm.readers.base import Block

_SAMPLE_BYTES = 2**24  # of the rows that are kept in memory
_FEWEST = 1000
_SEED = 0


class Survey(NamedTuple):
    """The result of a first pass.

    Rows without any value count as rows of weight zero, and `has_values` (n_features,) is a mask of
    the features of which a row of positive weight has a value.

    `sample` holds rows of positive weight, in the order of the source. If these are all, then
    `sample_weight` has their weights, if there are any. Otherwise they were drawn in proportion to
    their weights, and `sample_weight` is empty.
    """

    n_rows: int
    n_weighted: int
    total_weight: float
    greatest_weight: float
    is_weighted: bool
    sample: np.ndarray
    sample_weight: np.ndarray
    has_values: np.ndarray


class Tally:
    """Counts of rows, and rows drawn without replacement in proportion to their weights.

    Each row gets the key -log(u) / weight with u uniform, and the rows with the least keys are
    kept (Efraimidis and Spirakis 2006). The draw does not depend on where blocks end. Tallies of
    parts can be added; each part has its own sequence of random numbers.

    Parameters
    ----------
    n_features : int
        Number of features.
    dtype : numpy.dtype
        Type of the rows.
    part : int, default=0
        The number of the part.
    gaps : bool, default=False
        Whether NaN stands for missing values.
    """

    def __init__(self, n_features: int, dtype: np.dtype, part: int = 0, gaps: bool = False):
        self._size = max(_FEWEST, _SAMPLE_BYTES // (n_features * dtype.itemsize))
        self._random = np.random.Generator(np.random.PCG64([_SEED, part]))
        self._keys = np.empty(0)
        self._rows = np.empty((0, n_features), dtype)
        self._weights = np.empty(0)
        self._n_rows = self._n_weighted = 0
        self._total = self._greatest = 0.0
        self._is_weighted = False
        self._gaps = gaps
        self._has_values = np.full(n_features, not gaps)

    def add(self, values: np.ndarray, weight: np.ndarray) -> None:
        """Count the rows of a block and offer them to the sample."""
        ones = np.ones(len(values))
        self._is_weighted |= weight.size > 0
        weight = weight if weight.size else ones
        weight = self._known(values, weight) if self._gaps else weight
        self._n_rows += len(values)
        self._n_weighted += int(np.count_nonzero(weight))
        self._total += float(weight.sum())
        self._greatest = max(self._greatest, float(weight.max(initial=0.0)))
        with np.errstate(divide="ignore"):
            keys = self._random.standard_exponential(len(values)) / weight
        limit = self._keys.max() if len(self._keys) == self._size else np.inf
        chosen = np.flatnonzero(keys < limit)
        self._keep(keys[chosen], values[chosen], weight[chosen])

    def _known(self, values: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Return the weights, zero for rows without any value; mark the features with values."""
        known = ~np.isnan(values)
        weight = np.where(known.any(axis=1), weight, 0.0)
        if not self._has_values.all():
            self._has_values |= known[weight > 0].any(axis=0)
        return weight

    def with_later(self, other: Tally) -> Tally:
        """Return the tally of this part and a later one; neither changes."""
        both = copy(self)
        both._is_weighted |= other._is_weighted
        both._n_rows += other._n_rows
        both._n_weighted += other._n_weighted
        both._total += other._total
        both._greatest = max(self._greatest, other._greatest)
        both._has_values = self._has_values | other._has_values
        both._keep(other._keys, other._rows, other._weights)
        return both

    def _keep(self, keys: np.ndarray, rows: np.ndarray, weights: np.ndarray) -> None:
        """Keep those of the old and the new rows that have the least keys, in their order."""
        keys = np.concatenate([self._keys, keys])
        rows = np.concatenate([self._rows, rows])
        weights = np.concatenate([self._weights, weights])
        if len(keys) > self._size:
            kept = np.sort(np.argpartition(keys, self._size - 1)[: self._size])
            keys, rows, weights = keys[kept], rows[kept], weights[kept]
        self._keys, self._rows, self._weights = keys, rows, weights

    def result(self) -> Survey:
        """Return what was found.

        Raises
        ------
        ReadingError
            If there are no rows, or none has a positive weight.
        """
        if self._n_rows == 0:
            raise ReadingError("X has no rows.")
        if self._total == 0:
            raise ReadingError("all rows have weight zero; at least one must be positive.")
        has_all = len(self._rows) == self._n_weighted
        weights = self._weights if self._is_weighted and has_all else np.empty(0)
        counts = self._n_rows, self._n_weighted, self._total, self._greatest, self._is_weighted
        return Survey(*counts, self._rows, weights, self._has_values)


def survey(blocks: Iterable[Block], n_features: int, dtype: np.dtype, gaps: bool = False) -> Survey:
    """Return what a pass over blocks finds out, and check every value.

    If `gaps` is true, NaN stands for missing values.

    Raises
    ------
    ReadingError
        If there are no rows, or a value or a weight is not finite; the message says where.
    """
    tally = Tally(n_features, dtype, gaps=gaps)
    for block in blocks:
        check_block(block, gaps)
        tally.add(block.values, block.weight)
    return tally.result()


def check_block(block: Block, gaps: bool = False, squares: bool = True) -> None:
    """Refuse values that are not finite, or so large that their squares overflow.

    If `gaps` is true, NaN is allowed. If `squares` is false, all finite values are.
    """
    values, weight = block.values, block.weight
    greatest, least = (np.fmax, np.fmin) if gaps else (np.maximum, np.minimum)  # fmax ignores NaN
    with np.errstate(over="ignore", invalid="ignore"):
        largest = max(
            float(greatest.reduce(values, axis=None, initial=0.0)),
            -float(least.reduce(values, axis=None, initial=0.0)),
        )
    limit = np.sqrt(np.finfo(values.dtype).max) / 64.0 if squares else np.inf
    if not largest < limit:
        bad = (np.isinf(values) if gaps else ~np.isfinite(values)).any(axis=1)
        sizes = np.fmax.reduce(np.abs(values), axis=1)
        row = int(np.argmax(bad)) if bad.any() else int(np.nanargmax(sizes))
        what = "a NaN or infinite value" if bad.any() else f"a value as large as {largest:g}"
        use = ", or use them as they are with missing='em'" if np.isnan(values[row]).any() else ""
        raise ReadingError(f"{block.where(row)}, has {what}; drop such rows or correct them{use}.")
    if weight.size and not ((weight >= 0) & (weight < np.inf)).all():
        row = int(np.argmin((weight >= 0) & (weight < np.inf)))
        raise ReadingError(
            f"{block.where(row)}, has the weight {weight[row]:g}; weights must be finite and not"
            " negative."
        )
