"""Linked kernels, which other kernels call by their addresses; and calls without types."""

import numpy as np
import pytest

from fastgmm.jit import linking
from fastgmm.jit.decorators import entry
from fastgmm.jit.numba_internals import direct
from fastgmm.kernels import passes

pytestmark = pytest.mark.skipif(not linking.linkable(), reason="kernels are not linked here")

LINKED = """
import logging
import sys
logging.basicConfig(format="%(message)s", stream=sys.stdout)
import numpy as np
from fastgmm.jit import linking, registry
from pair import Pair
from fastgmm.jit.decorators import entry, jit

@jit
def low(x):
    return x + 1.0

def scaled(times):
    @jit
    def scale(pair, x):
        for i in range(x.size):
            x[i] = times * pair.factor * low(x[i]) + pair.first[0]
        return x.size > 2

    return scale

call = linking.caller("boolean", 2)

@entry
def every(address, pair, x):
    return call(address, pair, x)

pair = Pair(np.array([0.5]), 2.0)
for times in (1.0, 3.0):
    x = np.ones(3)
    address = linking.LinkedKernel(scaled(times)).address(pair, x)
    print(every(address, pair, x), *x)
print(len(registry.loaded_from_cache()), len(registry.compiled_here()))
"""

PAIR = """
from typing import NamedTuple
import numpy as np

class Pair(NamedTuple):
    first: np.ndarray
    factor: float
"""

# Compiles the passes, and nothing that they call. Prints for how many precisions the types of all
# arguments, as their compilation saw them, are those that linked kernels are compiled for.
TYPES = """
import numba
import numpy as np
from fastgmm.kernels import passes
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.sources import links
from fastgmm.sources.array import ArraySource

links.address_of = lambda *kernel: 0
links.launch = lambda kernel, n, buffers, *args, **_: kernel(0, 0, n, buffers.take(), *args)
dtypes = [np.dtype(name) for name in ("float64", "float32")]
for dtype in dtypes:
    source = ArraySource(np.zeros((9, 2), dtype))
    source.moments(COVARIANCE_TYPES["full"], source.first_row())
for name in passes.Steps._fields:
    seen = set(getattr(passes, f"_{name}").overloads)
    compiled = {tuple(map(numba.typeof, links._examples(name, dtype))) for dtype in dtypes}
    print(name, len(seen & compiled), len(seen | compiled))
"""


def test_a_linked_kernel_is_called_compiled_and_loaded(programs):
    """Two kernels that differ in what they capture; both, and their caller, are cached."""
    (programs.folder / "pair.py").write_text(PAIR)
    (programs.folder / "program.py").write_text(LINKED)
    for counts in ("0 3", "3 0"):
        assert programs.run("program.py") == ["True 4.5 4.5 4.5", "True 12.5 12.5 12.5", counts]


def test_callers_and_linked_kernels_agree_on_all_types(programs):
    """A pass that passes another type than a kernel takes would overwrite memory."""
    agreed = [f"{name} 2 2" for name in passes.Steps._fields]
    assert programs.run("-c", TYPES, NUMBA_NUM_THREADS="1") == agreed


@entry
def add_one(values, more):
    for i in range(values.size):
        values[i] += 1.0
    more[0] += values.size


class TestDirect:
    """Calls of one entry point whose arguments are looked at once."""

    def add(self, values):
        more = np.zeros(1)
        direct(add_one)(values, more)
        return more[0]

    def test_calls(self):
        values = np.zeros(5)
        assert [self.add(values) for _ in range(3)] == [5.0] * 3
        assert values.tolist() == [3.0] * 5

    @pytest.mark.parametrize("other", ["gaps", "reversed", "unaligned", "single", "empty", "long"])
    def test_arrays_of_another_layout(self, other):
        """They are as right as with Numba's own call."""
        self.add(np.zeros(5))
        values = {
            "gaps": np.zeros(10)[::2],
            "reversed": np.zeros(5)[::-1],
            "unaligned": np.zeros(83, np.uint8)[3:].view(np.float64)[:5],
            "single": np.zeros(5, np.float32),
            "empty": np.zeros((0, 3))[:, 0],
            "long": np.zeros((1, 30_000))[0],
        }[other]
        assert self.add(values) == values.size
        assert (values == 1.0).all()
