"""Sample weights: in all methods a weight of 2 counts as the row twice, 0 as no row."""

import numpy as np
import problems
import pytest
import reference
from reference import COVARIANCE_TYPES

import fastgmm

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
each_init = pytest.mark.parametrize(
    "init_params", ["kmeans", "k-means++", "random", "random_from_data"]
)


@pytest.fixture
def counts():
    """Integer weights from 0 to 3 for 331 rows."""
    return np.random.default_rng(5).integers(4, size=331)


@each_type
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_weights_count_rows_in_the_fit(covariance_type, dtype, counts, assert_close):
    problem = problems.overlapping(331, 2, 3, covariance_type)
    X = problem.X.astype(dtype)
    weighted = fastgmm.fit(X, **problem.start, sample_weight=counts)
    repeated = fastgmm.fit(np.repeat(X, counts, axis=0), **problem.start)
    rtol = 1e-12 if dtype is np.float64 else 1e-5
    assert weighted.n_iter == repeated.n_iter > 4
    assert_close(weighted.weights, repeated.weights, rtol)
    assert_close(weighted.means, repeated.means, rtol)
    assert_close(weighted.covariances, repeated.covariances, rtol)
    assert_close(weighted.log_likelihoods, repeated.log_likelihoods, rtol)


@each_type
def test_weights_count_rows_in_every_question(covariance_type, counts, assert_close):
    problem = problems.overlapping(331, 2, 3, covariance_type)
    model = fastgmm.Mixture.from_parameters(*problem.parameters)
    repeated = np.repeat(problem.X, counts, axis=0)
    for name in ("score", "bic", "aic", "icl"):
        question = getattr(model, name)
        assert_close(question(problem.X, sample_weight=counts), question(repeated), 1e-13)
        assert abs(question(problem.X) / question(repeated) - 1.0) > 1e-3


@each_type
def test_fractional_weights_follow_the_reference(covariance_type, assert_close):
    problem = problems.overlapping(331, 2, 3, covariance_type)
    w = np.random.default_rng(0).exponential(size=331)
    model = fastgmm.fit(problem.X, **problem.start, sample_weight=w)
    run = reference.em(problem.X, *problem.parameters, sample_weight=w)
    assert (model.n_iter, model.converged) == (run.n_iter, True)
    assert_close(model.weights, run.weights, 1e-12)
    assert_close(model.means, run.means, 1e-12)
    assert_close(model.covariances, run.covariances, 1e-12)
    assert_close(model.log_likelihoods, run.log_likelihoods, 1e-12)
    last = (run.weights, run.means, run.covariances, covariance_type)
    assert_close(model.bic(problem.X, w), reference.bic(problem.X, *last, w), 1e-12)
    assert_close(model.aic(problem.X, w), reference.aic(problem.X, *last, w), 1e-12)
    assert_close(model.icl(problem.X, w), reference.icl(problem.X, *last, w), 1e-12)


@pytest.mark.parametrize("scale", [1e-12, 0.5, 1e12])
def test_the_scale_of_weights_does_not_matter(scale, assert_close):
    problem = problems.overlapping(331, 2, 3)
    w = np.random.default_rng(0).exponential(size=331)
    expected = fastgmm.fit(problem.X, **problem.start, sample_weight=w)
    model = fastgmm.fit(problem.X, **problem.start, sample_weight=scale * w)
    assert model.n_iter == expected.n_iter
    assert_close(model.means, expected.means, 1e-12)
    assert_close(model.covariances, expected.covariances, 1e-12)
    assert_close(model.log_likelihoods, expected.log_likelihoods, 1e-12)


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random"])
def test_equal_weights_are_no_weights(init_params, assert_close):
    X = problems.overlapping(331, 2, 3).X
    options = {"init_params": init_params, "random_state": 0, "max_iter": 500}
    plain = fastgmm.fit(X, 3, **options)
    ones = fastgmm.fit(X, 3, **options, sample_weight=np.ones(331))
    assert ones.n_iter == plain.n_iter
    assert_close(ones.means, plain.means, 1e-11)


@each_init
@each_type
def test_rows_of_no_weight_never_enter(init_params, covariance_type):
    """Far outliers of weight zero change no mean or covariance."""
    X, _ = problems.blobs(n_components=3)
    far = np.random.default_rng(0).uniform(1e6, 2e6, size=(150, 2))
    everything = np.vstack([far[:75], X, far[75:]])
    w = np.concatenate([np.zeros(75), np.ones(len(X)), np.zeros(75)])
    for seed in range(3):
        start = fastgmm.fit(
            everything,
            3,
            init_params=init_params,
            covariance_type=covariance_type,
            sample_weight=w,
            random_state=seed,
            max_iter=0,
        )
        assert np.abs(start.means).max() < 100.0
        matrices = reference.full_covariances(start.covariances, covariance_type, 3, 2)
        assert np.abs(matrices).max() < 1e4


def test_k_means_counts_weighted_rows(assert_close):
    """A k-means start on weighted rows equals the start on repeated rows."""
    X, _ = problems.blobs()
    w = np.random.default_rng(1).integers(1, 4, size=len(X))
    for covariance_type in COVARIANCE_TYPES:
        options = {"covariance_type": covariance_type, "random_state": 0, "max_iter": 0}
        weighted = fastgmm.fit(X, 4, **options, sample_weight=w)
        repeated = fastgmm.fit(np.repeat(X, w, axis=0), 4, **options)
        a, b = np.argsort(weighted.means[:, 0]), np.argsort(repeated.means[:, 0])
        assert_close(weighted.means[a], repeated.means[b], 1e-12)
        assert_close(weighted.weights[a], repeated.weights[b], 1e-12)
        if covariance_type == "tied":
            a = b = slice(None)
        assert_close(weighted.covariances[a], repeated.covariances[b], 1e-11)


@pytest.mark.parametrize("init_params", ["k-means++", "random_from_data"])
def test_heavy_rows_are_drawn_more_often(init_params):
    """A row that weighs as much as all others is drawn first in about half of the starts."""
    X = problems.overlapping(101, 2, 3).X
    w = np.full(101, 0.01)
    w[17] = 1.0
    hits = sum(
        np.array_equal(
            fastgmm.fit(
                X, 1, init_params=init_params, sample_weight=w, random_state=seed, max_iter=0
            ).means[0],
            X[17],
        )
        for seed in range(200)
    )
    assert 65 <= hits <= 135  # 100 expected, five standard deviations each way


def test_random_memberships_are_weighted(assert_close):
    """The random start of a single component is the weighted mean."""
    X = problems.overlapping(101, 2, 3).X
    w = np.random.default_rng(0).exponential(size=101)
    start = fastgmm.fit(X, 1, init_params="random", sample_weight=w, random_state=0, max_iter=0)
    assert_close(start.means[0], np.average(X, axis=0, weights=w), 1e-12)


@each_type
def test_rows_of_no_weight_may_be_far_away_in_the_fit(covariance_type, assert_close):
    problem = problems.overlapping(331, 2, 3, covariance_type)
    far = np.full((20, 2), 1e8)
    X = np.vstack([far, problem.X, far])
    w = np.concatenate([np.zeros(20), np.ones(331), np.zeros(20)])
    model = fastgmm.fit(X, **problem.start, sample_weight=w)
    expected = fastgmm.fit(problem.X, **problem.start)
    assert model.n_iter == expected.n_iter
    assert_close(model.means, expected.means, 1e-12)
    assert_close(model.covariances, expected.covariances, 1e-12)
