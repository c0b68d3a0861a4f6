"""The only place that spells JIT options, the compilation cache and threads.

Flags
    ``contract`` lets a multiply and an add become one FMA and ``nsz`` ignores the sign of
    zero; neither can hurt. ``reassoc`` is granted function by function, to plain sums only:
    it folds away the rounding constant of the polynomial ``exp`` and makes it wrong by 40%.
    ``nnan`` and ``ninf`` are never granted, because they delete finiteness checks.

Cache
    Numba's disk cache watches the file in which a function is written, not the files of the
    functions it calls. Every cached function here carries a digest of the package's kernel
    sources instead, so no edit of any of them can run stale machine code. Where no directory
    is writable, nothing is cached.

Threads
    Work is cut into chunks whose number depends on shapes alone. `launch` runs a serial or a
    parallel shell over them: serial for one thread or one chunk, and in a forked child, where
    an OpenMP pool inherited from the parent would abort the process. Numba's ``workqueue``
    layer aborts on concurrent launches, so there they take turns.
"""

import hashlib
import os
import threading
from pathlib import Path

import numba
from numba.core import caching

FAST = {"contract", "nsz"}
FAST_SUM = FAST | {"reassoc"}


def kernel_digest(folder=Path(__file__).parent):
    """Return the SHA-256 of every source file that machine code is made from."""
    digest = hashlib.sha256()
    for path in sorted([folder / "_jit.py", folder / "_simd.py", *folder.glob("*_kernels.py")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


SOURCE_STAMP = kernel_digest()


class _Cache(caching.FunctionCache):
    """Numba's cache of one function, stamped with `SOURCE_STAMP`."""

    def __init__(self, py_func):
        super().__init__(py_func)
        self._cache_file = caching.IndexDataCacheFile(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=SOURCE_STAMP,
        )


def _cached(dispatcher):
    try:
        dispatcher._cache = _Cache(dispatcher.py_func)
    except RuntimeError:  # no writable directory: compile anew in every process
        pass
    return dispatcher


def jit(function):
    """Compile a helper that only other kernels call."""
    return numba.njit(nogil=True, fastmath=FAST, error_model="numpy", no_cpython_wrapper=True,
                      no_cfunc_wrapper=True)(function)  # fmt: skip


def jit_sum(function):
    """Compile a helper made of plain sums, whose terms may be added in any order."""
    return numba.njit(nogil=True, fastmath=FAST_SUM, error_model="numpy", no_cpython_wrapper=True,
                      no_cfunc_wrapper=True)(function)  # fmt: skip


def entry(function):
    """Compile and cache a kernel that Python calls."""
    return _cached(numba.njit(nogil=True, fastmath=FAST, error_model="numpy")(function))


def pjit(function):
    """Compile and cache a parallel shell: a `prange` over chunks and nothing else."""
    return _cached(
        numba.njit(nogil=True, parallel=True, fastmath=FAST, error_model="numpy")(function)
    )


prange = numba.prange

_turn = threading.Lock()
_process = os.getpid()


def available_threads(n_threads=None):
    """Return how many threads a launch may use: `n_threads`, or the caller's Numba setting."""
    if os.getpid() != _process:
        return 1
    if n_threads is None:
        return numba.get_num_threads()
    return min(n_threads, numba.config.NUMBA_NUM_THREADS)


def launch(serial, parallel, n_threads, n_chunks, *args):
    """Call ``shell(n_chunks, *args)`` on at most `n_threads` threads."""
    if n_threads == 1 or n_chunks == 1:
        serial(n_chunks, *args)
        return
    before = numba.get_num_threads()
    numba.set_num_threads(n_threads)
    try:
        if numba.threading_layer() == "workqueue":
            with _turn:
                parallel(n_chunks, *args)
        else:
            parallel(n_chunks, *args)
    finally:
        numba.set_num_threads(before)
