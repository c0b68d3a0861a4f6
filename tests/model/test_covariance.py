"""Every method of the covariance types against the plainest formula with explicit matrices.

The types are compared with `numpy.linalg` on the matrices of all components, and with each other
where they must agree: tied and full with one component, diag and full with diagonal matrices,
spherical and diag with equal variances.
"""

import numpy as np
import pytest
import reference

from fastgmm.kernels import passes
from fastgmm.model.base import Terms
from fastgmm.model.covariance import COVARIANCE_TYPES, CovarianceType
from fastgmm.model.parameters import Parameters
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import Statistics

RTOL = 1e-12  # matrices below have condition numbers of at most about 100
SHAPES = [(1, 1), (1, 4), (3, 1), (3, 2), (4, 7)]  # (n_components, n_features)

each_type = pytest.mark.parametrize("name", reference.COVARIANCE_TYPES)
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda s: f"{s[0]}x{s[1]}")
each_dense = pytest.mark.parametrize("name", ["full", "tied"])
each_scalar = pytest.mark.parametrize("name", ["diag", "spherical"])


class Case:
    """A random mixture of one type, with its matrices from `numpy.linalg`."""

    def __init__(self, name, shape, seed=0):
        rng = np.random.default_rng([seed, *shape])
        n_components, n_features = self.shape = shape
        roots = rng.standard_normal((n_components, n_features, 2 * n_features + 2))
        full = roots @ np.swapaxes(roots, 1, 2)
        self.kind, self.name, self.rng = COVARIANCE_TYPES[name], name, rng
        self.covariances = {
            "full": full,
            "tied": full[0],
            "diag": np.einsum("kjj->kj", full).copy(),
            "spherical": full[:, 0, 0].copy(),
        }[name]
        self.weights = rng.dirichlet(np.ones(n_components))
        self.means = rng.standard_normal(shape)
        self.matrices = self.expand(self.covariances)
        self.roots = np.linalg.cholesky(self.matrices)
        self.inverse_roots = np.linalg.inv(self.roots)
        self.factors, self.log_det = self.kind.factorize(self.covariances, *shape)

    def expand(self, values):
        """Return values of the type's shape as matrices (n_components, n_features, n_features)."""
        return reference.full_covariances(values, self.name, *self.shape)

    def rows_and_resp(self):
        """Return rows (n_rows, n_features) and random responsibilities (n_rows, n_components)."""
        X = self.rng.standard_normal((60, self.shape[1])) + 0.5
        return X, self.rng.dirichlet(np.ones(self.shape[0]), size=60)

    def statistics(self, X, resp, centers):
        """Return plain sums about centers (n_components, n_features), shaped as the type's."""
        nk, s1, s2 = reference.statistics(X, resp, centers)
        return Statistics(0.0, nk, s1, self.shaped(s2))

    def shaped(self, s2):
        """Return S2 (n_components, n_features, n_features) in the shape of the type."""
        diagonals = np.einsum("kjj->kj", s2)
        return {
            "full": s2,
            "tied": s2.sum(axis=0),
            "diag": diagonals,
            "spherical": diagonals.sum(axis=1),
        }[self.name]


def assert_close(actual, expected, rtol=RTOL):
    """Compare on the scale of the largest expected entry."""
    actual, expected = np.broadcast_arrays(actual, expected)
    assert np.abs(actual - expected).max() <= rtol * np.abs(expected).max()


