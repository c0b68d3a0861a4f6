"""The kernels' shortcuts do not change the results.

The library has three shortcuts. It drops responsibilities below exp(-44) times the component's
weight (exp(-24) in single precision) from the M-step. It gathers the remaining rows if they are
few. It takes the moments of tied, diagonal and spherical components about one common point if the
components are close enough. The tests compare it with dense EM without shortcuts: where nearly
all responsibilities are zero, where none is zero, where they decay slowly, and where each
decision is on its threshold.

Each difference is measured relative to a natural scale: that of a weight relative to the weight,
that of a mean relative to the component's standard deviation in that feature (or to the mean, if
that is larger), and that of a covariance of two features relative to the product of their
standard deviations. The variances of all starts are powers of two, or have inverses exact to a
few ulp, so that both sides start from the same numbers.
"""

import numpy as np
import problems
import pytest
import reference
from problems import Problem
from reference import COVARIANCE_TYPES

import fastgmm
from fastgmm import Mixture
from fastgmm.em.loop import em_step
from fastgmm.em.models import MaximumLikelihood
from fastgmm.kernels.tiles import NATS
from fastgmm.model.covariance import COVARIANCE_TYPES as KINDS
from fastgmm.sources.array import ArraySource
from fastgmm.sources.operands import make_operands

RTOL = {np.float64: 1e-12, np.float32: 1e-5}

# (n_samples, n_features, n_components): all ways to sum moments, all remainders of the blocks of
# features and components, and tiles that are full, partly filled, and longer than a panel.
SHAPES = [
    (500, 1, 1),
    (1103, 1, 9),
    (997, 2, 2),
    (700, 2, 7),
    (613, 3, 3),
    (509, 5, 4),
    (512, 5, 9),
    (600, 7, 8),
    (700, 10, 7),
    (481, 11, 5),
    (400, 16, 4),
    (509, 17, 6),
    (401, 24, 5),
    (397, 25, 4),
    (403, 33, 5),
    (450, 64, 2),
]
FEW_SHAPES = [(1103, 1, 9), (700, 2, 7), (512, 5, 4), (401, 10, 5), (397, 17, 3), (450, 33, 2)]
LONG = np.longdouble


def cases(shapes, single):
    """Parametrise over `shapes` in double precision and over `single` in single precision."""
    return pytest.mark.parametrize(
        ("shape", "dtype"),
        [
            pytest.param(shape, dtype, id="x".join(map(str, shape)) + "-" + dtype.__name__)
            for dtype, some in ((np.float64, shapes), (np.float32, single))
            for shape in some
        ],
    )


each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
each_case = cases(SHAPES, FEW_SHAPES)
few_cases = cases(FEW_SHAPES, FEW_SHAPES[::2])
double_cases = cases(FEW_SHAPES, ())
NEAR_COMMON = ("tied", "diag", "spherical")  # types that can take moments about one center
long_double = pytest.mark.skipif(
    np.finfo(LONG).eps > 1e-18, reason="no floating point numbers longer than double"
)


def shaped(variances, covariance_type):
    """Axis-aligned covariances in the shape of their type from variances (K, d).

    If the variances are powers of two, precisions and covariances are both exact.
    """
    return {
        "full": variances[:, :, None] * np.eye(variances.shape[1]),
        "tied": np.diag(variances[0]),
        "diag": variances,
        "spherical": variances[:, 0].copy(),
    }[covariance_type]


def assert_same_parameters(actual, expected, covariance_type, rtol):
    shape = expected.means.shape
    ours, theirs = (
        reference.full_covariances(p.covariances, covariance_type, *shape)
        for p in (actual, expected)
    )
    deviations = np.sqrt(np.einsum("kjj->kj", theirs))
    scales = deviations[:, :, None] * deviations[:, None, :]
    for name, error in (
        ("weights", np.abs(actual.weights - expected.weights) / expected.weights),
        (
            "means",
            np.abs(actual.means - expected.means) / np.maximum(np.abs(expected.means), deviations),
        ),
        ("covariances", np.abs(ours - theirs) / scales),
    ):
        assert error.max() <= rtol, f"{name} differ by {error.max():.1e}"


