"""All kernels of this process: how each was compiled, and how often from the cache."""

import threading
import time
from typing import NamedTuple


class Kernel(NamedTuple):
    """A compiled function, Numba's options for it, and whether the fast path compiles it."""

    dispatcher: object
    options: dict
    fast: bool
    entry: bool


_KERNELS = {}  # by the id of the dispatcher, which is kept alive here


class _Spent(threading.local):
    """Seconds that a thread has waited for machine code, and whether it waits now."""

    seconds = 0.0
    waits = False


_SPENT = _Spent()


def remember(dispatcher, options, fast, entry=False):
    """Note a kernel; return its dispatcher."""
    _KERNELS[id(dispatcher)] = Kernel(dispatcher, options, fast, entry)
    if entry:
        dispatcher.compile = _timed(dispatcher.compile)
    return dispatcher


def _timed(compile_kernel):
    """Return Numba's method that gets a kernel's code, with its time added to `_SPENT`."""

    def compile_timed(*args):
        if _SPENT.waits:  # called by itself, on the plain path
            return compile_kernel(*args)
        begin, _SPENT.waits = time.perf_counter(), True
        try:
            return compile_kernel(*args)
        finally:
            _SPENT.waits = False
            _SPENT.seconds += time.perf_counter() - begin

    return compile_timed


def compiling_seconds():
    """Return the seconds that this thread has waited for machine code, made or loaded.

    By the clock, and with waits for other threads and processes that compile.
    """
    return _SPENT.seconds


def find(value):
    """Return the `Kernel` that a value is the dispatcher of, None for anything else."""
    return _KERNELS.get(id(value))


def entries():
    """Return the dispatchers of all kernels that Python calls."""
    return [kernel.dispatcher for kernel in _KERNELS.values() if kernel.entry]


def loaded_from_cache():
    """Return (name, signature) of entry points whose machine code was in the cache."""
    return _signatures("cache_hits")


def compiled_here():
    """Return (name, signature) of entry points that this process compiled: the cache's misses."""
    return _signatures("cache_misses")


def _signatures(counter):
    return [
        (dispatcher.py_func.__qualname__, str(signature))
        for dispatcher in entries()
        for signature, count in getattr(dispatcher.stats, counter).items()
        if count
    ]
