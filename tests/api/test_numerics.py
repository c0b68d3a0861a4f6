"""Finite data give a finite, valid mixture, or an error that says why not.

The tests fit data of every kind that broke a mixture in the past, with all covariance types,
precisions and starts. They compare digits with 50-digit arithmetic, and they check that the
likelihood never falls.
"""

import itertools
import os
import re
import warnings

import numpy as np
import pytest
import reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import COVARIANCE_TYPES

import fastgmm

pytestmark = pytest.mark.filterwarnings("ignore:reg_covar is:UserWarning")

INITS = ("kmeans", "k-means++", "random", "random_from_data")
each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def clusters(n=90, d=3):
    X = np.random.default_rng(0).standard_normal((n, d))
    X[::3] += 6.0
    return X


def with_column(value):
    X = clusters()
    X[:, 1] = value
    return X


def with_outlier(value):
    X = clusters()
    X[7] = value
    return X


draw = np.random.default_rng(1)
PROBLEMS = {
    **{f"offset {offset:g}": clusters() + offset for offset in (1e4, 1e6, 1e8)},
    **{f"scale {scale:g}": clusters() * scale for scale in (1e-150, 1e-30, 1e-15, 1e15, 1e150)},
    "scales that differ by 1e12": clusters() * [1e-6, 1.0, 1e6],
    "a constant column": with_column(3.7),
    "a column of zeros": with_column(0.0),
    "a column twice": clusters()[:, [0, 1, 0]],
    "fewer rows than features": draw.standard_normal((4, 9)),
    "a plane in five dimensions": draw.standard_normal((60, 2)) @ draw.standard_normal((2, 5)),
    "rows all equal": np.full((30, 2), 1e8 / 3),
    "two distinct rows": np.repeat([[0.0, 0.0], [1.0, 3.0]], [5, 20], axis=0),
    "as many rows as components": draw.standard_normal((3, 2)),
    "one row": np.array([[1.0, -2.0]]),
    "integers": draw.integers(0, 5, (90, 2)).astype(float),
    "a row 1e6 deviations away": with_outlier(1e6),
    "a row 1e12 deviations away": with_outlier(1e12),
    "Cauchy": draw.standard_cauchy((150, 2)),
    "Cauchy cubed": draw.standard_cauchy((150, 2)) ** 3,
    "99.9% duplicates": np.repeat([[0.0, 0.0], [3.0, 4.0]], [999, 1], axis=0),
    "a point beside a cloud": np.vstack(
        [1e-9 * draw.standard_normal((40, 2)), 1e3 * draw.standard_normal((40, 2))]
    ),
    "600 orders of magnitude": np.exp(draw.uniform(-300, 300, (60, 2))),
    "the least numbers": draw.integers(0, 9, (40, 2)) * 5e-324,
    "the greatest numbers": np.array([[1.7e308, 0.0], [-1.7e308, 1.0], [0.0, 1.7e308]]),
}
SENTENCES = r"(singular|collapsed|too large|not finite)[\s\S]*(reg_covar|[Ss]cale X|scale it|fewer)"


