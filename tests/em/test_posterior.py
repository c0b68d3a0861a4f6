"""Maximum a posteriori, compared with ``reference.py`` and with figures of mclust."""

import numpy as np
import problems
import pytest
import reference
from reference import COVARIANCE_TYPES

import fastgmm
from fastgmm.em import accelerate
from fastgmm.em.posterior import MaximumPosterior
from fastgmm.em.priors import Prior
from fastgmm.model.covariance import COVARIANCE_TYPES as TYPES
from fastgmm.model.parameters import Parameters
from fastgmm.sources.array import ArraySource

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
pytestmark = pytest.mark.filterwarnings("ignore::fastgmm.ConvergenceWarning")
CONCENTRATION = 3.5


def strong_prior(n_features):
    """A prior that is worth many rows, far from the data and correlated."""
    scale = 5.0 * np.eye(n_features) + 0.5
    return reference.NormalWishart(np.linspace(-1, 2, n_features), 7.0, n_features + 30.0, scale)


def objects(prior):
    return [
        fastgmm.NormalInverseWishart(prior.mean, prior.kappa, prior.nu, prior.scale),
        fastgmm.Dirichlet(CONCENTRATION),
    ]


def fit(problem, X=None, max_iter=5, **options):
    X = problem.X if X is None else X
    prior = objects(strong_prior(X.shape[1]))
    options = {"tol": 0.0, "reg_covar": 0.0, "prior": prior, "max_iter": max_iter, **options}
    return fastgmm.fit(X, **problem.start, **options)


@each_type
@pytest.mark.parametrize("n_features", [1, 3])
def test_five_iterations_and_their_objectives(covariance_type, n_features, assert_close):
    problem = problems.overlapping(300, n_features, 3, covariance_type)
    prior, X = strong_prior(n_features), problem.X
    weight = np.random.RandomState(1).rand(300)
    mixture = fit(problem, sample_weight=weight)
    parameters, objectives = problem.parameters[:3], []
    for _ in range(5):
        scores = reference.score_samples(X, *parameters, covariance_type)
        log_prior = reference.log_prior(*parameters, covariance_type, prior, CONCENTRATION)
        objectives.append((weight @ scores + log_prior) / weight.sum())
        resp = reference.responsibilities(X, *parameters, covariance_type)
        parameters = reference.map_m_step(X, resp, covariance_type, prior, CONCENTRATION, weight)
    for name, value in parameters._asdict().items():
        assert_close(getattr(mixture, name), value, 1e-11)
    # Ours leave constants out.
    assert_close(np.diff(mixture.log_likelihoods), np.diff(objectives), 1e-9)


@each_type
@pytest.mark.parametrize("shape", [(300, 2, 3), (20_000, 8, 6)])
def test_the_posterior_never_falls(covariance_type, shape):
    """Passes over the larger problem skip pairs."""
    problem = problems.overlapping(*shape, covariance_type)
    for reg_covar in (0.0, 0.1):
        gains = np.diff(fit(problem, max_iter=40, reg_covar=reg_covar).log_likelihoods)
        assert gains.min() >= -1e-12
        assert gains.max() > 1e-5


@each_type
def test_quasi_newton_steps_end_where_em_ends(covariance_type, monkeypatch):
    monkeypatch.setattr(accelerate, "_WORTH", 0.0)
    X = problems.overlapping(400, 2, 3, covariance_type).X
    options = {"covariance_type": covariance_type, "prior": "default", "random_state": 0}
    fast = fastgmm.fit(X, 3, tol=1e-10, max_iter=5000, **options)
    assert fast.converged
    assert np.diff(fast.log_likelihoods).min() >= -1e-12
    start = {
        "weights_init": fast.weights,
        "means_init": fast.means,
        "precisions_init": reference.precisions(fast.covariances, covariance_type),
    }
    more = fastgmm.fit(X, 3, tol=0.0, max_iter=500, **start, **options)
    assert more.log_likelihood - fast.log_likelihood < 1e-8


def test_a_weight_of_two_is_the_row_twice_and_blocks_are_one_array(assert_close):
    problem = problems.overlapping(200, 2, 2)
    X, weight = problem.X, np.tile([1.0, 2.0], 100)
    repeated = np.repeat(X, weight.astype(int), axis=0)
    options = {"random_state": 0, "init_params": "kmeans", "prior": "default", "tol": 1e-9}
    weighted = fastgmm.fit(X, 2, sample_weight=weight, **options)
    twice = fastgmm.fit(repeated, 2, **options)
    blocks = fastgmm.fit(lambda: iter(np.array_split(repeated, 3)), 2, **options)
    for other in (weighted, blocks):
        assert_close(other.means, twice.means, 1e-9)
        assert_close(other.covariances, twice.covariances, 1e-9)
        assert_close(other.prior[0].scale, twice.prior[0].scale, 1e-12)


