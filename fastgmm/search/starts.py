"""Starting parameters: those that the caller gives, and estimates from the rows for the others."""

from typing import NamedTuple

import numpy as np

from fastgmm.model.base import Model
from fastgmm.model.parameters import Parameters
from fastgmm.search.kmeans import kmeans, seed_rows
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import Source, Statistics, merge

_NARROWEST = 1e-24  # least variance of a component on a row, relative to squares of the data
_LABELS_BLOCK = 2**22  # rows whose labels are computed at a time
_RESP_BLOCK = 2**20  # responsibilities drawn at a time, in rows times components


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


class Start(NamedTuple):
    """The problem for which a start is computed: rows, a model and a number of components."""

    source: ArraySource
    model: Model
    n_components: int

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


def make_start(
    source: Source, model: Model, n_components: int, random_state: np.random.RandomState
) -> Start:
    """Return the problem for which starts are computed, with rows in memory."""
    return Start(source.in_memory(random_state), model, n_components)


def from_labels(start: Start, labels: np.ndarray, means: np.ndarray) -> Parameters:
    """Return estimates from labels, with sums taken about `means` (n_components, n_features).

    `labels` (n_known,) are those of the leading rows. Later rows belong to the nearest mean.
    """
    kind = start.model.covariance_type
    statistics = merge(
        block.given(kind, means, labels=block.labels_after(labels[rows], means))
        for rows, block in start.source.blocks(_LABELS_BLOCK)
    )
    return start.estimate(means, statistics)


def _on_rows(start, rows):
    """Return equal components on `rows` (n_components, n_features), with variance `reg_covar`.

    If `reg_covar` is 0, the variance is that of all rows, because a component needs a positive
    variance. If the rows are so large that squared distances could overflow, the variance is at
    least 1e-24 of the largest variance of a feature.
    """
    means, kind = rows.astype(np.float64), start.model.covariance_type
    reg_covar = start.model.reg_covar
    variance = np.full_like(means, reg_covar)
    if reg_covar == 0:
        variance[:] = start.source.mean_and_variance()[1]
    elif reg_covar < _NARROWEST * np.square(means).max():
        largest = start.source.mean_and_variance()[1].max()
        variance = np.maximum(variance, _NARROWEST * largest)
    covariances = kind.from_variances(variance)
    factors, log_det = kind.factorize(covariances, *means.shape)
    weights = np.full(len(rows), 1.0 / len(rows))
    return Parameters(weights, means, covariances, factors, log_det)


def _kmeans(start, random_state):
    """Return estimates from the clusters of k-means."""
    labels, centers = kmeans(start.source, start.n_components, random_state)
    return from_labels(start, labels, centers)


def _kmeans_plusplus(start, random_state):
    """Return rows (n_components, n_features) chosen by k-means++."""
    return start.source.rows(seed_rows(start.source, start.n_components, random_state))


def _random(start, random_state):
    """Return estimates from random responsibilities, drawn for a block of rows at a time."""
    mean, _ = start.source.mean_and_variance()
    means = np.tile(mean, (start.n_components, 1))
    kind = start.model.covariance_type

    def of_block(block):
        resp = random_state.uniform(size=(block.n_samples, start.n_components))
        resp /= resp.sum(axis=1, keepdims=True)
        return block.given(kind, means, resp=resp)

    blocks = start.source.blocks(max(1, _RESP_BLOCK // start.n_components))
    return start.estimate(means, merge(of_block(block) for _, block in blocks))


def _random_from_data(start, random_state):
    """Return rows (n_components, n_features) drawn at random."""
    return start.source.draw(random_state, start.n_components, replace=False)


# Functions of a `Start` and a random generator. Those in ROW_STARTS return rows
# (n_components, n_features) on which components are placed, those in RESP_STARTS `Parameters`.
ROW_STARTS = {"k-means++": _kmeans_plusplus, "random_from_data": _random_from_data}
RESP_STARTS = {"kmeans": _kmeans, "random": _random}


def starting_parameters(
    start: Start, init_params: str, given: Given, random_state: np.random.RandomState
) -> Parameters:
    """Return the parameters from which EM starts.

    Values in `given` are used unchanged. If means are given, the others are estimated from the
    rows nearest to each mean. Otherwise `init_params` names the method.
    """
    known = given.known()
    if len(known) == len(given):
        return Parameters(**known)
    if given.means is not None:
        parameters = from_labels(start, np.empty(0, np.uint8), given.means)
    elif init_params in ROW_STARTS:
        parameters = _on_rows(start, ROW_STARTS[init_params](start, random_state))
    else:
        parameters = RESP_STARTS[init_params](start, random_state)
    return parameters._replace(**known)
