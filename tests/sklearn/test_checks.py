"""scikit-learn's checks for all estimators, without exceptions."""

import pytest

pytest.importorskip("sklearn")

from sklearn.utils.estimator_checks import parametrize_with_checks

from fastgmm.sklearn import (
    BayesianGaussianMixture,
    GaussianMixture,
    GaussianMixtureRegressor,
)

ESTIMATORS = [
    GaussianMixture(),
    GaussianMixture(covariance_type="tied", init_params="random", n_threads=1),
    GaussianMixture(covariance_type="diag", on_collapse="regularize"),
    GaussianMixture(covariance_type="spherical", init_params="k-means++", warm_start=True),
    GaussianMixture(missing="em"),
    GaussianMixtureRegressor(),
    GaussianMixtureRegressor(covariance_type="tied", missing="em"),
    BayesianGaussianMixture(),
    BayesianGaussianMixture(
        covariance_type="tied",
        weight_concentration_prior_type="dirichlet_distribution",
        n_threads=1,
    ),
]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@parametrize_with_checks(ESTIMATORS)
def test_estimator(estimator, check):
    check(estimator)
