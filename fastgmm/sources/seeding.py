"""Greedy k-means++ over an array: rows chosen as the first centers of k-means.

References
----------
Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
"""

import numpy as np

from fastgmm.jit.threads import Workspaces, launch
from fastgmm.kernels import kmeans as kernels
from fastgmm.kernels.micro.rows import CANDIDATES, GROUP_ROWS
from fastgmm.kernels.types import Candidates
from fastgmm.sources.clustering import make_workspace, nearest, parts, stored_rows
from fastgmm.sources.passes import chunk_count


class Seeding:
    """Greedy k-means++: chooses rows one after the other; `chosen` lists their indices.

    A row's potential is its weight times its squared distance to the nearest center. Each round
    draws 2 + floor(log n_clusters) candidates with probabilities proportional to the potentials,
    and chooses the candidate that leaves the least sum of potentials. A round takes one pass,
    which updates the distances for the center of the previous round and tries all candidates.
    """

    def __init__(self, data, n_clusters, n_threads):
        n_samples, n_features = data.X.shape
        self._data = data
        self._n_trials = 2 + int(np.log(n_clusters))
        self._n_groups = -(-self._n_trials // (CANDIDATES - 1))
        self._tile = _tile_rows(n_samples)
        self._tile_sums = np.empty(0)
        self._n_stored = stored_rows(n_samples, 8)
        self._closest = np.full(self._n_stored + GROUP_ROWS, np.inf)
        self._n_threads = n_threads
        self._workspaces = Workspaces(lambda: make_workspace(n_features, n_clusters))
        self.chosen = []

    def first(self, random_state):
        """Choose a row with a probability proportional to its weight."""
        n_samples, weights = len(self._data.X), self._data.sample_weight
        uniform = random_state.random_sample()
        if weights.size:
            tile_sums = np.add.reduceat(weights, np.arange(0, n_samples, self._tile))
            value = np.array([uniform * tile_sums.sum()])
            row = _locate(value, tile_sums, self._tile, n_samples, weights.__getitem__)[0]
        else:
            row = min(int(uniform * n_samples), n_samples - 1)
        self.chosen.append(row)
        self._tile_sums = self._potentials([row])[:, 0]

    def next(self, random_state):
        """Choose the best of the rows that this round draws."""
        values = random_state.uniform(size=self._n_trials) * self._tile_sums.sum()
        n_samples = len(self._data.X)
        rows = _locate(values, self._tile_sums, self._tile, n_samples, self._row_potentials)
        potentials = self._potentials(rows)
        best = int(np.argmin(potentials.sum(axis=0)))
        self._tile_sums = potentials[:, best]
        self.chosen.append(rows[best])

    def _row_potentials(self, rows):
        """Return the potentials of the rows (any shape) with these indices, given all centers."""
        X, sample_weight = self._data
        if rows.max() < self._n_stored:
            gaps = X[rows].astype(np.float64) - X[self.chosen[-1]]
            weights = np.minimum(np.einsum("...j,...j", gaps, gaps), self._closest[rows])
        else:
            centers = X[self.chosen].astype(np.float64)
            weights = nearest(X[rows.ravel()], centers, self._n_threads)[1].reshape(rows.shape)
        return weights * sample_weight[rows] if sample_weight.size else weights

    def _potentials(self, rows):
        """Update the distances for the newest center and try further ones.

        Return sums of potentials (n_tiles, len(rows)) over the rows of each tile, for each of
        the candidate `rows` (n_candidates,) in turn as the next center.
        """
        X = self._data.X
        places = np.full((self._n_groups, CANDIDATES), self.chosen[-1])
        places[:, 1:].flat[: len(rows)] = rows
        candidates = np.ascontiguousarray(X[places].swapaxes(1, 2), np.float64)
        potential = np.zeros((-(-len(X) // self._tile), self._n_groups, CANDIDATES))
        begin = 0
        for part in parts(self._data, self._n_stored):
            end = begin + -(-len(part.X) // self._tile)
            launch(
                kernels.seeding_pass,
                chunk_count(part.X),
                self._workspaces,
                part,
                Candidates(candidates, self._tile),
                self._closest_of(part.X) if begin else self._closest,
                potential[begin:end],
                work=part.X.size * places.size,
                n_threads=self._n_threads,
                dtypes=(X.dtype,),
            )
            begin = end
        return potential[:, :, 1:].reshape(len(potential), -1)[:, : len(rows)]

    def _closest_of(self, X):
        """Return squared distances to the nearest center but the newest, for rows not stored."""
        closest = np.full(len(X) + GROUP_ROWS, np.inf)
        if len(self.chosen) > 1:
            centers = self._data.X[self.chosen[:-1]].astype(np.float64)
            closest[: len(X)] = nearest(X, centers, self._n_threads)[1]
        return closest


def _tile_rows(n_samples):
    """Return the number of rows per tile; there are at most 65536 tiles."""
    return max(64, 1 << (max(1, n_samples - 1) >> 16).bit_length())


def _locate(values, tile_sums, size, n_samples, weights_of):
    """Return, for each of `values`, the row at which the running sum of all weights reaches it.

    `tile_sums` (n_tiles,) are the sums of weights over tiles of `size` rows. The function
    ``weights_of(rows)`` returns the weights of rows (n_values, size).
    """
    ends = np.cumsum(tile_sums)
    tiles = np.minimum(np.searchsorted(ends, values), len(ends) - 1)
    within = values - np.append(0.0, ends)[tiles]
    rows = tiles[:, None] * size + np.arange(size)
    last = np.minimum(rows[:, -1], n_samples - 1)
    running = np.cumsum(weights_of(np.minimum(rows, n_samples - 1)), axis=1)
    return np.minimum(rows[:, 0] + (running < within[:, None]).sum(axis=1), last)
