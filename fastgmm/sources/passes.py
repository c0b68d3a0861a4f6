"""EM's passes over an array: buffers, kernel launches, and the sums over all chunks.

The number of chunks depends on shapes alone and their sums are added in a fixed order, so the
results have the same bits for every number of threads.
"""

import math

import numpy as np

from fastgmm.jit.threads import Workspaces
from fastgmm.kernels.tiles import make_workspace, row_width, tile_size
from fastgmm.kernels.types import EMInputs, Given, Moments, Operands
from fastgmm.model.sums import shifted, weighted_mean
from fastgmm.sources.base import Statistics
from fastgmm.sources.links import launch_em
from fastgmm.sources.operands import loses_digits, make_operands, mean_operands
from fastgmm.sources.runs import (
    mixtures_of,
    no_runs,
    runs_of_mixtures,
    runs_of_seeds,
    steps_of,
)
from fastgmm.sources.skipping import NO_DRIFT, Skipping
from fastgmm.sources.skipping_check import CHECKED, check_skipped

_MOMENT_BYTES = 16 * 2**20  # bytes for the moments of all chunks together
_MAX_CHUNKS = 64
_TILES_PER_CHUNK = 4
WORK = 10  # arithmetic operations per number of X and component, roughly
_EMPTY = np.empty(0)
_NOTHING_GIVEN = Given(np.empty(0, np.int32), np.empty((0, 0)))


