"""The passes of k-means over one array, against loops over rows and centers."""

import numpy as np
import pytest

from fastgmm.kernels import kmeans
from fastgmm.kernels.micro.rows import CANDIDATES, GROUP_ROWS
from fastgmm.kernels.types import Candidates, Centers, Data, Known, Sums
from fastgmm.sources.clustering import make_workspace

NO_WEIGHTS = np.empty(0)
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])
each_width = pytest.mark.parametrize("n_features", [1, 2, 3, 7, 8, 9, 20])


def rows(n_samples, n_features, dtype, seed=0):
    """Rows far from the origin, where a moment form would lose digits."""
    rng = np.random.default_rng([seed, n_samples, n_features])
    return (100.0 + rng.standard_normal((n_samples, n_features))).astype(dtype)


def squared_distances(X, centers):
    """Squared distances (n_samples, n_centers) in float64."""
    return ((X.astype(np.float64)[:, None] - centers) ** 2).sum(axis=2)


@each_dtype
@each_width
@pytest.mark.parametrize("n_clusters", [1, 2, 3, 4, 5, 7])
def test_nearest_centers(dtype, n_features, n_clusters):
    X = rows(600, n_features, dtype)
    centers = X[:n_clusters].astype(np.float64)
    labels, closest = np.full(600, -1, np.int32), np.full(600, np.nan)
    work = make_workspace(n_features, n_clusters)
    for begin, end in ((0, 1), (1, 3)):
        kmeans.nearest_pass(begin, end, 3, work, X, centers, labels, closest)
    expected = squared_distances(X, centers)
    np.testing.assert_array_equal(labels, expected.argmin(axis=1))
    np.testing.assert_allclose(closest, expected.min(axis=1), rtol=1e-13, atol=1e-300)


def test_the_first_of_equal_centers_is_the_nearest():
    X = rows(40, 3, np.float64)
    labels, closest = np.empty(40, np.int32), np.empty(40)
    centers = np.tile(X[:1], (5, 1))
    kmeans.nearest_pass(0, 1, 1, make_workspace(3, 5), X, centers, labels, closest)
    assert not labels.any()


class Assignment:
    """Labels and sums that are kept from one `lloyd_pass` to the next."""

    def __init__(self, X, weight, n_clusters, n_chunks=2):
        n_samples, n_features = X.shape
        shape = n_chunks, n_clusters, n_features + 1
        self.data = Data(X, weight)
        self.known = Known(
            np.full(n_samples, n_clusters, np.min_scalar_type(n_clusters)),
            np.zeros(n_samples, np.float32),
        )
        self.sums = Sums(
            np.zeros(shape),
            np.zeros(shape),
            np.zeros(shape[:2], np.intp),
            np.zeros(n_chunks, np.intp),
            np.zeros(n_chunks),
        )
        self.work = make_workspace(n_features, n_clusters)
        self.drift = np.append(np.zeros(n_clusters), np.inf)
        self.origin = X[0].astype(np.float64)

    def run(self, centers):
        self.sums.changed[:] = 0
        self.sums.scatter[:] = 0.0
        n_chunks = len(self.sums.changed)
        clusters = Centers(centers, self.drift, 1e-14, self.origin)
        args = self.work, self.data, clusters, self.known, self.sums
        kmeans.lloyd_pass(0, n_chunks, n_chunks, *args)

    def check(self, labels):
        """Labels are those given, and sums are those of the rows that have them."""
        np.testing.assert_array_equal(self.known.labels, labels)
        X, weight = self.data
        weight = weight if weight.size else np.ones(len(X))
        n_clusters = len(self.drift) - 1
        moments = self.sums.high.sum(axis=0) + self.sums.low.sum(axis=0)
        member = labels == np.arange(n_clusters)[:, None]
        gaps = np.column_stack([X.astype(np.float64) - self.origin, np.ones(len(X))])
        expected = (member * weight) @ gaps
        scale = np.abs(expected).max()
        np.testing.assert_allclose(moments, expected, rtol=1e-13, atol=1e-13 * scale)
        sizes = (member * (weight > 0)).sum(axis=1)
        np.testing.assert_array_equal(self.sums.size.sum(axis=0), sizes)


@each_dtype
@pytest.mark.parametrize("n_features", [2, 9])
@pytest.mark.parametrize("weighted", [False, True])
def test_assignments_of_moving_centers(dtype, n_features, weighted):
    """Rows that are not read again have the labels and sums that reading them would give."""
    X = rows(2000, n_features, dtype)
    weight = np.random.default_rng(1).integers(0, 3, 2000) * 0.5 if weighted else NO_WEIGHTS
    assignment = Assignment(X, weight, 6)
    centers = X[:6].astype(np.float64)
    before = np.full(2000, 6)
    for step in (0.0, 1e-3, 1e-3, 0.5, 1e-3):
        moves = step * np.random.default_rng(2).standard_normal(centers.shape)
        centers = centers + moves
        shift = np.linalg.norm(moves, axis=1)
        assignment.drift[:-1] += shift + shift.max()
        assignment.run(centers)
        labels = squared_distances(X, centers).argmin(axis=1)
        assignment.check(labels)
        assert assignment.sums.changed.sum() == (labels != before).sum()
        before = labels


