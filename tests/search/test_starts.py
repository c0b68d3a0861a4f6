"""Starting parameters: all methods, and values that the caller gives."""

import numpy as np
import problems
import pytest
from reference import COVARIANCE_TYPES, full_covariances, m_step, precisions

import fastgmm
from fastgmm.search import start as start_module
from fastgmm.search.kmeans import kmeans
from fastgmm.sources import clustering
from fastgmm.sources.array import ArraySource

NO_WEIGHT = np.empty(0)
INIT_PARAMS = ("kmeans", "k-means++", "random", "random_from_data")

each_init = pytest.mark.parametrize("init_params", INIT_PARAMS)
each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)


def start_of(X, n_components, **options):
    """The starting parameters alone: a fit of no iterations."""
    options = {"init_params": "kmeans"} | options
    return fastgmm.fit(X, n_components, max_iter=0, **options)


@each_type
@each_init
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_start_is_a_valid_mixture(init_params, covariance_type, dtype):
    X = problems.overlapping(203, 2, 3).X.astype(dtype)
    start = start_of(X, 3, init_params=init_params, covariance_type=covariance_type, random_state=0)
    assert start.means.shape == (3, 2)
    assert np.isfinite(start.means).all()
    assert np.all(start.means >= X.min(axis=0) - 1e-6)
    assert np.all(start.means <= X.max(axis=0) + 1e-6)
    np.testing.assert_allclose(start.weights.sum(), 1.0, rtol=1e-14)
    assert np.all(start.weights > 0.0)
    for matrix in full_covariances(start.covariances, covariance_type, 3, 2):
        assert np.linalg.eigvalsh(matrix)[0] >= 0.999e-6  # reg_covar
    assert start.n_iter == 0
    assert np.isfinite(start.score_samples(X)).all()


@each_init
def test_a_fit_from_every_start_finds_separated_blobs(init_params, assert_close):
    X, labels = problems.blobs(n_per_blob=100, n_components=3, distance=8.0)
    model = fastgmm.fit(
        X, 3, init_params=init_params, n_init=10, tol=1e-6, max_iter=500, random_state=0
    )
    order = np.argsort(model.means[:, 0])
    expected = problems.separate_parameters(X, labels)
    assert_close(model.means[order], expected.means, 1e-3)
    assert_close(model.covariances[order], expected.covariances, 2e-2)  # the blobs touch
    assert_close(model.weights[order], expected.weights, 1e-3)


@pytest.mark.parametrize("init_params", ["k-means++", "random_from_data"])
def test_means_that_are_rows_of_the_data(init_params):
    X = problems.overlapping(203, 2, 3).X
    rows = {tuple(row) for row in X}
    for n_components in (20, 203):
        start = start_of(X, n_components, init_params=init_params, random_state=3)
        chosen = {tuple(mean) for mean in start.means}
        assert chosen <= rows
        assert len(chosen) == n_components  # none twice


def test_k_means_plus_plus_spreads_over_blobs():
    """The greedy choice among 2 + log k trials finds one row in each of six separated blobs."""
    X, _ = problems.blobs(n_components=6)
    for seed in range(10):
        start = start_of(X, 6, init_params="k-means++", random_state=seed)
        blob = np.sort(np.round(start.means[:, 0] / 25.0))
        np.testing.assert_array_equal(blob, np.arange(6))


@each_type
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_k_means_start_is_the_m_step_of_its_labels(covariance_type, dtype, assert_close):
    X, labels = problems.blobs()
    X = X.astype(dtype)
    start = start_of(X, 4, covariance_type=covariance_type, random_state=0)
    order = np.argsort(start.means[:, 0])
    expected = problems.separate_parameters(X, labels, covariance_type)
    rtol = 1e-12 if dtype is np.float64 else 1e-5
    assert_close(start.means[order], expected.means, rtol)
    assert_close(start.weights[order], expected.weights, rtol)
    ours = start.covariances if covariance_type == "tied" else start.covariances[order]
    assert_close(ours, expected.covariances, rtol)


