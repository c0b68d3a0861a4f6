"""Fits of standardised columns, reported in the units of the table.

Columns in small or unlike units hide clusters from k-means and are swamped by --reg-covar.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastgmm import Mixture, Selection
    from fastgmm.api.selection import Candidate

_BLOCK_ROWS = 1 << 16


class Units(NamedTuple):
    """The means and the standard deviations (n_columns,) that standardise columns.

    `counts` (n_columns,) are the numbers of values that are not missing, and `n_rows` is that of
    rows that have any.
    """

    mean: NDArray[Any]
    deviation: NDArray[Any]
    counts: NDArray[Any]
    n_rows: int

    @classmethod
    def of(cls, values: NDArray[Any], standardize: bool) -> Units:
        """Return the units of columns; 0 and 1, which change nothing, unless they are wanted.

        A column that does not vary keeps the deviation 1.
        """
        n_rows, n_columns = values.shape
        counts = np.full(n_columns, n_rows)
        if not standardize:
            return cls(np.zeros(n_columns), np.ones(n_columns), counts, n_rows)
        mean = values.mean(axis=0, dtype=np.float64)
        if np.isnan(mean).any():
            gaps = np.isnan(values)
            counts = np.maximum(n_rows - gaps.sum(axis=0), 1)
            n_rows -= np.count_nonzero(gaps.all(axis=1))
            mean = np.nansum(values, axis=0, dtype=np.float64) / counts
        squares = np.zeros(n_columns)
        for start in range(0, len(values), _BLOCK_ROWS):
            squares += np.nansum((values[start : start + _BLOCK_ROWS] - mean) ** 2, axis=0)
        deviation = np.sqrt(squares / counts)
        varies = deviation > 16 * np.finfo(float).eps * np.abs(mean)
        return cls(mean, np.where(varies, deviation, 1.0), counts, n_rows)

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
        scaled = mixture.rescaled(self.deviation, self.mean)
        if (self.counts == self.n_rows).all():
            return scaled
        trace = mixture.log_likelihoods - self.lost / self.n_rows  # missing values lose nothing
        trace.flags.writeable = False
        return replace(scaled, log_likelihoods=trace)

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
