"""Mixtures of some features, given others, and missing values filled in: against plain formulas."""

import numpy as np
import problems
import pytest
import reference

import fastgmm
from fastgmm.sources import patterns

TYPES = reference.COVARIANCE_TYPES


def mixture_of(covariance_type, n_features=4, **options):
    problem = problems.overlapping(200, n_features, 3, covariance_type)
    return problem, fastgmm.Mixture.from_parameters(*problem.parameters, **options)


def rows_with_gaps(X, n_rows=40):
    """Return rows with gaps, the first complete and the second without any value."""
    gaps = np.random.default_rng(0).random((n_rows, X.shape[1])) < 0.4
    gaps[0], gaps[1] = False, True
    return np.where(gaps, np.nan, X[:n_rows])


def conditional_moments(X, mixture):
    """Means (n, d) and covariances (n, d, d) of rows given their observed values."""
    n_components, n_features = mixture.means.shape
    name = mixture.covariance_type
    matrices = reference.full_covariances(mixture.covariances, name, n_components, n_features)
    joint = reference.incomplete_log_joint(X, mixture.weights, mixture.means, matrices, "full")
    resp = np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, None])
    means, covariances = np.zeros(X.shape), np.zeros((*X.shape, n_features))
    for i, x in enumerate(X):
        parts = [
            reference.conditional(x, *pair) for pair in zip(mixture.means, matrices, strict=True)
        ]
        means[i] = sum(r * filled for r, (filled, _) in zip(resp[i], parts, strict=True))
        for r, (filled, covariance) in zip(resp[i], parts, strict=True):
            gap = filled - means[i]
            covariances[i] += r * (covariance + np.outer(gap, gap))
    return means, covariances


@pytest.mark.parametrize("covariance_type", TYPES)
def test_marginal(covariance_type):
    """Its densities are those of the observed features."""
    problem, mixture = mixture_of(covariance_type)
    marginal = mixture.marginal([2, 0])
    assert marginal.covariance_type == covariance_type
    rows = np.full_like(problem.X, np.nan)
    rows[:, [0, 2]] = problem.X[:, [0, 2]]
    expected = mixture.score_samples(rows, missing="em")
    np.testing.assert_allclose(marginal.score_samples(problem.X[:, [2, 0]]), expected, rtol=1e-12)
    np.testing.assert_allclose(mixture.marginal(-1).means[:, 0], mixture.means[:, 3])


@pytest.mark.parametrize("covariance_type", TYPES)
def test_condition(covariance_type):
    """The density given some values is the joint density over that of the values."""
    problem, mixture = mixture_of(covariance_type)
    given = {3: 0.5, 1: -0.25}
    conditional = mixture.condition(given)
    assert conditional.covariance_type == covariance_type
    rows = problem.X.copy()
    rows[:, [3, 1]] = [0.5, -0.25]
    expected = mixture.score_samples(rows) - mixture.marginal([3, 1]).score_samples([[0.5, -0.25]])
    found = conditional.score_samples(problem.X[:, [0, 2]])
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("many", [1, 1000])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_conditional_moments(covariance_type, many, assert_close, monkeypatch):
    """Both ways: each pattern in a pass of its own, and all patterns in one compiled call."""
    monkeypatch.setattr(patterns, "_MANY", many)
    problem, mixture = mixture_of(covariance_type)
    X = rows_with_gaps(problem.X)
    means, covariances = conditional_moments(X, mixture)
    assert_close(mixture.conditional_mean(X), means, 1e-12)
    assert_close(mixture.conditional_covariance(X), covariances, 1e-12)
    np.testing.assert_array_equal(mixture.impute(X), mixture.conditional_mean(X))
    observed = ~np.isnan(X)
    np.testing.assert_array_equal(mixture.impute(X)[observed], X[observed])
    single = mixture.impute(X.astype(np.float32))
    assert single.dtype == np.float32
    assert_close(single, means, 1e-5)


def test_condition_has_the_conditional_mean():
    _, mixture = mixture_of("full")
    conditional = mixture.condition({0: 1.0, 2: 0.0})
    filled = mixture.conditional_mean([[1.0, np.nan, 0.0, np.nan]])
    expected = conditional.weights @ conditional.means
    np.testing.assert_allclose(filled[0, [1, 3]], expected, rtol=1e-12)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_draws_have_the_conditional_moments(covariance_type):
    """The tolerance is five standard errors of 20,000 draws."""
    problem, mixture = mixture_of(covariance_type)
    for row in rows_with_gaps(problem.X)[1:6]:
        X = np.tile(row, (20_000, 1))
        drawn = mixture.sample_missing(X, random_state=0)
        means, covariances = conditional_moments(row[None], mixture)
        deviation = np.sqrt(np.diag(covariances[0]).max())
        np.testing.assert_allclose(drawn.mean(axis=0), means[0], atol=5 * deviation / 141)
        spread = np.cov(drawn.T, bias=True)
        np.testing.assert_allclose(spread, covariances[0], atol=0.1 * deviation**2)


