"""Passes and factors of wide rows by BLAS and LAPACK, compared with the kernels.

The tests lower the number of features from which rows count as wide.
"""

import numpy as np
import pytest

import fastgmm
from fastgmm.em.models import MaximumLikelihood
from fastgmm.kernels.types import Data
from fastgmm.model.covariance import COVARIANCE_TYPES, lapack, matrices
from fastgmm.model.parameters import Parameters
from fastgmm.sources import wide
from fastgmm.sources.passes import EMPass
from fastgmm.sources.wide import WidePass, make_pass

CASES = [("full", 1), ("full", 3), ("tied", 1)]
each_case = pytest.mark.parametrize(("covariance_type", "n_components"), CASES)
SHAPE = 203, 20


def problem(covariance_type, n_components, far=0.0):
    """Return rows, row weights, a model and parameters; components lie `far` apart."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=SHAPE)
    X[:, 0] += far * rng.integers(n_components, size=len(X))
    weight = rng.uniform(size=len(X)) * (rng.uniform(size=len(X)) < 0.8)
    model = MaximumLikelihood(COVARIANCE_TYPES[covariance_type], 1e-6)
    means = rng.normal(size=(n_components, SHAPE[1])) * 0.1
    means[:, 0] += far * np.arange(n_components)
    roots = np.eye(SHAPE[1]) + 0.2 * rng.normal(size=(n_components, SHAPE[1], SHAPE[1]))
    covariances = roots @ np.swapaxes(roots, 1, 2)
    covariances = covariances if covariance_type == "full" else covariances[0]
    factors, log_det = model.covariance_type.factorize(covariances, *means.shape)
    weights = np.full(n_components, 1 / n_components)
    return X, weight, model, Parameters(weights, means, covariances, factors, log_det)


def assert_close(ours, expected):
    for a, b in zip(ours, expected, strict=True):
        if np.shape(b)[-2:] == (SHAPE[1], SHAPE[1]):
            a, b = np.tril(a), np.tril(b)
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12 * np.abs(b).max())


def passes(covariance_type, n_components, far, weighted, monkeypatch):
    """Return a pass by BLAS in several blocks and one by the kernels, a model and parameters."""
    monkeypatch.setattr(wide, "_BLOCK_BYTES", 0)
    monkeypatch.setattr(wide, "_LEAST_ROWS", 50)
    X, weight, model, parameters = problem(covariance_type, n_components, far)
    data = Data(X, weight if weighted else np.empty(0))
    kind = model.covariance_type
    pair = WidePass(data, kind, n_components), EMPass(data, kind, n_components)
    return *pair, model, parameters


@each_case
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize("far", [0.0, 200.0, 1e200])
def test_statistics(covariance_type, n_components, far, complete, weighted, monkeypatch):
    ours, kernels, model, parameters = passes(
        covariance_type, n_components, far, weighted, monkeypatch
    )
    if far == 1e200:  # squares overflow: log-densities are clamped, NaN among them
        far_away = parameters._replace(means=parameters.means + 1e200)
        found = ours.statistics(model, far_away, complete)
        with np.errstate(over="ignore"):  # the scatter about the center
            expected = kernels.statistics(model, far_away, complete)
        assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-12)
        return
    found = ours.statistics(model, parameters, complete)
    assert_close(found, kernels.statistics(model, parameters, complete))


@each_case
@pytest.mark.parametrize("weighted", [False, True])
def test_given(covariance_type, n_components, weighted, monkeypatch):
    ours, kernels, _, parameters = passes(covariance_type, n_components, 0.0, weighted, monkeypatch)
    rng = np.random.default_rng(1)
    resp = rng.dirichlet(np.ones(n_components), size=SHAPE[0])
    labels = rng.integers(n_components, size=SHAPE[0]).astype(np.int32)
    for given in ({}, {"labels": labels}, {"resp": resp}):
        found = ours.given(parameters.means, **given)
        assert_close(found, kernels.given(parameters.means, **given))


def test_factors(monkeypatch):
    """Factors by LAPACK, where a matrix is not positive definite or not finite too."""
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(5, 30, 30))
    covariances = roots @ np.swapaxes(roots, 1, 2) + np.eye(30)
    covariances[1, 4, 4] = -1.0
    covariances[2, 7, 3] = np.nan
    covariances[3, 29, 29] = np.inf
    covariances[:, *np.triu_indices(30, 1)] = np.nan  # upper triangles are not read
    factors, log_det = matrices.factorize(covariances, 1)
    monkeypatch.setattr(lapack, "WIDE", 0)
    found, found_log_det = matrices.factorize(covariances, 1)
    np.testing.assert_array_equal(np.isnan(found_log_det), [False, True, True, True, False])
    np.testing.assert_allclose(found_log_det, log_det, rtol=1e-13)
    for k in (0, 4):
        np.testing.assert_allclose(found[k], factors[k], rtol=1e-10, atol=1e-13)
        assert not np.triu(found[k], 1).any()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_whole_fits(covariance_type, dtype, monkeypatch):
    X = problem("full", 2, 6.0)[0].astype(dtype)
    options = {"covariance_type": covariance_type, "random_state": 0, "n_init": 2}
    expected = fastgmm.fit(X, 2, **options)
    monkeypatch.setattr(lapack, "WIDE", 0)
    monkeypatch.setattr(wide, "WIDE", 0)
    found = fastgmm.fit(X, 2, **options)
    assert found.n_iter == expected.n_iter
    np.testing.assert_allclose(found.covariances, expected.covariances, rtol=1e-4, atol=1e-6)
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-6)


def test_when_rows_are_wide():
    def chosen(shape, kind, n_components, dtype=np.float64):
        X = np.broadcast_to(np.zeros((), dtype), shape)
        data = Data(X, np.empty(0))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(wide, "EMPass", lambda *_: "kernels")
            patch.setattr(wide, "WidePass", lambda *_: "BLAS")
            return make_pass(data, COVARIANCE_TYPES[kind], n_components, 1)

    assert chosen((1500, 3000), "full", 4) == "BLAS"
    assert chosen((1500, 3000), "tied", 1) == "BLAS"
    assert chosen((1500, 3000), "tied", 2) == "kernels"
    assert chosen((1500, 3000), "diag", 1) == "kernels"
    assert chosen((1500, 3000), "full", 4, np.float32) == "kernels"
    assert chosen((1500, 1000), "full", 4) == "kernels"
    assert chosen((1_000_000, 2000), "full", 4) == "kernels"
