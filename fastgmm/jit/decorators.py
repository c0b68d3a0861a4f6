"""The decorators that compile kernels: the only place that spells Numba's options.

Flags
    ``contract`` lets a multiply and an add become one FMA and ``nsz`` ignores the sign of
    zero; neither can hurt. ``reassoc`` is granted function by function, to plain sums only:
    it folds away the rounding constant of the polynomial ``exp`` and makes it wrong by 40%.
    ``nnan`` and ``ninf`` are never granted, because they delete finiteness checks.

Memory
    Kernels allocate nothing: Python lends them their buffers. Numba then need not count
    references, which it does with atomic operations on the same few numbers from all threads:
    at two features that took a fifth of the time.
"""

import numba

from fastgmm.jit.cache import cached
from fastgmm.jit.numba_internals import EntryCompiler, HelperCompiler, jit_enabled

FAST = {"contract", "nsz"}
FAST_SUM = FAST | {"reassoc"}

_OPTIONS = {
    "nogil": True,
    "fastmath": FAST,
    "error_model": "numpy",
    "_nrt": False,  # nothing is allocated, so nothing need be counted: see above
    "no_cfunc_wrapper": True,
}
_HELPER = {**_OPTIONS, "no_cpython_wrapper": True, "pipeline_class": HelperCompiler}


def _njit(function, **options):
    with jit_enabled():
        return numba.njit(**options)(function)


def jit(function):
    """Compile a helper that only other kernels call."""
    return _njit(function, **_HELPER)


def jit_sum(function):
    """Compile a helper made of plain sums, whose terms may be added in any order."""
    return _njit(function, **{**_HELPER, "fastmath": FAST_SUM})


def entry(function):
    """Compile and cache a kernel that Python calls."""
    return cached(_njit(function, **_OPTIONS, pipeline_class=EntryCompiler))


def entry_named(name):
    """Compile and cache one of several kernels that are written once, for different helpers.

    The name tells their machine code apart.
    """

    def decorate(function):
        function.__qualname__ = name
        return entry(function)

    return decorate
