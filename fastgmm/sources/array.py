"""A source of rows in an array, in memory or memory-mapped."""

import numpy as np

from fastgmm.kernels.types import Data
from fastgmm.model.covariance import lapack
from fastgmm.sources.base import Answers, Source, digest_of
from fastgmm.sources.clustering import Assignment, labels_after, nearest
from fastgmm.sources.distinct import first_of_equals
from fastgmm.sources.double import DoubleRows
from fastgmm.sources.inference import infer
from fastgmm.sources.passes import chunk_count
from fastgmm.sources.precision import needs_double
from fastgmm.sources.seeding import Seeding
from fastgmm.sources.wide import make_pass

_EMPTY = np.empty(0)
_MOST_WORK = 1_000_000  # rows x features x components of a pass whose M-step is compiled, too
_MOST_ALONE = 200_000  # the same for a single mixture: more is worth several threads
_FEW_NUMBERS = 2**16  # numbers of X whose mean and variance NumPy finds as fast as a pass


class ArraySource(Source):
    """Rows of an array.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows: C-contiguous, float32 or float64, finite. The array's flag `writeable` is set, so
        that kernels are compiled for one type of array only; nothing writes to it.
    sample_weight : ndarray of shape (n_samples,), optional
        Weights, float64; empty if all are 1.
    n_threads : int, optional
        Greatest number of threads.
    """

    def __init__(self, X, sample_weight=_EMPTY, n_threads=None):
        self.n_samples, self.n_features = X.shape
        self.dtype = X.dtype
        self.n_threads = n_threads
        self.is_weighted = sample_weight.size > 0
        self._data = Data(X, sample_weight)
        self._pass = None  # passes for the last covariance type and number of components
        self._double = None  # the rows in float64, once float32 does not suffice
        self._first_of_equals = None
        self._remembers = True  # whether a pass profits from the passes before

    @property
    def total_weight(self):
        """Sum of the row weights."""
        return self._data.sample_weight.sum() if self.is_weighted else self.n_samples

    @property
    def n_weighted(self):
        """Number of rows with positive weight."""
        return np.count_nonzero(self._data.sample_weight) if self.is_weighted else self.n_samples

    @property
    def effective_rows(self):
        """Total weight divided by the greatest weight of a row."""
        weight = self._data.sample_weight
        return weight.sum() / weight.max() if self.is_weighted else self.n_samples

    @property
    def n_chunks(self):
        """Greatest number of chunks of an EM pass."""
        return chunk_count(self._data.X)

    def statistics(self, model, parameters, complete=False):
        """Return the statistics of all rows: see `Source.statistics`."""
        kind, n_components = model.covariance_type, len(parameters.weights)
        if not self._remembers:
            self._pass = self._double = None
        if needs_double(kind, parameters, self.dtype):
            return self.in_double().statistics(model, parameters, complete)
        statistics = self._passes(kind, n_components).statistics(model, parameters, complete)
        if complete and self.dtype != np.float64:
            new = model.update(parameters, statistics, self.n_threads)
            if needs_double(kind, new, self.dtype):
                return self.in_double().statistics(model, parameters, complete)
        return statistics

    def _passes(self, kind, n_components):
        """Return the object that runs passes for a covariance type and number of components."""
        last = self._pass
        if last is None or (last.covariance_type, last.n_components) != (kind, n_components):
            last = self._pass = make_pass(self._data, kind, n_components, self.n_threads)
        return last

    def steps(self, model, mixtures, n_iter, tol=0.0, previous=-np.inf):
        """Return each of the mixtures after up to `n_iter` EM steps: see `Source.steps`.

        All steps are taken in one launch if a pass costs little more than Python between passes.
        Each mixture is on one thread, so a single one must not be worth several threads.
        """
        most = _MOST_WORK if len(mixtures) > 1 else _MOST_ALONE
        n_components = len(mixtures[0].weights)
        if not self._takes_steps(model, n_components, most):
            return super().steps(model, mixtures, n_iter)
        passes = self._passes(model.covariance_type, n_components)
        return passes.steps(model, mixtures, n_iter, tol, previous)

    def mixtures_from(self, model, seeds):
        """Return the mixtures that seeds give, all in one launch, each None if it is not computed.

        All seeds have labels, or all have responsibilities. A mixture is not computed if a
        covariance would be singular, and none is where `steps` takes no steps.
        """
        n_components = len(seeds[0].points)
        if not self._takes_steps(model, n_components, _MOST_WORK):
            return [None] * len(seeds)
        return self._passes(model.covariance_type, n_components).mixtures_from(model, seeds)

    def _takes_steps(self, model, n_components, most):
        """Return whether passes take the M-step as well: at most `most` numbers x components."""
        compiled = model.covariance_type.has_compiled_step and model.has_compiled_step
        work = self.n_samples * self.n_features * n_components
        return (
            compiled and self.dtype == np.float64 and work <= most and self.n_features < lapack.WIDE
        )

    def in_double(self):
        """Return the rows in float64, for sums that float32 cannot resolve."""
        if self._double is None:
            self._double = DoubleRows(self._data, self.n_threads)
        return self._double

    def as_double(self):
        """Return a source of the same rows in float64: this one if they already are."""
        if self.dtype == np.float64:
            return self
        return ArraySource(
            self._data.X.astype(np.float64), self._data.sample_weight, self.n_threads
        )

    def given(self, covariance_type, means, labels=None, resp=None, double=False):
        """Return statistics under given labels or responsibilities: see `EMPass.given`.

        If `double` is true, they are computed in float64 whatever the precision of the rows.
        """
        if double and self.dtype != np.float64:
            return self.in_double().given(covariance_type, means, labels, resp)
        return self._passes(covariance_type, len(means)).given(means, labels, resp)

    def moments(self, covariance_type, point):
        """Return N, S1 and S2 about a point: see `Source.moments`."""
        once = make_pass(self._data, covariance_type, 1, self.n_threads)
        return once.given(np.atleast_2d(point))

    def mean_and_variance(self):
        """Return the mean and variance of every feature: see `Source.mean_and_variance`.

        For few rows without a pass: its kernel would be compiled for nothing else.
        """
        if self._data.X.size > _FEW_NUMBERS:
            return super().mean_and_variance()
        rows = np.arange(self.n_samples)
        weight, mean = self.weights(rows) / self.total_weight, self.first_row()
        for _ in range(2):
            gaps = self._data.X - mean
            delta = np.einsum("i,ij->j", weight, gaps)
            mean = mean + delta
        return mean, np.einsum("i,ij->j", weight, gaps * gaps) - delta * delta

    def first_row(self):
        """Return the first row as float64."""
        return self._data.X[0].astype(np.float64)

    def rows(self, indices):
        """Return the rows with the given indices."""
        return self._data.X[indices]

    def weights(self, indices):
        """Return the weights of the rows with the given indices: a number or an array."""
        weight = self._data.sample_weight
        return weight[indices] if self.is_weighted else np.ones(np.shape(indices))

    def draw(self, random_state, n_rows, replace=True):
        """Return rows drawn at random: see `Source.draw`."""
        weight = self._data.sample_weight
        p = weight / weight.sum() if self.is_weighted else None
        return self.rows(random_state.choice(self.n_samples, n_rows, replace=replace, p=p))

    def sample(self, random_state, n_rows):
        """Return a source of at most `n_rows` rows, drawn in proportion to their weights.

        It has all rows of positive weight if there are no more. Otherwise a row that is drawn
        several times has that number as its weight.
        """
        X, weight = self._data
        if self.n_weighted <= n_rows:
            if self.n_weighted == self.n_samples:
                return self
            rows = np.flatnonzero(weight)
            return ArraySource(X[rows], weight[rows], self.n_threads)
        if not self.is_weighted:
            rows = random_state.choice(self.n_samples, n_rows, replace=False)
            return ArraySource(X[np.sort(rows)], _EMPTY, self.n_threads)
        rows = random_state.choice(self.n_samples, n_rows, p=weight / weight.sum())
        rows, counts = np.unique(rows, return_counts=True)
        return ArraySource(X[rows], counts.astype(np.float64), self.n_threads)

    def in_memory(self, random_state):
        """Return this source: all rows are in memory."""
        return self

    def blocks(self, n_rows):
        """Yield blocks of at most `n_rows` rows in order: the slice and a source of its rows."""
        X, weight = self._data
        for begin in range(0, self.n_samples, n_rows):
            rows = slice(begin, min(begin + n_rows, self.n_samples))
            is_whole = n_rows >= self.n_samples
            block = self if is_whole else ArraySource(X[rows], weight[rows], self.n_threads)
            yield rows, block

    def answers(self, densities, wanted, n_rows):
        """Yield the results of inference for blocks of rows: see `Source.answers`."""
        X, weight = self._data
        n_rows = min(n_rows, self.n_samples)
        shapes = {"log_prob": n_rows, "proba": (n_rows, densities.n_components), "labels": n_rows}
        out = {
            name: np.empty(shapes[name], np.intp if name == "labels" else self.dtype)
            for name in wanted
        }
        for begin in range(0, self.n_samples, n_rows):
            rows = slice(begin, min(begin + n_rows, self.n_samples))
            part = {name: array[: rows.stop - begin] for name, array in out.items()}
            infer(X[rows], densities, self.n_threads, **part)
            yield Answers(rows, weight[rows], *(part.get(name, _EMPTY) for name in shapes))

    def first_of_equals(self):
        """Return a mask that selects one row of each set of equal rows; it is computed once."""
        if self._first_of_equals is None:
            self._first_of_equals = first_of_equals(self._data)
        return self._first_of_equals

    def __reduce__(self):
        """Pickle the rows and weights only: buffers and bounds are made again where needed."""
        return ArraySource, (*self._data, self.n_threads)

    def view(self, n_threads):
        """Return another source of the same array, without copying it."""
        return ArraySource(*self._data, n_threads)

    def independent(self):
        """Return a source of the same array whose passes keep no bounds: see `Source`."""
        source = self.view(self.n_threads)
        source._remembers = False
        return source

    def digest(self):
        """Return a text that tells the rows and weights from others."""
        return digest_of(*self._data)

    def folds(self, n_folds, random_state):
        """Split the rows of positive weight at random: see `Source.folds`.

        The source without a fold has all rows; those of the fold have weight zero.
        """
        X, weight = self._data
        weight = weight if self.is_weighted else np.ones(self.n_samples)
        order = random_state.permutation(np.flatnonzero(weight))
        folds = []
        for held_out in np.array_split(order, n_folds):
            rest = weight.copy()
            rest[held_out] = 0.0
            rows = np.sort(held_out)
            fold = ArraySource(X[rows], weight[rows], self.n_threads)
            folds.append((ArraySource(X, rest, self.n_threads), fold))
        return folds

    # k-means stores a few numbers for each row, so only a source in memory has these methods.

    def seeding(self, n_clusters):
        """Return a new run of greedy k-means++ over the rows."""
        return Seeding(self._data, n_clusters, self.n_threads)

    def assignment(self, n_clusters, origin):
        """Return an object that repeatedly assigns the rows to their nearest centers."""
        return Assignment(self._data, n_clusters, origin, self.n_threads)

    def nearest(self, centers):
        """Return the index (n_samples,) of each row's nearest center, and its squared distance."""
        return nearest(self._data.X, centers, self.n_threads)

    def labels_after(self, labels, centers):
        """Return the labels of all rows; `labels` (n_known,) are those of the leading rows."""
        return labels_after(labels, self._data, centers, self.n_threads)
