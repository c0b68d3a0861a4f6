"""The interface of a source: where rows come from, and the sums over them that EM needs.

The sum of two `Statistics`, taken under the same parameters, is the statistics of both data sets
together. So a file read in chunks, rows on several machines and rows with different missing
values are all sources that add the statistics of their parts.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from fastgmm.model.base import Model
from fastgmm.model.covariance import COVARIANCE_TYPES, CovarianceType
from fastgmm.model.parameters import Parameters
from fastgmm.readers.lockstep import Lockstep
from fastgmm.sources.operands import Densities

if TYPE_CHECKING:
    from fastgmm.sources.array import ArraySource


class Statistics(NamedTuple):
    """Weighted sums over rows, taken under the same parameters.

    Let w be the weight of row x and r its responsibilities. `log_likelihood` sums w log p(x),
    `nk` (n_components,) sums w r, `s1` (n_components, n_features) sums w r (x - mean), and `s2`
    sums the part of w r (x - mean)(x - mean)^T that the covariance type needs, in the shape of
    its covariances ("spherical": w r |x - mean|^2).
    """

    log_likelihood: float
    nk: np.ndarray
    s1: np.ndarray
    s2: np.ndarray


class Steps(NamedTuple):
    """A mixture after some EM steps, and the mean log-likelihoods of a row before each of them."""

    parameters: Parameters
    objectives: list[float]


class Seed(NamedTuple):
    """What a mixture is computed from by an M-step: points and given responsibilities of all rows.

    Moments are taken about `points` (n_components, n_features), which are near the new means.
    Either `labels` (n_rows,) or `resp` (n_rows, n_components) is given; the other one is empty.
    """

    points: np.ndarray
    labels: np.ndarray = np.empty(0, np.int32)
    resp: np.ndarray = np.empty((0, 0))


def merge(parts: Iterable[Statistics]) -> Statistics:
    """Return the sum of the statistics of at least one data set, added in the given order.

    All must be taken under the same parameters.
    """
    others = iter(parts)
    total = next(others)
    for other in others:
        total = Statistics(
            total.log_likelihood + other.log_likelihood,
            total.nk + other.nk,
            total.s1 + other.s1,
            total.s2 + other.s2,
        )
    return total


def scaled(statistics: Statistics, factor: float) -> Statistics:
    """Return the statistics of the same rows with weights multiplied by a factor."""
    log_likelihood, nk, s1, s2 = statistics
    return Statistics(factor * log_likelihood, factor * nk, factor * s1, factor * s2)


def digest_of(*arrays: np.ndarray) -> str:
    """Return a text that tells arrays from others."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


class Answers(NamedTuple):
    """The results of inference for a block of consecutive rows.

    `rows` is the block's slice of all rows and `sample_weight` (n_rows,) holds its weights, empty
    if all are 1. `log_prob` (n_rows,) holds log-densities, `proba` (n_rows, n_components)
    responsibilities and `labels` (n_rows,) the most probable components. Arrays that were not
    requested are empty. The next block may overwrite the arrays.
    """

    rows: slice
    sample_weight: np.ndarray
    log_prob: np.ndarray
    proba: np.ndarray
    labels: np.ndarray


