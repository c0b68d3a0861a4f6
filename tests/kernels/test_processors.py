"""The same answers from the vectors of other processors than the one at hand."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
import numpy as np

sys.path.insert(0, TESTS_FOLDER)
import fastgmm, problems, reference
from fastgmm.kernels.micro import vectors as _simd

for covariance_type in TYPES:
    for shape in [(613, 2, 3), (700, 11, 5), (400, 33, 2)]:
        problem = problems.overlapping(*shape, covariance_type)
        model = fastgmm.fit(problem.X, **problem.start, tol=0.0, max_iter=3)
        theirs = reference.em(problem.X, *problem.parameters, tol=0.0, max_iter=3)
        np.testing.assert_allclose(model.covariances, theirs.covariances, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(model.log_likelihoods, theirs.log_likelihoods, rtol=1e-11)
print(_simd.VECTOR_BYTES)
"""


# Each kind of vector has a type with matrices and one without: most of the time is compilation.
PROCESSORS = {
    "nehalem": ("+sse4.2", 16, ("tied", "diag")),
    "haswell": ("+avx,+avx2,+fma", 32, ("full", "spherical")),
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """A program for each processor, all at work at the same time."""
    script = SCRIPT.replace("TESTS_FOLDER", repr(str(Path(__file__).parents[1])))
    running = {}
    for name, (features, _, types) in PROCESSORS.items():
        environment = {
            **os.environ,
            "NUMBA_CPU_NAME": name,
            "NUMBA_CPU_FEATURES": features,
            "NUMBA_CACHE_DIR": str(tmp_path_factory.mktemp(name)),
        }
        running[name] = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", script.replace("TYPES", repr(types))],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
    yield running
    for program in running.values():
        program.kill()
        program.communicate()


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names x86 processors")
@pytest.mark.parametrize("name", PROCESSORS)
def test_narrower_vectors(name, programs):
    output, errors = programs[name].communicate()
    assert programs[name].returncode == 0, errors
    assert int(output) == PROCESSORS[name][1]
