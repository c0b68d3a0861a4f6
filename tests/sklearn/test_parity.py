"""`fastgmm.fit` gives the same results as scikit-learn from the same start.

With given starts neither library draws random numbers, and their arithmetic differs only in the
order of sums. Measured differences between scikit-learn and ``reference.py`` are below 1e-14, so
a tolerance of 1e-11 leaves room only for longer sums. A float32 value has a rounding error of
6e-8, so 1e-5 leaves a factor of about one hundred.
"""

import numpy as np
import problems
import pytest
import reference
from reference import COVARIANCE_TYPES

import fastgmm

mixture = pytest.importorskip("sklearn.mixture")

SHAPES = [  # (n_samples, n_features, n_components)
    (50, 1, 1),
    (203, 1, 3),
    (257, 2, 1),
    (331, 2, 3),
    (150, 3, 7),
    (613, 5, 4),
    (500, 8, 3),
    (701, 13, 2),
    (509, 17, 4),
    (1201, 33, 3),
]
RTOL = {np.float64: 1e-11, np.float32: 1e-5}

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(map(str, s)))
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def fit_theirs(X, start, **options):
    """Fit scikit-learn's estimator; with a tolerance of 0 it must warn."""
    model = mixture.GaussianMixture(**start, **options)
    if options.get("tol") == 0.0:
        from sklearn.exceptions import ConvergenceWarning

        with pytest.warns(ConvergenceWarning):
            return model.fit(X)
    return model.fit(X)


@each_dtype
@each_type
@each_shape
def test_eight_iterations_give_the_same_parameters(shape, covariance_type, dtype, assert_close):
    problem = problems.overlapping(*shape, covariance_type)
    X = problem.X.astype(dtype)
    with pytest.warns(fastgmm.ConvergenceWarning):
        ours = fastgmm.fit(X, **problem.start, tol=0.0, max_iter=8)
    theirs = fit_theirs(X.astype(np.float64), problem.start, tol=0.0, max_iter=8)
    rtol = RTOL[dtype]
    assert ours.n_iter == 8
    assert_close(ours.weights, theirs.weights_, rtol)
    assert_close(ours.means, theirs.means_, rtol)
    assert_close(ours.covariances, theirs.covariances_, rtol)
    assert_close(ours.precisions_cholesky, theirs.precisions_cholesky_, 10 * rtol)
    if hasattr(theirs, "lower_bounds_"):  # scikit-learn 1.7 and later
        assert_close(ours.log_likelihoods, theirs.lower_bounds_, rtol)
    assert_close(ours.log_likelihood, theirs.lower_bound_, rtol)


@each_dtype
@each_type
@pytest.mark.parametrize("shape", [(1511, 1, 30), (1511, 2, 41), (1511, 6, 25), (1000, 33, 16)])
def test_clusters_far_apart(shape, covariance_type, dtype, assert_close):
    """Dropped responsibilities change no result if nearly all responsibilities underflow."""
    problem = problems.separated(*shape, covariance_type)
    X = problem.X.astype(dtype)
    with pytest.warns(fastgmm.ConvergenceWarning):
        ours = fastgmm.fit(X, **problem.start, tol=0.0, max_iter=3)
    theirs = reference.em(X, *problem.parameters, tol=0.0, max_iter=3)
    rtol = RTOL[dtype]
    assert_close(ours.weights, theirs.weights, rtol)
    assert_close(ours.means, theirs.means, rtol)
    assert_close(ours.covariances, theirs.covariances, rtol)
    assert_close(ours.log_likelihoods, theirs.log_likelihoods, rtol)
    np.testing.assert_array_equal(np.unique(ours.predict(X)), np.arange(shape[2]))


