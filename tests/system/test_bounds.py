"""Kernels read and write within their arrays: data end where memory does, and rows are wide.

A step too far ends the process, so each program runs in one of its own.
"""

import subprocess
import sys
from pathlib import Path

import pytest

import fastgmm

PROGRAM = """
import ctypes, mmap, sys, warnings
import numpy as np
import fastgmm

warnings.simplefilter("ignore", fastgmm.ConvergenceWarning)
libc = ctypes.CDLL(None)
PAGE = mmap.PAGESIZE

def at_the_end(array):
    "A copy of the array that ends where a page begins that nobody may read."
    size = -(-array.nbytes // PAGE) * PAGE
    memory = np.frombuffer(mmap.mmap(-1, size + PAGE), np.uint8)
    assert libc.mprotect(ctypes.c_void_p(memory.ctypes.data + size), PAGE, 0) == 0
    copy = memory[size - array.nbytes : size].view(array.dtype).reshape(array.shape)
    copy[:] = array
    return copy

def fit(shape, n_components, covariance_type, dtype, init_params):
    rng = np.random.default_rng(0)
    X = at_the_end(rng.standard_normal(shape).astype(dtype))
    weight = at_the_end(rng.uniform(1.0, 2.0, len(X)))
    mixture = fastgmm.fit(
        X, n_components, covariance_type=covariance_type, sample_weight=weight,
        init_params=init_params, max_iter=2, random_state=0,
    )
    mixture.predict_proba(X), mixture.predict(X), mixture.score_samples(X)

"""
SHAPES = """
for shape in ((3, 1), (31, 2), (481, 7), (33, 17), (1000, 5), (97, 40), (4099, 3)):
    for covariance_type in ("full", "tied", "diag", "spherical"):
        for dtype in (np.float64, np.float32):
            for init_params in ("kmeans", "random"):
                fit(shape, 3, covariance_type, dtype, init_params)
"""
WIDE = """
X = np.random.default_rng(0).standard_normal((3, 1_000_000))
fastgmm.fit(X, 1, covariance_type="diag", max_iter=0, random_state=0)
"""


def run(program):
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM + program],
        capture_output=True,
        text=True,
        cwd=Path(fastgmm.__file__).parents[1],
        check=False,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="protects pages as Linux does")
@pytest.mark.parametrize("program", [SHAPES, WIDE], ids=["data_at_the_end", "wide_rows"])
def test_nothing_is_read_beyond_the_end(program):
    """The first round of k-means++ used to read centers that were not there."""
    run(program)