def assert_same_fit(problem, dtype, max_iter=4, sample_weight=None, rtol=None, **options):
    """Run the library and dense EM from the same start and compare all results."""
    rtol = rtol or RTOL[dtype]
    X = problem.X.astype(dtype)
    options |= {"tol": 0.0, "max_iter": max_iter, "sample_weight": sample_weight}
    with pytest.warns(fastgmm.ConvergenceWarning):
        ours = fastgmm.fit(X, **problem.start, **options)
    theirs = reference.em(X, *problem.parameters, **options)
    assert_same_parameters(ours, theirs, problem.covariance_type, rtol)
    np.testing.assert_allclose(ours.log_likelihoods, theirs.log_likelihoods, rtol=rtol, atol=rtol)


def long_log_joint(X, weights, means, covariances, covariance_type):
    """`reference.log_joint` in long double, which NumPy's linear algebra does not support."""
    n_components, n_features = means.shape
    matrices = reference.full_covariances(covariances, covariance_type, n_components, n_features)
    result = np.empty((len(X), n_components), LONG)
    for k in range(n_components):
        matrix = matrices[k].astype(LONG)
        root = np.zeros_like(matrix)
        gaps = (X - means[k]).T
        white = np.zeros_like(gaps)
        for j in range(n_features):  # a row of the Cholesky factor, and the system it solves
            for l in range(j):
                root[j, l] = (matrix[j, l] - root[j, :l] @ root[l, :l]) / root[l, l]
            root[j, j] = np.sqrt(matrix[j, j] - root[j, :j] @ root[j, :j])
            white[j] = (gaps[j] - root[j, :j] @ white[:j]) / root[j, j]
        log_det = 2.0 * np.log(np.diag(root)).sum()
        maha2 = (white * white).sum(axis=0)
        log_density = -0.5 * (n_features * np.log(8.0 * np.arctan(LONG(1.0))) + log_det + maha2)
        result[:, k] = np.log(weights[k]) + log_density
    return result


def long_statistics(X, parameters, covariance_type):
    """Log-likelihood, N, S1, S2 about the means in the library's shapes, and diagonals of S2."""
    X = X.astype(LONG)
    weights, means, covariances = parameters
    joint = long_log_joint(
        X, weights.astype(LONG), means.astype(LONG), covariances, covariance_type
    )
    norm = np.logaddexp.reduce(joint, axis=1)
    resp = np.exp(joint - norm[:, None])
    gaps = X - means.astype(LONG)[:, None, :]  # (n_components, n_samples, n_features)
    first = np.einsum("ik,kij->kj", resp, gaps)
    squares = second = np.einsum("ik,kij->kj", resp, gaps * gaps)
    if covariance_type in ("full", "tied"):
        second = np.array([(resp[:, k] * g.T) @ g for k, g in enumerate(gaps)])
    if covariance_type == "tied":
        second = second.sum(axis=0)
    if covariance_type == "spherical":
        second = second.sum(axis=1)
    return norm.sum(), resp.sum(axis=0), first, second, squares


def assert_same_sums(X, parameters, covariance_type, rtol):
    """Compare one pass of the library with dense long-double sums about the same means."""
    model = Mixture.from_parameters(*parameters, covariance_type)
    likelihood = MaximumLikelihood(KINDS[covariance_type])
    ours, _ = em_step(ArraySource(X), likelihood, model._parameters)
    log_likelihood, nk, first, second, squares = long_statistics(X, parameters, covariance_type)
    second_error = np.abs(ours.s2 - second)
    if covariance_type in ("full", "tied"):
        diagonals = np.einsum("...jj->...j", second)
        second_error /= np.sqrt(diagonals[..., :, None] * diagonals[..., None, :])
        second_error = np.tril(second_error)
    else:
        second_error /= second
    for name, error in (
        ("log-likelihoods", abs(ours.log_likelihood / log_likelihood - 1.0)),
        ("N", np.abs(ours.nk / nk - 1.0)),
        ("S1", np.abs(ours.s1 - first) / np.sqrt(squares * nk[:, None])),
        ("S2", second_error),
    ):
        assert np.max(error) <= rtol, f"{name} differ by {np.max(error):.1e}"