@each_type
@each_shape
class TestShapesAndStatistics:
    """Shapes, counts, and covariances from sums over rows."""

    def test_shape_and_n_parameters(self, name, shape):
        case = Case(name, shape)
        assert case.kind.shape(*shape) == case.covariances.shape == case.factors.shape
        means_and_weights = shape[0] * shape[1] + shape[0] - 1
        expected = reference.n_parameters(name, *shape) - means_and_weights
        assert case.kind.n_parameters(*shape) == expected

    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_moment_shape_and_second_moments(self, name, shape, dtype):
        """The kernels write S2 into a buffer of the first shape, which the second unpacks."""
        case = Case(name, shape)
        X, resp = case.rows_and_resp()
        X = X.astype(dtype)
        actual = ArraySource(X).given(case.kind, case.means, resp=resp)
        expected = case.statistics(X, resp, case.means)
        lower = np.tril if name in ("full", "tied") else np.asarray
        rtol = RTOL if dtype is np.float64 else 1e-5
        assert_close(actual.nk, expected.nk, rtol)
        assert_close(actual.s1, expected.s1, rtol)
        assert_close(lower(actual.s2), lower(expected.s2), rtol)

    def test_from_moments(self, name, shape):
        """Sums about arbitrary centers give the covariances about the new means."""
        case = Case(name, shape)
        X, resp = case.rows_and_resp()
        _, nk, s1, s2 = case.statistics(X, resp, case.means)
        delta = s1 / nk[:, None]
        actual = case.kind.from_moments(s2, nk, delta, nk)
        expected = reference.covariances_about(X, resp, case.means + delta, name, 0.0)
        assert_close(actual, expected)

    def test_from_moments_with_a_component_without_rows(self, name, shape):
        case = Case(name, (shape[0] + 1, shape[1]))
        X, resp = case.rows_and_resp()
        resp[:, -1] = 0.0
        _, nk, s1, s2 = case.statistics(X, resp, case.means)
        divisor = np.append(nk[:-1], 1.0)
        actual = case.kind.from_moments(s2, nk, s1 / divisor[:, None], divisor)
        matrices = case.expand(actual)
        expected = reference.m_step(X, resp[:, :-1], name, 0.0).covariances
        expected = reference.full_covariances(expected, name, *shape)
        assert_close(matrices[:-1], expected)
        assert np.isfinite(actual).all()

    def test_about_center(self, name, shape):
        case = Case(name, shape)
        point, whitened = case.kind.about_center(case.weights, case.means, case.factors)
        if name == "full":
            assert point is None
            assert whitened is None
            return
        center = case.weights @ case.means
        expected = np.einsum("kij,kj->ki", case.inverse_roots, case.means - center)
        np.testing.assert_allclose(point, center, rtol=RTOL, atol=1e-15)
        np.testing.assert_allclose(whitened, expected, rtol=RTOL, atol=1e-13)

    def test_to_means(self, name, shape):
        """Sums about the common center become sums about the means."""
        case = Case(name, shape)
        X, resp = case.rows_and_resp()
        own = case.statistics(X, resp, case.means)
        given = own
        if name != "full":
            center = case.weights @ case.means
            given = case.statistics(X, resp, np.tile(center, (shape[0], 1)))
        parameters = Parameters(case.weights, case.means, None, None, None)
        actual, ratio = case.kind.to_means(given, parameters)
        lower = np.tril if name in ("full", "tied") else np.asarray
        assert_close(actual.s1, own.s1, 1e-11)  # the centers cost some digits
        assert_close(lower(actual.s2), lower(own.s2))
        terms, results = (
            np.diag(s) if name == "tied" else np.asarray(s) for s in (given.s2, own.s2)
        )
        np.testing.assert_allclose(ratio, 1.0 if name == "full" else (terms / results).max(), 1e-9)


