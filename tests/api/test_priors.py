"""The objects of priors, what `fit` refuses of them, and `Mixture.adapt`."""

import copy
import pickle

import numpy as np
import problems
import pytest
import reference
from reference import COVARIANCE_TYPES

import fastgmm
from fastgmm import Dirichlet, NormalInverseWishart

X = problems.overlapping(200, 2, 2).X


class TestObjects:
    def test_they_are_values(self):
        given = np.eye(2)
        prior = NormalInverseWishart([0, 1], 2, scale=given)
        given[:] = 7.0
        assert prior == NormalInverseWishart(np.array([0.0, 1.0]), 2.0, None, np.eye(2))
        assert prior != NormalInverseWishart([0, 1], 2)
        for other in (copy.deepcopy(prior), pickle.loads(pickle.dumps(prior))):
            assert other == prior
            assert hash(other) == hash(prior)
        with pytest.raises(ValueError, match="read-only"):
            prior.scale[0, 0] = 1.0
        with pytest.raises(AttributeError):
            prior.mean = None
        assert Dirichlet(2) == Dirichlet(2.0)

    def test_the_mixture_keeps_them_completed(self):
        given = [Dirichlet(2), NormalInverseWishart(0.0, 3.0, 5.0, [1.0, 2.0])]
        mixture = fastgmm.fit(X, 2, prior=given, reg_covar=0.25, random_state=0)
        full = NormalInverseWishart([0, 0], 3, 5, [[1.25, 0], [0, 2.25]])
        assert mixture.prior == (full, Dirichlet(2))
        assert pickle.loads(pickle.dumps(mixture)).prior == mixture.prior
        assert fastgmm.fit(X, 2, random_state=0).prior == ()

    def test_weights_alone(self):
        options = {"covariance_type": "diag", "init_params": "kmeans", "random_state": 0}
        plain = fastgmm.fit(X, 2, max_iter=0, **options)
        mixture = fastgmm.fit(X, 2, prior=Dirichlet(1e9), tol=1e-9, **options)
        np.testing.assert_allclose(mixture.weights, 0.5, atol=1e-6)
        assert mixture.prior == (Dirichlet(1e9),)
        assert (plain.weights != 0.5).all()
        same = fastgmm.fit(X, 2, prior=Dirichlet(1), **options)
        np.testing.assert_allclose(same.means, fastgmm.fit(X, 2, **options).means, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Dirichlet(0.5), ValueError, "concentration must be at least 1 but is 0.5"),
        (lambda: Dirichlet("2"), TypeError, "concentration must be a number"),
        (lambda: NormalInverseWishart(mean_precision=0), ValueError, "mean_precision must be pos"),
        (lambda: NormalInverseWishart([np.nan, 0]), ValueError, "mean has a NaN"),
        (lambda: "conjugate", ValueError, "prior must be one of default but is 'conjugate'"),
        (lambda: 3.0, TypeError, "prior must be None, 'default', a NormalInverseWishart"),
        (lambda: [Dirichlet(2), Dirichlet(3)], ValueError, "two priors of the same kind"),
        (lambda: NormalInverseWishart([0, 1, 2]), ValueError, "mean of the prior has shape"),
        (lambda: NormalInverseWishart(degrees_of_freedom=1), ValueError, "must exceed n_feat"),
        (lambda: NormalInverseWishart(scale=np.eye(3)), ValueError, "scale of the prior has shape"),
        (lambda: NormalInverseWishart(scale=[[1, 1], [0, 1]]), ValueError, "must be symmetric"),
        (lambda: NormalInverseWishart(scale=[1, -1]), ValueError, "must be positive definite"),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        fastgmm.fit(X, 2, prior=make())


def test_rows_that_say_nothing_of_a_prior():
    constant = np.column_stack([X, np.ones(len(X))])
    with pytest.raises(ValueError, match="singular: features are constant"):
        fastgmm.fit(constant, 2, prior="default", reg_covar=0.0)
    assert fastgmm.fit(constant, 2, prior="default", random_state=0).converged
    with pytest.raises(ValueError, match="sample_weight must have a sum above 1"):
        fastgmm.fit(X, 2, sample_weight=np.full(len(X), 1e-3), prior="default")


class TestAdapt:
    @pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
    @pytest.mark.parametrize(
        "what", ["means", ("weights",), ("covariances",), ("weights", "means", "covariances")]
    )
    def test_formulas(self, covariance_type, what, assert_close):
        problem = problems.overlapping(300, 3, 3, covariance_type)
        background = fastgmm.Mixture.from_parameters(*problem.parameters)
        rows = problem.X[:40] + 1.0
        adapted = background.adapt(rows, 8.0, what)
        expected = reference.adapt(rows, *problem.parameters, 8.0, what)
        for part, value in expected._asdict().items():
            assert_close(getattr(adapted, part), value, 1e-12)
            if part not in np.atleast_1d(what):
                np.testing.assert_array_equal(getattr(adapted, part), getattr(background, part))

    def test_components_without_rows_stay(self):
        parameters = [0.5, 0.5], [0.0, 1e4], [[1.0], [4.0]]
        background = fastgmm.Mixture.from_parameters(*parameters, "diag")
        adapted = background.adapt(np.ones(48), what=("weights", "means", "covariances"))
        assert adapted.means.ravel().tolist() == [0.75, 1e4]
        # equation 13: 3/4 of 1 and 1/4 of 1, minus the square of the new mean
        np.testing.assert_allclose(adapted.covariances.ravel(), [1.0 - 0.75**2, 4.0], rtol=1e-14)
        # equation 11: 3/4 + 1/8, and all of 1/2
        np.testing.assert_allclose(adapted.weights, np.array([0.875, 0.5]) / 1.375, rtol=1e-14)

    def test_weights_of_rows_count_rows(self, assert_close):
        background = fastgmm.fit(X, 2, random_state=0)
        weight = np.arange(len(X)) % 3
        parts = ("weights", "means", "covariances")
        weighted = background.adapt(X, what=parts, sample_weight=weight)
        repeated = background.adapt(np.repeat(X, weight, axis=0), what=parts)
        for part in parts:
            assert_close(getattr(weighted, part), getattr(repeated, part), 1e-12)

    def test_errors(self):
        background = fastgmm.fit(X, 2, random_state=0)
        with pytest.raises(ValueError, match="relevance must be positive but is 0"):
            background.adapt(X, 0)
        with pytest.raises(ValueError, match="what must be one of weights, means, covariances"):
            background.adapt(X, what="variances")