def test_rows_are_read_only_while_their_label_may_change():
    X = rows(2000, 3, np.float64)
    assignment = Assignment(X, NO_WEIGHTS, 4)
    centers = X[:4].copy()
    assignment.run(centers)
    every = assignment.sums.scatter.sum()
    np.testing.assert_allclose(every, squared_distances(X, centers).min(axis=1).sum(), rtol=1e-13)
    assignment.run(centers)
    assert assignment.sums.scatter.sum() == 0.0
    assignment.drift[:-1] += 0.02  # as if the centers had moved by 0.01
    assignment.run(centers)
    near, second = np.sort(np.sqrt(squared_distances(X, centers)), axis=1)[:, :2].T
    read = second - near < 0.02
    assert 0 < read.sum() < 100
    np.testing.assert_allclose(assignment.sums.scatter.sum(), (near[read] ** 2).sum(), rtol=1e-12)


def test_a_far_row_that_leaves_a_cluster_leaves_no_error_behind():
    """Sums keep what rounding takes off: without it they would lose ten digits here."""
    X = rows(300, 2, np.float64)
    X[7] = 1e12
    assignment = Assignment(X, NO_WEIGHTS, 2, n_chunks=1)
    assignment.origin = np.full(2, 100.0)
    assignment.run(np.array([[100.0, 100.0], [1e14, 1e14]]))
    assert (assignment.known.labels == 0).all()
    assignment.drift[:-1] = np.inf
    assignment.run(np.array([[100.0, 100.0], [1e12, 1e12]]))
    assert assignment.known.labels[7] == 1
    moments = assignment.sums.high[0, 0] + assignment.sums.low[0, 0]
    exact = (np.delete(X, 7, axis=0) - 100.0).sum(axis=0)
    np.testing.assert_allclose(moments, [*exact, 299.0], rtol=1e-12)


@each_dtype
@pytest.mark.parametrize("weighted", [False, True])
def test_ties_move_and_farther_rows_stay(dtype, weighted):
    """Of the rows that are to move, only those move whose new center is as near as their own."""
    X = np.array([[0.0, 0.0], [4.0, 0.0], [2.0, 0.0], [2.0, 7.0], [1.5, 0.0], [3.0, 1.0]], dtype)
    weight = np.array([1.0, 2.0, 0.5, 0.0, 1.0, 3.0]) if weighted else NO_WEIGHTS
    assignment = Assignment(X, weight, 2)
    centers = X[:2].astype(np.float64)
    assignment.run(centers)
    assignment.check(np.array([0, 1, 0, 0, 0, 1]))
    clusters = Centers(centers, assignment.drift, 1e-14, assignment.origin)
    moved, labels = np.array([1, 2, 3, 4, 5]), np.array([1, 1, 1, 1, 0])
    args = moved, labels, np.full(2, 1e-12), assignment.data, clusters
    kmeans.move_ties(*args, assignment.known, assignment.sums)
    assignment.check(np.array([0, 1, 1, 1, 0, 1]))


@each_dtype
@each_width
@pytest.mark.parametrize("weighted", [False, True])
def test_a_round_of_seeding(dtype, n_features, weighted):
    """Closest distances take in the new center; potentials are those of all candidates."""
    n_samples, n_groups, tile = 500, 2, 64
    X = rows(n_samples, n_features, dtype)
    w = np.random.default_rng(1).exponential(size=n_samples) if weighted else np.ones(n_samples)
    places = np.random.default_rng(2).integers(n_samples, size=(n_groups, CANDIDATES))
    places[:, 0] = 3
    closest = np.full(n_samples + GROUP_ROWS, np.inf)
    closest[:n_samples] = squared_distances(X, X[10:11].astype(np.float64))[:, 0]
    known = closest[:n_samples].copy()
    potential = np.zeros((-(-n_samples // tile), n_groups, CANDIDATES))
    centers = np.ascontiguousarray(X[places].swapaxes(1, 2), np.float64)
    data = Data(X, w if weighted else NO_WEIGHTS)
    work = make_workspace(n_features, 1)
    for begin, end in ((0, 2), (2, 3)):
        args = work, data, Candidates(centers, tile), closest, potential
        kmeans.seeding_pass(begin, end, 3, *args)
    near = np.minimum(known, squared_distances(X, X[3:4].astype(np.float64))[:, 0])
    np.testing.assert_allclose(closest[:n_samples], near, rtol=1e-13)
    others = squared_distances(X, X[places.ravel()].astype(np.float64))
    terms = w[:, None] * np.minimum(near[:, None], others)
    expected = np.add.reduceat(terms, np.arange(0, n_samples, tile)).reshape(potential.shape)
    np.testing.assert_allclose(potential, expected, rtol=1e-12)