@each_type
@each_shape
class TestCovariances:
    """Conversions and changes of covariances."""

    def test_from_variances(self, name, shape):
        case = Case(name, shape)
        variances = case.rng.uniform(0.5, 2.0, shape)
        expected = {
            "full": variances,
            "tied": np.tile(variances.mean(axis=0), (shape[0], 1)),
            "diag": variances,
            "spherical": np.tile(variances.mean(axis=1)[:, None], shape[1]),
        }[name]
        actual = case.expand(case.kind.from_variances(variances))
        assert_close(actual, np.array([np.diag(row) for row in expected]))

    def test_from_precisions(self, name, shape):
        case = Case(name, shape)
        precisions = reference.precisions(case.covariances, name)
        covariances, factors, log_det = case.kind.from_precisions(precisions, *shape)
        assert_close(covariances, case.covariances)
        full = case.expand(factors)
        assert_close(np.swapaxes(full, 1, 2) @ full, case.expand(precisions))
        np.testing.assert_allclose(log_det, -0.5 * np.linalg.slogdet(case.matrices)[1], 1e-10)

    def test_from_precisions_that_are_not_positive_definite(self, name, shape):
        case = Case(name, shape)
        precisions = reference.precisions(case.covariances, name)
        bad = precisions if name == "tied" else precisions[:1]
        bad *= -1.0
        with np.errstate(invalid="ignore"):
            log_det = case.kind.from_precisions(precisions, *shape)[2]
        expected = np.arange(shape[0]) < (shape[0] if name == "tied" else 1)
        np.testing.assert_array_equal(np.isnan(log_det), expected)

    def test_variances_and_matrices(self, name, shape):
        case = Case(name, shape)
        variances = case.kind.variances(case.covariances, *shape)
        np.testing.assert_array_equal(variances, np.einsum("kjj->kj", case.matrices))
        matrices = case.kind.matrices(case.covariances, *shape)
        assert len(matrices) == (1 if name == "tied" else shape[0])
        np.testing.assert_array_equal(np.broadcast_to(matrices, case.matrices.shape), case.matrices)

    def test_square_roots(self, name, shape):
        case = Case(name, shape)
        roots = case.kind.square_roots(case.covariances, shape[1])
        assert len(roots) == len(case.kind.matrices(case.covariances, *shape))
        assert_close(roots @ np.swapaxes(roots, 1, 2), case.matrices)

    def test_add_to_diagonal(self, name, shape):
        case = Case(name, shape)
        values = case.rng.uniform(0.5, 2.0, shape[0])
        for added in (0.25, values):
            changed = case.covariances.copy()
            assert case.kind.add_to_diagonal(changed, added) is None
            each = np.broadcast_to(np.max(added) if name == "tied" else added, shape[0])
            expected = case.matrices + each[:, None, None] * np.eye(shape[1])
            np.testing.assert_array_equal(case.expand(changed), expected)

    def test_replace(self, name, shape):
        case = Case(name, shape)
        k, variances = shape[0] - 1, case.rng.uniform(0.5, 2.0, shape[1])
        changed = case.covariances.copy()
        assert case.kind.replace(changed, k, variances) is None
        expected = case.matrices.copy()
        mine = np.full(shape[1], variances.mean()) if name == "spherical" else variances
        expected[slice(None) if name == "tied" else k] = np.diag(mine)
        assert_close(case.expand(changed), expected)

    def test_select(self, name, shape):
        case, other = Case(name, shape), Case(name, shape, seed=1)
        for mask in (np.arange(shape[0]) == 0, np.ones(shape[0], bool), np.zeros(shape[0], bool)):
            old = np.full(shape[0], mask.all()) if name == "tied" else mask
            expected = np.where(old[:, None, None], case.matrices, other.matrices)
            actual = case.kind.select(mask, case.covariances, other.covariances)
            np.testing.assert_array_equal(case.expand(actual), expected)

    def test_dilute(self, name, shape):
        """scikit-learn's formulas with a number added to N; component 0 has hardly any rows."""
        case = Case(name, shape)
        X, resp = case.rows_and_resp()
        if shape[0] > 1:
            resp[:, 0] *= 1e-15
        before = reference.m_step(X, resp, name, 0.0)
        nk = resp.sum(axis=0)
        added = nk + 1e-14
        means = resp.T @ X / added[:, None]
        squares = resp.T @ X**2 / added[:, None] - means**2
        gaps = X - means[:, None, :]
        expected = {
            "full": lambda: np.einsum("ik,kij,kil->kjl", resp, gaps, gaps) / added[:, None, None],
            "tied": lambda: before.covariances,
            "diag": lambda: squares,
            "spherical": lambda: squares.mean(axis=1),
        }[name]()
        actual = case.kind.dilute(before.covariances, before.means, nk / added)
        assert_close(actual, expected, 1e-11)


