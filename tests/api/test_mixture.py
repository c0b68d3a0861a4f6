"""Methods of `Mixture`, fitted or made from parameters."""

import copy
import dataclasses
import pickle

import numpy as np
import problems
import pytest
import reference
from reference import COVARIANCE_TYPES

import fastgmm
from fastgmm import Mixture

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
SHAPES = [(203, 1, 3), (331, 2, 1), (150, 3, 7), (260, 17, 4)]
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(map(str, s)))
ARRAYS = ("weights", "means", "covariances", "precisions_cholesky", "log_likelihoods")


def small(covariance_type="full"):
    """Return a problem and the mixture of its starting parameters."""
    problem = problems.overlapping(331, 2, 3, covariance_type)
    return problem, Mixture.from_parameters(*problem.parameters)


class TestQuestions:
    """Densities, responsibilities and criteria agree with the plain formulas."""

    @each_type
    @each_shape
    def test_double_precision(self, shape, covariance_type, assert_close):
        problem = problems.overlapping(*shape, covariance_type)
        p = problem.parameters
        model = Mixture.from_parameters(*p)
        X = problem.X
        resp = reference.responsibilities(X, *p)
        assert_close(model.score_samples(X), reference.score_samples(X, *p), 1e-13)
        np.testing.assert_allclose(model.predict_proba(X), resp, rtol=1e-11, atol=1e-300)
        np.testing.assert_array_equal(model.predict(X), resp.argmax(axis=1))
        assert_close(model.score(X), reference.score_samples(X, *p).mean(), 1e-13)
        assert_close(model.bic(X), reference.bic(X, *p), 1e-13)
        assert_close(model.aic(X), reference.aic(X, *p), 1e-13)
        assert_close(model.icl(X), reference.icl(X, *p), 1e-12)

    @each_type
    @each_shape
    def test_single_precision(self, shape, covariance_type, assert_close):
        problem = problems.overlapping(*shape, covariance_type)
        p = problem.parameters
        model = Mixture.from_parameters(*p)
        X = problem.X.astype(np.float32)
        resp = model.predict_proba(X)
        assert np.issubdtype(resp.dtype, np.floating)
        assert_close(resp, reference.responsibilities(X, *p), 2e-5)
        np.testing.assert_allclose(resp.sum(axis=1), 1.0, rtol=1e-6)
        assert_close(model.score_samples(X), reference.score_samples(X, *p), 2e-6)
        assert_close(model.bic(X), reference.bic(X, *p), 1e-6)

    def test_types_of_the_answers(self):
        problem, model = small()
        assert model.predict_proba(problem.X).dtype == np.float64
        assert model.score_samples(problem.X).dtype == np.float64
        assert np.issubdtype(model.predict(problem.X).dtype, np.integer)
        for name in ("score", "bic", "aic", "icl"):
            assert isinstance(getattr(model, name)(problem.X), float)

    def test_one_row_at_a_time(self):
        """The result for a row does not depend on the other rows."""
        problem, model = small()
        together = model.predict_proba(problem.X[:50])
        apart = [model.predict_proba(problem.X[i : i + 1])[0] for i in range(50)]
        np.testing.assert_allclose(apart, together, rtol=1e-13)

    @each_type
    def test_far_away_points(self, covariance_type):
        """Responsibilities are right although every density underflows."""
        problem, model = small(covariance_type)
        far = np.array([[1e5, 0.0], [0.0, -1e5], [-1e8, 1e8]])
        resp = model.predict_proba(far)
        expected = reference.responsibilities(far, *problem.parameters)
        np.testing.assert_allclose(resp, expected, rtol=1e-5, atol=1e-300)
        np.testing.assert_allclose(resp.sum(axis=1), 1.0, rtol=1e-15)
        density = reference.score_samples(far, *problem.parameters)
        np.testing.assert_allclose(model.score_samples(far), density, rtol=1e-13)
        assert np.all(density < -1e8)

    def test_a_component_of_no_weight(self):
        """A component of weight zero has no rows."""
        problem, _ = small()
        weights = np.array([0.25, 0.0, 0.75])
        model = Mixture.from_parameters(weights, problem.means, problem.covariances, "full")
        resp = model.predict_proba(problem.X)
        assert np.all(resp[:, 1] == 0.0)
        keep = [0, 2]
        less = Mixture.from_parameters(
            weights[keep], problem.means[keep], problem.covariances[keep], "full"
        )
        np.testing.assert_allclose(resp[:, keep], less.predict_proba(problem.X), rtol=1e-13)
        np.testing.assert_allclose(
            model.score_samples(problem.X), less.score_samples(problem.X), rtol=1e-13
        )

    def test_icl_is_bic_where_memberships_are_certain(self):
        X, labels = problems.blobs()
        model = Mixture.from_parameters(*problems.separate_parameters(X, labels), "full")
        assert model.icl(X) == pytest.approx(model.bic(X), rel=1e-14)
        problem, fuzzy = small()
        assert fuzzy.icl(problem.X) > fuzzy.bic(problem.X) + 10.0

    @pytest.mark.parametrize(
        ("covariance_type", "expected"),
        [
            ("full", 7 * 6 + 7 * 3 + 6),
            ("tied", 6 + 21 + 6),
            ("diag", 21 + 21 + 6),
            ("spherical", 34),
        ],
    )
    def test_free_parameters(self, covariance_type, expected):
        model = Mixture.from_parameters(
            *problems.overlapping(150, 3, 7, covariance_type).parameters
        )
        assert model.n_parameters == expected
        assert (model.n_components, model.n_features) == (7, 3)


