"""Machine code that comes with a wheel: who takes it, and what is never taken."""

import shutil

import pytest
from numba.core.registry import cpu_target

from fastgmm.jit import numba_internals
from fastgmm.jit.shipped import LEVELS, shipped_target

TRIPLE = "x86_64-unknown-linux-gnu"
V4, V3, ARM = (level.features for level in LEVELS)

# Reads arguments: the folder of the wheel's code. Each line printed is the answer of the kernel and
# whether its code was loaded (True) or made.
PROGRAM = """
import sys
from pathlib import Path
import numba
import numpy as np
from fastgmm.jit import numba_internals as internals

internals.FOLDER = Path(sys.argv[1])
import family


def show():
    array = np.ones(3)
    kernel = family.pass_of(family.more, family.times(2.0))
    kernel(array)
    loaded = bool(kernel.stats.cache_hits)
    if kernel.stats.cache_path:  # the next kernel shall not find what this one leaves
        for path in Path(kernel.stats.cache_path).glob("*.nbc"):
            path.unlink()
    print(array[0], loaded)


show()
version, numba.__version__ = numba.__version__, "0.63.0"
show()
numba.__version__ = version
stamp, internals.SOURCE_STAMP = internals.SOURCE_STAMP, "other sources"
show()
internals.SOURCE_STAMP = stamp


def refuse(*args):
    raise RuntimeError("no locator available")


cache, internals._Cache = internals._Cache, refuse  # nothing is writable
show()
internals._Cache = cache
(file,) = internals.FOLDER.iterdir()
content = file.read_bytes()
for damaged in (content[:-1], content[:40] + bytes([content[40] ^ 1]) + content[41:], b""):
    file.write_bytes(damaged)
    show()
"""


def processor_of(features):
    target = shipped_target((TRIPLE, "some processor", features))
    return target and target[1]


def test_a_processor_takes_the_highest_level_whose_vectors_are_as_wide_as_its_own():
    assert processor_of(f"{V4},+avx512vnni,-sse4a") == "x86-64-v4"
    assert processor_of(f"{V3},+sse4a,-avx512f") == "x86-64-v3"
    assert processor_of(f"{V3},+avx512f,+avx512cd") is None  # buffers would be made for 64 bytes
    assert processor_of(V3.replace("+avx2", "-avx2")) is None
    assert processor_of("") is None
    arm = "arm64-apple-darwin23", "apple-m1", "+neon,+fullfp16"
    assert shipped_target(arm) == ("arm64-apple-darwin23", "generic", ARM)
    assert shipped_target(("powerpc64le-unknown-linux-gnu", "pwr9", "+vsx")) is None


@pytest.mark.skipif(not numba_internals.enabled(), reason="the plain path is taken")
def test_shipped_code_is_used_where_it_was_made_for_this_and_is_intact(programs):
    target = shipped_target(cpu_target.target_context.codegen().magic_tuple())
    if target is None:
        pytest.skip("wheels bring nothing for this processor")
    chosen = {"NUMBA_CPU_NAME": target[1], "NUMBA_CPU_FEATURES": target[2]}
    program = "import family; family.results('0')"
    programs.run("-c", program, **chosen)  # as a wheel is built
    (made,) = (programs.folder / "cache").rglob("*.nbc")
    shipped = programs.folder / "shipped"
    shipped.mkdir()
    shutil.move(made, shipped)
    (programs.folder / "program.py").write_text(PROGRAM)
    assert programs.run("program.py", shipped) == [
        "4.0 True",
        "4.0 False",  # another Numba
        "4.0 False",  # other sources
        "4.0 True",  # no cache of its own
        "4.0 False",  # damaged
        "4.0 False",
        "4.0 False",
    ]