@each_type
@each_shape
class TestFactors:
    """Factors, distances and bounds."""

    def test_factorize(self, name, shape):
        case = Case(name, shape)
        assert_close(case.expand(case.factors), case.inverse_roots)
        np.testing.assert_allclose(case.log_det, -0.5 * np.linalg.slogdet(case.matrices)[1], 1e-10)

    @pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
    def test_factorize_returns_nan_for_matrices_that_are_not_positive_definite(
        self, name, shape, bad
    ):
        case = Case(name, shape)
        covariances = case.covariances.copy()
        part = covariances if name == "tied" else covariances[:1]
        part *= bad
        factors, log_det = case.kind.factorize(covariances, *shape)
        expected = np.arange(shape[0]) < (shape[0] if name == "tied" else 1)
        np.testing.assert_array_equal(np.isnan(log_det), expected)
        np.testing.assert_allclose(
            case.expand(factors)[~expected], case.inverse_roots[~expected], RTOL, 1e-13
        )

    def test_pivots(self, name, shape):
        case = Case(name, shape)
        expected = np.einsum("kjj->kj", case.roots) ** 2
        assert_close(case.kind.pivots(case.factors, *shape), expected)

    def test_distances(self, name, shape):
        case = Case(name, shape)
        gaps = case.rng.standard_normal((5, *shape))
        white = np.linalg.solve(case.matrices, gaps[..., None])[..., 0]
        expected = np.sqrt(np.einsum("...j,...j", gaps, white))
        np.testing.assert_allclose(case.kind.distances(case.factors, gaps), expected, RTOL)

    @pytest.mark.parametrize("closeness", [0.0, 1e-3, 1.0])
    def test_stretch_holds_for_all_vectors(self, name, shape, closeness):
        case, other = Case(name, shape), Case(name, shape, seed=1)
        new = case.factors + closeness * (other.factors - case.factors)
        least, greatest = case.kind.stretch(case.factors, new, *shape, n_threads=1)
        x = case.rng.standard_normal((500, *shape))
        ratios = case.kind.distances(case.factors, x) / case.kind.distances(new, x)
        assert least.shape == greatest.shape == shape[:1]
        assert (least <= ratios * (1.0 + 1e-13)).all()
        assert (greatest >= ratios * (1.0 - 1e-13)).all()
        if closeness == 0.0:
            np.testing.assert_allclose([least, greatest], 1.0, rtol=1e-6)

    def test_cancellation(self, name, shape):
        case = Case(name, shape)
        deviations = np.sqrt(np.einsum("kjj->kj", case.matrices))
        absolute = np.einsum("kij,kj->ki", np.abs(case.inverse_roots), deviations)
        expected = np.linalg.norm(absolute, axis=1)
        if name in ("diag", "spherical"):  # a sum without cancellation, whatever its length
            np.testing.assert_allclose(expected, np.sqrt(shape[1]), rtol=RTOL)
            expected = np.ones(shape[0])
        actual = case.kind.cancellation(case.covariances, case.factors, *shape)
        np.testing.assert_allclose(actual, expected, RTOL)

    @pytest.mark.parametrize("about_center", [False, True])
    def test_kernel_factors(self, name, shape, about_center):
        case = Case(name, shape)
        n_components, n_features = shape
        kernels, flat = case.kind.kernel_factors(case.factors, n_components, about_center)
        one = name == "tied" and about_center
        size = {"full": n_features**2, "tied": n_features**2, "diag": n_features, "spherical": 1}
        assert flat.shape == (1 if one else n_components, size[name])
        expected = np.broadcast_to(case.factors.reshape(-1, size[name]), flat.shape)
        np.testing.assert_array_equal(flat, expected)
        far_tied = name == "tied" and not about_center
        assert kernels is (passes.FULL if far_tied else case.kind.kernels)


@each_type
@each_shape
class TestChecksAndPublicForms:
    """Checks of what the caller gives, and the forms of scikit-learn."""

    def test_are_factors(self, name, shape):
        case = Case(name, shape)
        assert case.kind.are_factors(case.factors)
        for bad in (0.0, -1.0, np.nan):
            factors = case.factors.copy()
            factors.flat[-1] *= bad
            assert not case.kind.are_factors(factors)

    def test_factor_error(self, name, shape):
        case = Case(name, shape)
        assert case.kind.factor_error(case.covariances, case.factors) < RTOL
        error = case.kind.factor_error(1.001 * case.covariances, case.factors)
        np.testing.assert_allclose(error, 1e-3, rtol=2e-3)

    def test_public_covariances(self, name, shape):
        case = Case(name, shape)
        dense = name in ("full", "tied")
        lower = np.tril if dense else np.asarray
        upper = (lambda a: np.swapaxes(np.tril(a, -1), -1, -2)) if dense else np.zeros_like
        actual = case.kind.public_covariances(lower(case.covariances))
        np.testing.assert_array_equal(actual, lower(case.covariances) + upper(case.covariances))

    def test_public_factors_and_precisions(self, name, shape):
        case = Case(name, shape)
        public = case.kind.public_factors(case.factors)
        np.testing.assert_array_equal(case.kind.public_factors(public), case.factors)
        assert public.flags.c_contiguous
        expected = reference.precisions(case.covariances, name)
        assert_close(case.kind.precisions(public), expected)
        matrices = case.expand(public)
        assert_close(matrices @ np.swapaxes(matrices, 1, 2), case.expand(expected))