def attempt(X, n_components, **options):
    """Fit and return a valid mixture, or None if an error said why there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastgmm.ConvergenceWarning)
        try:
            mixture = fastgmm.fit(X, n_components, **options)
        except ValueError as error:
            if not re.search(SENTENCES, str(error)):
                raise
            return None
    assert_valid(mixture, X)
    return mixture


def assert_valid(mixture, X):
    for name in ("weights", "means", "covariances", "precisions_cholesky", "log_likelihoods"):
        assert np.isfinite(getattr(mixture, name)).all(), name
    assert abs(mixture.weights.sum() - 1.0) <= 4 * np.spacing(1.0)
    assert (mixture.weights >= 0).all()
    if mixture.covariance_type in ("full", "tied"):
        matrices = mixture.covariances
        assert (matrices == np.swapaxes(matrices, -1, -2)).all()
        # Positive definite: the factor of the inverse exists and has a positive diagonal.
        assert (np.einsum("...jj->...j", mixture.precisions_cholesky) > 0).all()
        assert (np.einsum("...jj->...j", matrices) > 0).all()
    else:
        assert (mixture.covariances > 0).all()
    resp = mixture.predict_proba(X)
    eps = np.finfo(X.dtype).eps
    rows = resp.sum(axis=1, dtype=np.float64)
    np.testing.assert_allclose(rows, 1.0, rtol=0.0, atol=4 * eps * mixture.n_components)
    assert (resp >= 0).all()
    # A log-density may be minus infinity, but neither NaN nor infinity.
    assert (mixture.score_samples(X) < np.inf).all()


@each_type
@each_dtype
@pytest.mark.parametrize("name", PROBLEMS)
def test_finite_data(name, dtype, covariance_type):
    with np.errstate(over="ignore", under="ignore"):
        X = PROBLEMS[name].astype(dtype)
    if not np.isfinite(X).all():
        pytest.skip("not finite in single precision")
    n_components = len(X) if len(X) < 10 else 5
    fitted = 0
    for init_params, on_collapse in itertools.product(INITS, ("regularize", "reset")):
        options = {
            "covariance_type": covariance_type,
            "init_params": init_params,
            "on_collapse": on_collapse,
            "random_state": 0,
            "max_iter": 20,
        }
        fitted += attempt(X, n_components, **options) is not None
        attempt(X, min(3, len(X)), reg_covar=0.0, **options)
    limits = ("the greatest", "600 orders") if dtype is np.float64 else ("scale 1e+15", "Cauchy c")
    assert fitted or name.startswith((*limits, "the greatest", "600 orders"))


@pytest.mark.parametrize("n_components", [1, 2, 5, 17, 39, 40])
@each_type
def test_from_one_component_to_as_many_as_rows(n_components, covariance_type):
    X = clusters(40, 2)
    for init_params in INITS:
        options = {"covariance_type": covariance_type, "init_params": init_params}
        assert attempt(X, n_components, random_state=0, **options) is not None


# --- weights


@each_type
@each_dtype
@pytest.mark.parametrize("scale", [1e-300, 1e-42, 1e37, 1e300])
def test_weights_of_any_size(scale, dtype, covariance_type, assert_close):
    """Weights above 1e37 or below 1e-42 are no float32 numbers and must be scaled."""
    X = clusters().astype(dtype)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    options = {"covariance_type": covariance_type, "random_state": 0}
    plain = fastgmm.fit(X, 2, sample_weight=weight, **options)
    scaled = fastgmm.fit(X, 2, sample_weight=weight * scale, **options)
    assert_close(scaled.means, plain.means, 1e-6)
    assert_close(scaled.covariances, plain.covariances, 1e-5)
    assert_valid(scaled, X)


@each_type
@each_dtype
def test_weights_that_span_600_orders(dtype, covariance_type):
    X = clusters().astype(dtype)
    weight = 10.0 ** np.random.default_rng(0).uniform(-300, 300, len(X))
    weight[::10] = 0.0
    for init_params in INITS:
        options = {"covariance_type": covariance_type, "init_params": init_params}
        attempt(X, 2, sample_weight=weight, random_state=0, **options)


@each_type
@each_dtype
def test_heavy_rows_beside_far_ones_of_next_to_no_weight(dtype, covariance_type):
    """Sums of squares about one center for all components must not overflow float32."""
    X = np.random.default_rng(0).standard_normal((8, 5)).astype(dtype)
    X[3:] *= 1e14
    weight = np.array([1.0, 6.8e14, 1e3, 1e-12, 1e-3, 1e-11, 1e-3, 4.0])
    for init_params in INITS:
        options = {"covariance_type": covariance_type, "init_params": init_params}
        attempt(X, 1, sample_weight=weight, random_state=0, max_iter=3, **options)


@pytest.mark.parametrize(
    ("seed", "covariance_type", "start"),
    [(862, "spherical", "k-means++"), (3906, "diag", "k-means++")],
)
def test_components_narrower_than_single_precision_can_say(seed, covariance_type, start):
    """Weights 60 orders apart give variances whose inverse roots exceed float32."""
    rng = np.random.default_rng(seed)
    for n_features in range(1, 7):
        scale = 10.0 ** rng.uniform(-3, 4, n_features)
        X = (rng.integers(-3, 4, (12, n_features)) * scale).astype(np.float32)
        for _ in range(40):
            weight = 10.0 ** rng.uniform(-30, 30, 12)
            options = {"covariance_type": covariance_type, "init_params": start, "max_iter": 3}
            attempt(X, 3, sample_weight=weight, reg_covar=0.0, random_state=0, **options)


@each_type
def test_components_that_starve(covariance_type):
    """Some means are so far away that no row belongs to them."""
    X = clusters(60, 2)
    means = np.vstack([X[:1], np.full((4, 2), 1e9)])
    for on_collapse in ("regularize", "reset"):
        options = {"covariance_type": covariance_type, "on_collapse": on_collapse}
        assert attempt(X, 5, means_init=means, random_state=0, **options) is not None


# --- digits


@pytest.mark.parametrize("offset", [1e4, 1e6, 1e8])
@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_digits_far_from_the_origin(offset, covariance_type):
    """The covariance must be as precise as the data, which have 16 digits with the offset."""
    X = clusters() + offset
    mean, covariance = reference.exact_covariance(X)
    model = fastgmm.fit(X, 1, covariance_type=covariance_type, reg_covar=0.0)
    np.testing.assert_allclose(model.means[0], mean, rtol=1e-15)
    found = model.covariances if covariance_type == "tied" else model.covariances[0]
    scales = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    assert np.max(np.abs(found - covariance) / scales) < 1e-13 * max(1.0, offset / 1e4)
    exact = [reference.exact_log_density(x, model.means[0], found)[0] for x in X[:20]]
    np.testing.assert_allclose(model.score_samples(X[:20]), exact, rtol=1e-12, atol=1e-12)


@each_type
def test_single_precision_at_a_thousand_deviations(covariance_type):
    X = (clusters(300) + 1e3).astype(np.float32)
    _, covariance = reference.exact_covariance(X)
    model = fastgmm.fit(X, 1, covariance_type=covariance_type, reg_covar=0.0)
    matrix = reference.full_covariances(model.covariances, covariance_type, 1, 3)[0]
    assert np.linalg.eigvalsh(matrix)[0] > 0.0
    expected = np.trace(covariance)
    np.testing.assert_allclose(np.trace(matrix), expected, rtol=1e-6)


@pytest.mark.parametrize("condition", [1e4, 1e8, 1e12, 1e14])
@pytest.mark.parametrize("n_features", [2, 5, 16])
def test_log_densities_of_ill_conditioned_covariances(condition, n_features):
    """The error is at most that of a backward-stable Cholesky factorisation.

    The computed factor is that of a matrix which differs by a factor of 1 + n eps. This changes
    the squared distance by the condition number times n eps, and the log-determinant by n times
    as much.
    """
    rng = np.random.default_rng(n_features)
    basis = np.linalg.qr(rng.standard_normal((n_features, n_features)))[0]
    values = np.geomspace(1.0, 1.0 / condition, n_features)
    covariance = (basis * values) @ basis.T
    covariance = (covariance + covariance.T) / 2
    mean = rng.standard_normal(n_features)
    X = mean + (rng.standard_normal((30, n_features)) * np.sqrt(values)) @ basis.T
    model = fastgmm.Mixture.from_parameters([1.0], [mean], [covariance])
    found = model.score_samples(X)
    for x, value in zip(X, found, strict=True):
        exact, maha2 = reference.exact_log_density(x, mean, covariance)
        allowed = 4 * n_features * condition * np.spacing(1.0) * (maha2 + n_features)
        assert abs(value - exact) <= allowed + 1e-13 * abs(exact)


# --- the likelihood never falls


def random_problem(seed):
    """Return random data and random options of a fit."""
    rng = np.random.default_rng(seed)
    n, d, k = rng.integers(20, 400), rng.integers(1, 7), rng.integers(1, 7)
    centers = rng.standard_normal((k, d)) * rng.choice([0.5, 3.0, 30.0])
    X = centers[rng.integers(k, size=n)] + rng.standard_normal((n, d))
    X = X @ rng.standard_normal((d, d)) * 10.0 ** rng.integers(-3, 4) + rng.choice([0.0, 100.0])
    return X, {
        "n_components": int(k),
        "covariance_type": str(rng.choice(COVARIANCE_TYPES)),
        "init_params": str(rng.choice(INITS)),
        "sample_weight": rng.uniform(0.0, 2.0, n) if rng.random() < 0.3 else None,
        "reg_covar": float(10.0 ** rng.integers(-12, -5) * X.var()),
        "random_state": int(rng.integers(2**31)),
    }


def worst_fall(X, options):
    """Return the greatest fall of the log-likelihood in an iteration, and its scale.

    The M-step adds `reg_covar` to the best covariances, so the likelihood may fall by as much as
    the trace of the precisions times `reg_covar` changes.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastgmm.ConvergenceWarning)
        trace = fastgmm.fit(X, tol=0.0, max_iter=40, **options).log_likelihoods
    return np.max(trace[:-1] - trace[1:], initial=0.0), np.max(np.abs(trace))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_likelihood_never_falls(dtype):
    """In 200 random problems it falls by no more than rounding and the effect of `reg_covar`."""
    for seed in range(200):
        X, options = random_problem(seed)
        X = X.astype(dtype)
        if dtype is np.float32:  # narrower components would magnify its rounding
            options["reg_covar"] = max(options["reg_covar"], 1e-6 * float(X.var()))
        fall, size = worst_fall(X, options)
        assert fall <= (1e-9 if dtype is np.float64 else 1e-4) * max(1.0, size), (seed, fall)


