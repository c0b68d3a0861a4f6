"""float32 rows whose covariances are singular but for rounding give what float64 rows give.

The rows of both fits are the same float32 numbers. Scores are compared relative to their size, or
per nat if they are smaller: 2e-6 are a few tens of float32's roundings.
"""

import itertools

import numpy as np
import pytest
import reference

import fastgmm
from fastgmm.em.loop import em_step
from fastgmm.em.models import MaximumLikelihood
from fastgmm.kernels.types import Data
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.model.parameters import Parameters
from fastgmm.sources.array import ArraySource
from fastgmm.sources.double import DoubleRows, blocks_of
from fastgmm.sources.precision import needs_double

each_type = pytest.mark.parametrize("covariance_type", reference.COVARIANCE_TYPES)


def wide(rng):
    return rng.normal(size=(60, 130))


def dependent(rng):
    A = rng.normal(size=(1000, 5))
    return np.c_[A, A @ rng.normal(size=(5, 3))]


def dependent_and_far(rng):
    return 30 * dependent(rng) + 1000


def repeated(rng):
    A = rng.normal(size=(1000, 5))
    return np.c_[A, A[:, 0]]


def shares(rng):
    return 100 * rng.dirichlet(np.full(6, 3.0), size=2000)


def line(rng):
    return rng.normal(size=(500, 1)) @ rng.normal(size=(1, 6))


def constant(rng):
    return np.c_[rng.normal(size=(700, 4)), np.full(700, 7.3)]


@each_type
@pytest.mark.parametrize("n_components", [1, 3])
@pytest.mark.parametrize(
    "rows", [wide, dependent, dependent_and_far, repeated, shares, line, constant]
)
def test_float32_ends_where_float64_does(rows, n_components, covariance_type):
    X = rows(np.random.default_rng(0)).astype(np.float32)
    fits, traces = [], []
    for values in (X, X.astype(np.float64)):
        trace = []
        options = {"covariance_type": covariance_type, "init_params": "kmeans", "random_state": 0}
        fits.append(
            fastgmm.fit(
                values, n_components, callback=lambda _, ll, t=trace: t.append(ll), **options
            )
        )
        traces.append(trace)
    single, exact = fits
    expected = exact.score(X.astype(np.float64))
    scale = max(1.0, abs(expected))
    assert single.converged
    assert len(traces[0]) == len(traces[1])
    assert all(b - a > -1e-6 * scale for a, b in itertools.pairwise(traces[0]))
    assert abs(single.score(X.astype(np.float64)) - expected) < 2e-6 * scale
    assert abs(single.score(X) - expected) < 2e-6 * scale
    np.testing.assert_allclose(
        single.predict_proba(X), exact.predict_proba(X.astype(np.float64)), atol=2e-4
    )


@pytest.mark.parametrize("init_params", ["k-means++", "random", "random_from_data"])
def test_every_start(init_params):
    """Also where a start is well-conditioned and the first M-step is not."""
    X = shares(np.random.default_rng(1)).astype(np.float32)
    trace = []
    fastgmm.fit(
        X, 2, init_params=init_params, random_state=0, callback=lambda _, ll: trace.append(ll)
    )
    assert np.diff(trace).min() > -1e-6 * abs(trace[-1])


def start_of(X, covariance_type="full"):
    """Return a model and one component with the moments of all rows, from float64."""
    model = MaximumLikelihood(COVARIANCE_TYPES[covariance_type], 1e-6)
    mean, variance = ArraySource(X.astype(np.float64)).mean_and_variance()
    covariances = model.covariance_type.from_variances(variance[None])
    factors, log_det = model.covariance_type.factorize(covariances, 1, X.shape[1])
    return model, Parameters(np.ones(1), mean[None], covariances, factors, log_det)


def test_inflation():
    """A feature's variance over its variance given the others, by least squares."""
    X = dependent(np.random.default_rng(2)) + np.random.default_rng(3).normal(size=(1000, 8)) * 0.1
    _, parameters = em_step(ArraySource(X), *start_of(X))
    kind = COVARIANCE_TYPES["full"]
    inflation = kind.inflation(parameters.covariances, parameters.factors, *parameters.means.shape)
    A = X - X.mean(axis=0)
    expected = []
    for j in range(8):
        rest = np.delete(A, j, axis=1)
        residual = A[:, j] - rest @ np.linalg.lstsq(rest, A[:, j], rcond=None)[0]
        expected.append((A[:, j] @ A[:, j]) / (residual @ residual))
    assert inflation == pytest.approx(max(expected), rel=1e-3)  # reg_covar adds 1e-4


@each_type
def test_well_conditioned_rows_stay_float32(covariance_type):
    X = np.random.default_rng(0).normal(1000.0, [1.0, 1e-2, 1e3], (500, 3)).astype(np.float32)
    source = ArraySource(X)
    model, parameters = start_of(X, covariance_type)
    for _ in range(3):
        _, parameters = em_step(source, model, parameters)
    assert source._double is None


def test_a_step_onto_a_singular_covariance_is_repeated():
    X = shares(np.random.default_rng(0)).astype(np.float32)
    model, parameters = start_of(X)
    assert not needs_double(model.covariance_type, parameters, X.dtype)
    _, single = em_step(ArraySource(X), model, parameters)
    _, exact = em_step(ArraySource(X.astype(np.float64)), model, parameters)
    np.testing.assert_array_equal(single.covariances, exact.covariances)


@each_type
def test_blocks_add_up(covariance_type):
    """Rows converted in several blocks, with weights, under an E-step and given labels."""
    rng = np.random.default_rng(0)
    X = shares(rng)[:500].astype(np.float32)
    weight = rng.uniform(size=500)
    model, parameters = start_of(X, covariance_type)
    kind = model.covariance_type
    labels = np.zeros(500, np.int32)
    exact = ArraySource(X.astype(np.float64), weight)
    assert [rows.stop for rows in blocks_of(500, 6, 8 * 6 * 200)] == [200, 400, 500]
    rows = DoubleRows(Data(X, weight), 1)
    rows._blocks = blocks_of(500, 6, 8 * 6 * 200)
    for ours, expected in (
        (rows.statistics(model, parameters), exact.statistics(model, parameters)),
        (rows.given(kind, parameters.means, labels), exact.given(kind, parameters.means, labels)),
    ):
        for a, b in zip(ours, expected, strict=True):
            a, b = (np.tril(v) if np.ndim(v) > 2 or np.shape(v) == (6, 6) else v for v in (a, b))
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11 * np.abs(b).max())


def test_bits_do_not_depend_on_threads():
    X = np.tile(shares(np.random.default_rng(0)), (4, 1)).astype(np.float32)
    one, two = (fastgmm.fit(X, 3, random_state=0, n_threads=n) for n in (1, 2))
    np.testing.assert_array_equal(one.covariances, two.covariances)
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))
