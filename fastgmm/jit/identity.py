"""What tells kernels apart that have one name: their code and what their closures capture.

A factory such as ``em_pass_of(name, mahalanobis, accumulate)`` writes one kernel for different
helpers. The kernels it returns have one qualified name and one code, and differ in what they
capture. Their machine code must not be confused: in the cache, where it is kept under the kernel's
identity, and in Numba's linker, which knows functions by their names.

The library's own sources need not be part of an identity: the cache keeps their digest apart. A
kernel written elsewhere is identified by the digest of its file, too, and by the kernels it calls.
"""

import functools
import hashlib
import os
import types
from pathlib import Path

from fastgmm.jit.registry import find

_PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"
_CONSTANTS = (bool, int, float, complex, str, bytes, type(None))


def identity(function):
    """Return a short name of a kernel's code and of all it captures: 16 hexadecimal digits.

    Raises TypeError where it captures anything but kernels, functions and constants.
    """
    return hashlib.sha256(repr(_of_function(function, ())).encode()).hexdigest()[:16]


def _of_function(function, callers):
    """Return the identity of a Python function as nested tuples of text."""
    if function in callers:  # a recursion, which adds nothing
        return function.__qualname__
    callers = (*callers, function)
    captured = [
        _of_value(f"{function.__qualname__} captures {name}", cell, callers)
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        )
    ]
    defaults = [
        _of_value(f"a default of {function.__qualname__}", value, callers)
        for value in function.__defaults__ or ()
    ]
    elsewhere = not function.__code__.co_filename.startswith(_PACKAGE)
    return (
        function.__module__,
        function.__qualname__,
        _of_code(function.__code__),
        captured,
        defaults,
        _outside(function, callers) if elsewhere else (),
    )


def _of_value(where, value, callers):
    """Return the identity of something captured, a cell or a value."""
    if isinstance(value, types.CellType):
        try:
            value = value.cell_contents
        except ValueError:
            raise TypeError(f"{where} before it has a value; define it first.") from None
    if isinstance(value, _CONSTANTS):
        return type(value).__name__, repr(value)
    if isinstance(value, tuple):
        return type(value).__name__, [_of_value(where, item, callers) for item in value]
    if find(value):
        return _of_kernel(value)
    if isinstance(value, types.FunctionType):
        return _of_function(value, callers)
    if _is_intrinsic(value):
        return _of_function(value.__wrapped__, callers)
    raise TypeError(
        f"{where}, which is {value!r}; a kernel may capture kernels made by @jit or @jit_sum, "
        "intrinsics, functions and constants, because the cache tells nothing else apart."
    )


@functools.cache
def _of_kernel(dispatcher):
    return sorted(find(dispatcher).options["fastmath"]), identity(dispatcher.py_func)


def _of_code(code):
    """Return what a code object does; its repr would hold an address."""
    constants = [
        _of_code(value) if isinstance(value, types.CodeType) else repr(value)
        for value in code.co_consts
    ]
    return code.co_code.hex(), constants, code.co_names


def _outside(function, callers):
    """Return the digest of the file of a function, and the identities of kernels it names."""
    called = [
        _of_value(name, value, callers)
        for name in function.__code__.co_names
        if (value := function.__globals__.get(name)) is not None
        and (find(value) or _is_intrinsic(value))
    ]
    return _file_digest(function.__code__.co_filename), called


def _is_intrinsic(value):
    definition = getattr(value, "__wrapped__", None)
    return isinstance(definition, types.FunctionType) and not hasattr(value, "py_func")


@functools.cache
def _file_digest(path):
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:  # no file: typed into a prompt
        return ""
