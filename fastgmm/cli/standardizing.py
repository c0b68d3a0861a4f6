"""Fits of standardised columns, reported in the units of the table.

Columns in small or unlike units hide clusters from k-means and are swamped by --reg-covar.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastgmm.api.sources import rows_to_fit
from fastgmm.cli.errors import Failure, library_errors
from fastgmm.readers.base import Block, Reader
from fastgmm.sources.base import Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastgmm import Mixture, Selection
    from fastgmm.api.selection import Candidate

_BLOCK_ROWS = 1 << 16


def _deviation(mean: NDArray[Any], variance: NDArray[Any]) -> NDArray[Any]:
    """Return standard deviations, 1 for columns that do not vary."""
    deviation = np.sqrt(variance)
    varies = deviation > 16 * np.finfo(float).eps * np.abs(mean)
    return np.where(varies, deviation, 1.0)


def _weighted(values: NDArray[Any], weights: NDArray[Any]) -> Source:
    """Return the checked source of weighted rows."""
    if np.isnan(values).any():
        raise Failure(
            "--standardize cannot be used with --weights where values are missing; leave one out"
        )
    with library_errors():
        return rows_to_fit(values, weights)


class StandardizedReader(Reader):
    """The rows of a reader in other units."""

    def __init__(self, reader: Reader, units: Units):
        self.n_features, self.names = reader.n_features, reader.names
        self.dtype = np.dtype(np.float64)
        self._reader, self._units = reader, units

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks of the reader with each column scaled."""
        for block in self._reader.blocks():
            yield block._replace(values=self._units.standardized(block.values))

    def fingerprint(self) -> dict[str, tuple[int, ...]]:
        """Return that of the reader."""
        return self._reader.fingerprint()


class Units(NamedTuple):
    """The means and the standard deviations (n_columns,) that standardise columns.

    `counts` (n_columns,) are the numbers of values that are not missing, and `n_rows` is that of
    rows that have any; with weights both are sums of these.
    """

    mean: NDArray[Any]
    deviation: NDArray[Any]
    counts: NDArray[Any]
    n_rows: float

    @classmethod
    def original(cls, n_columns: int, n_rows: float) -> Units:
        """Return the units that change nothing."""
        return cls(np.zeros(n_columns), np.ones(n_columns), np.full(n_columns, n_rows), n_rows)

    @classmethod
    def of_source(cls, source: Source) -> Units:
        """Return the units of the columns of a source without missing values."""
        mean, variance = source.mean_and_variance()
        counts = np.full(len(mean), source.total_weight)
        return cls(mean, _deviation(mean, variance), counts, source.total_weight)

    @classmethod
    def of(
        cls, values: NDArray[Any], standardize: bool, weights: NDArray[Any] | None = None
    ) -> Units:
        """Return the units of columns; 0 and 1, which change nothing, unless they are wanted.

        A column that does not vary keeps the deviation 1.
        """
        n_rows, n_columns = values.shape
        if not standardize:
            return cls.original(n_columns, n_rows)
        if weights is not None:
            return cls.of_source(_weighted(values, weights))
        counts = np.full(n_columns, n_rows)
        mean = values.mean(axis=0, dtype=np.float64)
        if np.isnan(mean).any():
            gaps = np.isnan(values)
            counts = np.maximum(n_rows - gaps.sum(axis=0), 1)
            n_rows -= np.count_nonzero(gaps.all(axis=1))
            mean = np.nansum(values, axis=0, dtype=np.float64) / counts
        squares = np.zeros(n_columns)
        for start in range(0, len(values), _BLOCK_ROWS):
            squares += np.nansum((values[start : start + _BLOCK_ROWS] - mean) ** 2, axis=0)
        return cls(mean, _deviation(mean, squares / counts), counts, n_rows)

    @property
    def is_original(self) -> bool:
        """Whether the columns are fitted as they are."""
        return not self.mean.any() and bool((self.deviation == 1.0).all())

    @property
    def lost(self) -> float:
        """What the log-likelihood of all rows loses in the units of the table."""
        return float(self.counts @ np.log(self.deviation))

    def standardized(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the columns to fit (n_rows, n_columns)."""
        return values if self.is_original else (values - self.mean) / self.deviation

    def mixture(self, mixture: Mixture) -> Mixture:
        """Return the mixture in the units of the table."""
        if self.is_original:
            return mixture
        observed = np.minimum(self.counts / self.n_rows, 1.0)  # sums of weights may round above 1
        return mixture.rescaled(self.deviation, self.mean, observed=observed)

    def selection(self, selection: Selection) -> Selection:
        """Return the selection in the units of the table."""
        if self.is_original:
            return selection
        return replace(selection, candidates=tuple(map(self._candidate, selection)))

    def _candidate(self, candidate: Candidate) -> Candidate:
        if candidate.mixture is None:
            return candidate
        lost = self.lost
        return replace(
            candidate,
            mixture=self.mixture(candidate.mixture),
            log_likelihood=candidate.log_likelihood - lost,
            bic=candidate.bic + 2.0 * lost,
            aic=candidate.aic + 2.0 * lost,
            icl=candidate.icl + 2.0 * lost,
            held_out=candidate.held_out - lost / self.n_rows,
        )
