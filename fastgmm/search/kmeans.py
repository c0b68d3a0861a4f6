"""k-means with greedy k-means++ seeding, drawing its random numbers as scikit-learn does.

Something is remembered of rows from one pass to the next: while seeding the squared distance to
the nearest center, then the label and a bound. It takes at most `_BYTES`; rows past those are
worked on in parts and forgotten, at the cost of all their distances in every pass. So memory is
bounded whatever the number of rows: 5.2 million of them are remembered while seeding, 8.4
million (6.8 from 256 clusters on) afterwards.

References
----------
Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
Hamerly, "Making k-means even faster", SDM 2010.
"""

from typing import NamedTuple

import numpy as np

from fastgmm.jit.threads import Workspaces, launch, threads_for
from fastgmm.kernels import kmeans as kernels
from fastgmm.kernels.kmeans import BLOCK
from fastgmm.kernels.micro.rows import CANDIDATES, GROUP_ROWS, TILE
from fastgmm.kernels.types import Data, Known, RowWorkspace, Sums
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.sources.array import Pass, chunk_count

_MAX_ITER = 300
_TOL = 1e-4
_BYTES = 40 * 2**20  # for what is remembered of rows
_PART = 2**19  # rows of a part: whole tiles, so that sums do not depend on parts
_RUN = 512  # numbers of a run of rows: as many as stay in the first-level cache


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


