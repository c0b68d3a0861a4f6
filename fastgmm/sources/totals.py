"""Sums over all rows of the results of inference: log-likelihood, entropy, distinct rows."""

from typing import NamedTuple

import numpy as np

from fastgmm.sources.base import Source
from fastgmm.sources.operands import Densities

_ROWS = 2**18  # rows whose log-densities are held at a time
_RESP_ROWS = 2**14  # rows whose responsibilities are held: they fit the cache, occupy all threads


class Totals(NamedTuple):
    """Sums over rows.

    `log_likelihood` sums w log p(x) and `entropy` sums w r log(1 / r). `points` (n_components,)
    sums r over one row of each set of equal rows.
    """

    log_likelihood: float
    entropy: float
    points: np.ndarray


def log_likelihood(source: Source, densities: Densities) -> float:
    """Return the weighted sum of the rows' log-densities."""
    total = 0.0
    for block in source.answers(densities, ("log_prob",), _ROWS):
        total += _weighted_sum(block)
    return total


def totals(source: Source, densities: Densities, distinct: np.ndarray | None = None) -> Totals:
    """Return all sums; `points` are zero if no mask `distinct` (n_samples,) is given."""
    from scipy.special import entr  # here: importing it takes longer than a small fit

    total = entropy = 0.0
    points = np.zeros(densities.n_components)
    terms = np.empty((0, densities.n_components))
    for block in source.answers(densities, ("log_prob", "proba"), _RESP_ROWS):
        resp = block.proba
        if len(terms) < len(resp):
            terms = np.empty(resp.shape)
        part = entr(resp, out=terms[: len(resp)])
        total += _weighted_sum(block)
        # BLAS would wake threads of its own, which then spin next to the kernels' threads.
        entropy += float(np.einsum("i,ik", _weights(block), part).sum())
        if distinct is not None:
            points += np.einsum("i,ik", distinct[block.rows].astype(float), resp)
    return Totals(total, entropy, points)


def _weights(block):
    """Return the weights (n_rows,) of a block's rows."""
    return block.sample_weight if block.sample_weight.size else np.ones(len(block.log_prob))


def _weighted_sum(block):
    """Return the weighted sum of a block's log-densities."""
    weights, log_prob = _weights(block), block.log_prob
    total = float(np.einsum("i,i", weights, log_prob))
    if np.isfinite(total):
        return total
    counted = weights > 0  # a weight of zero times minus infinity is not a number
    return float(np.einsum("i,i", weights[counted], log_prob[counted]))
