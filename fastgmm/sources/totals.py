"""Sums over all rows of what a mixture says of them: log-likelihood, entropy, points."""

from typing import NamedTuple

import numpy as np
from scipy.special import entr

from fastgmm.sources.base import Source
from fastgmm.sources.operands import Densities

_ROWS = 2**18  # log-densities held at a time
_RESP_ROWS = 2**14  # rows whose responsibilities are held at a time: in cache, enough to share


class Totals(NamedTuple):
    """Weighted sums over rows.

    `log_likelihood` of w log p(x); `entropy` of w r log(1 / r); `points` (n_components,) of r
    over one row of each set of equal rows.
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
    """Return all sums; `points` are zero where no mask (n_samples,) of distinct rows is given."""
    total = entropy = 0.0
    points = np.zeros(densities.n_components)
    terms = np.empty((0, densities.n_components))
    for block in source.answers(densities, ("log_prob", "proba"), _RESP_ROWS):
        resp = block.proba
        if len(terms) < len(resp):
            terms = np.empty(resp.shape)
        part = entr(resp, out=terms[: len(resp)])
        weight = block.sample_weight if block.sample_weight.size else np.ones(len(resp))
        total += _weighted_sum(block)
        # By einsum: BLAS would leave threads spinning beside those of the kernels.
        entropy += float(np.einsum("i,ik", weight, part).sum())
        if distinct is not None:
            points += np.einsum("i,ik", distinct[block.rows].astype(float), resp)
    return Totals(total, entropy, points)


def _weighted_sum(block):
    """Return the weighted sum of a block's log-densities."""
    log_prob = block.log_prob
    weight = block.sample_weight if block.sample_weight.size else np.ones(len(log_prob))
    return float(np.einsum("i,i", weight, log_prob))
