"""Cholesky factors, their inverses and bounds on singular values, compared with LAPACK's."""

import numpy as np
import pytest

from fastgmm.kernels.linalg import buffer_width, factorize_pass, stretch_pass

SIZES = [*range(1, 14), 16, 17, 40]


def covariances(rng, n_matrices, n):
    roots = rng.standard_normal((n_matrices, n, n + 3))
    return roots @ roots.transpose(0, 2, 1) / n


def factors_of(matrices):
    n_matrices, n, _ = matrices.shape
    width = buffer_width(n)
    buffers = np.full((width, width), np.nan), np.full((width, width), np.nan)
    factors, log_det = np.zeros((n_matrices, n, n)), np.empty(n_matrices)
    factorize_pass(0, n_matrices, n_matrices, buffers, matrices, factors, log_det)
    return factors, log_det


@pytest.mark.parametrize("n", SIZES)
def test_factors_are_inverse_cholesky_factors(n):
    matrices = covariances(np.random.default_rng(n), 3, n)
    factors, log_det = factors_of(matrices)
    expected = np.linalg.inv(np.linalg.cholesky(matrices))
    rtol = 1e-15 * n * np.linalg.cond(matrices).max()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(factors, np.tril(factors))
    np.testing.assert_allclose(factors, expected, rtol=0, atol=rtol * scale)
    np.testing.assert_allclose(log_det, -0.5 * np.linalg.slogdet(matrices)[1], atol=n * rtol)


def test_only_the_lower_triangle_is_read():
    matrices = covariances(np.random.default_rng(0), 2, 7)
    garbage = np.tril(matrices) + np.triu(np.full((7, 7), np.nan), 1)
    np.testing.assert_array_equal(factors_of(garbage)[0], factors_of(matrices)[0])


@pytest.mark.parametrize("n", [1, 2, 8, 9, 20])
@pytest.mark.parametrize("damage", [-1.0, 0.0, np.nan, np.inf])
def test_a_matrix_that_is_not_positive_definite_spoils_no_other(n, damage):
    matrices = covariances(np.random.default_rng(n), 3, n)
    matrices[1, n - 1, n - 1] = damage
    factors, log_det = factors_of(matrices)
    assert np.isnan(log_det).tolist() == [False, True, False]
    assert not factors[1].any()
    np.testing.assert_array_equal(factors[::2], factors_of(matrices[::2].copy())[0])


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("closeness", [0.0, 1e-6, 1e-2, 1.0])
def test_stretch_bounds_the_singular_values(n, closeness):
    """Bounds hold, and are no looser than those from the Frobenius norm."""
    rng = np.random.default_rng(n)
    old, other = (np.linalg.inv(np.linalg.cholesky(covariances(rng, 3, n))) for _ in range(2))
    new = old + closeness * (other - old)
    width = buffer_width(n)
    buffers = (*np.full((3, width, width), np.nan), np.empty((2, n)))
    least, greatest = np.empty(3), np.empty(3)
    stretch_pass(0, 3, 3, buffers, old, new, least, greatest)
    values = np.linalg.svd(old @ np.linalg.inv(new), compute_uv=False)
    rounding = 1e-10 * values[:, 0]
    assert (least <= values[:, -1] + rounding).all()
    assert (greatest >= values[:, 0] - rounding).all()
    middle = (values**2).mean(axis=1)
    radius = np.sqrt(((values**2 - middle[:, None]) ** 2).sum(axis=1))
    assert (greatest <= np.sqrt(middle + radius) + rounding).all()
    assert (least >= np.sqrt(np.maximum(middle - radius, 0.0)) - rounding).all()
