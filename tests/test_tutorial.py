"""The tutorial's cases, chapter "Expectation Maximization and Gaussian Mixture Models".

The figures were checked against scikit-learn 1.9 and, for the table of memberships,
against the densities of ``scipy.stats.norm``.
"""

import numpy as np
import pytest

import fastgmm

STRAY = (23.38566343, 8.07067598)


def three_lines(offset):
    """Sixty numbers around +offset, -offset and 0, made as the tutorial makes them."""
    rng = np.random.RandomState(0)
    x = np.linspace(-5, 5, num=20)
    return np.stack(
        (x * rng.rand(20) + offset, x * rng.rand(20) - offset, x * rng.rand(20))
    ).ravel()


def test_the_table_of_memberships():
    model = fastgmm.Mixture.from_parameters(
        np.full(3, 1 / 3), [[-5.0], [8.0], [1.5]], [[[25.0]], [[9.0]], [[1.0]]], "full"
    )
    resp = model.predict_proba(three_lines(10))
    assert resp.shape == (60, 3)
    np.testing.assert_allclose(resp.sum(axis=1), 1.0, rtol=1e-14)
    expected = {
        0: [2.97644006e-02, 9.70235407e-01, 1.91912550e-07],
        20: [1.0, 2.67245688e-12, 1.56443629e-57],
        43: [3.43634425e-01, 2.15201653e-02, 6.34845409e-01],
        59: [8.53513721e-02, 2.40396004e-02, 8.90609028e-01],
    }
    for row, memberships in expected.items():
        np.testing.assert_allclose(resp[row], memberships, rtol=5e-9)  # nine printed digits


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_the_run_in_one_dimension(covariance_type):
    model = fastgmm.fit(three_lines(15), 3, covariance_type=covariance_type, random_state=0)
    order = np.argsort(model.means.ravel())
    assert model.converged
    np.testing.assert_allclose(model.means.ravel()[order], [-15.0263, -0.0822, 14.9451], atol=5e-5)
    variances = model.covariances.ravel()[order]
    np.testing.assert_allclose(variances, [4.8083, 1.7606, 3.9463], atol=5e-5)
    np.testing.assert_allclose(model.log_likelihood, -3.102348725213, rtol=1e-11)


def test_the_chapters_own_start_ends_in_a_poorer_optimum():
    X = three_lines(15)
    start = {
        "weights_init": np.full(3, 1 / 3),
        "means_init": [[-8.0], [8.0], [5.0]],
        "precisions_init": [[[1 / 25]], [[1 / 9]], [[1.0]]],
    }
    with pytest.warns(fastgmm.ConvergenceWarning):
        poor = fastgmm.fit(X, 3, **start, tol=0.0, max_iter=100)
    assert poor.n_iter == 100
    np.testing.assert_allclose(poor.means.ravel(), [-7.8268, 14.9642, 2.1604], atol=5e-5)
    np.testing.assert_allclose(poor.covariances.ravel(), [60.5226, 3.9168, 0.0055], atol=5e-5)

    better = fastgmm.fit(X, 3, n_init=5, random_state=0)
    np.testing.assert_allclose(
        np.sort(better.means.ravel()), [-15.0263, -0.0822, 14.9451], atol=5e-5
    )
    assert better.log_likelihood > poor.log_likelihood + 0.49


def test_the_run_in_two_dimensions():
    rng = np.random.RandomState(20)
    centers = rng.uniform(-10, 10, size=(3, 2))
    stretch = rng.randn(2, 2)
    X = (centers[rng.randint(3, size=500)] + rng.randn(500, 2)) @ stretch
    model = fastgmm.fit(X, 3, tol=1e-6, random_state=0)
    assert model.converged
    assert np.all(np.diff(model.log_likelihoods) > -1e-12)

    point = X.mean(axis=0, keepdims=True)
    resp = model.predict_proba(point)
    np.testing.assert_allclose(resp.sum(), 1.0, rtol=1e-15)

    # Equal weights shift the log odds of any two components by the log ratio of the weights.
    equal = fastgmm.Mixture.from_parameters(
        np.full(3, 1 / 3), model.means, model.covariances, "full"
    )
    shift = np.log(resp / equal.predict_proba(point))
    np.testing.assert_allclose(
        shift - shift[:, :1], np.log(model.weights / model.weights[0])[None], rtol=1e-9, atol=1e-12
    )
    assert np.ptp(model.weights) > 0.01