@each_type
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_k_means_start_on_clusters_far_apart(covariance_type, dtype, assert_close):
    """Covariances are about each cluster's own mean, so distances between them cost no digits."""
    distance = 1e7 if dtype is np.float64 else 1e4
    X, labels = problems.blobs(distance=distance)
    X = X.astype(dtype)
    start = start_of(X, 4, covariance_type=covariance_type, random_state=0)
    expected = problems.separate_parameters(X, labels, covariance_type)
    order = slice(None) if covariance_type == "tied" else np.argsort(start.means[:, 0])
    rounding = distance * np.finfo(dtype).eps  # of the coordinates, in standard deviations
    assert_close(start.covariances[order], expected.covariances, max(rounding, 1e-6))


@each_type
@each_init
def test_a_start_as_small_as_reg_covar_has_not_collapsed(init_params, covariance_type):
    """A start on single rows is valid; only parameters after an iteration count as collapsed."""
    X = problems.overlapping(331, 2, 3).X
    options = {"init_params": init_params, "covariance_type": covariance_type}
    plain = fastgmm.fit(X, 3, **options, random_state=0, max_iter=500)
    for on_collapse in ("raise", "reset"):
        model = fastgmm.fit(X, 3, **options, random_state=0, max_iter=500, on_collapse=on_collapse)
        assert model == plain
    assert tuple(plain.regularized) == ()


@pytest.mark.parametrize(("n_features", "n_components"), [(1, 3), (2, 5), (6, 8), (20, 7)])
def test_k_means_is_as_good_as_scikit_learns(n_features, n_components):
    """On overlapping data the best inertia of five is within 5% and the mean within 10%."""
    cluster = pytest.importorskip("sklearn.cluster")
    X = problems.overlapping(700, n_features, n_components).X
    ours, theirs = [], []
    for seed in range(5):
        means = start_of(X, n_components, random_state=seed).means
        distances = ((X[:, None, :] - means) ** 2).sum(axis=2)
        ours.append(distances.min(axis=1).sum())
        theirs.append(cluster.KMeans(n_components, n_init=1, random_state=seed).fit(X).inertia_)
    assert min(ours) <= 1.05 * min(theirs)
    assert np.mean(ours) <= 1.10 * np.mean(theirs)


def labels_of(X, n_clusters, seed, sample_weight=NO_WEIGHT, n_threads=None):
    """Clusters and centers of the k-means start."""
    random_state = np.random.RandomState(seed)
    return kmeans(ArraySource(X, sample_weight, n_threads), n_clusters, random_state)


def assert_scikit_learns_labels(X, n_clusters, seed, sample_weight=None):
    cluster = pytest.importorskip("sklearn.cluster")
    theirs = cluster.KMeans(n_clusters, n_init=1, random_state=seed)
    theirs.fit(X.astype(np.float64), sample_weight=sample_weight)
    weight = NO_WEIGHT if sample_weight is None else sample_weight
    labels, centers = labels_of(X, n_clusters, seed, weight)
    np.testing.assert_array_equal(labels, theirs.labels_)
    np.testing.assert_allclose(centers, theirs.cluster_centers_, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("n_samples", "n_features", "n_clusters"),
    [(1000, 1, 4), (3001, 2, 7), (2503, 3, 33), (1999, 8, 9), (1203, 17, 16), (900, 130, 6)],
)
@pytest.mark.parametrize("make", [problems.overlapping, problems.separated])
def test_k_means_finds_scikit_learns_labels(make, n_samples, n_features, n_clusters, dtype):
    """All labels agree after tens of iterations: no bound keeps a row from its nearest center."""
    X = make(n_samples, n_features, n_clusters).X.astype(dtype)
    for seed in range(2):
        assert_scikit_learns_labels(X, n_clusters, seed)


