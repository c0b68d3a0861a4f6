"""All kernels of this process: how each was compiled, and how often from the cache."""

from typing import NamedTuple


class Kernel(NamedTuple):
    """A compiled function, Numba's options for it, and whether the fast path compiles it."""

    dispatcher: object
    options: dict
    fast: bool
    entry: bool


_KERNELS = {}  # by the id of the dispatcher, which is kept alive here


def remember(dispatcher, options, fast, entry=False):
    """Note a kernel; return its dispatcher."""
    _KERNELS[id(dispatcher)] = Kernel(dispatcher, options, fast, entry)
    return dispatcher


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