@pytest.mark.parametrize("name", ["tied", "diag", "spherical"])
def test_sums_about_the_center_that_overflowed(name):
    case = Case(name, (3, 4))
    given = case.statistics(*case.rows_and_resp(), case.means)
    given = given._replace(s2=np.full_like(given.s2, np.inf))
    parameters = Parameters(case.weights, case.means, None, None, None)
    assert case.kind.to_means(given, parameters)[1] == np.inf


@each_dense
def test_asymmetry(name):
    case = Case(name, (3, 4))
    assert case.kind.asymmetry(case.covariances) == 0.0
    assert case.kind.asymmetry(np.zeros_like(case.covariances)) == 0.0
    skewed = case.covariances.copy()
    skewed[..., 2, 1] += 0.25 * np.abs(case.covariances).max()
    largest = np.abs(skewed).max(axis=(-1, -2))
    gap = np.abs(skewed - np.swapaxes(skewed, -1, -2)).max(axis=(-1, -2))
    np.testing.assert_allclose(case.kind.asymmetry(skewed), (gap / largest).max(), rtol=1e-15)


@each_scalar
def test_variances_are_never_asymmetric(name):
    case = Case(name, (3, 4))
    assert case.kind.asymmetry(case.covariances) == 0.0


@each_dense
def test_an_entry_above_the_diagonal_is_no_factor(name):
    case = Case(name, (2, 3))
    factors = case.factors.copy()
    factors[..., 0, 1] = 1e-300
    assert not case.kind.are_factors(factors)


# --- types that must agree with each other ---------------------------------------------------


EQUIVALENCES = [("tied", (1, 5)), ("diag", (4, 5)), ("spherical", (4, 5))]
each_equivalence = pytest.mark.parametrize(("name", "shape"), EQUIVALENCES)


@each_equivalence
def test_a_type_agrees_with_full(name, shape):
    """Tied with one component; diag and spherical with the diagonal matrices as full ones."""
    full = COVARIANCE_TYPES["full"]
    case, old = Case(name, shape), Case(name, shape, seed=1)
    kind, matrices = case.kind, case.matrices
    factors, log_det = full.factorize(matrices, *shape)
    gaps = case.rng.standard_normal((6, *shape))
    np.testing.assert_allclose(case.log_det, log_det, rtol=1e-13)
    for method, ours, theirs in (
        ("variances", case.covariances, matrices),
        ("pivots", case.factors, factors),
    ):
        np.testing.assert_allclose(
            getattr(kind, method)(ours, *shape), getattr(full, method)(theirs, *shape), rtol=RTOL
        )
    np.testing.assert_allclose(
        kind.distances(case.factors, gaps), full.distances(factors, gaps), rtol=RTOL
    )
    np.testing.assert_allclose(
        case.expand(kind.precisions(kind.public_factors(case.factors))),
        full.precisions(full.public_factors(factors)),
        rtol=1e-11,
        atol=1e-14,
    )
    old_factors = full.factorize(old.matrices, *shape)[0]
    ours = kind.stretch(old.factors, case.factors, *shape, n_threads=1)
    theirs = full.stretch(old_factors, factors, *shape, n_threads=1)
    values = np.linalg.svd(old_factors @ np.linalg.inv(factors), compute_uv=False)
    for least, greatest in (ours, theirs):
        assert (least <= values[:, -1] * (1.0 + 1e-12)).all()
        assert (greatest >= values[:, 0] * (1.0 - 1e-12)).all()


@each_type
@each_shape
def test_local_coordinates(name, shape):
    """They are zero at the origin, follow the formula of `P = U origin^-1`, and lead back."""
    origin, other = Case(name, shape), Case(name, shape, seed=1)
    kind, gaps = origin.kind, other.means - origin.means
    moves, shapes = kind.to_local(gaps, other.factors, origin.factors)
    expected = np.einsum("kij,kj->ki", origin.inverse_roots, gaps)
    assert_close(moves, expected, 1e-10)
    relative = other.inverse_roots @ origin.roots
    logs = np.sqrt(2.0) * np.log(np.einsum("kjj->kj", relative))[: len(shapes)]
    if name == "spherical":
        logs = logs[:, :1] * np.sqrt(shape[1])
    assert_close(shapes[:, : logs.shape[1]], logs, 1e-10)
    below = relative[(..., *np.tril_indices(shape[1], -1))][: len(shapes)]
    np.testing.assert_allclose(np.sum(shapes**2), np.sum(logs**2) + np.sum(below**2), rtol=1e-9)
    back, covariances = kind.from_local(moves, shapes, origin.factors)
    assert_close(back, gaps, 1e-10)
    assert_close(covariances, other.covariances, 1e-10)
    at_origin = kind.to_local(0.0 * gaps, origin.factors, origin.factors)
    for values in at_origin:
        np.testing.assert_allclose(values, 0.0, atol=1e-12)