def test_the_five_blobs():
    datasets = pytest.importorskip("sklearn.datasets")
    X, _ = datasets.make_blobs(cluster_std=0.5, random_state=20, n_samples=1000, centers=5)
    X = X @ np.random.RandomState(0).randn(2, 2)
    model = fastgmm.fit(X, 5, random_state=0)
    assert model.converged
    memberships = np.sort(model.predict_proba([[0.5, 0.5]])[0])[::-1]
    expected = [1.0, 4.00098007e-33, 5.02664415e-44, 9.36305075e-82, 1.94756664e-93]
    np.testing.assert_allclose(memberships, expected, rtol=1e-4)


@pytest.fixture
def stray():
    """Two clusters of sixty points and one stray point, which the third component starts on."""
    rng = np.random.RandomState(0)
    left = rng.normal((2.0, 3.0), (1.0, 0.7), size=(60, 2))
    right = rng.normal((11.0, 5.0), 1.0, size=(60, 2))
    X = np.vstack((left, right, [STRAY]))
    start = {
        "weights_init": np.full(3, 1 / 3),
        "means_init": [[2.0, 3.0], [11.0, 5.0], STRAY],
        "precisions_init": np.stack([np.eye(2)] * 3),
    }
    return X, start


class TestSingularCase:
    """A component that holds a single point."""

    def test_raise_names_the_component(self, stray):
        X, start = stray
        with pytest.raises(fastgmm.CollapseError, match=r"component 2\b"):
            fastgmm.fit(X, 3, **start, on_collapse="raise")

    def test_regularize_leaves_the_floor(self, stray):
        X, start = stray
        model = fastgmm.fit(X, 3, **start, on_collapse="regularize", reg_covar=1e-6)
        np.testing.assert_allclose(model.covariances[2], 1e-6 * np.eye(2), rtol=1e-9, atol=1e-18)
        np.testing.assert_allclose(model.means[2], STRAY, rtol=1e-12)
        np.testing.assert_allclose(model.weights, [60 / 121, 60 / 121, 1 / 121], rtol=1e-9)
        assert tuple(model.regularized) == (2,)
        np.testing.assert_allclose(model.log_likelihood, -3.2514746170, rtol=1e-9)
        np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0, rtol=1e-14)

    @pytest.mark.parametrize("reg_covar", [1e-6, 0.0])
    @pytest.mark.parametrize("seed", range(4))
    def test_reset_leaves_no_covariance_at_the_floor(self, stray, reg_covar, seed):
        X, start = stray
        model = fastgmm.fit(
            X, 3, **start, on_collapse="reset", reg_covar=reg_covar, max_iter=500, random_state=seed
        )
        assert model.converged
        assert tuple(model.regularized) == ()
        smallest = [np.linalg.eigvalsh(matrix)[0] for matrix in model.covariances]
        assert min(smallest) > 1e-3  # a thousand floors
        np.testing.assert_allclose(model.weights.sum(), 1.0, rtol=1e-14)
        assert np.isfinite(model.score_samples(X)).all()

    def test_regularize_without_regularisation_says_what_to_do(self, stray):
        X, start = stray
        with pytest.raises(fastgmm.CollapseError, match=r"component 2\b[\s\S]*reg_covar"):
            fastgmm.fit(X, 3, **start, on_collapse="regularize", reg_covar=0.0)