# --- many and few negligible responsibilities ---------------------------------------------------


@each_type
@each_case
@pytest.mark.parametrize("kind", [problems.overlapping, problems.separated])
def test_overlapping_and_separated_components(kind, shape, dtype, covariance_type):
    assert_same_fit(kind(*shape, covariance_type), dtype)


@each_type
@few_cases
def test_rows_of_very_different_weight(shape, dtype, covariance_type):
    """Whether a responsibility is negligible does not depend on the weight of the row."""
    problem = problems.separated(*shape, covariance_type)
    rng = np.random.default_rng(0)
    sample_weight = rng.uniform(0.5, 2.0, len(problem.X))
    sample_weight[::5] *= 10.0 ** rng.uniform(-12.0, 0.0, len(sample_weight[::5]))
    sample_weight[rng.random(len(problem.X)) < 0.1] = 0.0
    assert_same_fit(problem, dtype, sample_weight=sample_weight)


def heavy_tailed(n_samples, n_features, n_components, covariance_type, freedom):
    """Clusters of Student's t, with distant rows that belong to several components."""
    rng = np.random.default_rng([n_samples, n_features, n_components])
    centers = 4.0 * rng.standard_normal((n_components, n_features))
    labels = rng.integers(n_components, size=n_samples)
    radius = np.sqrt(freedom / rng.chisquare(freedom, n_samples))
    X = centers[labels] + radius[:, None] * rng.standard_normal((n_samples, n_features))
    means = centers + 0.5 * rng.standard_normal(centers.shape)
    weights = np.full(n_components, 1.0 / n_components)
    covariances = shaped(np.full(centers.shape, 4.0), covariance_type)
    return Problem(X, weights, means, covariances, covariance_type)


@each_type
@each_case
def test_heavy_tails(shape, dtype, covariance_type):
    """Student's t with two degrees of freedom, whose variance is infinite."""
    assert_same_fit(heavy_tailed(*shape, covariance_type, freedom=2.0), dtype)


@long_double
@each_type
@few_cases
def test_the_sums_over_cauchy_tails(shape, dtype, covariance_type):
    """Rows thousands of standard deviations away, under parameters that EM reaches.

    The plain reference loses up to seven digits of log-densities as low as -1e7, so sums are
    compared in long double. Each pass is compared on its own, because covariances whose
    eigenvalues differ by a factor of 1e10 amplify the rounding of one iteration to more than
    1e-12 in the next. In single precision a distance of 1e4 from exact differences has a relative
    error of up to a thousandth.
    """
    problem = heavy_tailed(*shape, covariance_type, freedom=1.0)
    X = problem.X.astype(dtype)
    parameters = problem.parameters[:3]
    for _ in range(3):
        assert_same_sums(X, parameters, covariance_type, {np.float32: 1e-3}.get(dtype, 1e-12))
        resp = reference.responsibilities(X, *parameters, covariance_type)
        parameters = reference.m_step(X, resp, covariance_type, reg_covar=0.25)


# --- responsibilities at the threshold -------------------------------------------------------


def unit_problem(X, means, covariance_type, weights=None, variance=1.0):
    """A start from spherical components of equal variance, a power of two."""
    n_components = len(means)
    if weights is None:
        weights = np.full(n_components, 1.0 / n_components)
    covariances = shaped(np.full(means.shape, variance), covariance_type)
    return Problem(X, weights, means, covariances, covariance_type)