class Source(ABC):
    """Rows and their weights, wherever they are stored.

    The EM loop, the starts, inference and selection call these methods and never index an array
    of rows themselves. Rows that a method returns have no missing values.

    Attributes
    ----------
    n_samples, n_features : int
        Number of rows and of features.
    dtype : numpy.dtype
        Precision of the rows, float32 or float64.
    n_threads : int or None
        Greatest number of threads; None for Numba's own setting.
    is_weighted : bool
        Whether rows have weights. All weights are 1 otherwise.
    names : tuple of str or None
        Names of the features, if the rows come with them.
    n_passes : int or None
        Number of passes over all rows so far, if the rows are not in memory; None if they are.
    watch : callable or None
        Called during a pass as ``watch(n_done, n_rows)`` with the rows done in this pass and all
        rows (0 in the first pass), if the rows are not in memory.
    """

    n_samples: int
    n_features: int
    dtype: np.dtype
    n_threads: int | None
    is_weighted: bool
    names: tuple[str, ...] | None = None
    n_passes: int | None = None
    watch: Callable[[int, int], object] | None = None

    @property
    @abstractmethod
    def total_weight(self) -> float:
        """Sum of the row weights."""

    @property
    @abstractmethod
    def n_weighted(self) -> int:
        """Number of rows with positive weight."""

    @property
    @abstractmethod
    def effective_rows(self) -> float:
        """Total weight divided by the greatest weight of a row."""

    @property
    @abstractmethod
    def n_chunks(self) -> int:
        """Number of chunks of a pass; a pass uses at most so many threads."""

    @abstractmethod
    def statistics(self, model: Model, parameters: Any, complete: bool = False) -> Statistics:
        """Return the statistics of all rows under `parameters`.

        A source may drop responsibilities that are negligible relative to the weight of their
        component, and add up float32 rows in float32. It must do neither if `complete` is true;
        rows may still be added up in float32 if the new parameters need no more (see
        `fastgmm.sources.precision`).
        """

    def steps(
        self,
        model: Model,
        mixtures: Sequence[Parameters],
        n_iter: int,
        tol: float = 0.0,
        previous: float = -np.inf,
    ) -> list[Steps]:
        """Return each of the mixtures after up to `n_iter` EM steps, all in one launch.

        The steps of a mixture end after one whose objective differs by less than `tol` from the
        one before it, which for the first is `previous`.

        The mixtures have the same number of components. A source takes as many steps as its
        compiled code can, maybe none. A mixture with a singular covariance, whose log-determinant
        is NaN, ends its steps.
        """
        return [Steps(mixture, []) for mixture in mixtures]

    @abstractmethod
    def moments(self, covariance_type: CovarianceType, point: np.ndarray) -> Statistics:
        """Return N, S1 and S2 of all rows about a point (n_features,), as of one component."""

    @abstractmethod
    def first_row(self) -> np.ndarray:
        """Return one row (n_features,) as float64, the same on every call."""

    @abstractmethod
    def draw(
        self, random_state: np.random.RandomState, n_rows: int, replace: bool = True
    ) -> np.ndarray:
        """Return rows (n_rows, n_features), drawn in proportion to their weights."""

    @abstractmethod
    def in_memory(self, random_state: np.random.RandomState) -> ArraySource:
        """Return rows in memory from which starts are computed: all rows, or a random sample."""

    def to_settle(self) -> Source | None:
        """Return rows in memory on which EM runs before it reads all rows; None if all are there.

        They are a random sample.
        """
        return None

    @abstractmethod
    def answers(
        self, densities: Densities, wanted: Sequence[str], n_rows: int
    ) -> Iterator[Answers]:
        """Yield the results of inference for blocks of at most `n_rows` rows, in order.

        `wanted` names the arrays to compute: "log_prob", "proba", "labels".
        """

    @abstractmethod
    def first_of_equals(self) -> np.ndarray:
        """Return a mask (n_samples,): one of each set of equal rows of positive weight."""

    @abstractmethod
    def view(self, n_threads: int | None) -> Self:
        """Return a source of the same rows for a fit that runs at the same time as others."""

    def shared(self, lockstep: Lockstep) -> Self | None:
        """Return a source of the same rows whose passes are read once for all fits in lockstep.

        None is returned where passes do not read rows anew, so that there is nothing to share.
        """
        return None

    def independent(self) -> Self:
        """Return a source of the same rows whose passes do not depend on the passes before.

        The results of a pass then have the same bits in a run that goes on from a checkpoint.
        """
        return self

    def digest(self) -> str:
        """Return a text that is another one for other rows or weights.

        A subclass whose `first_row` and number of rows do not tell its rows should override it.
        """
        numbers = [self.n_samples, self.n_features, self.total_weight, *self.first_row()]
        return digest_of(np.array(numbers))

    @abstractmethod
    def folds(self, n_folds: int, random_state: np.random.RandomState) -> list[tuple[Self, Self]]:
        """Split the rows at random; return a source of the other rows and of the fold, per fold."""

    def mean_and_variance(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the weighted mean and variance (n_features,) of every feature.

        This takes two passes: the sums of the second are about the mean from the first.
        """
        mean = self.first_row()
        for _ in range(2):
            _, nk, s1, s2 = self.moments(COVARIANCE_TYPES["diag"], mean)
            delta = s1[0] / nk[0]
            mean = mean + delta
        return mean, s2[0] / nk[0] - delta * delta
