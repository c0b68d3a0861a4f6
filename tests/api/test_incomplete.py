"""Rows with missing values: fits and inference against plain formulas, row by row."""

import numpy as np
import problems
import pytest
import reference

import fastgmm
from fastgmm.sources import incomplete

pytestmark = pytest.mark.filterwarnings("ignore::fastgmm.ConvergenceWarning")

TYPES = reference.COVARIANCE_TYPES


def with_gaps(X, share=0.3, seed=0):
    """Return a copy with NaN in a share of all places; every feature keeps a value."""
    gaps = np.random.default_rng(seed).random(X.shape) < share
    gaps[0] = False
    return np.where(gaps, np.nan, X)


def one_block_missing(X):
    """Return a copy in which the first half lacks the last two features."""
    X = X.copy()
    X[: len(X) // 2, -2:] = np.nan
    return X


PATTERNS = {
    "few": lambda X: with_gaps(X, 0.1),
    "many": lambda X: with_gaps(X, 0.4),
    "block": one_block_missing,
}


def assert_near(actual, expected, rtol=1e-10):
    """Compare two arrays on the scale of the largest entry."""
    assert np.abs(actual - expected).max() <= rtol * np.abs(expected).max()


def assert_fit_is_reference(X, problem, weight=None, n_iter=8, **options):
    mixture = fastgmm.fit(
        X, **problem.start, sample_weight=weight, missing="em", tol=0.0, max_iter=n_iter, **options
    )
    start = reference.Parameters(*problem.parameters[:3])
    params, trace = reference.incomplete_em(
        X, start, problem.covariance_type, n_iter, sample_weight=weight
    )
    for name in ("weights", "means", "covariances"):
        assert_near(getattr(mixture, name), getattr(params, name))
    assert_near(mixture.log_likelihoods, trace)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("pattern", list(PATTERNS))
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("many", [1, 1000])
def test_a_fit_is_the_reference(covariance_type, pattern, weighted, many, monkeypatch):
    """Both ways: each pattern in a pass of its own, and all patterns in one compiled call."""
    monkeypatch.setattr(incomplete, "_MANY", many)
    problem = problems.overlapping(120, 4, 3, covariance_type)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, 120) if weighted else None
    assert_fit_is_reference(PATTERNS[pattern](problem.X), problem, weight)
