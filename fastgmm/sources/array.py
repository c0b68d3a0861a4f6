"""The array in memory, or mapped into it, as a source."""

import numpy as np

from fastgmm.kernels.types import Data
from fastgmm.sources.base import Answers, Source
from fastgmm.sources.clustering import Assignment, Seeding, labels_after, nearest
from fastgmm.sources.distinct import first_of_equals
from fastgmm.sources.inference import infer
from fastgmm.sources.passes import EMPass, chunk_count

_NOTHING = np.empty(0)


class ArraySource(Source):
    """Rows of an array.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        C-contiguous, float32 or float64, finite, and writable as far as Numba knows.
    sample_weight : ndarray of shape (n_samples,), optional
        float64; empty where all are 1.
    n_threads : int, optional
        Threads to use at most.
    """

    def __init__(self, X, sample_weight=_NOTHING, n_threads=None):
        self.n_samples, self.n_features = X.shape
        self.dtype = X.dtype
        self.n_threads = n_threads
        self.is_weighted = sample_weight.size > 0
        self._data = Data(X, sample_weight)
        self._pass = None  # of the last covariance type and number of components
        self._first_of_equals = None

    @property
    def total_weight(self):
        """Sum of the rows' weights."""
        return self._data.sample_weight.sum() if self.is_weighted else self.n_samples

    @property
    def n_weighted(self):
        """Rows of positive weight."""
        return np.count_nonzero(self._data.sample_weight) if self.is_weighted else self.n_samples

    @property
    def effective_rows(self):
        """The total weight over the greatest."""
        weight = self._data.sample_weight
        return weight.sum() / weight.max() if self.is_weighted else self.n_samples

    @property
    def n_chunks(self):
        """Chunks that an EM pass is cut into at most."""
        return chunk_count(self._data.X)

    def statistics(self, model, parameters, complete=False):
        """Return the statistics of all rows: see `Source.statistics`."""
        kind, n_components = model.covariance_type, len(parameters.weights)
        last = self._pass
        if last is None or (last.covariance_type, last.n_components) != (kind, n_components):
            last = self._pass = EMPass(self._data, kind, n_components, self.n_threads)
        return last.statistics(model, parameters, complete)

    def given(self, covariance_type, means, labels=None, resp=None):
        """Return statistics under given labels or responsibilities: see `EMPass.given`."""
        once = EMPass(self._data, covariance_type, len(means), self.n_threads)
        return once.given(means, labels, resp)

    def moments(self, covariance_type, point):
        """Return N, S1 and S2 about a point: see `Source.moments`."""
        return self.given(covariance_type, np.atleast_2d(point))

    def first_row(self):
        """Return the first row as float64."""
        return self._data.X[0].astype(np.float64)

    def rows(self, places):
        """Return the rows at some places."""
        return self._data.X[places]

    def weights(self, places):
        """Return the weights of the rows at some places, a number or an array."""
        weight = self._data.sample_weight
        return weight[places] if self.is_weighted else np.ones(np.shape(places))

    def draw(self, random_state, n_rows, replace=True):
        """Return rows drawn at random: see `Source.draw`."""
        weight = self._data.sample_weight
        p = weight / weight.sum() if self.is_weighted else None
        return self.rows(random_state.choice(self.n_samples, n_rows, replace=replace, p=p))

    def in_memory(self, random_state):
        """Return this source: all rows are in memory."""
        return self

    def blocks(self, n_rows):
        """Yield the rows in order, at most `n_rows` at a time: a slice and its source."""
        X, weight = self._data
        for begin in range(0, self.n_samples, n_rows):
            rows = slice(begin, min(begin + n_rows, self.n_samples))
            yield rows, ArraySource(X[rows], weight[rows], self.n_threads)

    def answers(self, densities, wanted, n_rows):
        """Yield what a mixture says of blocks of rows: see `Source.answers`."""
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
            yield Answers(rows, weight[rows], *(part.get(name, _NOTHING) for name in shapes))

    def first_of_equals(self):
        """Return a mask of one row of each set of equal ones; found once."""
        if self._first_of_equals is None:
            self._first_of_equals = first_of_equals(self._data)
        return self._first_of_equals

    def view(self, n_threads):
        """Return another source of the same array."""
        return ArraySource(*self._data, n_threads)

    def folds(self, n_folds, random_state):
        """Return the rows of positive weight split at random: see `Source.folds`.

        The rows that a fold leaves out have weight zero.
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

    # k-means, which keeps something of each row in memory.

    def seeding(self, n_clusters):
        """Return a run of greedy k-means++ over the rows."""
        return Seeding(self._data, n_clusters, self.n_threads)

    def assignment(self, n_clusters, origin):
        """Return what assigns the rows to nearest centers, again and again."""
        return Assignment(self._data, n_clusters, origin, self.n_threads)

    def nearest(self, centers):
        """Return the place (n_samples,) of each row's nearest center and its squared distance."""
        return nearest(self._data.X, centers, self.n_threads)

    def labels_after(self, labels, centers):
        """Return all rows' labels; `labels` are those of the first rows, if any."""
        return labels_after(labels, self._data, centers, self.n_threads)
