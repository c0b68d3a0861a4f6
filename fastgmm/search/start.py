"""What every way to start has in common: where to look, for which model, and what was given."""

from typing import NamedTuple

import numpy as np

from fastgmm.model.base import Model
from fastgmm.model.parameters import Parameters
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import Source, Statistics, merge

_LABELS_BLOCK = 2**22  # rows whose labels are held at a time


class Given(NamedTuple):
    """Starting values the caller gave, None for those it did not.

    `covariances` come with their `factors` and `log_det`, as in `Parameters`.
    """

    weights: np.ndarray | None = None
    means: np.ndarray | None = None
    covariances: np.ndarray | None = None
    factors: np.ndarray | None = None
    log_det: np.ndarray | None = None

    def known(self) -> dict[str, np.ndarray]:
        """Return the values that were given, by name."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class Start(NamedTuple):
    """Where and for what a start is looked for: rows in memory, a model, a number of components."""

    source: ArraySource
    model: Model
    n_components: int

    def estimate(self, means: np.ndarray, statistics: Statistics) -> Parameters:
        """Return the M-step from `statistics` about `means`.

        Components without rows get the variance of the whole data set.
        """
        kind = self.model.covariance_type
        variance = np.ones(means.shape[1])  # not used if all components have rows
        if not (statistics.nk > 0).all():
            variance = self.source.mean_and_variance()[1] + self.model.reg_covar
        spread = kind.from_variances(np.tile(variance, (len(means), 1)))
        before = Parameters(np.empty(0), means, spread, np.empty(0), np.empty(0))
        return self.model.update(before, statistics)


def make_start(
    source: Source, model: Model, n_components: int, random_state: np.random.RandomState
) -> Start:
    """Return where a start is looked for."""
    return Start(source.in_memory(random_state), model, n_components)


def from_labels(start: Start, labels: np.ndarray, means: np.ndarray) -> Parameters:
    """Estimate from hard memberships, of clusters near `means`.

    `labels` are those of the first rows; rows after them belong to the nearest mean.
    """
    kind = start.model.covariance_type
    statistics = merge(
        block.given(kind, means, labels=block.labels_after(labels[rows], means))
        for rows, block in start.source.blocks(_LABELS_BLOCK)
    )
    return start.estimate(means, statistics)