@each_dtype
@each_type
@each_shape
def test_the_same_number_of_iterations(shape, covariance_type, dtype):
    problem = problems.overlapping(*shape, covariance_type)
    X = problem.X.astype(dtype)
    ours = fastgmm.fit(X, **problem.start, tol=1e-3)
    theirs = fit_theirs(X.astype(np.float64), problem.start, tol=1e-3)
    assert ours.n_iter == theirs.n_iter_
    assert ours.converged
    assert theirs.converged_
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X.astype(np.float64)))


@each_type
def test_questions_about_a_fitted_model(covariance_type, assert_close):
    problem = problems.overlapping(331, 2, 3, covariance_type)
    ours = fastgmm.fit(problem.X, **problem.start)
    theirs = fit_theirs(problem.X, problem.start)
    unseen = 3.0 * np.random.default_rng(1).standard_normal((77, 2))
    assert_close(ours.score_samples(unseen), theirs.score_samples(unseen), 1e-11)
    assert_close(ours.predict_proba(unseen), theirs.predict_proba(unseen), 1e-11)
    np.testing.assert_array_equal(ours.predict(unseen), theirs.predict(unseen))
    assert_close(ours.score(unseen), theirs.score(unseen), 1e-11)
    assert_close(ours.bic(unseen), theirs.bic(unseen), 1e-11)
    assert_close(ours.aic(unseen), theirs.aic(unseen), 1e-11)
    assert ours.n_parameters == theirs._n_parameters()


@pytest.mark.parametrize("shape", [(300, 2, 3), (400, 10, 4)])
@each_type
def test_far_from_the_origin(shape, covariance_type, assert_close):
    """A shift of the data shifts the fit; the moment form E[xx] - mm would lose ten digits."""
    problem = problems.overlapping(*shape, covariance_type)
    shift = 2.0**20  # adding it to the data rounds to 2e-10, so the answers differ by that
    moved = {**problem.start, "means_init": problem.means + shift}
    here = fastgmm.fit(problem.X, **problem.start)
    there = fastgmm.fit(problem.X + shift, **moved)
    assert there.n_iter == here.n_iter
    assert_close(there.means - shift, here.means, 1e-8)
    assert_close(there.covariances, here.covariances, 1e-8)


@pytest.mark.parametrize("shape", [(203, 1, 3), (700, 6, 8), (700, 2, 20)])
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_the_same_seed_gives_the_same_start(shape, init_params, assert_close):
    """Random numbers are drawn in scikit-learn's order, so the starts agree."""
    X = problems.overlapping(*shape).X
    for seed in range(4):
        options = {"init_params": init_params, "random_state": seed, "max_iter": 0}
        ours = fastgmm.fit(X, shape[2], **options)
        theirs = mixture.GaussianMixture(shape[2], **options).fit(X)
        assert_close(ours.means, theirs.means_, 1e-13)
        assert_close(ours.covariances, theirs.covariances_, 1e-11)
        assert_close(ours.weights, theirs.weights_ / theirs.weights_.sum(), 1e-13)


@pytest.mark.parametrize(
    ("seed", "n_samples", "n_clusters"), [(5724, 12, 4), (508, 20, 6), (2207, 30, 8)]
)
def test_clusters_that_run_empty(seed, n_samples, n_clusters, monkeypatch, assert_close):
    """From poor seeds two clusters lose all rows, and are moved to the farthest ones."""
    cluster = pytest.importorskip("sklearn.cluster")
    rng = np.random.RandomState(seed)
    X = rng.randn(n_samples, 2) * 10 ** rng.uniform(-1, 1, size=(n_samples, 1))
    rows = rng.choice(n_samples, n_clusters, replace=False)
    theirs = cluster.KMeans(n_clusters, init=X[rows], n_init=1).fit(X)

    monkeypatch.setattr("fastgmm.search.kmeans.seed_rows", lambda *args: rows)
    ours = fastgmm.fit(X, n_clusters, max_iter=0)
    assert_close(ours.means, theirs.cluster_centers_, 1e-12)
    assert_close(ours.weights, np.bincount(theirs.labels_) / n_samples, 1e-13)