@each_type
@each_shape
def test_local_coordinates_of_many_mixtures_at_once(name, shape):
    origin, *others = (Case(name, shape, seed) for seed in range(4))
    kind = origin.kind
    many = kind.to_local(
        np.stack([other.means for other in others]),
        np.stack([other.factors for other in others]),
        origin.factors,
    )
    for n, other in enumerate(others):
        one = kind.to_local(other.means, other.factors, origin.factors)
        for values, expected in zip(many, one, strict=True):
            np.testing.assert_allclose(values[n], expected, rtol=1e-13, atol=1e-13)


@each_equivalence
def test_the_m_step_agrees_with_full(name, shape):
    """Diag is full without the entries off the diagonal, spherical the mean of its diagonal."""
    case = Case(name, shape)
    X, resp = case.rows_and_resp()
    full = Case("full", shape)
    ours, theirs = (c.statistics(X, resp, case.means) for c in (case, full))
    delta = ours.s1 / ours.nk[:, None]
    actual = case.kind.from_moments(ours.s2, ours.nk, delta, ours.nk)
    expected = full.kind.from_moments(theirs.s2, ours.nk, delta, ours.nk)
    diagonals = np.einsum("kjj->kj", expected)
    expected = {"tied": expected[0], "diag": diagonals, "spherical": diagonals.mean(axis=1)}[name]
    assert_close(actual, expected)


def test_spherical_agrees_with_diag_of_equal_variances():
    case, diag = Case("spherical", (4, 5)), COVARIANCE_TYPES["diag"]
    shape, kind = case.shape, case.kind
    variances = np.tile(case.covariances[:, None], shape[1])
    factors, log_det = diag.factorize(variances, *shape)
    gaps = case.rng.standard_normal((6, *shape))
    np.testing.assert_allclose(case.log_det, log_det, rtol=1e-14)
    np.testing.assert_allclose(
        kind.distances(case.factors, gaps), diag.distances(factors, gaps), rtol=1e-14
    )
    ours, theirs = (
        k.about_center(case.weights, case.means, f)[1]
        for k, f in ((kind, case.factors), (diag, factors))
    )
    np.testing.assert_array_equal(ours, theirs)
    kept = np.linspace(0.2, 1.0, shape[0])
    np.testing.assert_allclose(
        kind.dilute(case.covariances, case.means, kept),
        diag.dilute(variances, case.means, kept).mean(axis=1),
        rtol=1e-14,
    )
    np.testing.assert_array_equal(
        case.expand(kind.square_roots(case.covariances, shape[1])[:, 0, 0]),
        diag.square_roots(variances, shape[1]),
    )


# --- some features of all ------------------------------------------------------------------------


