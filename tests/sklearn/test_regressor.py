"""Gaussian mixture regression: predictions, their deviations, draws, and missing values."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.linear_model import LinearRegression

from fastgmm.sklearn import GaussianMixtureRegressor


def curve(n_samples=2000, seed=0):
    """Return a noisy curve with two targets: X (n, 2), y (n, 2)."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-3, 3, (n_samples, 2))
    noise = 0.1 * rng.standard_normal((n_samples, 2))
    return X, np.column_stack([np.sin(X[:, 0]), X[:, 1] - X[:, 0]]) + noise


def test_one_component_is_linear_regression():
    X, y = curve()
    weight = np.random.default_rng(0).uniform(size=len(X))
    ours = GaussianMixtureRegressor(reg_covar=0.0).fit(X, y, weight)
    theirs = LinearRegression().fit(X, y, weight)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-10, atol=1e-10)
    _, deviation = ours.predict(X[:5], return_std=True)
    residuals = y - theirs.predict(X)
    expected = np.sqrt(np.average(residuals**2, axis=0, weights=weight))
    np.testing.assert_allclose(deviation, np.tile(expected, (5, 1)), rtol=1e-10)


def test_predictions_are_those_of_conditioned_mixtures():
    X, y = curve()
    model = GaussianMixtureRegressor(5, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    means, deviations = model.predict(X[:7], return_std=True)
    for x, mean, deviation in zip(X[:7], means, deviations, strict=True):
        given = model.mixture_.condition({0: x[0], 1: x[1]})
        expected = given.weights @ given.means
        np.testing.assert_allclose(mean, expected, rtol=1e-10)
        within = np.einsum("k,kjj->j", given.weights, given.covariances)
        between = given.weights @ (given.means - expected) ** 2
        np.testing.assert_allclose(deviation**2, within + between, rtol=1e-9)


def test_shapes_follow_the_targets_of_the_fit():
    X, y = curve(300)
    for targets, shape in ((y[:, 0], (4,)), (y[:, :1], (4, 1)), (y, (4, 2))):
        model = GaussianMixtureRegressor(2, random_state=0).fit(X, targets)
        assert model.predict(X[:4]).shape == shape
        assert model.sample(X[:4], 0).shape == shape
        mean, deviation = model.predict(X[:4].astype(np.float32), return_std=True)
        assert mean.shape == deviation.shape == shape
        assert mean.dtype == deviation.dtype == np.float32


def test_draws_have_the_predicted_moments():
    X, y = curve()
    model = GaussianMixtureRegressor(4, random_state=0).fit(X, y[:, 0])
    rows = np.tile(X[:1], (20_000, 1))
    mean, deviation = model.predict(X[:1], return_std=True)
    draws = model.sample(rows, random_state=1)
    assert abs(draws.mean() - mean[0]) < 5 * deviation[0] / np.sqrt(len(rows))
    assert draws.std() == pytest.approx(deviation[0], rel=0.05)


def test_missing_values():
    X, y = curve()
    rng = np.random.default_rng(1)
    gaps = np.where(rng.random(X.shape) < 0.1, np.nan, X)
    targets = np.where(rng.random(y.shape) < 0.1, np.nan, y)
    with pytest.raises(ValueError, match="contains NaN"):
        GaussianMixtureRegressor().fit(gaps, y)
    model = GaussianMixtureRegressor(5, random_state=0, missing="em").fit(gaps, targets)
    assert clone(model).missing == "em"
    assert model.score(X, y) > 0.95
    assert np.isfinite(model.predict(gaps)).all()
