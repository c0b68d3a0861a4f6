"""k-means with greedy k-means++ seeding, drawing its random numbers as scikit-learn does.

References
----------
Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
"""

import numpy as np

from fastgmm import _kmeans_kernels
from fastgmm._covariance import COVARIANCE_TYPES
from fastgmm._jit import Workspaces, launch, threads_for
from fastgmm._kmeans_kernels import Clusters
from fastgmm._passes import Pass, chunk_count, split
from fastgmm._tile_kernels import make_workspace, tile_size

_MAX_ITER = 300
_TOL = 1e-4
_BLOCK = 4096


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
    size = tile_size(n_samples, n_features, data.X.itemsize)
    closest = np.full(n_samples, np.inf)
    workspaces = Workspaces(lambda: make_workspace(data.X, 1 + n_trials))

    def play(chosen, rows):
        """Take in the chosen row; return the potentials of n_trials candidates, tile by tile."""
        centers = data.X[[chosen, *rows]].astype(np.float64)
        potential = np.empty((len(rows), -(-n_samples // size)))
        launch(
            _kmeans_kernels.seeding_pass,
            threads_for(data.X.size * len(centers) * 3, n_threads),
            chunk_count(data.X),
            workspaces,
            data,
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
    tile_sums = play(chosen[0], chosen * n_trials)[0]
    while len(chosen) < n_clusters:
        values = random_state.uniform(size=n_trials) * tile_sums.sum()
        rows = _locate(values, tile_sums, size, pull)
        potential = play(chosen[-1], rows)
        best = int(np.argmin(potential.sum(axis=1)))
        tile_sums = potential[best]
        chosen.append(rows[best])
    return np.array(chosen)


class _Clustering:
    """Rows and their clusters: assigns rows to centers and finds the clusters' means.

    Remembers labels and sums from one assignment to the next; the sums are taken about an
    origin in the middle of the data.
    """

    def __init__(self, data, n_clusters, origin, n_threads):
        n_samples, n_features = data.X.shape
        n_chunks = chunk_count(data.X, 8 * n_clusters * (n_features + 1))
        self.data = data
        self.origin = origin
        self.n_threads = threads_for(data.X.size * n_clusters * 3, n_threads)
        self.labels = np.full(n_samples, -1, np.int32)
        self._workspaces = Workspaces(lambda: make_workspace(data.X, n_clusters))
        self._sums = Clusters(
            np.zeros((n_chunks, n_clusters, n_features)),
            np.empty((n_chunks, n_clusters)),
            np.empty(n_chunks, np.int64),
        )

    def assign(self, centers):
        """Assign every row to its nearest center; return how many labels changed."""
        self._sums.weight.fill(0.0)
        self._sums.changed.fill(0)
        launch(
            _kmeans_kernels.lloyd_pass,
            self.n_threads,
            len(self._sums.changed),
            self._workspaces,
            self.data,
            *split(centers, self.data.X.dtype),
            self.origin,
            self.labels,
            self._sums,
        )
        return self._sums.changed.sum()

    def means(self, centers):
        """Return the means of the clusters, given the centers they were assigned to.

        An empty cluster gets the row farthest from its center. One that loses its only row that
        way goes where the heaviest cluster is, or its sum where that is yet to be divided: this
        is what scikit-learn does, and what the same labels take.
        """
        first, weight = self._sums.first.sum(axis=0), self._sums.weight.sum(axis=0)
        empty = np.flatnonzero(weight == 0)
        first[empty] = 0.0
        if empty.size:
            self._relocate(empty, self._distances(centers), first, weight)
        heaviest = np.argmax(weight)
        for k in range(len(centers)):
            first[k] = first[k] / weight[k] if weight[k] > 0 else first[heaviest]
        return self.origin + first

    def _distances(self, centers):
        """Return each row's squared distance to the center it is assigned to."""
        distances = np.empty(len(self.labels))
        for begin in range(0, len(distances), _BLOCK):
            rows = slice(begin, begin + _BLOCK)
            gaps = self.data.X[rows] - centers[self.labels[rows]]
            distances[rows] = np.einsum("ij,ij->i", gaps, gaps)
        return distances

    def _relocate(self, empty, distances, first, weight):
        """Move the farthest rows from their clusters' sums to those of empty ones, in place."""
        if not distances.any():  # fewer distinct rows than clusters
            return
        far = np.argpartition(distances, -len(empty))[: -len(empty) - 1 : -1]
        shares = self.data.sample_weight
        for new, row in zip(empty, far, strict=True):
            share = shares[row] if shares.size else 1.0
            moment = share * (self.data.X[row] - self.origin)
            first[self.labels[row]] -= moment
            weight[self.labels[row]] -= share
            first[new], weight[new] = moment, share


def assign_to(data, centers, n_threads=None):
    """Return the place (n_samples,) of each row's nearest center."""
    clustering = _Clustering(data, len(centers), centers.mean(axis=0), n_threads)
    clustering.assign(centers)
    return clustering.labels


def kmeans(data, n_clusters, random_state, n_threads=None):
    """Return each row's cluster and the centers, after Lloyd's iterations from k-means++.

    Stops when no label changes, when the centers' squared shift is within 1e-4 of the mean
    variance of the features, or after 300 iterations.
    """
    centers = data.X[seed_rows(data, n_clusters, random_state, n_threads)].astype(np.float64)
    mean, variance = mean_and_variance(data, n_threads)
    clustering = _Clustering(data, n_clusters, mean, n_threads)
    for _ in range(_MAX_ITER):
        if not clustering.assign(centers):
            return clustering.labels, centers
        before, centers = centers, clustering.means(centers)
        if ((centers - before) ** 2).sum() <= _TOL * variance.mean():
            break
    clustering.assign(centers)
    return clustering.labels, centers