# --- drawn problems


@st.composite
def drawn_fits(draw):
    """Draw data of odd shapes, scales, offsets and repetitions, and options of a fit."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, d = draw(st.integers(1, 60)), draw(st.integers(1, 6))
    kind = draw(st.sampled_from(["normal", "Cauchy", "integers", "lognormal", "few rows"]))
    X = {
        "normal": lambda: rng.standard_normal((n, d)),
        "Cauchy": lambda: rng.standard_cauchy((n, d)),
        "integers": lambda: rng.integers(-3, 4, (n, d)).astype(float),
        "lognormal": lambda: np.exp(8.0 * rng.standard_normal((n, d))),
        "few rows": lambda: rng.standard_normal((3, d))[rng.integers(3, size=n)],
    }[kind]()
    if draw(st.booleans()):
        X[:, rng.integers(d)] = X[:, 0]
    X = X * 10.0 ** rng.uniform(-6, 6, d) * 10.0 ** draw(st.integers(-30, 30))
    X = X + draw(st.sampled_from([0.0, 1.0, 1e6])) * np.abs(X).max()
    weight = None
    if draw(st.booleans()):
        weight = 10.0 ** rng.uniform(-30, 30, n) * (rng.random(n) < 0.8)
        weight[0] = 1.0
    positive = n if weight is None else np.count_nonzero(weight)
    options = {
        "covariance_type": draw(st.sampled_from(COVARIANCE_TYPES)),
        "init_params": draw(st.sampled_from(INITS)),
        "on_collapse": draw(st.sampled_from(["regularize", "reset", "raise"])),
        "reg_covar": draw(st.sampled_from([0.0, 1e-6, 1e-30, 1e6])),
        "max_iter": draw(st.integers(0, 15)),
        "sample_weight": weight,
        "random_state": draw(st.integers(0, 100)),
    }
    dtype = draw(st.sampled_from([np.float64, np.float32]))
    with np.errstate(over="ignore", under="ignore"):
        X = X.astype(dtype)
    return X, draw(st.integers(1, min(positive, 8))), options


# HYPOTHESIS_EXAMPLES sets a larger number of examples, which then differ in every run.
EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "0"))


@settings(
    max_examples=EXAMPLES or 250,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(drawn_fits())
def test_drawn_problems(problem):
    X, n_components, options = problem
    if not np.isfinite(X).all():
        with pytest.raises(ValueError, match="NaN or infinite"):
            fastgmm.fit(X, n_components, **options)
        return
    attempt(X, n_components, **options)
