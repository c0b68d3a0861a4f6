"""Sources whose rows are in parts: the statistics of the parts are added in a fixed order."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from fastgmm.kernels.types import Data
from fastgmm.model.covariance import CovarianceType
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import Source, Statistics, digest_of
from fastgmm.sources.double import DoubleRows
from fastgmm.sources.passes import chunk_count
from fastgmm.sources.precision import needs_double
from fastgmm.sources.survey import Survey
from fastgmm.sources.wide import make_pass

Sum = Callable[[Data, int | None], Statistics]


class StatisticsOf:
    """The statistics of a part under given parameters; an object that can be sent to a worker."""

    def __init__(self, model: Any, parameters: Any, complete: bool, double: bool):
        self._arguments = model, parameters, complete
        self._double = double

    def __call__(self, data: Data, n_threads: int | None) -> Statistics:
        """Return the sums over the rows of a part."""
        model, parameters, complete = self._arguments
        if self._double and data.X.dtype != np.float64:
            return DoubleRows(data, n_threads).statistics(model, parameters, complete)
        once = make_pass(data, model.covariance_type, len(parameters.weights), n_threads)
        return once.statistics(model, parameters, complete)


class MomentsAbout:
    """The moments of a part about a point (n_features,)."""

    def __init__(self, covariance_type: CovarianceType, point: np.ndarray):
        self._type, self._means = covariance_type, np.atleast_2d(point)

    def __call__(self, data: Data, n_threads: int | None) -> Statistics:
        """Return the sums over the rows of a part."""
        return make_pass(data, self._type, 1, n_threads).given(self._means)


class PartedSource(Source):
    """Rows in parts, of which a first pass found the number and a sample.

    A subclass sets `dtype`, `n_features` and `n_threads`, calls `_keep` with the result of the
    first pass, and implements `_total`, `answers`, `view` and `folds`.
    """

    n_passes: int
    _found: Survey
    _has_gaps = False  # whether NaN stands for missing values
    _rows_type: type[Source] = ArraySource  # of a part that is in memory
    _statistics_of: type[StatisticsOf] = StatisticsOf

    def _keep(self, found: Survey) -> None:
        """Keep the result of the first pass."""
        self._found = found
        self.n_samples, self.is_weighted = found.n_rows, found.is_weighted

    def _rows(self, data: Data) -> Source:
        """Return the source of rows in memory."""
        return self._rows_type(*data, self.n_threads)

    @abstractmethod
    def _total(self, sum_of_part: Sum) -> Statistics:
        """Return the sum over all parts, added in a fixed order."""

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
        """Number of chunks of a pass over the sample, which stands for a part."""
        return chunk_count(self._found.sample)

    def statistics(self, model: Any, parameters: Any, complete: bool = False) -> Statistics:
        """Return the statistics of all rows: see `Source.statistics`."""
        kind = model.covariance_type
        if needs_double(kind, parameters, self.dtype):
            return self._total(self._statistics_of(model, parameters, complete, double=True))
        statistics = self._total(self._statistics_of(model, parameters, complete, double=False))
        if complete and self.dtype != np.float64:
            new = model.update(parameters, statistics, self.n_threads)
            if needs_double(kind, new, self.dtype):
                return self._total(self._statistics_of(model, parameters, complete, double=True))
        return statistics

    def moments(self, covariance_type: CovarianceType, point: np.ndarray) -> Statistics:
        """Return N, S1 and S2 about a point: see `Source.moments`."""
        return self._total(MomentsAbout(covariance_type, point))

    @property
    def sample(self) -> np.ndarray:
        """Rows of the sample of the first pass, with their gaps if there are any."""
        return self._found.sample

    def first_row(self) -> np.ndarray:
        """Return the first row of the sample as float64."""
        return self._found.sample[0].astype(np.float64)

    def draw(
        self, random_state: np.random.RandomState, n_rows: int, replace: bool = True
    ) -> np.ndarray:
        """Return rows of the sample, drawn at random."""
        return self.in_memory(random_state).draw(random_state, n_rows, replace)

    def in_memory(self, random_state: np.random.RandomState) -> ArraySource:
        """Return the sample of the first pass: all rows of positive weight if they are few."""
        return ArraySource(self._found.sample, self._found.sample_weight, self.n_threads)

    def to_settle(self) -> Source | None:
        """Return the sample of the first pass, unless it is all rows: see `Source.to_settle`."""
        if len(self._found.sample) == self._found.n_weighted:
            return None
        return self._rows(Data(self._found.sample, self._found.sample_weight))

    def digest(self) -> str:
        """Return a text that tells the rows from others, by what the first pass found."""
        return digest_of(np.array(self._found[:5]), *self._found[5:7])

    def first_of_equals(self) -> np.ndarray:
        """Return a mask that is true for all rows: equal rows are not searched for."""
        return np.broadcast_to(True, self.n_samples)
