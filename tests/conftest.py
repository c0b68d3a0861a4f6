"""What all tests share: where the helper modules live, and comparison by scale."""

import os
import sys
from pathlib import Path

# The workers of pytest use all cores. BLAS and scikit-learn's OpenMP would start as many threads
# again in each, which wait for one another in loops that take half of the suite's time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

from fastgmm.jit import numba_internals

sys.path.insert(0, str(Path(__file__).parent))  # reference.py and problems.py, in any import mode


@pytest.fixture(scope="session", autouse=True)
def _the_path_of_compilation_stays():
    """Kernels that the fast path cannot compile would be compiled on the plain one, unnoticed."""
    before = numba_internals.PATH.refused
    yield
    assert numba_internals.PATH.refused == before


def _assert_close(actual, expected, rtol):
    actual = np.asarray(actual, dtype=np.float64)
    expected = np.asarray(expected, dtype=np.float64)
    assert actual.shape == expected.shape
    assert np.isfinite(actual).all()
    worst = np.max(np.abs(actual - expected)) / np.max(np.abs(expected))
    assert worst <= rtol, f"largest difference is {worst:.2e} of the largest entry"


@pytest.fixture
def assert_close():
    """Check that two arrays agree to ``rtol`` times the largest entry expected.

    Entrywise relative comparison would ask for digits of entries that are zero but for
    rounding, such as the covariance of two independent features.
    """
    return _assert_close


@pytest.fixture
def assert_same_mixture():
    """Check that two mixtures have the same bits in every parameter and in the trace."""

    def check(actual, expected):
        assert actual.covariance_type == expected.covariance_type
        for name in ("weights", "means", "covariances", "precisions_cholesky"):
            np.testing.assert_array_equal(getattr(actual, name), getattr(expected, name), name)
        np.testing.assert_array_equal(actual.log_likelihoods, expected.log_likelihoods)
        assert (actual.n_iter, actual.converged) == (expected.n_iter, expected.converged)

    return check
