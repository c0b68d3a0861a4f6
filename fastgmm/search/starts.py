"""Starting parameters: from what the caller gave, and from the rows for the rest."""

from typing import NamedTuple

import numpy as np

from fastgmm.model.base import Model
from fastgmm.model.parameters import Parameters
from fastgmm.search.kmeans import kmeans, seed_rows
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import Source, Statistics, merge

_NARROWEST = 1e-24  # least variance of a component to start with, relative to the data's
_LABELS_BLOCK = 2**22  # rows whose labels are held at a time
_RESP_BLOCK = 2**20  # responsibilities drawn at a time


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


def _on_rows(start, rows):
    """Put a component on each row, with variance `reg_covar`.

    Without `reg_covar` it is as broad as the data: a covariance of zero is no start. Next to
    data of far greater scale it is broader, too, or the squares of distances would overflow.
    """
    means, kind = rows.astype(np.float64), start.model.covariance_type
    reg_covar = start.model.reg_covar
    variance = np.full_like(means, reg_covar)
    if reg_covar == 0:
        variance[:] = start.source.mean_and_variance()[1]
    elif reg_covar < _NARROWEST * np.square(means).max():
        broad = start.source.mean_and_variance()[1]
        variance = np.maximum(variance, _NARROWEST * broad.max())
    covariances = kind.from_variances(variance)
    factors, log_det = kind.factorize(covariances, *means.shape)
    weights = np.full(len(rows), 1.0 / len(rows))
    return Parameters(weights, means, covariances, factors, log_det)


def _kmeans(start, random_state):
    labels, centers = kmeans(start.source, start.n_components, random_state)
    return from_labels(start, labels, centers)


def _kmeans_plusplus(start, random_state):
    return start.source.rows(seed_rows(start.source, start.n_components, random_state))


def _random(start, random_state):
    """Random responsibilities, drawn for a block of rows at a time."""
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
    return start.source.draw(random_state, start.n_components, replace=False)


# Starts on single rows, each a function of a `Start` and a generator that returns rows
# (n_components, n_features), and starts from responsibilities for all rows, which return
# `Parameters`.
ROW_STARTS = {"k-means++": _kmeans_plusplus, "random_from_data": _random_from_data}
RESP_STARTS = {"kmeans": _kmeans, "random": _random}


def starting_parameters(
    start: Start, init_params: str, given: Given, random_state: np.random.RandomState
) -> Parameters:
    """Return the parameters EM starts from.

    Values in `given` are used as they are. Where means are given, the rest is estimated from
    the rows nearest to each; otherwise `init_params` names the method.
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
