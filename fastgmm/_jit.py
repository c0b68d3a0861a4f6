"""The only place that spells JIT options, the compilation cache and threads.

Flags
    ``contract`` lets a multiply and an add become one FMA and ``nsz`` ignores the sign of
    zero; neither can hurt. ``reassoc`` is granted function by function, to plain sums only:
    it folds away the rounding constant of the polynomial ``exp`` and makes it wrong by 40%.
    ``nnan`` and ``ninf`` are never granted, because they delete finiteness checks.

Memory
    Kernels allocate nothing: Python lends them their buffers. Numba then need not count
    references, which it does with atomic operations on the same few numbers from all threads:
    at two features that took a fifth of the time.

Cache
    Numba's disk cache watches the file in which a function is written, not the files of the
    functions it calls. Machine code is kept here under the digest of all the package's kernel
    sources and of the types it was made for, so no edit of any of them can run stale machine
    code, and two processes that save at once cannot take each other's: Numba numbers its files
    in an index that it writes apart from them. Code carries its own digest; what is damaged is
    compiled anew. Where no directory is writable, or the disk is full, nothing is cached.

Threads
    Work is cut into chunks whose number depends on shapes alone. `launch` runs the chunks of an
    entry point on the calling thread and on helpers of the library's own; kernels release the
    interpreter lock, so they run side by side. Numba's `prange` was measured and left: a
    parallel shell about each of the four entry points added 10 s of compilation to the first
    fit (21 s against 11), its ``workqueue`` layer aborts on concurrent launches and its ``omp``
    layer in a forked child, and it deals chunks out in advance, so that one slow core holds up
    all. A launch here takes 15 us (5 on one thread, 1 for one chunk), and `PARALLEL_WORK`
    keeps small problems away from it. Python is returned to every `GROUP_SECONDS` or so,
    because it minds an interrupt only then.
"""

import hashlib
import os
import pickle
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

import numba
from numba.core import caching
from numba.np.ufunc import parallel

from fastgmm._compiler import EntryCompiler, HelperCompiler, jit_enabled

FAST = {"contract", "nsz"}
FAST_SUM = FAST | {"reassoc"}


def kernel_digest(folder=Path(__file__).parent):
    """Return the SHA-256 of every source file that machine code is made from."""
    digest = hashlib.sha256()
    others = [folder / f"{name}.py" for name in ("_compiler", "_jit", "_simd")]
    for path in sorted([*others, *folder.glob("*_kernels.py")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


SOURCE_STAMP = kernel_digest()


class _CacheFiles(caching.IndexDataCacheFile):
    """Files of one function's machine code, each named by what the code was made from."""

    def _name(self, key):
        made_from = repr((self._source_stamp, self._version, key)).encode()
        stem = self._index_name.removesuffix(".nbi")
        return f"{stem}.{hashlib.sha256(made_from).hexdigest()[:32]}.nbc"

    def save(self, key, data):
        content = self._dump(data)
        with self._open_for_write(self._data_path(self._name(key))) as file:
            file.write(hashlib.sha256(content).digest() + content)

    def load(self, key):
        try:
            content = Path(self._data_path(self._name(key))).read_bytes()
        except OSError:  # not there, as a rule
            return None
        digest, content = content[:32], content[32:]
        return pickle.loads(content) if digest == hashlib.sha256(content).digest() else None


class _Cache(caching.FunctionCache):
    """Numba's cache of one function, stamped with `SOURCE_STAMP`."""

    def __init__(self, py_func):
        super().__init__(py_func)
        self._cache_file = _CacheFiles(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=SOURCE_STAMP,
        )

    def _index_key(self, sig, codegen):
        """Without what a closure captures: functions, which the sources and a name stand for."""
        code = hashlib.sha256(self._py_func.__code__.co_code).hexdigest()
        return sig, codegen.magic_tuple(), code

    def save_overload(self, sig, data):
        with suppress(OSError):  # a full disk, say: the code is there all the same
            super().save_overload(sig, data)


def _cached(dispatcher):
    try:
        dispatcher._cache = _Cache(dispatcher.py_func)
    except RuntimeError:  # no writable directory: compile anew in every process
        pass
    return dispatcher


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
    return _cached(_njit(function, **_OPTIONS, pipeline_class=EntryCompiler))


def entry_named(name):
    """Compile and cache one of several kernels that are written once, for different helpers.

    The name tells their machine code apart.
    """

    def decorate(function):
        function.__qualname__ = name
        return entry(function)

    return decorate


PARALLEL_WORK = 2_000_000  # arithmetic operations that are worth waking other threads for
GROUP_SECONDS = 0.05  # between returns to Python, where chunks are short enough


class _Helpers:
    """Threads that help whoever launches; made on first use and ended before a fork.

    A child in which they were missing could not be told from one in which they are busy.
    """

    def __init__(self):
        self.pool = None
        self.lock = threading.Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self.end, after_in_child=self.forget)

    def end(self):
        with self.lock:
            pool, self.pool = self.pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)

    def forget(self):
        self.pool = None
        self.lock = threading.Lock()

    def submit(self, function):
        with self.lock:
            if self.pool is None:
                most = max(1, numba.config.NUMBA_NUM_THREADS - 1)
                self.pool = ThreadPoolExecutor(most, thread_name_prefix="fastgmm")
            return self.pool.submit(function)