def test_k_means_with_more_candidates_than_one_vector_holds():
    """From 404 clusters on, a round of k-means++ tries eight rows."""
    X = problems.overlapping(1500, 2, 5).X
    assert_scikit_learns_labels(X, 410, 0)


def test_k_means_with_weights_finds_scikit_learns_labels():
    X = problems.overlapping(3001, 3, 7).X
    weights = np.random.default_rng(0).integers(0, 4, len(X)) * 0.3
    for seed in range(3):
        assert_scikit_learns_labels(X, 7, seed, weights)


def test_k_means_with_clusters_that_tie():
    """Rows on a grid are equally near to several centers; each gets one of the nearest."""
    X = np.random.default_rng(0).integers(0, 5, size=(3001, 2)).astype(np.float64)
    labels, centers = labels_of(X, 9, 0)
    distances = ((X[:, None, :] - centers) ** 2).sum(axis=2)
    own = distances[np.arange(len(X)), labels]
    np.testing.assert_allclose(own, distances.min(axis=1), atol=1e-12)


def genotypes(n_samples, n_features, n_clusters, copies):
    """Rows of 0 ... `copies`, drawn from clusters with a probability for each feature."""
    draw = np.random.RandomState(0)
    p = draw.uniform(0.1, 0.9, (n_clusters, n_features))[draw.randint(n_clusters, size=n_samples)]
    return draw.binomial(copies, p).astype(np.float64)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("n_samples", "n_features", "n_clusters", "copies"),
    [(2000, 5, 4, 1), (500, 5, 5, 2), (800, 1, 4, 11)],
)
def test_ties_are_decided_as_scikit_learn_decides_them(
    n_samples, n_features, n_clusters, copies, dtype
):
    """At most one of 5 seeds gives other labels; without `Ties` 3 to 5 do."""
    cluster = pytest.importorskip("sklearn.cluster")
    X = genotypes(n_samples, n_features, n_clusters, copies).astype(dtype)
    others = 0
    for seed in range(5):
        theirs = cluster.KMeans(n_clusters, n_init=1, random_state=seed).fit(X)
        others += (labels_of(X, n_clusters, seed)[0] != theirs.labels_).any()
    assert others <= 1


def test_ties_are_the_same_for_every_number_of_threads_and_part(monkeypatch, assert_close):
    X = genotypes(60_000, 10, 4, 1)
    labels, centers = labels_of(X, 4, 0, n_threads=1)
    for n_threads in (2, 3):
        again = labels_of(X, 4, 0, n_threads=n_threads)
        np.testing.assert_array_equal(again[0], labels)
        np.testing.assert_array_equal(again[1], centers)
    monkeypatch.setattr(clustering, "_BYTES", 8 * 1024)
    monkeypatch.setattr(clustering, "_PART", 512)
    assert_close(labels_of(X, 4, 0)[1], centers, 1e-13)


@pytest.mark.parametrize("n_features", [2, 11])
@pytest.mark.parametrize("weighted", [False, True])
def test_rows_without_stored_numbers(n_features, weighted, monkeypatch, assert_close):
    """Stored labels and bounds save work and do not change the results."""
    X = problems.overlapping(5003, n_features, 6).X
    weights = np.random.default_rng(1).uniform(size=len(X)) if weighted else None
    options = {"sample_weight": weights, "random_state": 0}
    kept = start_of(X, 6, **options)
    placed = start_of(X, 6, means_init=X[:6], **options)
    seeds = start_of(X, 6, init_params="k-means++", **options)
    monkeypatch.setattr(clustering, "_BYTES", 8 * 1024)
    monkeypatch.setattr(clustering, "_PART", 512)
    monkeypatch.setattr(start_module, "_LABELS_BLOCK", 1200)
    for before, after in (
        (kept, start_of(X, 6, **options)),
        (placed, start_of(X, 6, means_init=X[:6], **options)),
    ):
        assert_close(after.means, before.means, 1e-12)
        assert_close(after.covariances, before.covariances, 1e-11)
        assert_close(after.weights, before.weights, 1e-13)
    again = start_of(X, 6, init_params="k-means++", **options)
    np.testing.assert_array_equal(again.means, seeds.means)