class TestParameters:
    """The arrays a mixture holds, and their conventions."""

    @each_type
    def test_precisions_cholesky(self, covariance_type, assert_close):
        problem = problems.overlapping(260, 5, 4, covariance_type)
        model = Mixture.from_parameters(*problem.parameters)
        chol = model.precisions_cholesky
        expected = reference.precisions(problem.covariances, covariance_type)
        if covariance_type in ("full", "tied"):
            np.testing.assert_array_equal(np.tril(chol, -1), 0.0)  # upper triangular
            assert_close(chol @ np.swapaxes(chol, -1, -2), expected, 1e-12)
        else:
            assert_close(chol**2, expected, 1e-14)

    @each_type
    def test_a_fit_holds_consistent_parameters(self, covariance_type, assert_close):
        problem = problems.overlapping(331, 2, 3, covariance_type)
        model = fastgmm.fit(problem.X, **problem.start)
        again = Mixture.from_parameters(
            model.weights, model.means, model.covariances, covariance_type
        )
        assert_close(again.precisions_cholesky, model.precisions_cholesky, 1e-13)
        np.testing.assert_allclose(
            again.predict_proba(problem.X), model.predict_proba(problem.X), rtol=1e-12
        )
        shapes = {"full": (3, 2, 2), "tied": (2, 2), "diag": (3, 2), "spherical": (3,)}
        assert model.covariances.shape == shapes[covariance_type]
        assert model.precisions_cholesky.shape == shapes[covariance_type]
        assert all(getattr(model, name).dtype == np.float64 for name in ARRAYS[:4])

    def test_symmetric_covariances(self):
        model = fastgmm.fit(problems.overlapping(613, 5, 4).X, 4, random_state=0)
        np.testing.assert_array_equal(model.covariances, np.swapaxes(model.covariances, 1, 2))

    def test_a_mixture_that_was_never_fitted(self):
        _, model = small()
        assert (model.n_iter, len(model.log_likelihoods)) == (0, 0)
        assert tuple(model.regularized) == ()

    def test_lists_and_integers_make_a_mixture(self):
        model = Mixture.from_parameters([1], [[0, 0]], [[[1, 0], [0, 1]]], "full")
        np.testing.assert_allclose(model.score_samples([[3, 4]]), -np.log(2 * np.pi) - 12.5)
        assert model.means.dtype == np.float64

    def test_the_type_defaults_to_full(self):
        model = Mixture.from_parameters([1.0], [[0.0]], [[[4.0]]])
        assert model.covariance_type == "full"

    def test_parameters_are_copied(self):
        problem, _ = small()
        means = problem.means.copy()
        model = Mixture.from_parameters(problem.weights, means, problem.covariances, "full")
        means[:] = 0.0
        np.testing.assert_array_equal(model.means, problem.means)
        assert means.flags.writeable


