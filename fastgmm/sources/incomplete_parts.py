"""Sources of rows with missing values that are in parts: blocks of files, and partitions of Dask.

Each part is an `IncompleteSource`, so its rows are grouped by pattern in every pass. Starts, and
the mean and the variances of the rows, come from a Gaussian that is fitted to the sample of the
first pass. Rows without any observed value count as rows of weight zero.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from fastgmm.kernels.types import Data
from fastgmm.model.covariance import CovarianceType
from fastgmm.readers.base import Reader
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import Statistics
from fastgmm.sources.blocks import BlockSource
from fastgmm.sources.cluster import ClusterSource
from fastgmm.sources.incomplete import IncompleteSource
from fastgmm.sources.parts import PartedSource, StatisticsOf
from fastgmm.sources.survey import Survey


class IncompleteStatisticsOf(StatisticsOf):
    """The statistics of a part that may have missing values."""

    def __call__(self, data: Data, n_threads: int | None) -> Statistics:
        """Return the sums over the completed rows of a part."""
        if not np.isnan(data.X).any():
            return super().__call__(data, n_threads)
        X = data.X.astype(np.float64) if self._double else data.X
        return IncompleteSource(X, data.sample_weight, n_threads).statistics(*self._arguments)


class IncompleteParts(PartedSource):
    """Rows in parts, in which NaN stands for missing values: a base beside that of the parts."""

    _has_gaps = True
    _rows_type = IncompleteSource
    _statistics_of = IncompleteStatisticsOf

    def _keep(self, found: Survey) -> None:
        """Keep the result of the first pass."""
        super()._keep(found)
        self._grouped: IncompleteSource | None = None
        self._filled: ArraySource | None = None

    @property
    def _sample(self) -> IncompleteSource:
        """The sample of the first pass, with its rows grouped by pattern once it is needed."""
        if self._grouped is None:
            rows = self._found.sample, self._found.sample_weight
            self._grouped = IncompleteSource(*rows, self.n_threads)
        return self._grouped

    @property
    def _filled_sample(self) -> ArraySource:
        """The sample of the first pass, with its gaps filled once it is needed."""
        if self._filled is None:
            self._filled = self._sample.in_memory(np.random.RandomState(0))  # all rows: no draw
        return self._filled

    @property
    def has_values(self) -> np.ndarray:
        """Mask (n_features,) of the features that a row of positive weight has."""
        return self._found.has_values

    def moments(self, covariance_type: CovarianceType, point: np.ndarray) -> Statistics:
        """Return the moments of a Gaussian fitted to the sample, for the weight of all rows."""
        sums = self._sample.moments(covariance_type, point)
        factor = self.total_weight / sums.nk[0]
        return Statistics(0.0, factor * sums.nk, factor * sums.s1, factor * sums.s2)

    def first_row(self) -> np.ndarray:
        """Return the first row of the sample as float64, with its gaps filled."""
        return self._sample.first_row()

    def draw(
        self, random_state: np.random.RandomState, n_rows: int, replace: bool = True
    ) -> np.ndarray:
        """Return rows of the sample, drawn at random, with their gaps filled."""
        return self._sample.draw(random_state, n_rows, replace)

    def in_memory(self, random_state: np.random.RandomState) -> ArraySource:
        """Return the sample of the first pass, with its gaps filled."""
        return self._filled_sample.view(self.n_threads)


class IncompleteBlocks(IncompleteParts, BlockSource):
    """Rows that a reader yields, in which NaN stands for missing values: see `BlockSource`."""

    def _again(self, reader: Reader, n_threads: int | None) -> Self:
        """Return a source of the same rows, and of the same sample in memory."""
        source = super()._again(reader, n_threads)
        source._filled, source._grouped = self._filled_sample, self._sample
        return source


class IncompleteCluster(IncompleteParts, ClusterSource):
    """Rows in partitions of Dask, in which NaN stands for missing values: see `ClusterSource`."""
