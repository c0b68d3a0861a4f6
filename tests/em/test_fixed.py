"""Parts that stay at their start, in fits to the likelihood and to a posterior."""

import numpy as np
import problems
import pytest
import reference
from reference import COVARIANCE_TYPES

import fastgmm

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
pytestmark = pytest.mark.filterwarnings("ignore::fastgmm.ConvergenceWarning")
PARTS = ("weights", "means", "covariances")


def problem_of(covariance_type):
    return problems.overlapping(400, 2, 3, covariance_type)


def fit(problem, **options):
    options = {"tol": 0.0, "reg_covar": 0.0, "max_iter": 30, **options}
    return fastgmm.fit(problem.X, **problem.start, **options)


@each_type
@pytest.mark.parametrize("prior", [None, [fastgmm.NormalInverseWishart(), fastgmm.Dirichlet(2.0)]])
@pytest.mark.parametrize(
    "fixed",
    ["weights", "means", "covariances", ("weights", "means"), {"weights": 1, "means": [0, 2]}],
)
def test_fixed_parts_have_the_bits_of_the_start(covariance_type, prior, fixed):
    problem = problem_of(covariance_type)
    start = fit(problem, max_iter=0)
    mixture = fit(problem, fixed=fixed, prior=prior)
    names = [fixed] if isinstance(fixed, str) else fixed
    for part in PARTS:
        which = fixed[part] if isinstance(fixed, dict) and part in fixed else slice(None)
        same = np.array_equal(getattr(mixture, part)[which], getattr(start, part)[which])
        assert same == (part in names)
    assert mixture.weights.sum() == pytest.approx(1.0, rel=1e-14)
    gains = np.diff(mixture.log_likelihoods)
    assert gains.min() >= -1e-12
    assert gains.max() > 1e-6


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
@pytest.mark.parametrize("prior", [None, "default"])
def test_a_fixed_component_keeps_all_its_parameters(covariance_type, prior):
    problem = problem_of(covariance_type)
    start = fit(problem, max_iter=0)
    mixture = fit(problem, fixed=[2], prior=prior)
    for part in (*PARTS, "precisions_cholesky"):
        before, after = getattr(start, part), getattr(mixture, part)
        np.testing.assert_array_equal(after[2], before[2])
        assert (after[:2] != before[:2]).any()
    assert np.diff(mixture.log_likelihoods).min() >= -1e-12


@each_type
def test_one_step_with_fixed_means_and_a_fixed_weight(covariance_type, assert_close):
    """Covariances are about the fixed means; the other weights share what is left."""
    problem = problem_of(covariance_type)
    mixture = fit(problem, max_iter=1, fixed={"means": range(3), "weights": [0]})
    resp = reference.responsibilities(problem.X, *problem.parameters)
    about = reference.covariances_about(problem.X, resp, problem.means, covariance_type, 0.0)
    assert_close(mixture.covariances, about, 1e-12)
    share = resp.sum(axis=0)[1:]
    left = 1.0 - problem.weights[0]
    assert_close(mixture.weights[1:], left * share / share.sum(), 1e-13)


@each_type
def test_one_step_with_fixed_means_under_a_prior(covariance_type):
    """The M-step's covariances have a greater expected log-posterior than all near ones."""
    problem = problem_of(covariance_type)
    X, d = problem.X, 2
    prior = reference.NormalWishart(np.array([3.0, -1.0]), 5.0, 9.0, np.eye(d))
    given = fastgmm.NormalInverseWishart(prior.mean, prior.kappa, prior.nu, prior.scale)
    mixture = fit(problem, max_iter=1, fixed="means", prior=given)
    resp = reference.responsibilities(X, *problem.parameters)

    def expected(covariances):
        densities = reference.log_densities(X, problem.means, covariances, covariance_type)
        parameters = mixture.weights, problem.means, covariances
        return (resp * densities).sum() + reference.log_prior(*parameters, covariance_type, prior)

    best = expected(mixture.covariances)
    for factor in (0.99, 1.01):
        assert expected(factor * mixture.covariances) < best
        bent = mixture.covariances.copy()
        bent.flat[0] *= factor
        assert expected(bent) < best


def test_the_search_may_start_the_other_parts():
    """Fixed weights with ``init_params="auto"``: no quasi-Newton step changes their bits."""
    X = problems.overlapping(400, 2, 3).X
    weights = np.array([0.2, 0.3, 0.5])
    mixture = fastgmm.fit(
        X, 3, weights_init=weights, fixed="weights", tol=1e-7, max_iter=300, random_state=0
    )
    np.testing.assert_array_equal(mixture.weights, weights)
    assert np.diff(mixture.log_likelihoods).min() >= -1e-9
    assert mixture.search.n_candidates > 0


@pytest.mark.parametrize(
    ("fixed", "options", "error", "message"),
    [
        ("mean", {}, ValueError, "fixed must be one of weights, means, covariances but is 'mean'"),
        ([3], {}, ValueError, "fixed names component 3, but n_components is 3"),
        ([-1], {}, ValueError, "a component in fixed must be an integer of at least 0"),
        (0.5, {}, TypeError, "fixed must be names, component indices or a dict"),
        ("means", {"means_init": None}, ValueError, "none is given; pass means_init"),
        (0, {"covariance_type": "tied"}, ValueError, "with 'tied' all have the same"),
        ("means", {"on_collapse": "reset"}, ValueError, "which fixed forbids"),
    ],
)
def test_errors(fixed, options, error, message):
    problem = problem_of(options.get("covariance_type", "full"))
    with pytest.raises(error, match=message):
        fastgmm.fit(problem.X, **{**problem.start, **options}, fixed=fixed)
