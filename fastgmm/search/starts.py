"""Ways to start: on single rows, or from responsibilities of all rows.

A further way is a function in a file of its own, named here and in `fastgmm.api.options`.
"""

import numpy as np

from fastgmm.model.parameters import Parameters
from fastgmm.search.auto import auto
from fastgmm.search.kmeans import kmeans, seed_rows
from fastgmm.search.start import Given, Start, from_labels
from fastgmm.sources.base import merge

_NARROWEST = 1e-24  # least variance of a component on a row, relative to squares of the data
_RESP_BLOCK = 2**20  # responsibilities drawn at a time, in rows times components


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
    kind, state = start.model.covariance_type, random_state.get_state(legacy=False)

    def of_block(block, double):
        resp = random_state.uniform(size=(block.n_samples, start.n_components))
        resp /= resp.sum(axis=1, keepdims=True)
        return block.given(kind, means, resp=resp, double=double)

    def sums(double):
        random_state.set_state(state)  # the same responsibilities if they are drawn again
        blocks = start.source.blocks(max(1, _RESP_BLOCK // start.n_components))
        return merge(of_block(block, double) for _, block in blocks)

    return start.estimate_from(means, sums)


def _random_from_data(start, random_state):
    """Return rows (n_components, n_features) drawn at random."""
    return start.source.draw(random_state, start.n_components, replace=False)


def _auto(start, random_state):
    """Return the result of a search, or estimates from k-means if all its optima are spurious."""
    found = auto(start, random_state)
    return _kmeans(start, random_state) if found is None else found


# Functions of a `Start` and a random generator. Those in ROW_STARTS return rows
# (n_components, n_features) on which components are placed, those in RESP_STARTS `Parameters`.
ROW_STARTS = {"k-means++": _kmeans_plusplus, "random_from_data": _random_from_data}
RESP_STARTS = {"auto": _auto, "kmeans": _kmeans, "random": _random}


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
