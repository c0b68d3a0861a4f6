"""What every way to start needs: rows and a model to start from, and values that were given."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastgmm.model.base import Model
from fastgmm.model.parameters import Parameters
from fastgmm.search.record import SearchRecord
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import Source, Statistics, merge
from fastgmm.sources.precision import needs_double

_LABELS_BLOCK = 2**22  # rows whose labels are computed at a time


class Given(NamedTuple):
    """Starting values from the caller, in the form of `Parameters`; None for values not given.

    `covariances`, `factors` and `log_det` are given together or not at all.
    """

    weights: np.ndarray | None = None
    means: np.ndarray | None = None
    covariances: np.ndarray | None = None
    factors: np.ndarray | None = None
    log_det: np.ndarray | None = None

    def known(self) -> dict[str, np.ndarray]:
        """Return the given values by name."""
        return {name: value for name, value in self._asdict().items() if value is not None}


def unwatched(record: SearchRecord) -> None:
    """Do nothing: nobody watches the search."""


class Start(NamedTuple):
    """The problem for which a start is computed: rows, a model and a number of components.

    A search adds what it did to `record`, if there is one, and calls `watch` before each pass with
    what it has done so far.
    """

    source: ArraySource
    model: Model
    n_components: int
    record: SearchRecord | None = None
    watch: Callable[[SearchRecord], object] = unwatched

    def estimate(self, means: np.ndarray, statistics: Statistics) -> Parameters:
        """Return the M-step's parameters from `statistics` about `means`.

        Components without rows get the variance of all rows.
        """
        kind = self.model.covariance_type
        variance = np.ones(means.shape[1])  # placeholder, not read if all components have rows
        if not (statistics.nk > 0).all():
            variance = self.source.mean_and_variance()[1] + self.model.reg_covar
        covariances = kind.from_variances(np.tile(variance, (len(means), 1)))
        before = Parameters(np.empty(0), means, covariances, np.empty(0), np.empty(0))
        return self.model.update(before, statistics)

    def estimate_from(self, means: np.ndarray, sums: Callable[[bool], Statistics]) -> Parameters:
        """Return the M-step's parameters from the statistics about `means` that `sums` returns.

        It is called with false, and again with true, for sums in float64, if the covariances turn
        out to need them.
        """
        parameters = self.estimate(means, sums(False))
        if needs_double(self.model.covariance_type, parameters, self.source.dtype):
            parameters = self.estimate(means, sums(True))
        return parameters


def make_start(
    source: Source, model: Model, n_components: int, random_state: np.random.RandomState
) -> Start:
    """Return the problem for which starts are computed, with rows in memory."""
    return Start(source.in_memory(random_state), model, n_components, SearchRecord())


def from_labels(start: Start, labels: np.ndarray, means: np.ndarray) -> Parameters:
    """Return estimates from labels, with sums taken about `means` (n_components, n_features).

    `labels` (n_known,) are those of the leading rows. Later rows belong to the nearest mean.
    """
    kind = start.model.covariance_type

    def sums(double):
        return merge(
            block.given(kind, means, labels=block.labels_after(labels[rows], means), double=double)
            for rows, block in start.source.blocks(_LABELS_BLOCK)
        )

    return start.estimate_from(means, sums)
