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

from types import FunctionType

from fastgmm.jit import numba_internals, plain
from fastgmm.jit.cache import file_stem
from fastgmm.jit.identity import identity
from fastgmm.jit.registry import find

FAST = {"contract", "nsz"}
FAST_SUM = FAST | {"reassoc"}

_OPTIONS = {"nogil": True, "error_model": "numpy"}


def _helper(function, fastmath):
    """Compile a helper on the path that is taken."""
    options = {**_OPTIONS, "fastmath": fastmath}
    if function.__closure__:
        function.__qualname__ += f".{identity(function)}"
    if numba_internals.enabled():
        try:
            return numba_internals.helper(function, options)
        except Exception as error:
            numba_internals.PATH.give_up(repr(error))
    return plain.helper(function, options)


def jit(function):
    """Compile a helper that only other kernels call."""
    return _helper(function, FAST)


def jit_sum(function):
    """Compile a helper made of plain sums, whose terms may be added in any order."""
    return _helper(function, FAST_SUM)


def entry(function):
    """Compile and cache a kernel that Python calls.

    A closure may capture kernels, intrinsics, functions and constants: see `identity`.
    """
    options = {**_OPTIONS, "fastmath": FAST}
    name, stem = _name_by_identity(function)
    if numba_internals.enabled():
        try:
            return numba_internals.entry(function, stem, name, options)
        except Exception as error:
            numba_internals.PATH.give_up(repr(error))
    return plain.entry(function, options)


def linked(helper):
    """Compile and cache a helper once more, as a kernel with machine code of its own.

    Raises an error on the plain path, which has none: see `fastgmm.jit.linking`.
    """
    code, options = helper.py_func, find(helper).options
    function = FunctionType(
        code.__code__, code.__globals__, code.__name__, code.__defaults__, code.__closure__
    )
    function.__qualname__, function.__module__ = code.__qualname__, code.__module__
    name, stem = _name_by_identity(function)
    return numba_internals.linked(function, stem, name, options)


def _name_by_identity(function):
    """Rename a function, because Numba's linker knows functions by their names.

    Return the function's identity and what names of its files begin with.
    """
    name, stem = identity(function), file_stem(function)
    function.__qualname__ += f".{name}"
    return name, stem
