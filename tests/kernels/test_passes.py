"""The M-step's sums of a pass, and those of several passes merged."""

import numpy as np
import problems
import pytest
import reference

from fastgmm import Mixture
from fastgmm.em.models import MaximumLikelihood
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import merge


def sums_of(problem, X, sample_weight):
    """The library's statistics of some rows under the start of a problem."""
    model = Mixture.from_parameters(*problem.parameters)
    kind = COVARIANCE_TYPES[problem.covariance_type]
    source = ArraySource(X, sample_weight)
    return source.statistics(MaximumLikelihood(kind), model._parameters)


each_type = pytest.mark.parametrize("covariance_type", reference.COVARIANCE_TYPES)

# From 1 to 13 features every height of a block of registers occurs, on every processor.
SHAPES = [
    (50, 1, 1),
    *[(293, n_features, 3) for n_features in range(1, 14)],
    (613, 5, 4),
    (1201, 33, 3),
    (5003, 2, 6),
]


@each_type
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", SHAPES)
def test_sums_of_a_pass(covariance_type, dtype, shape, assert_close):
    """Moments about the means of the iteration, of all rows with their weights."""
    problem = problems.overlapping(*shape, covariance_type)
    X = problem.X.astype(dtype)
    w = np.random.default_rng(0).exponential(size=len(X))
    ours = sums_of(problem, X, w)
    p = problem.parameters
    resp = reference.responsibilities(X, *p)
    nk, s1, s2 = reference.statistics(X, resp, problem.means, w)
    diagonals = np.array([np.diag(matrix) for matrix in s2])
    shaped = {
        "full": np.tril(s2),
        "tied": np.tril(s2.sum(axis=0)),
        "diag": diagonals,
        "spherical": diagonals.sum(axis=1),
    }[covariance_type]
    rtol = 1e-12 if dtype is np.float64 else 1e-5
    assert_close(ours.log_likelihood, w @ reference.score_samples(X, *p), rtol)
    assert_close(ours.nk, nk, rtol)
    assert np.abs(ours.s1 - s1).max() < rtol * np.abs(s2).max()  # near zero by itself
    ours_s2 = np.tril(ours.s2) if covariance_type in ("full", "tied") else ours.s2
    assert_close(ours_s2, shaped, rtol)


@each_type
def test_merged_sums_are_the_sums_of_all(covariance_type, assert_close):
    problem = problems.overlapping(613, 5, 4, covariance_type)
    w = np.random.default_rng(0).exponential(size=613)
    parts = [sums_of(problem, problem.X[rows], w[rows]) for rows in (slice(217), slice(217, None))]
    merged, at_once = merge(parts), sums_of(problem, problem.X, w)
    assert_close(merged.log_likelihood, at_once.log_likelihood, 1e-13)
    assert_close(merged.nk, at_once.nk, 1e-13)
    assert_close(merged.s1, at_once.s1, 1e-12)
    assert_close(np.tril(merged.s2), np.tril(at_once.s2), 1e-13)
