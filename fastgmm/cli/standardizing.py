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
    """The means and the standard deviations (n_columns,) that standardise columns."""

    mean: NDArray[Any]
    deviation: NDArray[Any]
    n_rows: int

    @classmethod
    def of(cls, values: NDArray[Any], standardize: bool) -> Units:
        """Return the units of columns; 0 and 1, which change nothing, unless they are wanted.

        A column that does not vary keeps the deviation 1.
        """
        n_rows, n_columns = values.shape
        if not standardize:
            return cls(np.zeros(n_columns), np.ones(n_columns), n_rows)
        mean = values.mean(axis=0, dtype=np.float64)
        squares = np.zeros(n_columns)
        for start in range(0, n_rows, _BLOCK_ROWS):
            squares += ((values[start : start + _BLOCK_ROWS] - mean) ** 2).sum(axis=0)
        deviation = np.sqrt(squares / n_rows)
        varies = deviation > 16 * np.finfo(float).eps * np.abs(mean)
        return cls(mean, np.where(varies, deviation, 1.0), n_rows)

    @property
    def is_original(self) -> bool:
        """Whether the columns are fitted as they are."""
        return not self.mean.any() and bool((self.deviation == 1.0).all())

    def lost(self, n_rows: int) -> float:
        """Return what the log-likelihood of rows loses in the units of the table."""
        return n_rows * float(np.log(self.deviation).sum())

    def standardized(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the columns to fit (n_rows, n_columns)."""
        return values if self.is_original else (values - self.mean) / self.deviation

    def mixture(self, mixture: Mixture) -> Mixture:
        """Return the mixture in the units of the table."""
        return mixture if self.is_original else mixture.rescaled(self.deviation, self.mean)

    def selection(self, selection: Selection) -> Selection:
        """Return the selection in the units of the table."""
        if self.is_original:
            return selection
        return replace(selection, candidates=tuple(map(self._candidate, selection)))

    def _candidate(self, candidate: Candidate) -> Candidate:
        if candidate.mixture is None:
            return candidate
        lost = self.lost(self.n_rows)
        return replace(
            candidate,
            mixture=self.mixture(candidate.mixture),
            log_likelihood=candidate.log_likelihood - lost,
            bic=candidate.bic + 2.0 * lost,
            aic=candidate.aic + 2.0 * lost,
            icl=candidate.icl + 2.0 * lost,
            held_out=candidate.held_out - self.lost(1),
        )