def chunk_count(X, bytes_per_chunk=1):
    """Return the number of chunks, a power of two that depends on shapes alone."""
    tiles = -(-len(X) // tile_size(*X.shape, X.itemsize))
    most = min(_MAX_CHUNKS, tiles // _TILES_PER_CHUNK, max(4, _MOMENT_BYTES // bytes_per_chunk))
    return 1 << max(most, 1).bit_length() - 1


def make_moments(covariance_type, X, n_components, n_sets=None):
    """Return buffers for the sums of passes over X, one set for each chunk by default."""
    n_features = X.shape[1]
    width = row_width(n_features, X.itemsize)
    second = covariance_type.moment_shape(n_components, n_features, width)
    n_sets = n_sets or chunk_count(X, 8 * (n_components * width + math.prod(second)))
    return Moments(
        np.empty((n_sets, n_components, width)),
        np.empty((n_sets, *second)),
        np.empty(n_sets),
        np.zeros((n_sets, 2), np.int64),
    )


def _of_all_chunks(array):
    """Return the sum of an array's chunks, in a fixed order; a copy if there is one chunk."""
    return array.sum(axis=0) if len(array) > 1 else array[0].copy()


class EMPass:
    """EM passes over one array, for one covariance type and number of components.

    Parameters
    ----------
    data : Data
        The rows and their weights.
    covariance_type : CovarianceType
        A value of `COVARIANCE_TYPES`.
    n_components : int
        Number of components.
    n_threads : int or None
        Greatest number of threads; None for Numba's own setting.
    """

    def __init__(self, data, covariance_type, n_components, n_threads=None):
        self.covariance_type = covariance_type
        self.n_components = n_components
        self._data = data
        self._work = data.X.size * n_components * WORK
        self._n_threads = n_threads
        self._skipping = Skipping(covariance_type, data.X, n_components, self._n_threads)
        self._workspaces = self._make_workspaces()
        self._no_runs = no_runs(data.X.dtype)
        self._scatter_of_all = None  # a point, and the statistics of all rows about it
        self._moments = make_moments(covariance_type, data.X, n_components)

    def _make_workspaces(self):
        """Return buffers for each thread."""
        X, n_components, ordered = self._data.X, self.n_components, self._skipping.ordered
        return Workspaces(lambda: make_workspace(X, n_components, ordered))

    def _launch(self, kernels, operands, given, drift=NO_DRIFT):
        """Run a pass and return the statistics of all rows; S2 is empty if the pass omits it."""
        s1, s2, log_likelihood, pairs = moments = self._moments
        omits_s2 = operands.about_center and self.covariance_type.scatter_is_constant
        for array in (s1, log_likelihood, pairs) if omits_s2 else moments:
            array.fill(0)
        launch_em(
            kernels,
            len(log_likelihood),
            self._workspaces,
            EMInputs(self._data, given, operands, self._skipping.bounds, drift),
            moments,
            self._no_runs,
            work=self._work,
            n_threads=self._n_threads,
        )
        n_features = self._data.X.shape[1]
        s1 = _of_all_chunks(s1)
        return Statistics(
            float(_of_all_chunks(log_likelihood)),
            s1[:, n_features],
            s1[:, :n_features],
            _EMPTY
            if omits_s2
            else self.covariance_type.second_moments(_of_all_chunks(s2), n_features),
        )

    def statistics(self, model, parameters, complete=False):
        """Return the statistics under `parameters`: see `Source.statistics`."""
        kind, dtype = self.covariance_type, self._data.X.dtype
        terms = model.terms(parameters)
        kernels, operands = make_operands(kind, terms, dtype)
        if complete:
            operands = operands._replace(negligible=np.zeros_like(operands.negligible))
            statistics = self._launch(kernels, operands, _NOTHING_GIVEN)
        else:
            drift = self._drift(terms, operands)
            statistics = self._launch(kernels, operands, _NOTHING_GIVEN, drift)
            self._decide_on_skipping()
        if not operands.about_center:
            return statistics
        if kind.scatter_is_constant:
            center = weighted_mean(terms.weights, terms.means)
            statistics = statistics._replace(s2=self._scatter(center))
        statistics, ratio = kind.to_means(statistics, terms)
        if loses_digits(ratio, dtype):  # S2 is far smaller than expected: take it about the means
            operands = operands._replace(about_center=False)
            return self._launch(kernels, operands, _NOTHING_GIVEN)
        return statistics

    def given(self, means, labels=None, resp=None):
        """Return statistics about `means` under given labels or responsibilities.

        `labels` (n_samples,) is each row's component and `resp` (n_samples, n_components) its
        responsibilities. If neither is given, every row belongs to component 0.
        """
        given = Given(
            _NOTHING_GIVEN.labels if labels is None else labels,
            _NOTHING_GIVEN.resp if resp is None else np.require(resp, np.float64, "C"),
        )
        operands = mean_operands(means, self._data.X.dtype)
        return self._launch(self.covariance_type.kernels, operands, given)

    def _drift(self, terms, operands):
        """Return how much distances may have changed since the last pass: see `Skipping`."""
        drift = self._skipping.drift(terms)
        if CHECKED and drift.scale.size:
            bounds = self._skipping.bounds
            check_skipped(self.covariance_type, self._data.X, terms, operands, bounds, drift)
        return drift

    def _decide_on_skipping(self):
        """Decide from the pairs counted in the last pass whether the next one skips pairs."""
        ordered = self._skipping.ordered
        pairs = self._moments.pairs.sum(axis=0) / (len(self._data.X) * self.n_components)
        self._skipping.decide(*pairs)
        if self._skipping.ordered and not ordered:
            self._workspaces = self._make_workspaces()

    def steps(self, model, mixtures, n_iter, tol, previous):
        """Return mixtures after up to `n_iter` EM steps each: see `ArraySource.steps`."""
        runs = runs_of_mixtures(model, mixtures, n_iter, *self._sums_for_runs())
        runs = runs._replace(tol=tol, previous=previous)
        self._launch_runs(runs)
        return steps_of(runs, mixtures)

    def mixtures_from(self, model, seeds):
        """Return the mixtures that seeds give: see `ArraySource.mixtures_from`."""
        runs = runs_of_seeds(model, seeds, *self._sums_for_runs())
        self._launch_runs(runs)
        return mixtures_of(runs, self.covariance_type, self._data.X.shape[1])

    def _launch_runs(self, runs):
        """Take the steps of all runs, in place."""
        n_runs, none = len(runs.n_done), np.empty((1, 0))
        operands = Operands(False, none, none, none, _EMPTY, _EMPTY, none, none, none, none)
        launch_em(
            self.covariance_type.kernels,
            n_runs,
            self._workspaces,
            EMInputs(self._data, _NOTHING_GIVEN, operands, self._skipping.bounds, NO_DRIFT),
            make_moments(self.covariance_type, self._data.X, self.n_components, n_runs),
            runs,
            work=self._work * runs.n_iter * n_runs,
            n_threads=self._n_threads,
        )

    def _sums_for_runs(self):
        """Return the total weight, and the center and scatter of all rows."""
        X, weight = self._data
        return weight.sum() if weight.size else len(X), self._center_and_scatter()

    def _center_and_scatter(self):
        """Return the mean of all rows and the second moments about it, where they are needed."""
        X = self._data.X
        if not self.covariance_type.scatter_is_constant:
            return np.zeros(X.shape[1]), np.empty((0, 0))
        origin, statistics = self._sums_of_all(X[0])
        move = statistics.s1[0] / statistics.nk[0]
        return origin + move, shifted(statistics, move)[1]

    def _scatter(self, center):
        """Return the second moments of all rows about a point (n_features,)."""
        origin, statistics = self._sums_of_all(center)
        return shifted(statistics, center - origin)[1]

    def _sums_of_all(self, point):
        """Return a point (n_features,), and the statistics of all rows about it as component 0.

        They are computed once, in one pass about `point`. A second pass, about the mean of all
        rows, follows if `point` is more than a standard deviation away from it in some feature.
        """
        if self._scatter_of_all is None:
            statistics = self._moments_about(point)
            move = statistics.s1[0] / statistics.nk[0]
            if (2.0 * move**2 > np.diag(statistics.s2) / statistics.nk[0]).any():
                point = point + move
                statistics = self._moments_about(point)
            self._scatter_of_all = point, statistics
        return self._scatter_of_all

    def _moments_about(self, point):
        """Return the statistics about a point (n_features,), with all rows in component 0."""
        return self.given(np.tile(point, (self.n_components, 1)))
