"""Estimates of what is left to gain, against sequences whose limit is known."""

import math

import numpy as np
import pytest

from fastgmm.em.stopping import convergence_rate, has_converged, passes_left, remaining_gain


def creeping(rate, n, first_gain=1e-3, limit=-5.0):
    """Objectives whose gains shrink by `rate` from one to the next, up to `limit`."""
    return limit - first_gain / (1.0 - rate) * rate ** np.arange(n)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9, 0.99, 0.999])
def test_the_estimate_is_exact_for_a_geometric_sequence(rate):
    objectives = creeping(rate, 6)
    assert convergence_rate(objectives) == pytest.approx(rate, rel=1e-6)
    assert remaining_gain(objectives) == pytest.approx(-5.0 - objectives[-1], rel=1e-4)


def test_creeping_is_not_taken_for_convergence():
    objectives = creeping(0.999, 40, first_gain=9e-4)  # 0.87 nats per row are left
    assert objectives[-1] - objectives[-2] < 1e-3
    assert not has_converged(objectives, 1e-3)
    assert has_converged(creeping(0.4, 40, first_gain=9e-4), 1e-3)


def test_the_greater_of_the_last_two_rates_counts():
    objectives = np.cumsum([0.0, 1.0, 0.9, 0.45])
    assert convergence_rate(objectives) == pytest.approx(0.9)


@pytest.mark.parametrize("objectives", [[], [-3.0], [-3.0, -2.9], [-3.0, -2.9, -2.7]])
def test_too_few_or_growing_gains_have_no_limit(objectives):
    assert remaining_gain(objectives) == math.inf
    assert not has_converged(objectives, 1.0)


def test_nothing_is_left_where_only_rounding_changes_the_objective():
    assert remaining_gain([-3.0, -3.0]) == 0.0
    assert remaining_gain([-3.0, -2.0, -2.0 + 1e-15]) == 0.0
    assert has_converged([-3.0, -3.0, np.nextafter(-3.0, -4.0)], 1e-8)
    assert not has_converged([-3.0, -3.0], 0.0)  # a tolerance of 0 never ends a run


def test_passes_left():
    assert passes_left(1e-3, 0.1, 1e-8) == pytest.approx(5.0)
    assert passes_left(1e-9, 0.9, 1e-8) == 0.0
    assert passes_left(1e-3, 0.0, 1e-8) == 0.0
    assert passes_left(1e-3, 1.0, 1e-8) == passes_left(1e-3, 0.9, 0.0) == math.inf


def test_the_rate_can_be_bounded():
    """Gains that stay the same are expected to shrink after all: 0.9 / 0.1 of the last is left."""
    assert remaining_gain([-3.0, -2.0, -1.0], slowest=0.9) == pytest.approx(9.0)
