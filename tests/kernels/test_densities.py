"""The E-step of a tile: its exponential and logarithm, and densities of listed vectors."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest

from fastgmm.jit.decorators import entry
from fastgmm.kernels import densities as kernels
from fastgmm.kernels.tiles import make_workspace


@entry
def exp_in_place(values, peak, total):
    """The kernels' own loop of exponentials: ``values`` become ``exp(values - peak)``."""
    kernels.prefer_wide_vectors()
    kernels.density_row(values, 0, total.size, peak, total)


@entry
def log_in_place(peak, total):
    """The kernels' own loop of logarithms: ``peak`` becomes ``peak + log(total)``."""
    kernels.prefer_wide_vectors()
    kernels.log_totals(peak, total)


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
    ends = np.array(
        [0.0, -0.0, -708.0, np.nextafter(-708.0, -np.inf), -745.0, -1e5, -1e300, kernels.LOWEST]
    )
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


@entry
def e_step(offsets, negligible, work):
    """Turn the squared distances in `work.resp` into responsibilities times weights."""
    kernels.log_densities(offsets, kernels.LOWEST, work)
    kernels.densities(work)
    kernels.scale_densities(negligible, work)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_responsibilities_of_listed_vectors(dtype):
    """A component that lists some vectors has no density in the others."""
    rng = np.random.default_rng(0)
    work = make_workspace(np.empty((400, 3), dtype), 3)
    size, n_vectors = work.peak.size, work.places.shape[1]
    lanes = size // n_vectors
    lists = [np.arange(n_vectors), np.arange(1, n_vectors, 3), np.array([0, n_vectors - 1])]
    squares = np.full((3, size), np.inf)
    for k, vectors in enumerate(lists):
        points = (vectors[:, None] * lanes + np.arange(lanes)).ravel()
        squares[k, points] = rng.uniform(0.0, 30.0, len(points))
        work.resp[k, : len(points)] = squares[k, points]
        work.places[k, : len(vectors)] = vectors * lanes
        work.counts[k] = len(vectors)
    offsets, negligible = rng.normal(size=3), np.full(3, 0.01)
    work.weight[:] = rng.uniform(0.5, 2.0, size)
    e_step(offsets, negligible, work)

    densities = np.exp(offsets[:, None] - 0.5 * squares)
    expected = densities / densities.sum(axis=0) * work.weight
    for k, vectors in enumerate(lists):
        points = (vectors[:, None] * lanes + np.arange(lanes)).ravel()
        ours = work.resp[k, : len(points)]
        np.testing.assert_allclose(ours, expected[k, points], rtol=1e-14, atol=1e-300)
    assert work.live.tolist() == [(expected[0] > 0.01 * work.weight).sum(), -1, -1]
