"""The interface of a source: where rows come from, and the sums over them that EM needs.

`Statistics` is the hinge of the library: the sum of two of them, taken under the same
parameters, is the statistics of both data sets. Parts of a file, patterns of missing values and
machines differ only in who computes the statistics of a part.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from fastgmm.model.base import Model
from fastgmm.model.covariance import COVARIANCE_TYPES, CovarianceType
from fastgmm.sources.operands import Densities

if TYPE_CHECKING:
    from fastgmm.sources.array import ArraySource


class Statistics(NamedTuple):
    """Weighted sums over rows under given parameters.

    `log_likelihood` is the sum of w log p(x); `nk` (n_components,) of w r; `s1`
    (n_components, n_features) of w r (x - mean); `s2`, shaped as covariances of the type, of
    w r (x - mean)(x - mean)^T, for "spherical" of w r |x - mean|^2.
    """

    log_likelihood: float
    nk: np.ndarray
    s1: np.ndarray
    s2: np.ndarray


def merge(parts: Iterable[Statistics]) -> Statistics:
    """Return the statistics of several data sets together, taken under the same parameters.

    They are added in the order given, at least one.
    """
    first, *others = parts
    for other in others:
        first = Statistics(
            first.log_likelihood + other.log_likelihood,
            first.nk + other.nk,
            first.s1 + other.s1,
            first.s2 + other.s2,
        )
    return first


class Answers(NamedTuple):
    """What a mixture says of consecutive rows.

    `rows` says which these are among all; `sample_weight` (n_rows,) are their weights, empty
    where all are 1. `log_prob` (n_rows,) are log-densities, `proba` (n_rows, n_components)
    responsibilities and `labels` (n_rows,) the most probable components; arrays that were not
    wanted are empty. The next block overwrites them.
    """

    rows: slice
    sample_weight: np.ndarray
    log_prob: np.ndarray
    proba: np.ndarray
    labels: np.ndarray


class Source(ABC):
    """Rows and their weights, wherever they are.

    The EM loop, the starts, inference and selection ask a source for sums, random rows and
    answers, and never index an array themselves.

    Attributes
    ----------
    n_samples, n_features : int
        Rows and features.
    dtype : numpy.dtype
        float32 or float64: the precision of the rows.
    n_threads : int or None
        Threads to use at most; None for Numba's own setting.
    is_weighted : bool
        Whether rows have weights of their own.
    """

    n_samples: int
    n_features: int
    dtype: np.dtype
    n_threads: int | None
    is_weighted: bool

    @property
    @abstractmethod
    def total_weight(self) -> float:
        """Sum of the rows' weights."""

    @property
    @abstractmethod
    def n_weighted(self) -> int:
        """Rows of positive weight."""

    @property
    @abstractmethod
    def effective_rows(self) -> float:
        """Rows as if each had the greatest weight: the total weight over the greatest."""

    @property
    @abstractmethod
    def n_chunks(self) -> int:
        """Chunks that a pass is cut into: at most as many threads can share it."""

    @abstractmethod
    def statistics(self, model: Model, parameters: Any, complete: bool = False) -> Statistics:
        """Return the statistics of all rows under `parameters`.

        Responsibilities that are negligible beside their component's weight may be dropped,
        unless `complete`.
        """

    @abstractmethod
    def moments(self, covariance_type: CovarianceType, point: np.ndarray) -> Statistics:
        """Return N, S1 and S2 about a point (n_features,), all rows in a single component."""

    @abstractmethod
    def first_row(self) -> np.ndarray:
        """Return any one row (n_features,) as float64."""

    @abstractmethod
    def draw(
        self, random_state: np.random.RandomState, n_rows: int, replace: bool = True
    ) -> np.ndarray:
        """Return rows (n_rows, n_features) drawn with their weights as probabilities."""

    @abstractmethod
    def in_memory(self, random_state: np.random.RandomState) -> ArraySource:
        """Return rows in memory on which to look for a start: all of them, or a random sample."""

    @abstractmethod
    def answers(
        self, densities: Densities, wanted: Sequence[str], n_rows: int
    ) -> Iterator[Answers]:
        """Yield what a mixture says of blocks of at most `n_rows` rows, in order.

        `wanted` names the arrays to compute: "log_prob", "proba", "labels".
        """

    @abstractmethod
    def first_of_equals(self) -> np.ndarray:
        """Return a mask (n_samples,) of one row of each set of equal rows of positive weight."""

    @abstractmethod
    def view(self, n_threads: int | None) -> Self:
        """Return a source of the same rows, for a fit that runs beside others."""

    @abstractmethod
    def folds(self, n_folds: int, random_state: np.random.RandomState) -> list[tuple[Self, Self]]:
        """Return the rows split at random: for each fold a source without it, and the fold."""

    def mean_and_variance(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the weighted mean and variance (n_features,) of every feature.

        Two passes: the second takes its sums about the mean that the first found.
        """
        mean = self.first_row()
        for _ in range(2):
            _, nk, s1, s2 = self.moments(COVARIANCE_TYPES["diag"], mean)
            delta = s1[0] / nk[0]
            mean = mean + delta
        return mean, s2[0] / nk[0] - delta * delta