@each_type
@pytest.mark.parametrize("shape", [(300, 2, 3), (400, 10, 4)])
def test_single_precision_far_from_the_origin(shape, covariance_type, assert_close):
    """Means are not rounded to float32: with the shift the data have four digits, sums seven."""
    problem = problems.overlapping(*shape, covariance_type)
    X = (problem.X + 4096.0).astype(np.float32)
    start = {**problem.start, "means_init": problem.means + 4096.0}
    with pytest.warns(fastgmm.ConvergenceWarning):
        ours = fastgmm.fit(X, **start, tol=0.0, max_iter=8)
    moved = (problem.weights, problem.means + 4096.0, problem.covariances, covariance_type)
    theirs = reference.em(X, *moved, tol=0.0, max_iter=8)
    assert_close(ours.means - 4096.0, theirs.means - 4096.0, 1e-5)
    assert_close(ours.covariances, theirs.covariances, 1e-5)
    assert_close(ours.log_likelihoods, theirs.log_likelihoods, 1e-6)


@each_type
@pytest.mark.parametrize("shape", [(1511, 1, 3), (1511, 2, 5), (1511, 6, 25)])
def test_single_precision_clusters_far_apart_and_away(shape, covariance_type):
    """Means have an error below 1e-5 standard deviations, whatever their distance to 0."""
    problem = problems.separated(*shape, covariance_type)
    X = (problem.X + 4096.0).astype(np.float32)
    start = {**problem.start, "means_init": problem.means + 4096.0}
    with pytest.warns(fastgmm.ConvergenceWarning):
        ours = fastgmm.fit(X, **start, tol=0.0, max_iter=3)
    moved = (problem.weights, problem.means + 4096.0, problem.covariances, covariance_type)
    theirs = reference.em(X, *moved, tol=0.0, max_iter=3)
    np.testing.assert_allclose(ours.means, theirs.means, rtol=0.0, atol=1e-5)


@each_type
@pytest.mark.parametrize("shape", SHAPES[3:6], ids=lambda s: "x".join(map(str, s)))
def test_the_reference_is_scikit_learns(shape, covariance_type, assert_close):
    """``reference.py``, with which other tests compare, agrees with scikit-learn."""
    problem = problems.overlapping(*shape, covariance_type)
    run = reference.em(problem.X, *problem.parameters)
    theirs = fit_theirs(problem.X, problem.start)
    assert (run.n_iter, run.converged) == (theirs.n_iter_, True)
    assert_close(run.weights, theirs.weights_, 1e-12)
    assert_close(run.means, theirs.means_, 1e-12)
    assert_close(run.covariances, theirs.covariances_, 1e-12)
    assert_close(run.log_likelihoods[-1], theirs.lower_bound_, 1e-12)

    last = (run.weights, run.means, run.covariances, covariance_type)
    resp = reference.responsibilities(problem.X, *last)
    assert_close(resp, theirs.predict_proba(problem.X), 1e-11)
    assert_close(reference.bic(problem.X, *last), theirs.bic(problem.X), 1e-12)
    assert_close(reference.aic(problem.X, *last), theirs.aic(problem.X), 1e-12)


def test_the_references_sums_are_right_about_any_center(assert_close):
    """Shifting the sums from arbitrary centers to the means gives the plain M-step."""
    problem = problems.overlapping(150, 3, 7)
    resp = reference.responsibilities(problem.X, *problem.parameters)
    w = np.random.default_rng(0).random(150)
    nk, s1, s2 = reference.statistics(problem.X, resp, problem.means, w)
    delta = s1 / nk[:, None]
    covariances = s2 / nk[:, None, None] - delta[:, :, None] * delta[:, None, :]
    plain = reference.m_step(problem.X, resp, "full", reg_covar=0.0, sample_weight=w)
    assert_close(problem.means + delta, plain.means, 1e-13)
    assert_close(covariances, plain.covariances, 1e-13)
    assert_close(nk / nk.sum(), plain.weights, 1e-13)
