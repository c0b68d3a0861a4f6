"""Passes over data: launch the kernels over chunks of tiles and add up what comes out.

`Statistics` is the hinge of the library: the sum of two of them, taken under the same
parameters, is the statistics of both data sets. Chunks are added in a fixed order and their
number depends on shapes alone, so the same bits come out for every number of threads.
"""

import math

import numpy as np

from fastgmm.jit.threads import Workspaces, launch, threads_for
from fastgmm.kernels import passes
from fastgmm.kernels.tiles import NATS, make_workspace, row_width, tile_size
from fastgmm.kernels.types import Moments, Operands, Shares
from fastgmm.model.covariance import shifted, weighted_mean
from fastgmm.sources.base import Statistics
from fastgmm.sources.skipping import NO_DRIFT, Lazy
from fastgmm.sources.skipping_check import CHECKED, check_skipped

_MOMENT_BYTES = 16 * 2**20  # memory for the moments of all chunks together
_MAX_CHUNKS = 64
_TILES_PER_CHUNK = 4
_WORK = 10  # operations a number and component, roughly: enough to tell little from much
_EMPTY = np.empty(0)
_NOTHING_GIVEN = Shares(np.empty(0, np.int32), np.empty((0, 0)))


def chunk_count(X, bytes_per_chunk=1):
    """Return the number of chunks, a power of two that depends on shapes alone."""
    tiles = -(-len(X) // tile_size(*X.shape, X.itemsize))
    most = min(_MAX_CHUNKS, tiles // _TILES_PER_CHUNK, max(4, _MOMENT_BYTES // bytes_per_chunk))
    return 1 << max(most, 1).bit_length() - 1


def split(values, dtype, width=None):
    """Return arrays of `dtype` that add up to float64 `values`, rows padded to `width`."""
    values = np.atleast_2d(values)
    if dtype == values.dtype and width is None:
        return values, values
    rows, columns = values.shape
    high = np.zeros((rows, width or columns), dtype)
    high[:, :columns] = values
    if dtype == np.float64:
        return high, high  # kernels read the low part of float32 means only
    low = np.zeros_like(high)
    low[:, :columns] = values - high[:, :columns]
    return high, low


def make_operands(covariance_type, parameters, dtype):
    """Return what the E-step kernels need of a mixture, in the precision of the data."""
    weights, means, _, factors, log_det = parameters
    n_features = means.shape[1]
    high, low = split(means, dtype, row_width(n_features, dtype.itemsize))
    with np.errstate(divide="ignore"):
        offsets = np.log(weights) + log_det - 0.5 * n_features * np.log(2 * np.pi)
    none = np.empty((1, 0), dtype)
    largest = np.finfo(dtype).max  # of what a covariance next to nothing makes, too
    centers, center = (none, none), (none, none)
    middle, whitened = covariance_type.about_center(weights, means, factors)
    if middle is not None:
        center = split(middle, dtype)
        centers = split(np.clip(whitened, -largest, largest), dtype)
    common = whitened is not None and not _loses_digits((whitened**2).max(), dtype)
    kind, flat = covariance_type.kernel_factors(factors, len(weights), common)
    if dtype != np.float64:
        flat = np.clip(flat, -largest, largest).astype(dtype)
    return Operands(
        kind,
        common,
        high,
        low,
        flat,
        offsets,
        weights * np.exp(-NATS[dtype.itemsize]),
        *centers,
        *center,
    )


def _loses_digits(times, dtype):
    """Say whether subtracting numbers so many times larger than the result costs too much.

    At most 2e-13 of float64 may be lost where moments about a common center are shifted to the
    means, and 1e-5 of float32. Components farther apart, or narrower, overlap little, and the
    moments about their own means then cost little.
    """
    return bool(times * np.finfo(dtype).eps > (2e-13 if dtype == np.float64 else 1e-5))


class Pass:
    """A source of `Statistics` from arrays in memory, for one covariance type.

    Parameters
    ----------
    data : Data
        The points and their weights.
    covariance_type : object
        A value of `COVARIANCE_TYPES`.
    n_components : int
        Components of the mixtures this pass will be run with.
    n_threads : int or None
        Threads to use at most; None for Numba's own setting.
    """

    def __init__(self, data, covariance_type, n_components, n_threads=None):
        n_samples, n_features = data.X.shape
        self.data = data
        self.covariance_type = covariance_type
        self.n_threads = threads_for(data.X.size * n_components * _WORK, n_threads)
        self.total_weight = data.sample_weight.sum() if data.sample_weight.size else n_samples
        width = row_width(n_features, data.X.itemsize)
        second = covariance_type.moment_shape(n_components, n_features, width)
        size = 8 * (n_components * width + math.prod(second))
        n_chunks = chunk_count(data.X, size)
        self._lazy = Lazy(covariance_type, data.X, n_components, self.n_threads)
        self._workspaces = self._make_workspaces(n_components)
        self._whole = None  # a point and the statistics of all rows about it, once wanted
        self._moments = Moments(
            np.empty((n_chunks, n_components, width)),
            np.empty((n_chunks, *second)),
            np.empty(n_chunks),
            np.empty((n_chunks, 2), np.int64),
        )

    def _make_workspaces(self, n_components):
        X, ordered = self.data.X, self._lazy.ordered
        return Workspaces(lambda: make_workspace(X, n_components, ordered))

    def _launch(self, operands, shares, drift=NO_DRIFT):
        for array in self._moments:
            array.fill(0)
        n_chunks = len(self._moments.log_likelihood)
        launch(
            passes.EM_PASSES[operands.kind],
            self.n_threads,
            n_chunks,
            self._workspaces,
            self.data,
            shares,
            operands,
            self._lazy.bounds,
            drift,
            self._moments,
        )
        n_features = self.data.X.shape[1]
        first, second, log_likelihood, _ = (
            array.sum(axis=0) if n_chunks > 1 else array[0].copy() for array in self._moments
        )
        return Statistics(
            float(log_likelihood),
            first[:, n_features],
            first[:, :n_features],
            self.covariance_type.second_moments(second, n_features),
        )

    def expectation(self, parameters, whole=False):
        """Return the statistics of the data under `parameters`.

        Kernels leave out responsibilities that are next to nothing beside their component's
        weight, unless the `whole` is asked for.
        """
        operands = make_operands(self.covariance_type, parameters, self.data.X.dtype)
        if whole:
            operands = operands._replace(dead=np.zeros_like(operands.dead))
            statistics = self._launch(operands, _NOTHING_GIVEN)
        else:
            statistics = self._launch(operands, _NOTHING_GIVEN, self._drift(parameters, operands))
            self._learn(len(parameters.weights))
        if not operands.common:
            return statistics
        if self.covariance_type.scatter_is_constant:
            center = weighted_mean(parameters.weights, parameters.means)
            statistics = statistics._replace(second=self._scatter(center))
        statistics, times = self.covariance_type.to_means(statistics, parameters)
        if _loses_digits(times, self.data.X.dtype):  # the components have become far narrower
            return self._launch(operands._replace(common=False), _NOTHING_GIVEN)
        return statistics

    def _drift(self, parameters, operands):
        """Return what became of remembered distances, for a lazy pass."""
        drift = self._lazy.drift(parameters)
        if CHECKED and drift.scale.size:
            X, bounds = self.data.X, self._lazy.bounds
            check_skipped(self.covariance_type, X, parameters, operands, bounds, drift)
        return drift

    def _scatter(self, center):
        """Return the second moments of all rows about a point.

        Rows are read for it once for all times, or twice: moments about a point more than a
        standard deviation from the rows' mean are not kept.
        """
        if self._whole is None:
            origin, statistics = center, self._about(center)
            move = statistics.first[0] / statistics.nk[0]
            if (2.0 * move**2 > np.diag(statistics.second) / statistics.nk[0]).any():
                origin = center + move
                statistics = self._about(origin)
            self._whole = origin, statistics
        origin, statistics = self._whole
        return shifted(statistics, center - origin)[1]

    def _about(self, point):
        """Return the statistics of all rows about a point, as those of the first component."""
        return self.given(np.tile(point, (self._moments.first.shape[1], 1)))

    def _learn(self, n_components):
        """Let the last launch decide whether the next ones are lazy."""
        ordered = self._lazy.ordered
        pairs = self._moments.pairs.sum(axis=0) / (len(self.data.X) * n_components)
        self._lazy.learn(*pairs)
        if self._lazy.ordered and not ordered:
            self._workspaces = self._make_workspaces(n_components)

    def given(self, means, labels=None, resp=None):
        """Return statistics about `means` under given labels or responsibilities.

        `labels` (n_samples,) names each row's component, `resp` (n_samples, n_components) its
        shares; where neither is given every row belongs to the first component.
        """
        dtype = self.data.X.dtype
        width = row_width(means.shape[1], dtype.itemsize)
        none = np.empty((1, 0), dtype)
        operands = Operands(
            self.covariance_type.kind,
            False,
            *split(means, dtype, width),
            none,
            _EMPTY,
            np.zeros(len(means)),
            *(none,) * 4,
        )
        shares = Shares(
            _NOTHING_GIVEN.labels if labels is None else labels,
            _NOTHING_GIVEN.resp if resp is None else resp,
        )
        return self._launch(operands, shares)


def infer(X, operands, n_threads, log_prob=None, proba=None, labels=None):
    """Fill the given outputs in place: log-likelihoods, responsibilities, labels."""
    launch(
        passes.INFER_PASSES[operands.kind],
        threads_for(X.size * len(operands.offsets) * _WORK, n_threads),
        chunk_count(X),
        Workspaces(lambda: make_workspace(X, len(operands.offsets))),
        X,
        operands,
        np.empty(0, X.dtype) if log_prob is None else log_prob,
        np.empty((0, 0), X.dtype) if proba is None else proba,
        np.empty(0, np.intp) if labels is None else labels,
    )
