"""k-means with greedy k-means++ seeding, drawing its random numbers as scikit-learn does.

References
----------
Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
"""

import numpy as np

from fastgmm import _kernels, _kmeans_kernels
from fastgmm._covariance import COVARIANCE_TYPES
from fastgmm._jit import launch, threads_for
from fastgmm._kmeans_kernels import Clusters
from fastgmm._passes import Pass, chunk_count, split

_MAX_ITER = 300
_TOL = 1e-4


def mean_and_variance(data, n_threads=None):
    """Return the weighted mean and variance of every feature.

    Two passes: the second takes its sums about the mean that the first found.
    """
    whole = Pass(data, COVARIANCE_TYPES["diag"], 1, n_threads)
    mean = data.X[:1].astype(np.float64)
    for _ in range(2):
        _, nk, first, second = whole.given(mean)
        delta = first / nk
        mean = mean + delta
    return mean[0], (second / nk - delta * delta)[0]


def _locate(values, tile_sums, size, weights_of):
    """Return the rows at which the running sum of all weights passes each value.

    `tile_sums` are the weights' sums over tiles of `size` rows and ``weights_of(slice)`` the
    weights of some rows.
    """
    ends = np.cumsum(tile_sums)
    rows = []
    for value in values:
        tile = min(int(np.searchsorted(ends, value)), len(ends) - 1)
        before = ends[tile - 1] if tile else 0.0
        weights = weights_of(slice(tile * size, (tile + 1) * size))
        place = int(np.searchsorted(np.cumsum(weights), value - before))
        rows.append(tile * size + min(place, len(weights) - 1))
    return rows


def _first_seed(data, random_state):
    """Return a row drawn with the rows' weights as probabilities."""
    share = random_state.random_sample()
    if not data.sample_weight.size:
        return min(int(share * len(data.X)), len(data.X) - 1)
    ends = np.cumsum(data.sample_weight)
    return int(np.searchsorted(ends, share * ends[-1], side="right"))


def seed_rows(data, n_clusters, random_state, n_threads=None):
    """Return rows of the data chosen as centers by greedy k-means++.

    Each round draws 2 + floor(log n_clusters) candidates with probability proportional to
    weight times squared distance to the nearest center so far, and keeps the one that leaves
    the least sum. One pass a round: it takes in the center chosen before and tries all
    candidates.
    """
    n_samples, n_features = data.X.shape
    n_trials = 2 + int(np.log(n_clusters))
    size = _kernels.tile_size(n_samples, n_features, data.X.itemsize)
    closest = np.full(n_samples, np.inf)

    def play(chosen, rows):
        """Take in the chosen row; return the candidates' potentials, tile by tile."""
        centers = data.X[[rows[0] if chosen is None else chosen, *rows]].astype(np.float64)
        potential = np.empty((len(rows), -(-n_samples // size)))
        launch(
            _kmeans_kernels.seeding_pass,
            threads_for(data.X.size * len(centers) * 3, n_threads),
            chunk_count(data.X),
            data,
            int(chosen is not None),
            *split(centers, data.X.dtype),
            closest,
            potential,
        )
        return potential

    def pull(rows):
        """Return weight times squared distance to the nearest center, the newest included."""
        gaps = data.X[rows].astype(np.float64) - data.X[chosen[-1]]
        weights = np.minimum(closest[rows], np.einsum("ij,ij->i", gaps, gaps))
        return weights * data.sample_weight[rows] if data.sample_weight.size else weights

    chosen = [_first_seed(data, random_state)]
    tile_sums = play(None, chosen)[0]
    while len(chosen) < n_clusters:
        values = random_state.uniform(size=n_trials) * tile_sums.sum()
        rows = _locate(values, tile_sums, size, pull)
        potential = play(chosen[-1], rows)
        best = int(np.argmin(potential.sum(axis=1)))
        tile_sums = potential[best]
        chosen.append(rows[best])
    return np.array(chosen)


def _relocate_empty(data, labels, centers, shift, weight):
    """Give every empty cluster the row farthest from its center, in place.

    `shift` are sums about the old `centers`; a row moves from its old cluster's sums to its
    new one's, as in scikit-learn.
    """
    empty = np.flatnonzero(weight == 0)
    distances = np.empty(len(labels))
    for begin in range(0, len(labels), 4096):
        rows = slice(begin, begin + 4096)
        gaps = data.X[rows] - centers[labels[rows]]
        distances[rows] = np.einsum("ij,ij->i", gaps, gaps)
    far = np.argpartition(distances, -len(empty))[: -len(empty) - 1 : -1]
    for new, row in zip(empty, far, strict=True):
        share = data.sample_weight[row] if data.sample_weight.size else 1.0
        old = labels[row]
        shift[old] -= share * (data.X[row] - centers[old])
        weight[old] -= share
        shift[new] = share * (data.X[row] - centers[new])
        weight[new] = share


class _Assignment:
    """Assigns rows to centers, remembering their labels from one call to the next."""

    def __init__(self, data, n_clusters, n_threads):
        n_samples, n_features = data.X.shape
        n_chunks = chunk_count(data.X, 8 * n_clusters * (n_features + 1))
        self.data = data
        self.n_threads = threads_for(data.X.size * n_clusters * 3, n_threads)
        self.labels = np.full(n_samples, -1, np.int32)
        self._clusters = Clusters(
            np.empty((n_chunks, n_clusters, n_features)),
            np.empty((n_chunks, n_clusters)),
            np.empty(n_chunks, np.int64),
        )

    def __call__(self, centers):
        """Return the sums about the centers, the clusters' weights and the labels changed."""
        for array in self._clusters:
            array.fill(0)
        launch(
            _kmeans_kernels.lloyd_pass,
            self.n_threads,
            len(self._clusters.changed),
            self.data,
            *split(centers, self.data.X.dtype),
            self.labels,
            self._clusters,
        )
        return (array.sum(axis=0) for array in self._clusters)


def assign_to(data, centers, n_threads=None):
    """Return the place (n_samples,) of each row's nearest center."""
    assignment = _Assignment(data, len(centers), n_threads)
    assignment(centers)
    return assignment.labels


def kmeans(data, n_clusters, random_state, n_threads=None):
    """Return each row's cluster, and the clusters' centers, after Lloyd's iterations from a k-means++ start.

    Stops when no label changes, when the centers' squared shift is within 1e-4 of the mean
    variance of the features, or after 300 iterations.
    """
    centers = data.X[seed_rows(data, n_clusters, random_state, n_threads)].astype(np.float64)
    tolerance = _TOL * mean_and_variance(data, n_threads)[1].mean()
    assignment = _Assignment(data, n_clusters, n_threads)
    for _ in range(_MAX_ITER):
        shift, weight, changed = assignment(centers)
        if not changed:
            return assignment.labels, centers
        if (weight == 0).any():
            _relocate_empty(data, assignment.labels, centers, shift, weight)
        step = shift / np.where(weight > 0, weight, 1.0)[:, None]
        centers = centers + step
        if (step * step).sum() <= tolerance:
            break
    assignment(centers)
    return assignment.labels, centers
