"""Starting parameters: from what the caller gave, and from the data for the rest."""

from typing import NamedTuple

import numpy as np

from fastgmm.kernels.types import Data
from fastgmm.model.covariance import CovarianceType, m_step
from fastgmm.model.parameters import Parameters
from fastgmm.search.kmeans import kmeans, labels_after, mean_and_variance, seed_rows
from fastgmm.sources.array import Pass
from fastgmm.sources.base import Statistics, merge

_NARROWEST = 1e-24  # of the data's variance, for components to start with
_LABELS_BLOCK = 2**22  # rows whose labels are held at a time
_RESP_BLOCK = 2**20  # responsibilities drawn at a time, however many there are


class Given(NamedTuple):
    """Starting values the caller gave, None for those it did not.

    `covariances` come with their `factors` and `log_det`, as in `Parameters`.
    """

    weights: np.ndarray | None = None
    means: np.ndarray | None = None
    covariances: np.ndarray | None = None
    factors: np.ndarray | None = None
    log_det: np.ndarray | None = None


class Start(NamedTuple):
    """How to start: data, covariance type, number of components, floor and threads."""

    data: Data
    covariance_type: CovarianceType
    n_components: int
    reg_covar: float
    n_threads: int | None

    def source(self, data: Data | None = None) -> Pass:
        return Pass(data or self.data, self.covariance_type, self.n_components, self.n_threads)

    def estimate(self, means: np.ndarray, statistics: Statistics) -> Parameters:
        """Return the M-step from `statistics` about `means`; starved ones get the whole's."""
        variance = np.ones(means.shape[1])  # of no component that any row belongs to
        if not (statistics.nk > 0).all():
            variance = mean_and_variance(self.data, self.n_threads)[1] + self.reg_covar
        spread = self.covariance_type.from_variances(np.tile(variance, (len(means), 1)))
        before = Parameters(np.empty(0), means, spread, np.empty(0), np.empty(0))
        return m_step(self.covariance_type, before, statistics, self.reg_covar)


def from_labels(start, labels, means):
    """Estimate from hard memberships, clusters near `means`; `labels` are those of the first rows.

    Rows past them belong to the nearest mean.
    """
    X, sample_weight = start.data
    total = None
    for begin in range(0, len(X), _LABELS_BLOCK):
        rows = slice(begin, begin + _LABELS_BLOCK)
        part = Data(X[rows], sample_weight[rows])
        known = labels_after(labels[rows], part, means, start.n_threads)
        statistics = start.source(part).given(means, labels=known)
        total = statistics if total is None else merge(total, statistics)
    return start.estimate(means, total)


def _from_rows(start, rows):
    """One component on each row, as small as `reg_covar` lets it be.

    Without `reg_covar` it is as broad as the data: a covariance of zero is no start. Next to
    data of far greater scale it is broader, too, lest the squares of distances overflow.
    """
    means = start.data.X[rows].astype(np.float64)
    variance = np.full_like(means, start.reg_covar)
    if start.reg_covar == 0:
        variance[:] = mean_and_variance(start.data, start.n_threads)[1]
    elif start.reg_covar < _NARROWEST * np.square(means).max():
        broad = mean_and_variance(start.data, start.n_threads)[1]
        variance = np.maximum(variance, _NARROWEST * broad.max())
    covariances = start.covariance_type.from_variances(variance)
    factors, log_det = start.covariance_type.factorize(covariances, *means.shape)
    weights = np.full(len(rows), 1.0 / len(rows))
    return Parameters(weights, means, covariances, factors, log_det)


def _kmeans(start, random_state):
    labels, centers = kmeans(start.data, start.n_components, random_state, start.n_threads)
    return from_labels(start, labels, centers)


def _kmeans_plusplus(start, random_state):
    return seed_rows(start.data, start.n_components, random_state, start.n_threads)


def _random(start, random_state):
    """Random responsibilities, drawn a block of rows at a time."""
    X, sample_weight = start.data
    mean, _ = mean_and_variance(start.data, start.n_threads)
    means = np.tile(mean, (start.n_components, 1))
    block = max(1, _RESP_BLOCK // start.n_components)
    total = None
    for begin in range(0, len(X), block):
        rows = slice(begin, begin + block)
        resp = random_state.uniform(size=(len(X[rows]), start.n_components))
        resp /= resp.sum(axis=1, keepdims=True)
        weight = sample_weight[rows] if sample_weight.size else sample_weight
        part = start.source(Data(X[rows], weight)).given(means, resp=resp)
        total = part if total is None else merge(total, part)
    return start.estimate(means, total)


def _random_from_data(start, random_state):
    X, sample_weight = start.data
    share = sample_weight / sample_weight.sum() if sample_weight.size else None
    return random_state.choice(len(X), size=start.n_components, replace=False, p=share)


# Starts on single rows, each a function of a `Start` and a generator that returns their places,
# and starts from a share of all rows, which return `Parameters`.
ROW_STARTS = {"k-means++": _kmeans_plusplus, "random_from_data": _random_from_data}
SHARE_STARTS = {"kmeans": _kmeans, "random": _random}
INIT_PARAMS = ("kmeans", "k-means++", "random", "random_from_data")


def starting_parameters(
    start: Start, init_params: str, given: Given, random_state: np.random.RandomState
) -> Parameters:
    """Return the parameters EM starts from.

    Values in `given` are taken as they are. Where means are given, the rest is estimated from
    the rows nearest to each; otherwise `init_params` names how.
    """
    known = {name: value for name, value in given._asdict().items() if value is not None}
    if len(known) == len(given):
        return Parameters(**known)
    if given.means is not None:
        parameters = from_labels(start, np.empty(0, np.uint8), given.means)
    elif init_params in ROW_STARTS:
        parameters = _from_rows(start, ROW_STARTS[init_params](start, random_state))
    else:
        parameters = SHARE_STARTS[init_params](start, random_state)
    return parameters._replace(**known)