class TestValue:
    """A mixture is immutable, is compared by content, and has a short text form."""

    @pytest.mark.parametrize("name", [*ARRAYS, "converged", "n_iter", "covariance_type", "new"])
    def test_attributes_cannot_be_set(self, name):
        _, model = small()
        with pytest.raises((AttributeError, dataclasses.FrozenInstanceError)):
            setattr(model, name, None)

    @pytest.mark.parametrize("name", ARRAYS)
    def test_arrays_cannot_be_written(self, name):
        problem = problems.overlapping(331, 2, 3)
        model = fastgmm.fit(problem.X, **problem.start)
        with pytest.raises((ValueError, TypeError), match=r"read-only|does not support"):
            getattr(model, name)[0] = 0.5

    def test_equality(self):
        problem, model = small()
        _, same = small()
        assert model == same
        assert (model != same) is False
        shifted = Mixture.from_parameters(
            problem.weights, problem.means + 1e-15, problem.covariances, "full"
        )
        assert model != shifted
        assert model != small("tied")[1]
        assert model != "mixture"
        first = fastgmm.fit(problem.X, **problem.start)
        assert first == fastgmm.fit(problem.X, **problem.start)
        assert first != model

    def test_one_feature_looks_alike_but_is_not(self):
        """Mixtures of different types differ even if their arrays have the same entries."""
        diag = Mixture.from_parameters([0.5, 0.5], [[0.0], [1.0]], [[1.0], [2.0]], "diag")
        full = Mixture.from_parameters([0.5, 0.5], [[0.0], [1.0]], [[[1.0]], [[2.0]]], "full")
        assert diag != full

    def test_repr(self):
        problem = problems.overlapping(331, 2, 3, "diag")
        model = fastgmm.fit(problem.X, **problem.start)
        text = repr(model)
        assert "Mixture" in text
        assert "diag" in text
        assert "3" in text
        assert "2" in text
        assert len(text) < 400
        assert text != repr(small()[1])

    def test_copies_and_pickles(self, assert_same_mixture):
        problem = problems.overlapping(331, 2, 3)
        model = fastgmm.fit(problem.X, **problem.start)
        for twin in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert twin == model
            assert_same_mixture(twin, model)
            with pytest.raises(ValueError, match="read-only"):
                twin.means[0] = 0.0


class TestSample:
    """Rows drawn from a mixture."""

    @each_type
    def test_moments_of_every_component(self, covariance_type):
        problem, model = small(covariance_type)
        n = 40_000
        X, labels = model.sample(n, random_state=0)
        assert X.shape == (n, 2)
        assert labels.shape == (n,)
        counts = np.bincount(labels, minlength=3)
        spread = np.sqrt(n * problem.weights * (1.0 - problem.weights))
        assert np.all(np.abs(counts - n * problem.weights) < 5.0 * spread)
        matrices = reference.full_covariances(problem.covariances, covariance_type, 3, 2)
        for k in range(3):
            rows = X[labels == k]
            error = np.sqrt(np.diag(matrices[k]) / len(rows))
            assert np.all(np.abs(rows.mean(axis=0) - problem.means[k]) < 5.0 * error)
            scale = np.sqrt(np.outer(np.diag(matrices[k]), np.diag(matrices[k])))
            off = np.abs(np.cov(rows.T) - matrices[k]) / scale
            assert np.all(off < 5.0 * np.sqrt(2.0 / len(rows)))

    def test_correlation_has_its_sign(self):
        """A transposed factor would give the same variances but another covariance."""
        covariance = np.array([[4.0, -1.9], [-1.9, 1.0]])
        model = Mixture.from_parameters([1.0], [[0.0, 0.0]], [covariance], "full")
        X, _ = model.sample(20_000, random_state=1)
        np.testing.assert_allclose(np.cov(X.T), covariance, atol=0.15)
        np.testing.assert_allclose(np.corrcoef(X.T)[0, 1], -0.95, atol=0.01)

    @pytest.mark.parametrize("make", [lambda s: s, np.random.RandomState, np.random.default_rng])
    def test_the_same_seed_gives_the_same_rows(self, make):
        _, model = small()
        X, labels = model.sample(20, random_state=make(3))
        again, same = model.sample(20, random_state=make(3))
        np.testing.assert_array_equal(X, again)
        np.testing.assert_array_equal(labels, same)
        other, _ = model.sample(20, random_state=make(4))
        assert not np.array_equal(X, other)

    def test_one_row_is_the_default(self):
        _, model = small()
        X, labels = model.sample(random_state=0)
        assert X.shape == (1, 2)
        assert labels.shape == (1,)

    def test_a_fit_recovers_the_mixture(self, assert_close):
        X, labels = problems.blobs()
        p = problems.separate_parameters(X, labels)
        model = Mixture.from_parameters(*p, "full")
        sample, _ = model.sample(20_000, random_state=0)
        again = fastgmm.fit(sample, 4, random_state=0)
        order = np.argsort(again.means[:, 0])
        assert_close(again.means[order], p.means, 1e-3)
        assert_close(again.covariances[order], p.covariances, 0.1)
