"""Moves between optima: a component is split, or two are merged (Ueda, Nakano, Ghahramani, Hinton
2000).

A move changes the responsibilities of the rows of a sample. The M-step then gives parameters of
any covariance type.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fastgmm.search.cell import Proposal
from fastgmm.search.coordinates import moments
from fastgmm.sources.base import Seed

MERGES = 3  # after each of which a swap tries splits
_LEAST_ROWS = 4  # on each side of a cut
_RIDGE = 1e-8  # of a component's covariance, relative to its mean variance
_POWER_STEPS = 12
_UNDONE = 0.95  # of the rows of a merged component: a cut that parts so many as before undoes it
_FLAT = 1e-6  # added to covariances in whitened coordinates


def splits(
    whitened: np.ndarray, weight: np.ndarray, resp: np.ndarray, points: np.ndarray, most: int
) -> list[Proposal]:
    """Return at most `most` proposals with one component more, the most promising first.

    `whitened` (n_rows, rank) are the rows in whitened coordinates, `weight` (n_rows,) their
    weights, `resp` (n_rows, n_components) responsibilities and `points` (n_components,
    n_features) means. Each component is cut in two by its longest axis, by the direction in which
    its rows have the least kurtosis, and by the distance from its mean.
    """
    cuts = _cuts(whitened, weight, resp)
    return [_split(resp, points, cut.component, cut.side) for cut in cuts[:most]]


class _Cut(NamedTuple):
    """A component cut in two: rows on one side, and the most that the log-likelihood can gain."""

    component: int
    side: np.ndarray
    gain: float
    most: float


def _cuts(whitened, weight, resp):
    """Return the cuts of all components, those that gain most in classification likelihood first.

    The gain of the log-likelihood exceeds it by at most the entropy of two parts.
    """
    labels = resp.argmax(axis=1)
    found = []
    for k in range(resp.shape[1]):
        own = np.flatnonzero(labels == k)
        if len(own) < 2 * _LEAST_ROWS:
            continue
        entropy = np.log(2.0) * weight[own].sum()
        for score in _scores(whitened, weight, own):
            cut = _cut(score[own], weight[own])
            if cut is not None:
                side = score > cut
                gain = _gain(whitened, weight, own, side)
                found.append(_Cut(k, side, gain, gain + entropy))
    return sorted(found, key=lambda cut: (-cut.gain, cut.component))


def _split(resp, points, k, side):
    """Return the proposal that gives the rows of component k on one side to a new one."""
    part = np.where(side, resp[:, k], 0.0)
    divided = np.column_stack([resp, part])
    divided[:, k] -= part
    return Proposal("split", Seed(np.vstack([points, points[k]]), resp=divided))


def _scores(whitened, weight, own):
    """Yield scores (n_rows,) of all rows by which a component of the rows `own` may be cut."""
    mean, covariance = moments(whitened[own], weight[own])
    gaps = whitened - mean
    yield np.einsum("ij,j->i", gaps, _leading(covariance))
    rank = len(mean)
    covariance.flat[:: rank + 1] += _RIDGE * max(np.trace(covariance) / rank, 1e-300)
    inverse = np.linalg.inv(np.linalg.cholesky(covariance))
    sphered = np.einsum("ij,kj->ik", gaps, inverse)
    squares = np.einsum("ij,ij->i", sphered, sphered)
    if rank > 1:
        part = sphered[own]
        scatter = np.einsum("ij,ik->jk", part * (squares[own] * weight[own])[:, None], part)
        scatter.flat[:: rank + 1] += _RIDGE * np.trace(scatter)
        yield np.einsum("ij,j->i", sphered, _leading(np.linalg.inv(scatter)))
    yield squares


def _leading(matrix):
    """Return nearly the eigenvector of the greatest eigenvalue of a positive matrix."""
    vector = matrix[:, np.argmax(np.diag(matrix))]
    for _ in range(_POWER_STEPS):
        length = np.sqrt(np.einsum("i,i", vector, vector))
        vector = np.einsum("ij,j->i", matrix, vector / (length if length > 0 else 1.0))
    length = np.sqrt(np.einsum("i,i", vector, vector))
    return vector / (length if length > 0 else 1.0)


def _cut(score, weight):
    """Return where to cut scores so that the halves vary least; None if all are equal."""
    order = np.argsort(score, kind="stable")
    ordered, below = score[order], np.cumsum(weight[order])
    sums = np.cumsum(weight[order] * ordered)
    places = slice(_LEAST_ROWS - 1, len(score) - _LEAST_ROWS)
    below_here, sums_here = below[places], sums[places]
    between = sums_here**2 / below_here + (sums[-1] - sums_here) ** 2 / (below[-1] - below_here)
    between[ordered[places] >= ordered[-1]] = -np.inf
    place = int(np.argmax(between))
    return ordered[places][place] if np.isfinite(between[place]) else None


def _gain(whitened, weight, own, side):
    """Return the gain of the classification likelihood from a cut, with free covariances."""
    return (
        _fit(whitened, weight, own[side[own]])
        + _fit(whitened, weight, own[~side[own]])
        - _fit(whitened, weight, own)
    )


def _fit(whitened, weight, rows):
    """Return the classification log-likelihood of one component on rows, up to a constant."""
    total = weight[rows].sum()
    covariance = moments(whitened[rows], weight[rows])[1]
    covariance.flat[:: len(covariance) + 1] += _FLAT
    return total * (np.log(total) - 0.5 * np.linalg.slogdet(covariance)[1])


def merges(
    whitened: np.ndarray, weight: np.ndarray, resp: np.ndarray, points: np.ndarray, most: int
) -> list[Proposal]:
    """Return at most `most` proposals with one component less, the least harmful first.

    Pairs are ranked by a bound of the loss in log-likelihood, computed with free covariances in
    whitened coordinates. The arguments are those of `splits`.
    """
    pairs = _ranked_pairs(whitened, weight, resp)[:most]
    return [_merge(weight, resp, points, i, j) for _, i, j in pairs]


def _ranked_pairs(whitened, weight, resp):
    """Return the loss from merging each pair of components, and the pair, the least loss first."""
    if resp.shape[1] < 2:
        return []
    first, second = np.tril_indices(resp.shape[1], -1)
    loss = _losses(whitened, weight, resp, first, second)
    return [(loss[i], first[i], second[i]) for i in np.argsort(loss, kind="stable")]


def _merge(weight, resp, points, i, j):
    """Return the proposal in which component i takes the rows of component j."""
    total = np.einsum("i,ik->k", weight, resp[:, [i, j]])
    share = total / max(total.sum(), np.finfo(float).tiny)
    resp, points = resp.copy(), points.copy()
    resp[:, i] += resp[:, j]
    points[i] = share[0] * points[i] + share[1] * points[j]
    return Proposal("merge", Seed(np.delete(points, j, axis=0), resp=np.delete(resp, j, axis=1)))


def _losses(whitened, weight, resp, first, second):
    """Return a bound of the loss (n_pairs,) from merging components `first` and `second`."""
    n_components, rank = resp.shape[1], whitened.shape[1]
    total = np.maximum(np.einsum("i,ik->k", weight, resp), np.finfo(float).tiny)
    means = np.einsum("ik,ij->kj", resp * weight[:, None], whitened) / total[:, None]
    covariances = np.empty((n_components, rank, rank))
    labels = resp.argmax(axis=1)
    for k in range(n_components):
        own = np.flatnonzero(labels == k)
        covariances[k] = moments(whitened[own], weight[own])[1] if len(own) > 1 else 0.0
    ridge = _FLAT * np.eye(rank)
    both = total[first] + total[second]
    gaps = means[first] - means[second]
    shares = (total[first] / both)[:, None, None], (total[second] / both)[:, None, None]
    merged = shares[0] * covariances[first] + shares[1] * covariances[second]
    merged += shares[0] * shares[1] * gaps[:, :, None] * gaps[:, None, :]
    own = total * np.linalg.slogdet(covariances + ridge)[1]
    half = 0.5 * (both * np.linalg.slogdet(merged + ridge)[1] - own[first] - own[second])
    sizes = _entropy(total)[first] + _entropy(total)[second] - _entropy(both)
    entropies = np.einsum("i,ik->k", weight, _entropy(resp))
    overlap = np.array(
        [
            np.einsum("i,i", weight, _entropy(resp[:, i] + resp[:, j]))
            for i, j in zip(first, second, strict=True)
        ]
    )
    return half + sizes + overlap - entropies[first] - entropies[second]


def _entropy(x):
    """Return ``x log x``, which is 0 for 0."""
    return x * np.log(np.where(x > 0, x, 1.0))


def swaps(
    whitened: np.ndarray, weight: np.ndarray, resp: np.ndarray, points: np.ndarray, most: int
) -> Iterator[Proposal]:
    """Yield proposals with as many components: two are merged, then one is split.

    `most` bounds the splits after each merge. A split that can gain less than the merge loses is
    left out, so that clusters far apart are not tried in vain.
    """
    labels = resp.argmax(axis=1)
    for loss, i, j in _ranked_pairs(whitened, weight, resp)[:MERGES]:
        merged = _merge(weight, resp, points, i, j)
        for cut in _cuts(whitened, weight, merged.seed.resp)[:most]:
            if cut.most > loss and not _undoes(cut, labels, i, j):
                split = _split(merged.seed.resp, merged.seed.points, cut.component, cut.side)
                yield split._replace(origin="swap")


def _undoes(cut, labels, i, j):
    """Return whether a cut parts the rows of the components i > j, which were merged, again."""
    if cut.component != i - 1:  # where the merged component is
        return False
    own = (labels == i) | (labels == j)
    if not own.any():
        return False
    same = np.mean(cut.side[own] == (labels[own] == i))
    return bool(max(same, 1.0 - same) > _UNDONE)