@each_type
@pytest.mark.parametrize("shape", [(1, 4), (3, 2), (4, 7)], ids=lambda s: f"{s[0]}x{s[1]}")
class TestSomeFeatures:
    """Marginals, conditionals and completed sums against the formulas with explicit matrices."""

    def parts(self, shape):
        """Return the indices of observed and of missing features."""
        features = np.arange(shape[1])
        return features[::2], features[1::2]

    def slopes(self, case, observed, missing):
        """Return B and C of every component, from explicit inverses."""
        pairs = [
            (matrix[np.ix_(missing, observed)] @ np.linalg.inv(matrix[np.ix_(observed, observed)]))
            for matrix in case.matrices
        ]
        rest = [
            matrix[np.ix_(missing, missing)] - slope @ matrix[np.ix_(observed, missing)]
            for matrix, slope in zip(case.matrices, pairs, strict=True)
        ]
        return np.array(pairs), np.array(rest)

    def test_marginal(self, name, shape):
        case = Case(name, shape)
        observed, _ = self.parts(shape)
        actual = case.kind.marginal(case.covariances, observed)
        expected = case.matrices[:, observed[:, None], observed]
        smaller = reference.full_covariances(actual, name, shape[0], len(observed))
        np.testing.assert_array_equal(smaller, expected)

    def test_conditional(self, name, shape):
        case = Case(name, shape)
        observed, missing = self.parts(shape)
        gaps = case.rng.standard_normal((shape[0], len(observed)))
        means, covariances = case.kind.conditional(case.covariances, gaps, observed, shape[1])
        slopes, rest = self.slopes(case, observed, missing)
        assert_close(means, np.einsum("kmo,ko->km", slopes, gaps))
        smaller = reference.full_covariances(covariances, name, shape[0], len(missing))
        assert_close(smaller, rest)

    def test_complete(self, name, shape):
        """Sums of observed features give those of rows filled in, plus N C."""
        case = Case(name, shape)
        observed, missing = self.parts(shape)
        X, resp = case.rows_and_resp()
        slopes, rest = self.slopes(case, observed, missing)
        nk, s1, s2 = resp.sum(axis=0), np.zeros(shape), np.zeros(case.matrices.shape)
        for k, mean in enumerate(case.means):
            gaps = X - mean
            gaps[:, missing] = gaps[:, observed] @ slopes[k].T
            s1[k] = resp[:, k] @ gaps
            s2[k] = (resp[:, k, None] * gaps).T @ gaps
            s2[k][np.ix_(missing, missing)] += nk[k] * rest[k]
        part = ArraySource(np.ascontiguousarray(X[:, observed]))
        sums = part.given(case.kind, case.means[:, observed], resp=resp)
        actual = case.kind.complete(sums, case.covariances, observed, shape[1])
        lower = np.tril if name in ("full", "tied") else np.asarray
        np.testing.assert_array_equal(actual.nk, sums.nk)
        assert_close(actual.s1, s1)
        assert_close(lower(actual.s2), lower(case.shaped(s2)))

    def test_of_components_and_their_sum(self, name, shape):
        case = Case(name, shape)
        own = case.kind.of_components(case.covariances, *shape)
        dense = own if own.ndim == 3 else np.einsum("kj,jl->kjl", own, np.eye(shape[1]))
        np.testing.assert_array_equal(dense, case.matrices)
        assert own.shape[0] == shape[0]
        np.testing.assert_allclose(case.kind.sum_of_components(own), case.shaped(dense), 1e-14)


# --- the interface ---------------------------------------------------------------------------


@each_type
def test_two_objects_of_a_type_are_equal(name):
    """A copy that pickle makes in another process must be recognised as the same type."""
    kind = COVARIANCE_TYPES[name]
    assert type(kind)() == kind
    assert hash(type(kind)()) == hash(kind)
    assert [other for other in COVARIANCE_TYPES.values() if other == kind] == [kind]


def test_terms_begin_as_parameters_do():
    assert Terms._fields[:4] == Parameters._fields[:4]


@each_type
@each_shape
def test_sums_for_posteriors(name, shape):
    case = Case(name, shape)
    X, resp = case.rows_and_resp()
    statistics = case.statistics(X, resp, case.means)
    distances = reference.squared_distances(X, case.means, case.covariances, name)
    total = case.kind.total_distance(case.factors, statistics.s2)
    np.testing.assert_allclose(total, (resp * distances).sum(), rtol=RTOL)
    rows = statistics.nk if name != "tied" else np.float64(60.0 / shape[0])
    np.testing.assert_allclose(case.kind.rows_per_matrix(statistics.nk), rows, rtol=RTOL)
    first = case.kind.one(case.kind.public_covariances(case.covariances))
    expected = {"full": case.matrices[0], "tied": case.matrices[0]}
    expected["diag"] = case.matrices[0].diagonal()
    expected["spherical"] = case.matrices[0][0, 0]
    np.testing.assert_allclose(first, expected[name], rtol=RTOL)


def test_every_method_is_tested_here():
    """The names of all abstract methods occur in this file: a new one needs a test."""
    with open(__file__, encoding="utf-8") as file:
        text = file.read()
    untested = [name for name in CovarianceType.__abstractmethods__ if f".{name}(" not in text]
    assert sorted(set(untested) - {"moment_shape", "second_moments"}) == []
