"""k-means' passes over an array: seeding, assignment to the nearest center, sums over clusters.

The passes remember something of each row: while seeding the squared distance to the nearest
center, then the label and a bound. That takes at most `_BYTES`; rows past those are worked on
in parts and forgotten, at the cost of all their distances in every pass. So memory is bounded
whatever the number of rows: 5.2 million of them are remembered while seeding, 8.4 million (6.8
from 256 clusters on) afterwards.

References
----------
Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
Hamerly, "Making k-means even faster", SDM 2010.
"""

from typing import NamedTuple

import numpy as np

from fastgmm.jit.threads import Workspaces, launch
from fastgmm.kernels import kmeans as kernels
from fastgmm.kernels.kmeans import BLOCK
from fastgmm.kernels.micro.rows import CANDIDATES, GROUP_ROWS, TILE
from fastgmm.kernels.types import Candidates, Centers, Data, Known, RowWorkspace, Sums
from fastgmm.sources.passes import chunk_count

_BYTES = 40 * 2**20  # of memory for what is remembered of rows
_PART = 2**19  # rows in a part: whole tiles, so that sums do not depend on parts
_RUN = 512  # numbers in a run of rows: as many as stay in the first-level cache


def _first_rows(n_samples, n_bytes):
    """Return how many rows are remembered, at `n_bytes` each."""
    return min(n_samples, _BYTES // n_bytes // _PART * _PART)


def parts(data, n_first=0):
    """Yield the first `n_first` rows, if that is not 0, then the others in parts."""
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


class Seeding:
    """Greedy k-means++ over rows.

    Each round draws 2 + floor(log n_clusters) candidates with probability proportional to
    weight times squared distance to the nearest center so far, and keeps the one that leaves
    the least sum. One pass a round: it takes in the center chosen before and tries all
    candidates. `chosen` lists the rows that are centers so far.
    """

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
                chunk_count(part.X),
                self._workspaces,
                part,
                Candidates(candidates, self._tile),
                self._known(part.X) if begin else self._closest,
                potential[begin:end],
                work=part.X.size * places.size,
                n_threads=self._n_threads,
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


def nearest(X, centers, n_threads=None):
    """Return the place (n_samples,) of each row's nearest center and its squared distance."""
    labels, closest = np.empty(len(X), np.int32), np.empty(len(X))
    launch(
        kernels.nearest_pass,
        chunk_count(X),
        Workspaces(lambda: _make_workspace(X.shape[1], len(centers))),
        X,
        np.ascontiguousarray(centers),
        labels,
        closest,
        work=X.size * len(centers) * 3,
        n_threads=n_threads,
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


class Totals(NamedTuple):
    """Sums over all rows after an assignment.

    `moments` (n_clusters, n_features + 1) of w (x - origin), and of w in the last column; `size`
    (n_clusters,) counts the rows with weight, `changed` those that may have a new label;
    `scatter` sums w times the squared distance over the rows looked at.
    """

    moments: np.ndarray
    size: np.ndarray
    changed: int
    scatter: float


class _Part:
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
        self._slack = 1e-15 * (n_features + 8)  # well above the rounding error of a distance
        self._work = data.X.size * n_clusters * 3
        self._n_threads = n_threads
        self._workspaces = Workspaces(lambda: _make_workspace(n_features, n_clusters))

    def update(self, centers, drift):
        """Assign every row to its nearest center and return the totals."""
        high, low, size, changed, scatter = self._sums
        changed.fill(0)
        scatter.fill(0.0)
        launch(
            kernels.lloyd_pass,
            len(changed),
            self._workspaces,
            self._data,
            Centers(centers, drift, self._slack, self._origin),
            self.known,
            self._sums,
            work=self._work,
            n_threads=self._n_threads,
        )
        moments = high.sum(axis=0) + low.sum(axis=0)
        return Totals(moments, size.sum(axis=0), changed.sum(), scatter.sum())


class Assignment:
    """Assigns rows to the nearest center; remembers labels and bounds of the first rows.

    Parameters
    ----------
    data : Data
        The rows and their weights.
    n_clusters : int
        Number of centers.
    origin : ndarray of shape (n_features,)
        Sums are taken about this point.
    n_threads : int or None
        Threads to use at most.
    """

    def __init__(self, data, n_clusters, origin, n_threads):
        self._data = data
        self._n_threads = n_threads
        self._part_of = lambda part: _Part(part, n_clusters, origin, n_threads)
        n_bytes = 4 + np.min_scalar_type(n_clusters).itemsize
        first, *self._others = parts(data, _first_rows(len(data.X), n_bytes))
        self._first = self._part_of(first)

    @property
    def labels(self):
        """The clusters of the first rows, as many as are remembered."""
        return self._first.known.labels

    def update(self, centers, drift):
        """Assign every row to its nearest center; return the totals.

        `drift` (n_clusters + 1,) bounds by how much the other centers can have come nearer to a
        cluster's rows since the first assignment; the last entry is infinite.
        """
        totals = self._first.update(centers, drift)
        for part in self._others:
            more = self._part_of(part).update(centers, drift)
            totals = Totals(*(a + b for a, b in zip(totals, more, strict=True)))
        totals.moments[totals.size == 0] = 0.0
        return totals

    def farthest(self, centers, count):
        """Return the rows farthest from their centers, with their labels and squared distances."""
        far, begin = np.empty((3, 0)), 0
        for part in parts(self._data):
            labels, distances = nearest(part.X, centers, self._n_threads)
            found = np.argpartition(distances, -min(count, len(distances)))[: -count - 1 : -1]
            found = np.array([begin + found, labels[found], distances[found]])
            far = np.hstack([far, found])
            begin += len(distances)
        if far.shape[1] > count:
            far = far[:, np.argpartition(far[2], -count)[: -count - 1 : -1]]
        return far[0].astype(np.intp), far[1].astype(np.intp), far[2]
