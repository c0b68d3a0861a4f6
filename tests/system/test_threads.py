"""The same bits for every number of threads."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import problems
import pytest
from reference import COVARIANCE_TYPES

import fastgmm

SCRIPT = """
import hashlib
import sys
import threading

import numpy as np

sys.path.insert(0, TESTS_FOLDER)
import problems
from reference import COVARIANCE_TYPES

import fastgmm
import fastgmm.jit.threads

fastgmm.jit.threads.PARALLEL_WORK = 0  # however small the problem
X = problems.overlapping(12_011, 3, 4).X
w = np.random.default_rng(0).random(len(X))
for covariance_type in COVARIANCE_TYPES:
    for dtype in (np.float64, np.float32):
        for n_threads in (1, 2, 2, 2, 3, 3, 3):
            digest = hashlib.sha256()
            model = fastgmm.fit(
                X.astype(dtype),
                4,
                covariance_type=covariance_type,
                sample_weight=w,
                init_params="random_from_data",
                tol=1e-2,
                random_state=0,
                n_threads=n_threads,
            )
            assert model.n_iter > 1
            for array in (model.weights, model.means, model.covariances, model.log_likelihoods):
                digest.update(np.asarray(array).tobytes())
            digest.update(model.predict_proba(X.astype(dtype)).tobytes())
            digest.update(model.score_samples(X.astype(dtype)).tobytes())
            print(covariance_type, dtype.__name__, n_threads, digest.hexdigest())
helpers = {thread.name for thread in threading.enumerate()} - {"MainThread"}
assert len(helpers) == 2, helpers
"""


def test_one_two_and_three_threads_give_the_same_bits():
    """In a process that has three threads to use, however many cores there are."""
    environment = {**os.environ, "NUMBA_NUM_THREADS": "3"}
    result = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            SCRIPT.replace("TESTS_FOLDER", repr(str(Path(__file__).parents[1]))),
        ],
        capture_output=True,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert result.returncode == 0, result.stderr
    digests = {}
    for line in result.stdout.splitlines():
        covariance_type, dtype, n_threads, digest = line.split()
        digests.setdefault((covariance_type, dtype), []).append((n_threads, digest))
    assert len(digests) == 8
    for found in digests.values():
        assert [n_threads for n_threads, _ in found] == list("1222333")
        assert {digest for _, digest in found} == {found[0][1]}, found


@pytest.fixture(autouse=True)
def any_work_is_shared(monkeypatch):
    """Let threads share problems that are too small to be worth it."""
    monkeypatch.setattr("fastgmm.jit.threads.PARALLEL_WORK", 0)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_more_threads_than_there_are(covariance_type, assert_same_mixture):
    problem = problems.overlapping(12_011, 2, 3, covariance_type)
    one = fastgmm.fit(problem.X, **problem.start, n_threads=1)
    assert_same_mixture(fastgmm.fit(problem.X, **problem.start, n_threads=64), one)
    assert_same_mixture(fastgmm.fit(problem.X, **problem.start), one)


def test_the_callers_number_of_threads_stays():
    import numba

    problem = problems.overlapping(331, 2, 3)
    before = numba.get_num_threads()
    fastgmm.fit(problem.X, **problem.start, n_threads=1)
    assert numba.get_num_threads() == before
    fastgmm.fit(problem.X, **problem.start, n_threads=2)
    assert numba.get_num_threads() == before


def test_fits_at_the_same_time(assert_same_mixture):
    """Fits in several Python threads do not disturb each other."""
    X = problems.overlapping(12_011, 2, 3).X

    def fit(covariance_type):
        return fastgmm.fit(
            X,
            3,
            covariance_type=covariance_type,
            init_params="kmeans",
            random_state=0,
            n_threads=2,
        )

    expected = [fit(covariance_type) for covariance_type in COVARIANCE_TYPES]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            for model, alone in zip(pool.map(fit, COVARIANCE_TYPES), expected, strict=True):
                assert_same_mixture(model, alone)


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_every_start_has_the_same_bits(init_params):
    X = problems.overlapping(30_011, 3, 4).X
    starts = [
        fastgmm.fit(X, 4, init_params=init_params, random_state=0, max_iter=0, n_threads=n).means
        for n in (1, 2, None)
    ]
    np.testing.assert_array_equal(starts[0], starts[1])
    np.testing.assert_array_equal(starts[0], starts[2])
