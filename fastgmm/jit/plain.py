"""The plain path of compilation: Numba's public decorator, where the fast path is not to be had.

The code is the same and so are the results. Numba optimises each helper by itself and again in each
of its callers, so compiling takes longer.

Cache
    Numba's cache notices edits of the file in which a function is written, and of no other. So
    machine code is kept in a folder named by the digest of all kernel sources; older folders are
    removed. Numba identifies what a closure captures by pickles, and kernels have other pickles
    in each process. So a closure is called by a small function that captures nothing, which is
    cached in its place, under a name that tells closures apart. Where no such folder is writable,
    nothing is kept on disk.
"""

import functools
import hashlib
import inspect
import operator
import os
import shutil
import tempfile
import types
from contextlib import contextmanager, suppress
from pathlib import Path

import numba
from numba import config

from fastgmm.jit.cache import SOURCE_STAMP
from fastgmm.jit.registry import entries, find, remember

_PACKAGE = Path(__file__).parents[1]


@contextmanager
def jit_enabled():
    """Let Numba compile even with ``NUMBA_DISABLE_JIT``: its intrinsics are nothing in Python.

    Users set that to step through code of their own.
    """
    disabled, config.DISABLE_JIT = config.DISABLE_JIT, 0
    try:
        yield
    finally:
        config.DISABLE_JIT = disabled


def helper(function, options):
    """Compile a helper."""
    with jit_enabled():
        dispatcher = numba.njit(**options)(plain_copy(function))
    return remember(dispatcher, options, fast=False)


def entry(function, options):
    """Compile an entry point, cached if possible."""
    function = plain_copy(function)
    with jit_enabled():
        if function.__closure__:
            function = _caller(numba.njit(**options)(function))
        dispatcher = _cached(function, options) or numba.njit(**options)(function)
    return remember(dispatcher, options, fast=False, entry=True)


def overload(function, args):
    """Return Numba's result of compiling an entry point of the fast path on this one."""
    kernel = next(find(one) for one in entries() if one.py_func is function)
    dispatcher = _entry_copy(kernel.dispatcher)
    dispatcher.compile(tuple(args))
    return dispatcher.overloads[tuple(args)]


# --- copies of kernels of the fast path


def plain_copy(function):
    """Return a function that calls helpers of this path wherever one calls those of the fast path.

    The same function if there are none. Helpers may be called by name, as attributes of a module,
    or be captured.
    """
    names = function.__code__.co_names
    found = {name: function.__globals__.get(name) for name in names}
    copies = {name: _copy_of(value, names) for name, value in found.items()}
    used = {name: copy for name, copy in copies.items() if copy is not found[name]}
    cells = function.__closure__ or ()
    captured = [cell.cell_contents for cell in cells]
    captured_copies = [_copy_of(value, names) for value in captured]
    if not used and all(map(operator.is_, captured, captured_copies)):
        return function
    copy = types.FunctionType(
        function.__code__,
        {**function.__globals__, **used},
        function.__name__,
        function.__defaults__,
        tuple(map(types.CellType, captured_copies)),
    )
    copy.__qualname__, copy.__module__ = function.__qualname__, function.__module__
    return copy


def _copy_of(value, names):
    """Return the copy of a helper, or of a module that has helpers by some of the names."""
    if _is_fast(value):
        return _helper_copy(value)
    if isinstance(value, types.ModuleType):
        helpers = {name: getattr(value, name, None) for name in names}
        copies = {name: _helper_copy(one) for name, one in helpers.items() if _is_fast(one)}
        if copies:
            module = types.ModuleType(value.__name__)
            vars(module).update(vars(value), **copies)
            return module
    return value


def _is_fast(value):
    kernel = find(value)
    return kernel is not None and kernel.fast


@functools.cache
def _helper_copy(dispatcher):
    return helper(dispatcher.py_func, find(dispatcher).options)


@functools.cache
def _entry_copy(dispatcher):
    return entry(dispatcher.py_func, find(dispatcher).options)


# --- the cache


def _caller(kernel):
    """Return a function that captures nothing and calls a kernel."""
    closure = kernel.py_func
    names = ", ".join(inspect.signature(closure).parameters)
    source = f"def caller({names}):\n    return kernel({names})\n"
    namespace = {"kernel": kernel, "__name__": closure.__module__}
    exec(compile(source, closure.__code__.co_filename, "exec"), namespace)
    caller = namespace["caller"]
    caller.__qualname__ = closure.__qualname__
    return caller


def _cached(function, options):
    """Return a function compiled and cached, None where it cannot be cached as it must be."""
    folder = cache_folder(config.CACHE_DIR)
    if folder is None:
        return None
    before, config.CACHE_DIR = config.CACHE_DIR, str(folder)
    try:
        dispatcher = numba.njit(**options, cache=True)(function)
        kept_in = Path(dispatcher.stats.cache_path)
    except Exception:  # as a rule a RuntimeError: Numba finds no folder for this function
        return None
    finally:
        config.CACHE_DIR = before
    return dispatcher if folder in kept_in.parents else None


@functools.cache
def cache_folder(asked_for):
    """Return a folder for machine code of these sources; None where none is writable.

    `asked_for` is the user's cache directory, or empty.
    """
    candidates = [asked_for] if asked_for else [_PACKAGE / "__pycache__", *_users_cache()]
    here = hashlib.sha256(str(_PACKAGE).encode()).hexdigest()[:16]
    for candidate in candidates:
        folder = Path(candidate, f"fastgmm-{here}-{SOURCE_STAMP[:16]}")
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            for other in folder.parent.glob(f"fastgmm-{here}-*"):
                if other != folder:
                    shutil.rmtree(other, ignore_errors=True)
            return folder
    return None


def _users_cache():
    try:
        return [Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")]
    except RuntimeError:  # no home
        return []