def test_draws_do_not_depend_on_threads_or_patterns():
    problem, mixture = mixture_of("full")
    X = rows_with_gaps(problem.X, 200)
    one, two = (mixture.sample_missing(X, 7, n_threads=n) for n in (1, 2))
    np.testing.assert_array_equal(one, two)
    assert np.isfinite(one).all()
    observed = ~np.isnan(X)
    np.testing.assert_array_equal(one[observed], X[observed])
    assert (mixture.sample_missing(X, 8) != one)[~observed].all()
    np.testing.assert_array_equal(mixture.sample_missing(problem.X, 7), problem.X)


def test_features_by_name():
    names = ["a", "b", "c", "d"]
    _, mixture = mixture_of("full", feature_names=names)
    assert mixture.marginal(["d", "a"]).feature_names == ("d", "a")
    assert mixture.marginal("b").feature_names == ("b",)
    conditional = mixture.condition({"c": 1.0, "a": 2.0})
    assert conditional.feature_names == ("b", "d")
    np.testing.assert_array_equal(conditional.means, mixture.condition({2: 1.0, 0: 2.0}).means)
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame([[1.0, None, 2.0, 3.0]], columns=names, index=["x"])
    filled = mixture.impute(table)
    assert list(filled.columns) == names
    assert list(filled.index) == ["x"]
    assert filled.loc["x", "b"] == pytest.approx(mixture.condition(
        {"a": 1.0, "c": 2.0, "d": 3.0}).means.ravel() @ mixture.predict_proba(
        table, missing="em")[0])  # fmt: skip
    assert list(mixture.sample_missing(table, 0).columns) == names
    with pytest.raises(ValueError, match="feature names"):
        mixture.impute(table[["b", "a", "c", "d"]])


def test_conditional_means_of_many_rows(assert_close):
    """Blocks of rows, tiles that are not full, and more missing features than a block has."""
    n_features, observed = 19, [1, 2, 5, 11, 12, 18]
    _, mixture = mixture_of("full", n_features)
    X = np.full((40_003, n_features), np.nan)
    X[:, observed] = np.random.default_rng(0).normal(size=(len(X), len(observed)))
    assert_close(mixture.conditional_mean(X[-70:]), mixture.conditional_mean(X)[-70:], 1e-12)
    one, two = (mixture.conditional_mean(X[::2], n_threads=n) for n in (1, 2))
    np.testing.assert_array_equal(one, two)
    few = X[:3]
    assert_close(one[:2], conditional_moments(few[::2], mixture)[0], 1e-12)


@pytest.mark.parametrize("many", [1, 1000])
def test_a_nearly_singular_mixture(many, monkeypatch):
    """Features that depend on each other: rounding makes no conditional variance negative."""
    monkeypatch.setattr(patterns, "_MANY", many)
    rng = np.random.default_rng(0)
    base = rng.standard_normal((2, 30))
    matrix = base.T @ base + 1e-14 * np.eye(30)
    mixture = fastgmm.Mixture.from_parameters([1.0], np.zeros((1, 30)), matrix[None])
    X = rng.standard_normal((20, 2)) @ base
    gaps = np.where(rng.random(X.shape) < 0.5, np.nan, X)
    np.testing.assert_allclose(mixture.impute(gaps), X, atol=1e-4)
    assert (np.einsum("ijj->ij", mixture.conditional_covariance(gaps)) >= 0).all()
    assert np.isfinite(mixture.score_samples(gaps, missing="em")).all()
    assert np.isfinite(mixture.condition({3: 0.1, 20: 0.2}).means).all()


def test_errors():
    _, mixture = mixture_of("diag", feature_names=["a", "b", "b", "c"])
    _, unnamed = mixture_of("diag")
    for features, message in (
        ([], "features is empty"),
        ([0, -4], "feature 'a' twice"),
        ([4], "feature 4 does not exist; pass an index from 0 to 3"),
        (["x"], "the mixture has no feature 'x'"),
        (["b"], "several features 'b'"),
    ):
        with pytest.raises(ValueError, match=message):
            mixture.marginal(features)
    with pytest.raises(TypeError, match=r"must be an index or a name but is 0\.5"):
        mixture.marginal(0.5)
    with pytest.raises(ValueError, match="has no feature names; pass its index"):
        unnamed.condition({"a": 1.0})
    with pytest.raises(ValueError, match="value of feature 'a' must be finite but is nan"):
        mixture.condition({"a": np.nan})
    with pytest.raises(TypeError, match="value of feature 0 must be a number but is 'x'"):
        mixture.condition({0: "x"})
    with pytest.raises(TypeError, match="given must be a dict"):
        mixture.condition([1.0])
    with pytest.raises(ValueError, match="a value for every feature"):
        mixture.condition(dict.fromkeys(range(4), 1.0))
    with pytest.raises(ValueError, match="X has 3 features but the mixture has 4"):
        unnamed.impute(np.ones((2, 3)))