def test_empty_clusters_among_rows_without_stored_numbers(monkeypatch):
    """The row farthest from its center is found in every part of the array."""
    X = np.repeat([[0.0, 0.0], [1.0, 0.0], [1000.0, 0.0]], [500, 2, 3], axis=0)
    monkeypatch.setattr(clustering, "_BYTES", 8 * 64)
    monkeypatch.setattr(clustering, "_PART", 64)
    for seed in range(10):
        start = start_of(X, 3, covariance_type="spherical", random_state=seed)
        np.testing.assert_allclose(np.sort(start.means[:, 0]), [0.0, 1.0, 1000.0], atol=1e-9)


@pytest.mark.parametrize("scale", [2.0**-150, 2.0**150])
def test_k_means_of_tiny_and_huge_numbers(scale):
    """Bounds in single precision cannot hold them; the labels do not change."""
    X = problems.overlapping(2003, 3, 9).X
    labels, centers = labels_of(X, 9, 0)
    scaled = labels_of(scale * X, 9, 0)
    np.testing.assert_array_equal(scaled[0], labels)
    np.testing.assert_array_equal(scaled[1], scale * centers)


def test_heavy_rows_leave_no_rounding_error_in_the_cluster_they_leave(monkeypatch, assert_close):
    """Plain sums would keep rounding errors of 1e12, here 1e-6 of the spread of the other rows."""
    light = 0.1 * np.random.default_rng(0).standard_normal(1000)
    X = np.concatenate(
        [[0.0, 10.0, -10.0, 4.9, -4.9], light, np.full(100, 6.0), np.full(100, -6.0)]
    )
    weights = np.ones(len(X))
    weights[3:5] = 1e12  # nearest to 0 at first, then to the means about 6 and -6
    monkeypatch.setattr("fastgmm.search.kmeans.seed_rows", lambda *args: np.arange(3))
    labels, centers = labels_of(X[:, None], 3, 0, weights)
    np.testing.assert_array_equal(labels[:5], [0, 1, 2, 1, 2])
    assert_close(centers[0, 0], X[labels == 0].mean(), 1e-12)


@pytest.mark.parametrize("n_features", [3, 20])
def test_k_means_is_the_same_for_every_number_of_threads(n_features):
    X = problems.overlapping(60_000, n_features, 7).X
    labels, centers = labels_of(X, 7, 0, n_threads=1)
    for n_threads in (2, 3):
        again = labels_of(X, 7, 0, n_threads=n_threads)
        np.testing.assert_array_equal(again[0], labels)
        np.testing.assert_array_equal(again[1], centers)


def test_k_means_ends_at_a_fixed_point(assert_close):
    """Every mean is the mean of its nearest rows, up to the tolerance of Lloyd's iterations."""
    X = problems.overlapping(700, 2, 5).X
    start = start_of(X, 5, random_state=0)
    nearest = ((X[:, None, :] - start.means) ** 2).sum(axis=2).argmin(axis=1)
    again = np.array([X[nearest == k].mean(axis=0) for k in range(5)])
    assert_close(start.means, again, 0.02)


def test_k_means_fills_empty_clusters():
    """Three distinct rows, three components: each component ends on one, for every seed."""
    X = np.repeat([[0.0, 0.0], [1.0, 0.0], [1000.0, 0.0]], [500, 2, 3], axis=0)
    for seed in range(10):
        start = start_of(X, 3, covariance_type="spherical", random_state=seed)
        np.testing.assert_allclose(np.sort(start.means[:, 0]), [0.0, 1.0, 1000.0], atol=1e-9)


