"""Ways to start: on single rows, or from responsibilities of all rows.

A further way is a function in a file of its own, named here and in `fastgmm.api.options`.
"""

import numpy as np

from fastgmm.model.parameters import Parameters
from fastgmm.search.kmeans import kmeans, seed_rows
from fastgmm.search.start import Given, Start, from_labels
from fastgmm.sources.base import merge

_NARROWEST = 1e-24  # least variance of a component to start with, relative to the data's
_RESP_BLOCK = 2**20  # responsibilities drawn at a time


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