def _first_rows(n_samples, n_bytes):
    """Return the number of rows that are remembered, in so many bytes each."""
    return min(n_samples, _BYTES // n_bytes // _PART * _PART)


def parts(data, n_first=0):
    """Yield the first rows, if any are asked for, and the others in parts."""
    begin = 0
    while begin < len(data.X):
        end = begin + _PART if begin or not n_first else n_first
        yield Data(data.X[begin:end], data.sample_weight[begin:end])
        begin = end


def _make_workspace(n_features, n_clusters):
    """Return the buffers for one thread."""
    run = min(BLOCK, max(1, _RUN // n_features // GROUP_ROWS) * GROUP_ROWS)
    return RowWorkspace(
        rows=np.empty(2 * BLOCK, np.uintp),
        label=np.empty(2 * BLOCK, np.intp),
        best=np.empty(2 * BLOCK),
        second=np.empty(2 * BLOCK),
        tile=np.empty((n_features, TILE)),
        distances=np.empty((n_clusters, TILE)),
        weight=np.empty(run),
        group=np.empty(run * n_features),
    )


class _Seeding:
    """The rows' squared distances to the nearest center, and candidates for the next."""

    def __init__(self, data, n_clusters, n_threads):
        n_samples, n_features = data.X.shape
        self._data = data
        self._n_trials = 2 + int(np.log(n_clusters))
        self._n_groups = -(-self._n_trials // (CANDIDATES - 1))
        self._tile = _tile_rows(n_samples)
        self._tile_sums = np.empty(0)
        self._n_first = _first_rows(n_samples, 8)
        self._closest = np.full(self._n_first + GROUP_ROWS, np.inf)
        self._n_threads = n_threads
        self._workspaces = Workspaces(lambda: _make_workspace(n_features, n_clusters))
        self.chosen = []

    def first(self, random_state):
        """Choose a row with the rows' weights as probabilities."""
        n_samples, weights = len(self._data.X), self._data.sample_weight
        share = random_state.random_sample()
        if weights.size:
            tile_sums = np.add.reduceat(weights, np.arange(0, n_samples, self._tile))
            value = np.array([share * tile_sums.sum()])
            row = _locate(value, tile_sums, self._tile, n_samples, weights.__getitem__)[0]
        else:
            row = min(int(share * n_samples), n_samples - 1)
        self.chosen.append(row)
        self._tile_sums = self._potentials([row])[:, 0]

    def next(self, random_state):
        """Choose the best among rows drawn in proportion to weight times squared distance."""
        values = random_state.uniform(size=self._n_trials) * self._tile_sums.sum()
        n_samples = len(self._data.X)
        rows = _locate(values, self._tile_sums, self._tile, n_samples, self._weights)
        potentials = self._potentials(rows)
        best = int(np.argmin(potentials.sum(axis=0)))
        self._tile_sums = potentials[:, best]
        self.chosen.append(rows[best])

    def _weights(self, rows):
        """Return weight times squared distance to the nearest center, the newest included."""
        X, sample_weight = self._data
        if rows.max() < self._n_first:
            gaps = X[rows].astype(np.float64) - X[self.chosen[-1]]
            weights = np.minimum(np.einsum("...j,...j", gaps, gaps), self._closest[rows])
        else:
            centers = X[self.chosen].astype(np.float64)
            weights = nearest(X[rows.ravel()], centers, self._n_threads)[1].reshape(rows.shape)
        return weights * sample_weight[rows] if sample_weight.size else weights

    def _potentials(self, rows):
        """Take in the row chosen last; return the potentials (n_tiles, len(rows)) of others."""
        X = self._data.X
        places = np.full((self._n_groups, CANDIDATES), self.chosen[-1])
        places[:, 1:].flat[: len(rows)] = rows
        candidates = np.ascontiguousarray(X[places].swapaxes(1, 2), np.float64)
        potential = np.zeros((-(-len(X) // self._tile), self._n_groups, CANDIDATES))
        begin = 0
        for part in parts(self._data, self._n_first):
            end = begin + -(-len(part.X) // self._tile)
            launch(
                kernels.seeding_pass,
                threads_for(part.X.size * places.size, self._n_threads),
                chunk_count(part.X),
                self._workspaces,
                part,
                self._tile,
                candidates,
                self._known(part.X) if begin else self._closest,
                potential[begin:end],
            )
            begin = end
        return potential[:, :, 1:].reshape(len(potential), -1)[:, : len(rows)]

    def _known(self, X):
        """Return squared distances to the centers taken in before, of rows not remembered."""
        closest = np.full(len(X) + GROUP_ROWS, np.inf)
        if len(self.chosen) > 1:
            centers = self._data.X[self.chosen[:-1]].astype(np.float64)
            closest[: len(X)] = nearest(X, centers, self._n_threads)[1]
        return closest


def _tile_rows(n_samples):
    """Return the rows whose weights share a sum: few, but not more than 65536 sums in all."""
    return max(64, 1 << (max(1, n_samples - 1) >> 16).bit_length())


def _locate(values, tile_sums, size, n_samples, weights_of):
    """Return the rows at which the running sum of all weights passes each value.

    `tile_sums` are the weights' sums over tiles of `size` rows and ``weights_of(rows)`` the
    weights of some rows.
    """
    ends = np.cumsum(tile_sums)
    tiles = np.minimum(np.searchsorted(ends, values), len(ends) - 1)
    within = values - np.append(0.0, ends)[tiles]
    rows = tiles[:, None] * size + np.arange(size)
    last = np.minimum(rows[:, -1], n_samples - 1)
    running = np.cumsum(weights_of(np.minimum(rows, n_samples - 1)), axis=1)
    return np.minimum(rows[:, 0] + (running < within[:, None]).sum(axis=1), last)


def seed_rows(data, n_clusters, random_state, n_threads=None):
    """Return rows of the data chosen as centers by greedy k-means++.

    Each round draws 2 + floor(log n_clusters) candidates with probability proportional to
    weight times squared distance to the nearest center so far, and keeps the one that leaves
    the least sum. One pass a round: it takes in the center chosen before and tries all
    candidates.
    """
    seeding = _Seeding(data, n_clusters, n_threads)
    seeding.first(random_state)
    while len(seeding.chosen) < n_clusters:
        seeding.next(random_state)
    return np.array(seeding.chosen)


def nearest(X, centers, n_threads=None):
    """Return the place (n_samples,) of each row's nearest center and its squared distance."""
    labels, closest = np.empty(len(X), np.int32), np.empty(len(X))
    launch(
        kernels.nearest_pass,
        threads_for(X.size * len(centers) * 3, n_threads),
        chunk_count(X),
        Workspaces(lambda: _make_workspace(X.shape[1], len(centers))),
        X,
        np.ascontiguousarray(centers),
        labels,
        closest,
    )
    return labels, closest


def labels_after(labels, data, centers, n_threads=None):
    """Return the labels (n_samples,) of rows; `labels` are those of the first, if any."""
    result = np.empty(len(data.X), np.int32)
    result[: len(labels)] = labels
    for begin in range(len(labels), len(result), _PART):
        rows = slice(begin, begin + _PART)
        result[rows], _ = nearest(data.X[rows], centers, n_threads)
    return result


class _Totals(NamedTuple):
    """Sums over all rows after an assignment: see `Sums`, of which these are the sums."""

    moments: np.ndarray
    size: np.ndarray
    changed: int
    scatter: float


class _Assignment:
    """Labels, bounds and sums of some rows, remembered from one assignment to the next."""

    def __init__(self, data, n_clusters, origin, n_threads):
        n_samples, n_features = data.X.shape
        shape = chunk_count(data.X, 16 * n_clusters * (n_features + 1)), n_clusters
        self.known = Known(
            np.full(n_samples, n_clusters, np.min_scalar_type(n_clusters)),
            np.zeros(n_samples, np.float32),
        )
        self._sums = Sums(
            np.zeros((*shape, n_features + 1)),
            np.zeros((*shape, n_features + 1)),
            np.zeros(shape, np.intp),
            np.zeros(shape[0], np.intp),
            np.zeros(shape[0]),
        )
        self._data = data
        self._origin = origin
        self._n_threads = threads_for(data.X.size * n_clusters * 3, n_threads)
        self._workspaces = Workspaces(lambda: _make_workspace(n_features, n_clusters))

    def update(self, centers, drift):
        """Assign every row to its nearest center and return the totals."""
        high, low, size, changed, scatter = self._sums
        changed.fill(0)
        scatter.fill(0.0)
        launch(
            kernels.lloyd_pass,
            self._n_threads,
            len(changed),
            self._workspaces,
            self._data,
            centers,
            drift,
            1e-15 * (self._data.X.shape[1] + 8),  # well above the rounding error of a distance
            self._origin,
            self.known,
            self._sums,
        )
        moments = high.sum(axis=0) + low.sum(axis=0)
        return _Totals(moments, size.sum(axis=0), changed.sum(), scatter.sum())


class _Clustering:
    """Rows and their clusters: assigns rows to centers and moves those to the clusters' means.

    Sums are taken about the middle of the first centers, their median, which no far row moves.
    """

    def __init__(self, data, centers, n_threads):
        self.centers = centers
        self._data = data
        self._n_threads = n_threads
        self._origin = np.median(centers, axis=0)
        self._drift = np.append(np.zeros(len(centers)), np.inf)
        n_bytes = 4 + np.min_scalar_type(len(centers)).itemsize
        first, *self._others = parts(data, _first_rows(len(data.X), n_bytes))
        self._first = self._assignment(first)

    @property
    def labels(self):
        """The clusters of the first rows, as many as are remembered."""
        return self._first.known.labels

    def _assignment(self, data):
        return _Assignment(data, len(self.centers), self._origin, self._n_threads)

    def assign(self):
        """Assign every row to its nearest center; say whether a label may have changed."""
        totals = self._first.update(self.centers, self._drift)
        for part in self._others:
            more = self._assignment(part).update(self.centers, self._drift)
            totals = _Totals(*(a + b for a, b in zip(totals, more, strict=True)))
        totals.moments[totals.size == 0] = 0.0
        self._totals = totals
        return totals.changed > 0

    def variance(self):
        """Return the mean variance of the features, from the totals of the first assignment.

        The scatter about the centers is that about the means and more. Every center is still one
        of its cluster's rows, so the means are not far from it, and little cancels.
        """
        first, weight = self._totals.moments[:, :-1], self._totals.moments[:, -1]
        total = weight.sum()
        held = weight > 0
        means = first[held] / weight[held, None]
        whole = first.sum(axis=0) / total
        between = weight[held] @ ((means - whole) ** 2).sum(axis=1)
        gained = weight[held] @ ((self._origin + means - self.centers[held]) ** 2).sum(axis=1)
        return (self._totals.scatter + between - gained) / (total * len(whole))

    def move(self):
        """Move the centers to the means of their clusters; return their squared shift.

        An empty cluster gets the row farthest from its center. One that loses its only row that
        way goes where the heaviest cluster is, or its sum where that is yet to be divided: this
        is what scikit-learn does, and what the same labels take.
        """
        moments = self._totals.moments.copy()
        empty = np.flatnonzero(self._totals.size == 0)
        if empty.size:
            self._relocate(empty, moments)
        first, weight = moments[:, :-1], moments[:, -1]
        heaviest = np.argmax(weight)
        for k in range(len(first)):
            first[k] = first[k] / weight[k] if weight[k] > 0 else first[heaviest]
        before, self.centers = self.centers, self._origin + first
        shift = ((self.centers - before) ** 2).sum(axis=1)
        self._widen(np.sqrt(shift))
        return shift.sum()

    def _widen(self, shift):
        """Add to the drift of each cluster its center's shift and the longest of any other."""
        longest = np.argmax(shift)
        others = np.full(len(shift), shift[longest])
        others[longest] = np.delete(shift, longest).max(initial=0.0)
        self._drift[:-1] += (shift + others) * (1.0 + 1e-9)  # rounding included

    def _relocate(self, empty, moments):
        """Move the farthest rows from their clusters' sums to those of empty ones, in place."""
        rows, labels, distances = self._farthest(len(empty))
        if not distances.any():  # fewer distinct rows than clusters
            return
        X, sample_weight = self._data
        for new, row, old in zip(empty, rows, labels, strict=True):
            share = sample_weight[row] if sample_weight.size else 1.0
            moment = share * np.append(X[row] - self._origin, 1.0)
            moments[old] -= moment
            moments[new] = moment

    def _farthest(self, count):
        """Return the rows farthest from their centers, with their labels and squared distances."""
        far, begin = np.empty((3, 0)), 0
        for part in parts(self._data):
            labels, distances = nearest(part.X, self.centers, self._n_threads)
            found = np.argpartition(distances, -min(count, len(distances)))[: -count - 1 : -1]
            found = np.array([begin + found, labels[found], distances[found]])
            far = np.hstack([far, found])
            begin += len(distances)
        if far.shape[1] > count:
            far = far[:, np.argpartition(far[2], -count)[: -count - 1 : -1]]
        return far[0].astype(np.intp), far[1].astype(np.intp), far[2]


def kmeans(data, n_clusters, random_state, n_threads=None):
    """Return the clusters of the first rows, as many as are remembered, and the centers.

    Lloyd's iterations from k-means++. Stops when no label changes, when the centers' squared
    shift is within 1e-4 of the mean variance of the features, or after 300 iterations.
    """
    rows = seed_rows(data, n_clusters, random_state, n_threads)
    clustering = _Clustering(data, data.X[rows].astype(np.float64), n_threads)
    clustering.assign()
    tolerance = _TOL * clustering.variance()
    for _ in range(_MAX_ITER):
        shift = clustering.move()
        if not clustering.assign() or shift <= tolerance:
            break
    return clustering.labels, clustering.centers