def on_the_threshold(shape, covariance_type, weight, stride, dtype=np.float64):
    """In every `stride`-th row, component 0 has the responsibility exp(-44) times its weight.

    All other components have the same mean. The log-odds of these against component 0 grow by
    `distance` per unit of the first feature, so the value where they are 44 (24 in single
    precision) is known. The rows lie around it in steps of one ulp.
    """
    n_samples, n_features, n_components = shape
    rng = np.random.default_rng(0)
    distance = 16.0
    means = np.zeros((n_components, n_features))
    means[1:, 0] = distance
    X = rng.standard_normal((n_samples, n_features))
    X[1::3, 0] += distance
    nats = NATS[np.dtype(dtype).itemsize]
    place = dtype((nats - np.log(1.0 - weight)) / distance + distance / 2.0)
    steps = rng.permutation(len(X[::stride]))
    X[::stride, 0] = place + (steps - len(steps) // 2) * np.spacing(place)
    weights = np.full(n_components, (1.0 - weight) / (n_components - 1))
    weights[0] = weight
    problem = unit_problem(X, means, covariance_type, weights)
    resp = reference.responsibilities(X, *problem.parameters)
    ratio = resp[::stride, 0] / (weight * np.exp(-nats))
    assert np.abs(ratio - 1.0).max() < distance * len(steps) * np.spacing(place)
    assert ratio.min() < 1.0 < ratio.max()
    return problem


@each_type
@pytest.mark.parametrize("shape", SHAPES[1:], ids=lambda s: "x".join(map(str, s)))
@pytest.mark.parametrize("weight", [0.5, 1e-12])
def test_rows_on_the_threshold(weight, shape, covariance_type):
    assert_same_fit(on_the_threshold(shape, covariance_type, weight, stride=3), np.float64)


@each_type
@pytest.mark.parametrize("shape", FEW_SHAPES, ids=lambda s: "x".join(map(str, s)))
def test_rows_on_the_threshold_in_single_precision(shape, covariance_type):
    problem = on_the_threshold(shape, covariance_type, 0.5, 3, np.float32)
    assert_same_fit(problem, np.float32)


@long_double
@each_type
@double_cases
def test_a_component_with_all_its_rows_on_the_threshold(shape, dtype, covariance_type):
    """All its responsibilities are tiny, but they determine its new parameters.

    Sums are compared, because the mean moves by many of the new standard deviations. The library
    subtracts the square of this move, and dense EM does not.
    """
    problem = on_the_threshold(shape, covariance_type, 0.5, stride=1)
    assert_same_sums(problem.X, problem.parameters[:3], covariance_type, 1e-12)


@each_type
def test_a_component_that_loses_nearly_all_its_spread(covariance_type):
    """Rows on the threshold are negligible relative to its old variance, but not to the new one."""
    problem = on_the_threshold((1200, 3, 2), covariance_type, 0.5, stride=3)
    problem.X[2::3] *= 1e-6
    assert_same_fit(problem, np.float64, max_iter=1, reg_covar=0.0)


@long_double
@each_type
@pytest.mark.parametrize("distance", [8.0, 10.0, 12.0, 15.0, 30.0])
def test_a_start_far_from_all_rows(distance, covariance_type):
    """EM brings such a component back within some tens of iterations."""
    X = np.random.default_rng(0).standard_normal((500, 2))
    means = np.array([[0.0, 0.0], [distance, 0.0]])
    problem = unit_problem(X, means, covariance_type)
    assert_same_sums(X, problem.parameters[:3], covariance_type, 1e-12)


@each_type
@few_cases
def test_a_component_of_next_to_no_weight(shape, dtype, covariance_type):
    """A responsibility is negligible only relative to the component's own weight.

    The component falls onto the few rows that fit it best. They are far away from the others and
    about 1e-4 standard deviations apart, where variances have three digits in single precision
    and twelve in double. The order of addition changes the worst case by up to 1.5e-12.
    """
    problem = problems.overlapping(*shape, covariance_type)
    weights = problem.weights.copy()
    weights[-1] = 1e-12
    problem = problem._replace(weights=weights / weights.sum())
    if dtype is np.float64:
        assert_same_fit(problem, dtype, rtol=3e-12)
    else:
        assert_same_fit(problem, dtype, max_iter=1, rtol=1e-3)


@each_type
@few_cases
@pytest.mark.parametrize("distance", [20.0, 1000.0])
def test_a_component_of_one_row(distance, shape, dtype, covariance_type):
    """Its covariance is `reg_covar` alone."""
    X = np.random.default_rng(0).standard_normal(shape[:2])
    X[0] = distance
    assert_same_fit(unit_problem(X, X[: shape[2]].astype(dtype), covariance_type), dtype)


# --- moments about a common center -------------------------------------------------------------


def in_a_row(shape, covariance_type, distance, deviation=1.0, offset=0.25):
    """Clusters `distance` apart in every feature, with unit components near their centers."""
    n_samples, n_features, n_components = shape
    rng = np.random.default_rng(0)
    X = deviation * rng.standard_normal((n_samples, n_features))
    X += distance * (np.arange(n_samples) % n_components)[:, None]
    means = np.tile(distance * np.arange(n_components)[:, None], n_features)
    means = means + offset * rng.choice([-1.0, 1.0], size=means.shape)
    return unit_problem(X, means, covariance_type)


def takes_common_center(problem, dtype):
    model = Mixture.from_parameters(*problem.parameters)
    kind = KINDS[problem.covariance_type]
    terms = MaximumLikelihood(kind).terms(model._parameters)
    return make_operands(kind, terms, np.dtype(dtype))[1].about_center


@each_type
@few_cases
@pytest.mark.parametrize("distance", [2.0, 1e3, 1e4, 1e5, 1e6])
def test_components_side_by_side_and_far_apart(distance, shape, dtype, covariance_type):
    problem = in_a_row(shape, covariance_type, distance)
    near = distance == 2.0 and covariance_type in NEAR_COMMON
    assert takes_common_center(problem, dtype) == near
    assert_same_fit(problem, dtype)


@long_double
@each_type
@pytest.mark.parametrize(
    ("distance", "dtype"),
    [(10.0, np.float64), (50.0, np.float64), (4.0, np.float32), (16.0, np.float32)],
)
def test_the_sums_of_two_components(distance, dtype, covariance_type):
    """About the point between them, the square of half their distance cancels."""
    problem = in_a_row((4001, 8, 2), covariance_type, distance)
    assert takes_common_center(problem, dtype) == (covariance_type in NEAR_COMMON)
    X = problem.X.astype(dtype)
    assert_same_sums(X, problem.parameters[:3], covariance_type, RTOL[dtype])


@long_double
@pytest.mark.parametrize("covariance_type", ["full", *NEAR_COMMON])
def test_the_sums_of_two_components_on_the_verge(covariance_type):
    """Two components at the greatest distance for which a common center is used."""
    problem = in_a_row((4001, 8, 2), covariance_type, 58.0)
    assert_same_sums(problem.X, problem.parameters[:3], covariance_type, 1e-12)


@long_double
@each_type
@double_cases
@pytest.mark.parametrize("deviation", [0.03, 0.001])
def test_components_that_shrink(deviation, shape, dtype, covariance_type):
    """Broad components shrink in one iteration, so that moments about another point cancel."""
    problem = in_a_row(shape, covariance_type, 16.0, deviation, offset=0.0)
    assert_same_sums(problem.X, problem.parameters[:3], covariance_type, 1e-12)


@each_type
@few_cases
def test_components_that_shrink_end_up_the_same(shape, dtype, covariance_type):
    """Later iterations remove the rounding errors of an earlier one."""
    problem = in_a_row(shape, covariance_type, 16.0, deviation=0.03, offset=0.25)
    X = problem.X.astype(dtype)
    with pytest.warns(fastgmm.ConvergenceWarning):
        ours = fastgmm.fit(X, **problem.start, tol=0.0, max_iter=4)
    theirs = reference.em(X, *problem.parameters, tol=0.0, max_iter=4)
    assert_same_parameters(ours, theirs, covariance_type, RTOL[dtype])
