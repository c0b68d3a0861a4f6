"""What the kernels compute: sums of a pass, and the exponential and logarithm they inline."""

import math
from decimal import Decimal, localcontext

import numpy as np
import problems
import pytest
import reference

from fastgmm import Mixture
from fastgmm.em.models import MaximumLikelihood
from fastgmm.jit.decorators import entry
from fastgmm.kernels import densities as _density_kernels
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import merge


@entry
def exp_in_place(values, peak, total):
    """The kernels' own loop of exponentials: ``values`` become ``exp(values - peak)``."""
    _density_kernels.prefer_wide_vectors()
    _density_kernels.density_row(values, 0, total.size, peak, total)


@entry
def log_in_place(peak, total):
    """The kernels' own loop of logarithms: ``peak`` becomes ``peak + log(total)``."""
    _density_kernels.prefer_wide_vectors()
    _density_kernels.log_totals(peak, total)


def fast_exp(x):
    values = x.reshape(1, -1).copy()
    total = np.zeros(x.size)
    exp_in_place(values, np.zeros(x.size), total)
    np.testing.assert_array_equal(total, values[0])
    return values[0]


def fast_log(x):
    result = np.zeros(x.size)
    log_in_place(result, x.copy())
    return result


def relative_errors(actual, x, function):
    """Relative errors against 40 decimal digits of ``function``, a method of Decimal."""
    with localcontext() as context:
        context.prec = 40
        exact = [getattr(Decimal(float(v)), function)() for v in x]
        return np.array(
            [float((Decimal(float(a)) - e) / e) for a, e in zip(actual, exact, strict=True)]
        )


def around(points):
    """Every point with its neighbours in floating point."""
    return np.concatenate([np.nextafter(points, -np.inf), points, np.nextafter(points, np.inf)])


def test_exp_is_within_4e_16():
    rng = np.random.default_rng(0)
    halves = around(-(np.arange(2041) + 0.5) * math.log(2.0) / 2.0)  # where reductions change
    x = np.concatenate(
        [
            -708.0 * rng.random(12_000),
            -rng.random(3_000),
            -(10.0 ** -rng.uniform(0, 20, 500)),
            halves,
        ]
    )
    x = x[(x >= -708.0) & (x <= 0.0)]
    errors = relative_errors(fast_exp(x), x, "exp")
    assert np.abs(errors).max() < 4e-16


def test_exp_at_its_ends():
    ends = np.array([0.0, -0.0, -708.0, np.nextafter(-708.0, -np.inf), -745.0, -1e5, -1e300])
    result = fast_exp(ends)
    np.testing.assert_array_equal(result[:2], 1.0)
    np.testing.assert_allclose(result[2], math.exp(-708.0), rtol=4e-16)
    np.testing.assert_array_equal(result[3:], 0.0)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33])
def test_exp_of_vectors_and_of_what_is_left_over(n):
    """Whole vectors and the remainder of a loop have the same bits."""
    x = -np.linspace(0.1, 700.0, 64)
    np.testing.assert_array_equal(fast_exp(x[:n]), fast_exp(x)[:n])


def test_log_is_within_4e_16():
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [
            rng.uniform(1.0, 100.0, 8_000),
            10.0 ** rng.uniform(-300, 300, 4_000),
            around(2.0 ** (np.arange(40) + 0.5)),
        ]
    )
    errors = relative_errors(fast_log(x), x, "ln")
    assert np.abs(errors).max() < 4e-16
    assert fast_log(np.ones(1))[0] == 0.0


def sums_of(problem, X, sample_weight):
    """The library's statistics of some rows under the start of a problem."""
    model = Mixture.from_parameters(*problem.parameters)
    kind = COVARIANCE_TYPES[problem.covariance_type]
    source = ArraySource(X, sample_weight)
    return source.statistics(MaximumLikelihood(kind), model._parameters)


each_type = pytest.mark.parametrize("covariance_type", reference.COVARIANCE_TYPES)


@each_type
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(50, 1, 1), (613, 5, 4), (1201, 33, 3), (5003, 2, 6)])
def test_sums_of_a_pass(covariance_type, dtype, shape, assert_close):
    """Moments about the means of the iteration, of all rows with their weights."""
    problem = problems.overlapping(*shape, covariance_type)
    X = problem.X.astype(dtype)
    w = np.random.default_rng(0).exponential(size=len(X))
    ours = sums_of(problem, X, w)
    p = problem.parameters
    resp = reference.responsibilities(X, *p)
    nk, first, second = reference.statistics(X, resp, problem.means, w)
    diagonals = np.array([np.diag(matrix) for matrix in second])
    shaped = {
        "full": np.tril(second),
        "tied": np.tril(second.sum(axis=0)),
        "diag": diagonals,
        "spherical": diagonals.sum(axis=1),
    }[covariance_type]
    rtol = 1e-12 if dtype is np.float64 else 1e-5
    assert_close(ours.log_likelihood, w @ reference.score_samples(X, *p), rtol)
    assert_close(ours.nk, nk, rtol)
    assert np.abs(ours.s1 - first).max() < rtol * np.abs(second).max()  # near zero by itself
    ours_second = np.tril(ours.s2) if covariance_type in ("full", "tied") else ours.s2
    assert_close(ours_second, shaped, rtol)


@each_type
def test_merged_sums_are_the_sums_of_all(covariance_type, assert_close):
    problem = problems.overlapping(613, 5, 4, covariance_type)
    w = np.random.default_rng(0).exponential(size=613)
    parts = [sums_of(problem, problem.X[rows], w[rows]) for rows in (slice(217), slice(217, None))]
    merged, whole = merge(parts), sums_of(problem, problem.X, w)
    assert_close(merged.log_likelihood, whole.log_likelihood, 1e-13)
    assert_close(merged.nk, whole.nk, 1e-13)
    assert_close(merged.s1, whole.s1, 1e-12)
    assert_close(np.tril(merged.s2), np.tril(whole.s2), 1e-13)
