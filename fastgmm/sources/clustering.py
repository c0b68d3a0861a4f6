"""k-means over an array: assignment of rows to the nearest center, and sums over clusters.

k-means stores a few bytes for each row: during seeding the squared distance to the nearest
center, later a label and a bound. At most `_BYTES` are stored, for the leading rows of the array:
5.2 million rows during seeding and 8.4 million later (6.8 million from 256 clusters on). For
rows after them every pass computes all distances again, one part of `_PART` rows at a time. So
memory is bounded for any number of rows.

References
----------
Hamerly, "Making k-means even faster", SDM 2010.
"""

from typing import NamedTuple

import numpy as np

from fastgmm.jit.threads import Workspaces, launch
from fastgmm.kernels import kmeans as kernels
from fastgmm.kernels.kmeans import BLOCK
from fastgmm.kernels.micro.rows import GROUP_ROWS, TILE
from fastgmm.kernels.types import Centers, Data, Known, RowWorkspace, Sums
from fastgmm.sources.passes import chunk_count
from fastgmm.sources.ties import Ties

_BYTES = 40 * 2**20  # bytes at most for numbers stored for each row
_PART = 2**19  # rows per part, a multiple of the tile so that sums do not depend on the parts
_LONGEST = 3e38  # greatest difference of two distances that is stored
_RUN = 512  # numbers in a run of rows; they fit the first-level cache


def stored_rows(n_samples, n_bytes):
    """Return the number of leading rows for which numbers are stored, at `n_bytes` per row."""
    return min(n_samples, _BYTES // n_bytes // _PART * _PART)


def parts(data, n_stored=0):
    """Yield the first `n_stored` rows as one part, if not 0, then the other rows in parts."""
    begin = 0
    while begin < len(data.X):
        end = begin + _PART if begin or not n_stored else n_stored
        yield Data(data.X[begin:end], data.sample_weight[begin:end])
        begin = end


def make_workspace(n_features, n_clusters):
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


def nearest(X, centers, n_threads=None):
    """Return the index (n_samples,) of each row's nearest center, and its squared distance."""
    labels, closest = np.empty(len(X), np.int32), np.empty(len(X))
    launch(
        kernels.nearest_pass,
        chunk_count(X),
        Workspaces(lambda: make_workspace(X.shape[1], len(centers))),
        X,
        np.ascontiguousarray(centers),
        labels,
        closest,
        work=X.size * len(centers) * 3,
        n_threads=n_threads,
    )
    return labels, closest


def labels_after(labels, data, centers, n_threads=None):
    """Return the labels (n_samples,) of all rows.

    `labels` (n_known,) are those of the first n_known rows. Later rows belong to their nearest
    center.
    """
    result = np.empty(len(data.X), np.int32)
    result[: len(labels)] = labels
    for begin in range(len(labels), len(result), _PART):
        rows = slice(begin, begin + _PART)
        result[rows], _ = nearest(data.X[rows], centers, n_threads)
    return result


class Totals(NamedTuple):
    """Sums over all rows after an assignment.

    `moments` (n_clusters, n_features + 1) sums w (x - origin), and w in the last column. `size`
    (n_clusters,) counts the rows of positive weight and `changed` the rows whose label may have
    changed. `scatter` sums w times the squared distance over the rows whose distances this
    assignment computed.
    """

    moments: np.ndarray
    size: np.ndarray
    changed: int
    scatter: float


class _Part:
    """Labels, bounds and sums of some rows, stored from one assignment to the next."""

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
        self._slack = 1e-15 * (n_features + 8)  # relative; above any rounding error of a distance
        self._work = data.X.size * n_clusters * 3
        self._n_threads = n_threads
        self._workspaces = Workspaces(lambda: make_workspace(n_features, n_clusters))

    def update(self, centers, drift, ties=None):
        """Assign every row to its nearest center and return the totals.

        `ties` decides ties; only a first assignment may have it.
        """
        high, low, size, changed, scatter = self._sums
        changed.fill(0)
        scatter.fill(0.0)
        clusters = Centers(centers, drift, self._slack, self._origin)
        launch(
            kernels.lloyd_pass,
            len(changed),
            self._workspaces,
            self._data,
            clusters,
            self.known,
            self._sums,
            work=self._work,
            n_threads=self._n_threads,
            dtypes=(self._data.X.dtype, self.known.labels.dtype),
        )
        if ties is not None:
            self._decide(ties, clusters)
        moments = high.sum(axis=0) + low.sum(axis=0)
        return Totals(moments, size.sum(axis=0), changed.sum(), scatter.sum())

    def _decide(self, ties, clusters):
        """Move the rows that are equally far from two centers to the one that `ties` chooses.

        `known.reach` is by how much the nearest center is nearer. Two distances tie if they differ
        by no more than the rounding of the centers.
        """
        reach, X = self.known.reach, self._data.X
        rounding = self._slack * np.abs(clusters.centers)
        least = min(rounding.max(), _LONGEST)
        if not reach.min() < least:  # NaN if squared distances overflow
            return
        limit = rounding.max(axis=1)
        for begin in range(0, len(reach), _PART):  # few indices at a time
            rows = begin + np.flatnonzero(reach[begin : begin + _PART] < least)
            labels = ties.nearest(X, rows, clusters.centers)
            kernels.move_ties(rows, labels, limit, self._data, clusters, self.known, self._sums)


class Assignment:
    """Assigns all rows to their nearest centers; stores labels and bounds of the leading rows.

    Parameters
    ----------
    data : Data
        The rows and their weights.
    n_clusters : int
        Number of centers.
    origin : ndarray of shape (n_features,)
        The point about which sums are taken.
    n_threads : int or None
        Greatest number of threads.
    """

    def __init__(self, data, n_clusters, origin, n_threads):
        self._data = data
        self._n_threads = n_threads
        self._ties = None if data.sample_weight.size else Ties(data.X)
        self._part_of = lambda part: _Part(part, n_clusters, origin, n_threads)
        n_bytes = 4 + np.min_scalar_type(n_clusters).itemsize
        stored, *self._others = parts(data, stored_rows(len(data.X), n_bytes))
        self._stored = self._part_of(stored)

    @property
    def labels(self):
        """Labels (n_stored,) of the leading rows for which they are stored."""
        return self._stored.known.labels

    def update(self, centers, drift):
        """Assign every row to its nearest center and return the totals.

        Since the first assignment, the distance from a cluster's rows to another center, minus
        that to their own, has fallen by at most the cluster's entry of `drift` (n_clusters + 1,).
        The last entry is infinite, for rows that have no label yet.

        The first assignment decides ties between centers as scikit-learn does: see `Ties`.
        """
        ties, self._ties = self._ties, None
        totals = self._stored.update(centers, drift, ties)
        for part in self._others:
            more = self._part_of(part).update(centers, drift, ties)
            totals = Totals(*(a + b for a, b in zip(totals, more, strict=True)))
        totals.moments[totals.size == 0] = 0.0
        return totals

    def farthest(self, centers, count):
        """Return the indices of the `count` rows farthest from their nearest centers.

        Also return their labels and squared distances.
        """
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
