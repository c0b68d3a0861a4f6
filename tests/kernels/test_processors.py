"""The same answers from the vectors of other processors than the one at hand."""

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from fastgmm.jit.intrinsics import registers_of

SCRIPT = """
import sys
import numpy as np

from fastgmm.jit import intrinsics

if REGISTERS:
    intrinsics.vector_registers = lambda: REGISTERS  # before the kernels are imported
sys.path.insert(0, TESTS_FOLDER)
import fastgmm, problems, reference
from fastgmm.kernels.micro import vectors as _simd

for covariance_type in TYPES:
    for shape in [(613, 2, 3), (700, 11, 5), (900, 33, 8)]:
        problem = problems.overlapping(*shape, covariance_type)
        model = fastgmm.fit(problem.X, **problem.start, tol=0.0, max_iter=3)
        theirs = reference.em(problem.X, *problem.parameters, tol=0.0, max_iter=3)
        np.testing.assert_allclose(model.covariances, theirs.covariances, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(model.log_likelihoods, theirs.log_likelihoods, rtol=1e-11)
print(_simd.VECTOR_BYTES, _simd.STRIP_VECTORS, _simd.SQUARE)
"""


class Processor(NamedTuple):
    """What Numba compiles for, the sizes of blocks to expect, and the covariance types to fit.

    If given, `registers` are taken in place of the processor's own.
    """

    name: str
    features: str
    sizes: str
    types: tuple
    registers: tuple = ()


# Each kind of vector has a type with matrices and one without. Most of the time is compilation:
# unless tests may be long, a processor fits the first type only.
# Arm's blocks are for twice the registers that a processor of these vectors has here.
PROCESSORS = {
    "sse": Processor("nehalem", "+sse4.2", "16 2 3", ("tied", "diag")),
    "avx": Processor("haswell", "+avx,+avx2,+fma", "32 2 3", ("full", "spherical")),
    "arm": Processor("nehalem", "+sse4.2", "16 4 4", ("diag", "full"), (16, 32)),
}
LONG = os.environ.get("FASTGMM_LONG_TESTS") == "1"


@pytest.mark.parametrize(
    ("triple", "features", "registers"),
    [
        ("x86_64-unknown-linux-gnu", "+sse4.2,-avx,-avx512f", (16, 16)),
        ("x86_64-unknown-linux-gnu", "+avx,+avx2,-avx512f", (32, 16)),
        ("x86_64-pc-windows-msvc", "+avx,+avx512f,+avx512vl", (64, 32)),
        ("aarch64-unknown-linux-gnu", "+neon,+sve", (16, 32)),
        ("arm64-apple-darwin23.1.0", "", (16, 32)),
    ],
)
def test_registers_of_a_processor(triple, features, registers):
    assert registers_of(triple, features) == registers


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """A program for each processor, all at work at the same time."""
    script = SCRIPT.replace("TESTS_FOLDER", repr(str(Path(__file__).parents[1])))
    running = {}
    for name, processor in PROCESSORS.items():
        program = script.replace("TYPES", repr(processor.types if LONG else processor.types[:1]))
        program = program.replace("REGISTERS", repr(processor.registers))
        environment = {
            **os.environ,
            "NUMBA_CPU_NAME": processor.name,
            "NUMBA_CPU_FEATURES": processor.features,
            "NUMBA_CACHE_DIR": str(tmp_path_factory.mktemp(name)),
        }
        running[name] = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", program],
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
def test_other_vectors(name, programs):
    output, errors = programs[name].communicate()
    assert programs[name].returncode == 0, errors
    assert output.strip() == PROCESSORS[name].sizes