def standardized(X):
    return (X - X.mean(axis=0)) / X.std(axis=0, ddof=1)


@pytest.fixture(scope="module")
def tables():
    faithful = np.loadtxt("examples/old_faithful.csv", delimiter=",", skiprows=1)
    iris = pytest.importorskip("sklearn.datasets").load_iris().data
    return {"faithful": standardized(faithful), "iris": standardized(iris)}


@pytest.mark.parametrize(
    ("table", "covariance_type", "expected"),
    [
        ("faithful", "full", -544.0795),
        ("faithful", "tied", -544.0795),
        ("faithful", "diag", -770.9654),
        ("faithful", "spherical", -770.9230),
        ("iris", "full", -489.0119),
        ("iris", "tied", -489.0119),
        ("iris", "diag", -849.7624),
        ("iris", "spherical", -849.4060),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_one_component_is_that_of_mclust(tables, table, covariance_type, expected, dtype):
    """Figures of mclust 6.0.0 with its default prior, rounded to four digits."""
    X = tables[table].astype(dtype)
    mixture = fastgmm.fit(X, 1, covariance_type=covariance_type, prior="default")
    total = mixture.score(tables[table]) * len(X)
    assert total == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("table", "covariance_type", "n_components", "expected"),
    [
        ("faithful", "full", 2, -384.7042),
        ("iris", "full", 3, -301.0342),
        ("iris", "tied", 3, -366.0783),
    ],
)
def test_likelihoods_are_at_least_those_of_mclust(
    tables, table, covariance_type, n_components, expected
):
    X = tables[table]
    selection = fastgmm.select(
        X, n_components, covariance_type, prior="default", tol=1e-8, random_state=0
    )
    found = selection.winner
    assert found.log_likelihood > expected - 1e-4
    assert found.bic == pytest.approx(
        found.n_parameters * np.log(len(X)) - 2 * found.log_likelihood, rel=1e-12
    )


def test_the_default_prior_is_that_of_fraley_and_raftery(tables, assert_close):
    X = 3.0 * tables["iris"] * [1, 2, 3, 4] + 5.0
    for name, scale in {
        "full": np.cov(X.T),
        "diag": np.full(4, np.cov(X.T).diagonal().mean()),
        "spherical": np.cov(X.T).diagonal().mean(),
    }.items():
        (used,) = fastgmm.fit(
            X, 3, covariance_type=name, prior="default", reg_covar=0.0, max_iter=0
        ).prior
        assert (used.mean_precision, used.degrees_of_freedom) == (0.01, 6.0)
        assert_close(used.mean, X.mean(axis=0), 1e-13)
        assert_close(used.scale, scale / 3 ** (2 / 4), 1e-13)


@each_type
def test_repeated_values_make_no_spurious_optimum(covariance_type):
    X = np.concatenate([np.random.RandomState(0).randn(60, 2), np.ones((30, 2))])
    options = {"n_components": range(1, 5), "covariance_type": covariance_type, "random_state": 0}
    selection = fastgmm.select(X, prior="default", **options)
    assert not any(candidate.spurious for candidate in selection.candidates)
    variances = [
        TYPES[covariance_type].variances(c.mixture.covariances, c.n_components, 2).min()
        for c in selection.candidates
    ]
    assert min(variances) > 1e-3


def test_a_component_without_rows_has_the_mode_of_the_prior(assert_close):
    kind = TYPES["full"]
    prior = Prior(2.0, np.array([1.0, -1.0]), 9.0, np.array([[2.0, 0.5], [0.5, 1.0]]))
    model = MaximumPosterior(kind, 0.0, prior)
    means = np.array([[0.0, 0.0], [500.0, 0.0]])
    covariances = np.tile(np.eye(2), (2, 1, 1))
    start = Parameters(np.array([1.0, 0.0]), means, covariances, covariances, np.zeros(2))
    X = np.random.RandomState(0).randn(50, 2)
    new = model.update(start, ArraySource(X).statistics(model, start))
    assert_close(new.means[1], prior.mean, 1e-15)
    assert_close(kind.public_covariances(new.covariances)[1], prior.scale / (9 + 2 + 2), 1e-15)


@each_type
def test_incomplete_rows(covariance_type, assert_close):
    problem = problems.overlapping(300, 3, 2, covariance_type)
    gaps = problem.X.copy()
    gaps[np.random.RandomState(0).rand(300, 3) < 0.2] = np.nan
    mixture = fit(problem, gaps, missing="em", max_iter=30)
    assert np.diff(mixture.log_likelihoods).min() >= -1e-12
    whole = fit(problem, missing="em")
    assert_close(whole.covariances, fit(problem).covariances, 1e-12)
