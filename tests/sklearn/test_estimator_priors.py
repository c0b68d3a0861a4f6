"""`GaussianMixture(prior=..., fixed=...)`."""

import numpy as np
import problems
import pytest
from reference import COVARIANCE_TYPES
from sklearn.base import clone
from sklearn.utils._param_validation import InvalidParameterError

import fastgmm
from fastgmm.sklearn import GaussianMixture

PRIORS = ["default", fastgmm.NormalInverseWishart(0.0, 2.0), [fastgmm.Dirichlet(3.0)]]


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("prior", PRIORS)
def test_it_is_the_fit_of_the_library(covariance_type, prior, assert_close):
    problem = problems.overlapping(300, 2, 3, covariance_type)
    model = GaussianMixture(**problem.start, prior=prior, max_iter=500).fit(problem.X)
    mixture = fastgmm.fit(problem.X, **problem.start, prior=prior, max_iter=500)
    assert_close(model.means_, mixture.means, 1e-13)
    assert_close(model.covariances_, mixture.covariances, 1e-13)
    assert_close(model.lower_bounds_, mixture.log_likelihoods, 1e-13)
    assert model.prior_ == mixture.prior
    assert model.score(problem.X) == pytest.approx(mixture.score(problem.X), rel=1e-13)


@pytest.mark.parametrize("init_params", ["kmeans", "auto", "random_from_data"])
def test_starts_and_parameters(init_params):
    X = problems.overlapping(300, 2, 3).X
    model = GaussianMixture(3, init_params=init_params, prior="default", random_state=0)
    copy = clone(model.set_params(max_iter=500))
    assert copy.get_params()["prior"] == "default"
    assert copy.fit(X).converged_
    assert np.diff(copy.lower_bounds_).min() >= -1e-12
    assert len(copy.prior_) == 1
    copy.set_params(prior=None, init_params="kmeans").fit(X)
    assert not hasattr(copy, "prior_")
    weighted = clone(model).fit(X, sample_weight=np.full(300, 2.0))
    assert weighted.prior_[0].scale != pytest.approx(copy.covariances_[0])


def test_a_clone_keeps_the_values_of_a_prior():
    for prior in PRIORS:
        assert clone(GaussianMixture(prior=prior)).prior == prior


def test_invalid_priors():
    X = problems.overlapping(100, 2, 2).X
    for options in ({"prior": "flat"}, {"prior": 1.0}, {"fixed": 0.5}):
        with pytest.raises(InvalidParameterError, match=next(iter(options))):
            GaussianMixture(2, **options).fit(X)
    with pytest.raises(ValueError, match="none is given; pass means_init"):
        GaussianMixture(2, fixed="means").fit(X)


def test_scikit_learns_code_is_not_run_without_the_prior():
    class Other(GaussianMixture):
        def _e_step(self, X):
            return super()._e_step(X)

    X = problems.overlapping(100, 2, 2).X
    with pytest.raises(ValueError, match="prior cannot be used here: _e_step is overridden"):
        Other(2, prior="default").fit(X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fixed_parts_keep_the_start_and_the_solution_of_a_warm_start():
    problem = problems.overlapping(300, 2, 3)
    model = GaussianMixture(**problem.start, fixed=["means", 0], warm_start=True, max_iter=5)
    model.fit(problem.X)
    np.testing.assert_array_equal(model.means_, problem.means)
    assert model.weights_[0] == problem.weights[0]
    before = model.weights_.copy()
    model.set_params(fixed="weights").fit(problem.X)
    np.testing.assert_array_equal(model.weights_, before)
    assert (model.means_ != problem.means).all()