@each_init
@pytest.mark.parametrize("make", [lambda s: s, np.random.RandomState, np.random.default_rng])
def test_the_same_seed_gives_the_same_fit(init_params, make, assert_same_mixture):
    X = problems.overlapping(203, 2, 3).X
    options = {"init_params": init_params, "tol": 1e-2, "max_iter": 500}
    first = fastgmm.fit(X, 3, random_state=make(7), **options)
    second = fastgmm.fit(X, 3, random_state=make(7), **options)
    other = fastgmm.fit(X, 3, random_state=make(8), **options)
    assert_same_mixture(first, second)
    assert not np.array_equal(first.means, other.means)


def test_no_seed_draws_anew_and_leaves_numpys_global_state():
    X = problems.overlapping(203, 2, 3).X
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    first = start_of(X, 3, init_params="random")
    second = start_of(X, 3, init_params="random")
    assert not np.array_equal(first.means, second.means)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_a_generator_moves_on():
    X = problems.overlapping(203, 2, 3).X
    rng = np.random.default_rng(0)
    first = start_of(X, 3, init_params="random", random_state=rng)
    second = start_of(X, 3, init_params="random", random_state=rng)
    assert not np.array_equal(first.means, second.means)


@each_type
def test_a_complete_start_is_returned_as_given(covariance_type, assert_close):
    problem = problems.overlapping(203, 2, 3, covariance_type)
    start = start_of(problem.X, **problem.start)
    assert_close(start.weights, problem.weights, 1e-15)
    np.testing.assert_array_equal(start.means, problem.means)
    assert_close(start.covariances, problem.covariances, 1e-12)


@each_init
@each_type
def test_given_values_replace_drawn_ones(init_params, covariance_type, assert_close):
    problem = problems.overlapping(203, 2, 3, covariance_type)
    options = {
        "n_components": 3,
        "covariance_type": covariance_type,
        "init_params": init_params,
        "random_state": 0,
    }
    drawn = start_of(problem.X, **options)
    weighted = start_of(problem.X, **options, weights_init=problem.weights)
    assert_close(weighted.weights, problem.weights, 1e-15)
    np.testing.assert_array_equal(weighted.means, drawn.means)

    inverse = precisions(problem.covariances, covariance_type)
    shaped = start_of(problem.X, **options, precisions_init=inverse)
    assert_close(shaped.covariances, problem.covariances, 1e-12)
    np.testing.assert_array_equal(shaped.means, drawn.means)

    placed = start_of(problem.X, **options, means_init=problem.means)
    np.testing.assert_array_equal(placed.means, problem.means)


@each_type
def test_given_means_leave_nothing_to_chance(covariance_type, assert_same_mixture):
    problem = problems.overlapping(203, 2, 3, covariance_type)
    options = {"covariance_type": covariance_type, "means_init": problem.means}
    first = fastgmm.fit(problem.X, 3, **options, random_state=0)
    second = fastgmm.fit(problem.X, 3, **options, random_state=1)
    assert_same_mixture(first, second)


def test_given_means_get_their_nearest_rows(assert_close):
    """If only means are given, weights and covariances are those of the nearest rows."""
    X, labels = problems.blobs()
    expected = problems.separate_parameters(X, labels)
    start = start_of(X, 4, means_init=expected.means)
    assert_close(start.weights, expected.weights, 1e-12)
    assert_close(start.covariances, expected.covariances, 1e-12)


@each_type
def test_one_component_from_every_start(covariance_type, assert_close):
    """With one component every start leads to the mean and covariance of the rows."""
    X = problems.overlapping(203, 2, 3).X
    expected = m_step(X, np.ones((203, 1)), covariance_type)
    for init_params in INIT_PARAMS:
        model = fastgmm.fit(
            X, 1, init_params=init_params, covariance_type=covariance_type, random_state=0
        )
        assert_close(model.means, expected.means, 1e-12)
        assert_close(model.covariances, expected.covariances, 1e-12)
        assert_close(model.weights, [1.0], 1e-15)
