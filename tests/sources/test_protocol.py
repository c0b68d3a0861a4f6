"""Complete fits through a source that is not an array.

The source below has three array sources and adds their statistics. Fits, `select` and inference
must need nothing but the methods of `Source`.
"""

from itertools import pairwise

import numpy as np
import problems
import pytest

import fastgmm
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import Answers, Source, merge

pytestmark = pytest.mark.filterwarnings("ignore::fastgmm.ConvergenceWarning")


class Parts(Source):
    """Rows in several sources, one after the other."""

    def __init__(self, parts, n_threads=None):
        self.parts = parts
        self.n_samples = sum(part.n_samples for part in parts)
        self.n_features, self.dtype = parts[0].n_features, parts[0].dtype
        self.n_threads = n_threads
        self.is_weighted = parts[0].is_weighted

    @property
    def total_weight(self):
        return sum(part.total_weight for part in self.parts)

    @property
    def n_weighted(self):
        return sum(part.n_weighted for part in self.parts)

    @property
    def effective_rows(self):
        return self._all().effective_rows

    @property
    def n_chunks(self):
        return sum(part.n_chunks for part in self.parts)

    def _all(self):
        places = [np.arange(part.n_samples) for part in self.parts]
        pairs = list(zip(self.parts, places, strict=True))
        X = np.concatenate([part.rows(rows) for part, rows in pairs])
        weight = np.concatenate([part.weights(rows) for part, rows in pairs])
        return ArraySource(X, weight if self.is_weighted else np.empty(0))

    def _added(self, call):
        return merge(map(call, self.parts))

    def statistics(self, model, parameters, complete=False):
        return self._added(lambda part: part.statistics(model, parameters, complete))

    def moments(self, covariance_type, point):
        return self._added(lambda part: part.moments(covariance_type, point))

    def first_row(self):
        return self.parts[0].first_row()

    def draw(self, random_state, n_rows, replace=True):
        return self._all().draw(random_state, n_rows, replace)

    def in_memory(self, random_state):
        return self._all()

    def answers(self, densities, wanted, n_rows):
        begin = 0
        for part in self.parts:
            for answers in part.answers(densities, wanted, n_rows):
                rows = slice(begin + answers.rows.start, begin + answers.rows.stop)
                arrays = (array.copy() for array in answers[2:])
                yield Answers(rows, answers.sample_weight, *arrays)
            begin += part.n_samples

    def first_of_equals(self):
        return self._all().first_of_equals()

    def view(self, n_threads):
        return Parts([part.view(n_threads) for part in self.parts], n_threads)

    def folds(self, n_folds, random_state):
        return self._all().folds(n_folds, random_state)


def in_parts(X, sample_weight=None):
    """Return a source of three unequal parts of an array."""
    weight = np.empty(0) if sample_weight is None else sample_weight
    ends = [0, len(X) // 7, len(X) // 2, len(X)]
    slices = [slice(*pair) for pair in pairwise(ends)]
    return Parts([ArraySource(X[rows], weight[rows]) for rows in slices])


def assert_same(parts, array, rtol=1e-12):
    """Compare two mixtures on the scale of each parameter's largest entry."""
    assert parts.n_iter == array.n_iter
    for name in ("weights", "means", "covariances", "log_likelihoods"):
        ours, theirs = getattr(parts, name), getattr(array, name)
        assert np.abs(ours - theirs).max() <= rtol * np.abs(theirs).max(), name


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("covariance_type", list(COVARIANCE_TYPES))
@pytest.mark.parametrize("weighted", [False, True])
def test_a_whole_fit(covariance_type, init_params, weighted):
    X = problems.overlapping(3001, 3, 4).X
    options = {
        "covariance_type": covariance_type,
        "init_params": init_params,
        "n_init": 2,
        "on_collapse": "reset",
        "tol": 1e-4,
        "max_iter": 40,
        "random_state": 0,
    }
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(X)) if weighted else None
    array = fastgmm.fit(X, 4, sample_weight=weight, **options)
    parts = fastgmm.fit(in_parts(X, weight), 4, **options)
    assert_same(parts, array)


def test_a_collapsed_component_is_reset():
    """The rows for a new mean are drawn through the interface as well."""
    X = np.concatenate([problems.blobs(n_components=3)[0], np.full((40, 2), 100.0)])
    options = {"on_collapse": "reset", "n_init": 2, "random_state": 0, "max_iter": 60}
    array, parts = (fastgmm.fit(rows, 4, **options) for rows in (X, in_parts(X)))
    assert_same(parts, array)


def test_inference():
    X = problems.overlapping(901, 3, 4).X
    mixture = fastgmm.fit(X, 4, random_state=0)
    parts = in_parts(X)
    np.testing.assert_array_equal(mixture.predict(parts), mixture.predict(X))
    np.testing.assert_allclose(mixture.predict_proba(parts), mixture.predict_proba(X), 1e-12, 1e-15)
    np.testing.assert_allclose(mixture.score_samples(parts), mixture.score_samples(X), 1e-12)
    for name in ("score", "bic", "aic", "icl"):
        ours, theirs = getattr(mixture, name)(parts), getattr(mixture, name)(X)
        np.testing.assert_allclose(ours, theirs, 1e-12, err_msg=name)


@pytest.mark.parametrize("criterion", ["bic", "held_out"])
def test_selection(criterion):
    X = problems.blobs(n_components=3)[0]
    array, parts = (
        fastgmm.select(rows, range(1, 5), criterion=criterion, random_state=0)
        for rows in (X, in_parts(X))
    )
    assert array.winner.name == parts.winner.name
    for one, other in zip(array, parts, strict=True):
        assert one.spurious == other.spurious
        np.testing.assert_allclose(other.icl, one.icl, 1e-9)
        np.testing.assert_allclose(other.held_out, one.held_out, 1e-9)
