"""Hierarchical merging of Gaussian clusters, as mclust starts (Fraley 1998).

Some hundred fine clusters of k-means are merged two at a time. Each merge loses the least of the
classification likelihood with a covariance of its own for every cluster ("VVV"): the criterion
``sum N_k log det W_k / N_k`` rises least. The covariances of all fine clusters are pooled and
added with the weight of n_features + 2 rows, so that small clusters have regular ones. One run
gives partitions for all numbers of components.
"""

from collections.abc import Iterable

import numpy as np

from fastgmm.search.kmeans import kmeans
from fastgmm.sources.array import ArraySource

_RIDGE = 1e-9  # of the pooled covariance, relative to its mean variance


class _Clusters:
    """Weights, means and scatters of clusters, and what each merge of two would lose."""

    def __init__(self, rows, weight, labels, n_clusters):
        n_features = rows.shape[1]
        self.weight = np.bincount(labels, weight, n_clusters)
        self.mean = means_of(rows, weight, labels, n_clusters)
        gaps = rows - self.mean[labels]
        self.scatter = np.zeros((n_clusters, n_features, n_features))
        order = np.argsort(labels, kind="stable")
        ends = np.cumsum(np.bincount(labels, minlength=n_clusters))
        for k, end in enumerate(ends.tolist()):
            part = order[ends[k - 1] if k else 0 : end]
            self.scatter[k] = np.einsum("ij,il->jl", gaps[part] * weight[part, None], gaps[part])
        pooled = self.scatter.sum(axis=0) / weight.sum()
        pooled += _RIDGE * max(np.trace(pooled) / n_features, 1e-300) * np.eye(n_features)
        self._prior = n_features + 2.0
        self._pooled = self._prior * pooled
        self.alive = self.weight > 0
        self._own = self._criterion(self.weight, self.scatter)
        self.loss = np.full((n_clusters, n_clusters), np.inf)
        for k in np.flatnonzero(self.alive).tolist():
            self._update(k, np.flatnonzero(self.alive[:k]))

    def _criterion(self, weight, scatter):
        """Return ``N log det W / N`` with the pooled covariance added to W."""
        divisor = (weight + self._prior)[..., None, None]
        return weight * np.linalg.slogdet((scatter + self._pooled) / divisor)[1]

    def _update(self, k, others):
        """Compute what the merges of cluster k with `others` would lose."""
        total = self.weight[k] + self.weight[others]
        gaps = self.mean[others] - self.mean[k]
        between = (self.weight[k] * self.weight[others] / total)[:, None, None]
        scatter = self.scatter[k] + self.scatter[others]
        scatter += between * gaps[:, :, None] * gaps[:, None, :]
        loss = self._criterion(total, scatter) - self._own[k] - self._own[others]
        self.loss[np.minimum(k, others), np.maximum(k, others)] = loss

    def merge(self):
        """Merge the two clusters that lose least; return the kept and the dropped one."""
        kept, dropped = np.unravel_index(np.argmin(self.loss), self.loss.shape)
        total = self.weight[kept] + self.weight[dropped]
        gap = self.mean[dropped] - self.mean[kept]
        between = self.weight[kept] * self.weight[dropped] / total
        self.scatter[kept] += self.scatter[dropped] + between * np.outer(gap, gap)
        self.mean[kept] += self.weight[dropped] / total * gap
        self.weight[kept] = total
        self._own[kept] = self._criterion(total, self.scatter[kept])
        self.alive[dropped] = False
        self.loss[dropped, :] = self.loss[:, dropped] = np.inf
        others = np.flatnonzero(self.alive)
        self._update(kept, others[others != kept])
        return kept, dropped


def means_of(
    rows: np.ndarray, weight: np.ndarray, labels: np.ndarray, n_clusters: int
) -> np.ndarray:
    """Return the means (n_clusters, n_features) of clusters; zeros for an empty one."""
    total = np.bincount(labels, weight, n_clusters)
    sums = [np.bincount(labels, weight * column, n_clusters) for column in rows.T]
    return np.stack(sums, axis=1) / np.where(total > 0, total, 1.0)[:, None]


def merged_partitions(
    source: ArraySource, n_fine: int, counts: Iterable[int], random_state: np.random.RandomState
) -> dict[int, np.ndarray]:
    """Return labels (n_rows,) for each of the `counts` of clusters that merging reaches.

    Merging starts from `n_fine` clusters of the rows of `source`.
    """
    labels = source.labels_after(*kmeans(source, n_fine, random_state))
    indices = np.arange(source.n_samples)
    rows = source.rows(indices).astype(np.float64)
    clusters = _Clusters(rows, source.weights(indices), labels, n_fine)
    cluster_of = np.arange(n_fine)
    n_left, wanted, found = int(clusters.alive.sum()), set(counts), {}
    while n_left > 1:
        if n_left in wanted:
            found[n_left] = np.unique(cluster_of[labels], return_inverse=True)[1].astype(np.int32)
        kept, dropped = clusters.merge()
        cluster_of[cluster_of == dropped] = kept
        n_left -= 1
    return found
