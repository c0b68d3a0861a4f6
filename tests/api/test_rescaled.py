"""`Mixture.rescaled`: the mixture of rows in other units."""

import numpy as np
import problems
import pytest

import fastgmm

SCALE, OFFSET = np.array([0.01, 7.0, 2.0]), np.array([5.0, 0.0, -1.0])


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_the_densities_are_those_of_the_rows_in_other_units(kind):
    X = problems.overlapping(500, 3, 4).X
    mixture = fastgmm.fit(X, 4, covariance_type=kind, random_state=0)
    rescaled = mixture.rescaled(SCALE, OFFSET)
    assert rescaled.covariance_type == ("diag" if kind == "spherical" else kind)
    Y = X * SCALE + OFFSET
    lost = np.log(SCALE).sum()
    np.testing.assert_allclose(rescaled.score_samples(Y), mixture.score_samples(X) - lost)
    np.testing.assert_allclose(rescaled.predict_proba(Y), mixture.predict_proba(X), atol=1e-11)
    np.testing.assert_allclose(rescaled.log_likelihoods, mixture.log_likelihoods - lost)
    back = rescaled.rescaled(1 / SCALE, -OFFSET / SCALE)
    np.testing.assert_allclose(back.means, mixture.means)
    assert (back.converged, back.regularized) == (mixture.converged, mixture.regularized)


def test_missing_values_lose_nothing():
    """The record of a fit to incomplete rows is that of the fit in the new units."""
    X = problems.overlapping(500, 3, 2).X
    X[np.random.default_rng(0).random(X.shape) < [0.1, 0.4, 0.0]] = np.nan
    options = {"missing": "em", "reg_covar": 0.0, "max_iter": 6, "tol": 0.0}
    start = problems.overlapping(500, 3, 2).start
    with pytest.warns(fastgmm.ConvergenceWarning):
        mixture = fastgmm.fit(X, **start, **options)
    observed = (~np.isnan(X)).mean(axis=0)
    rescaled = mixture.rescaled(SCALE, OFFSET, observed=observed)
    again = {
        "weights_init": start["weights_init"],
        "means_init": start["means_init"] * SCALE + OFFSET,
        "precisions_init": start["precisions_init"] / np.outer(SCALE, SCALE),
    }
    with pytest.warns(fastgmm.ConvergenceWarning):
        other = fastgmm.fit(X * SCALE + OFFSET, n_components=2, **again, **options)
    np.testing.assert_allclose(rescaled.log_likelihoods, other.log_likelihoods, rtol=1e-10)
    np.testing.assert_allclose(rescaled.means, other.means, rtol=1e-9)
    with pytest.raises(ValueError, match=r"observed must be between 0 and 1 but holds 1\.5"):
        mixture.rescaled(1.0, observed=1.5)


def test_one_number_for_all_features_and_names_are_kept():
    mixture = fastgmm.Mixture.from_parameters(
        [0.5, 0.5], [[0, 1], [2, 3]], [1, 4], "spherical", feature_names=["a", "b"]
    )
    rescaled = mixture.rescaled(2.0)
    np.testing.assert_array_equal(rescaled.means, [[0, 2], [4, 6]])
    np.testing.assert_array_equal(rescaled.covariances, [[4, 4], [16, 16]])
    assert rescaled.feature_names == ("a", "b")


@pytest.mark.parametrize(
    ("scale", "reason"),
    [
        ([1.0, 0.0], "scale must be positive but holds 0"),
        (-1.0, "scale must be positive but holds -1"),
        ([1.0, np.nan], "scale must be finite but holds nan"),
        ([1.0, 2.0, 3.0], r"scale has shape \(3,\); pass one number, or one for each of the 2"),
    ],
)
def test_scales_that_are_refused(scale, reason):
    mixture = fastgmm.Mixture.from_parameters([1.0], [[0, 1]], [1], "spherical")
    with pytest.raises(ValueError, match=reason):
        mixture.rescaled(scale)