_helpers = _Helpers()


def threads_for(work, n_threads=None):
    """Return how many threads to use for some number of arithmetic operations.

    At most `n_threads`, or where that is None the caller's Numba setting; one for little work.
    """
    if work < PARALLEL_WORK:
        return 1
    if n_threads is not None:
        return min(n_threads, numba.config.NUMBA_NUM_THREADS)
    if parallel._is_initialized:  # asking would start Numba's own threads
        return numba.get_num_threads()
    return numba.config.NUMBA_NUM_THREADS


class Workspaces:
    """Buffers that `launch` lends to a kernel, one set to a thread, and takes back."""

    def __init__(self, make):
        self._make = make
        self._spare = deque()

    def take(self):
        try:
            return self._spare.pop()
        except IndexError:
            return self._make()

    def give_back(self, workspace):
        self._spare.append(workspace)


class _Chunks:
    """Deals chunks out in groups that take about `GROUP_SECONDS`, whatever a chunk takes."""

    def __init__(self, n_chunks, n_threads):
        self._most = n_chunks if n_threads == 1 else max(1, n_chunks // (4 * n_threads))
        self._n_chunks = n_chunks
        self._next = 0
        self._lock = threading.Lock()

    def stop(self):
        with self._lock:
            self._next = self._n_chunks

    def groups(self):
        """Yield (begin, end) until all chunks are dealt out; for each thread anew."""
        size = 1
        while True:
            with self._lock:
                begin = self._next
                self._next = end = min(begin + size, self._n_chunks)
            if begin == end:
                return
            start = time.perf_counter()
            yield begin, end
            seconds = (time.perf_counter() - start) / (end - begin)
            size = max(1, min(self._most, int(GROUP_SECONDS / max(seconds, 1e-9))))


def call_at_once(kernel, n_chunks, workspaces, *args):
    """Call ``kernel(0, n_chunks, n_chunks, workspace, *args)`` on this thread."""
    workspace = workspaces.take()
    kernel(0, n_chunks, n_chunks, workspace, *args)
    workspaces.give_back(workspace)


def launch_if_long(kernel, work, n_threads, n_chunks, workspaces, *args):
    """Call a kernel at once where there is little `work`, and else `launch` it."""
    if work < PARALLEL_WORK:
        call_at_once(kernel, n_chunks, workspaces, *args)
    else:
        launch(kernel, threads_for(work, n_threads), n_chunks, workspaces, *args)


def launch(kernel, n_threads, n_chunks, workspaces, *args):
    """Call ``kernel(begin, end, n_chunks, workspace, *args)`` until every chunk is done.

    Chunks are handed out in small groups to whoever is free, the calling thread among them;
    the outcome does not depend on who does which. An interrupt stops after the groups under
    way, and no helper is still at work when this returns. Where no helpers are to be had, the
    calling thread does all.
    """
    if n_chunks == 1:
        call_at_once(kernel, 1, workspaces, *args)
        return
    n_threads = min(n_threads, n_chunks)
    chunks = _Chunks(n_chunks, n_threads)

    def work():
        workspace = workspaces.take()
        for begin, end in chunks.groups():
            kernel(begin, end, n_chunks, workspace, *args)
        workspaces.give_back(workspace)

    if n_threads == 1:
        work()
        return
    helpers = []
    try:
        with suppress(RuntimeError):  # no further thread can be started, or Python is ending
            for _ in range(n_threads - 1):
                helpers.append(_helpers.submit(work))
        work()
    finally:
        chunks.stop()  # after an error nobody starts another group
        running = [helper for helper in helpers if not helper.cancel()]
        wait(running)
    for helper in running:
        helper.result()
