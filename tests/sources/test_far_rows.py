"""Rows so far from every component that their densities underflow, by more than float64 if need be.

The log-density of such a row is computed by plain arithmetic; constants do not count there.
"""

import numpy as np
import pytest
import reference

import fastgmm
from fastgmm import Mixture

each_type = pytest.mark.parametrize("covariance_type", reference.COVARIANCE_TYPES)
UNIT = {
    "full": np.eye(2)[None].repeat(2, 0),
    "tied": np.eye(2),
    "diag": np.ones((2, 2)),
    "spherical": np.ones(2),
}


def mixture(covariance_type, variance=1.0, far=3.0):
    """Return two components of the same variance at the origin and at (far, 0)."""
    means = np.array([[0.0, 0.0], [far, 0.0]])
    return Mixture.from_parameters(
        [0.5, 0.5], means, variance * UNIT[covariance_type], covariance_type
    )


@each_type
@pytest.mark.parametrize("distance", [1e100, 1e148, 3e150, 1e152, 1e153, 1.2e154])
def test_log_densities_are_true_numbers(distance, covariance_type):
    found = mixture(covariance_type).score_samples(np.array([[0.0, distance], [-distance, 0.0]]))
    np.testing.assert_allclose(found, -0.5 * distance * distance, rtol=1e-14)


@each_type
def test_probabilities_where_both_densities_are_below_1e_minus_300(covariance_type):
    """The nearer component has all of the row, though both log-densities are below -1e300."""
    model = mixture(covariance_type, far=1e152)
    X = np.array([[-1e151, 1e152], [1.2e152, 1e152], [0.5e152, 1e152]])
    np.testing.assert_array_equal(model.predict_proba(X[:2]), np.eye(2))
    np.testing.assert_array_equal(model.predict(X[:2]), [0, 1])
    np.testing.assert_allclose(model.score_samples(X[:2]), [-5.05e303, -5.2e303], rtol=1e-13)
    assert model.score(X[:1]) == pytest.approx(-5.05e303, rel=1e-13)


@each_type
def test_beyond_float64(covariance_type):
    """The logarithm is minus infinity; probabilities are equal, not NaN."""
    model = mixture(covariance_type)
    X = np.array([[0.0, 1e160], [0.0, 0.0]])
    assert model.score_samples(X)[0] == -np.inf
    assert np.isfinite(model.score_samples(X)[1])
    assert model.score(X) == -np.inf
    np.testing.assert_array_equal(model.predict_proba(X)[0], 0.5)


@each_type
def test_rows_of_weight_zero_do_not_count(covariance_type):
    model = mixture(covariance_type)
    X = np.array([[0.0, 1e160], [0.0, 0.0]])
    assert model.score(X, sample_weight=[0.0, 1.0]) == model.score(X[1:])


@each_type
def test_float32_rows_too_far_for_float32(covariance_type):
    """Squared distances overflow float32; which component is nearer is known all the same."""
    model = mixture(covariance_type, far=1e20)
    X = np.array([[-1e19, 1e20], [1.2e20, 1e20], [1e10, 0.0]], np.float32)
    X = X[np.array([0, 1, 2] * 40)]
    np.testing.assert_array_equal(model.predict_proba(X)[:3], [[1, 0], [0, 1], [1, 0]])
    np.testing.assert_array_equal(model.predict(X)[:3], [0, 1, 0])
    found = model.score_samples(X)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:2], -np.inf)  # float32 has no number below -3e38
    np.testing.assert_allclose(found[2], -5e19, rtol=1e-6)


def test_a_fit_far_away_stays_finite():
    """Sums over rows of a fit must not overflow where a start is far from every row."""
    X = np.random.default_rng(0).normal(size=(50, 2)) * 1e150
    model = fastgmm.fit(
        X,
        2,
        random_state=0,
        means_init=[[0, 0], [1, 1]],
        precisions_init=np.tile(np.eye(2), (2, 1, 1)),
        weights_init=[0.5, 0.5],
    )
    assert np.isfinite(model.log_likelihood)
