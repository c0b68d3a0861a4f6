"""Threads: chunks of work, dealt out to the calling thread and to helpers.

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

import os
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress

import numba

from fastgmm.jit.numba_internals import direct, numba_threads_run

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
    if numba_threads_run():  # otherwise asking would start Numba's own threads
        return numba.get_num_threads()
    return numba.config.NUMBA_NUM_THREADS


class Workspaces:
    """Buffers that `launch` lends to a kernel, one set to a thread, and takes back."""

    def __init__(self, make):
        self._make = make
        self._spare = deque()

    def take(self):
        """Return buffers that no other thread uses."""
        try:
            return self._spare.pop()
        except IndexError:
            return self._make()

    def give_back(self, workspace):
        """Take buffers back for the next thread that needs some."""
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


def launch(kernel, n_chunks, workspaces, *args, work, n_threads=None, dtypes=None):
    """Call ``kernel(begin, end, n_chunks, workspace, *args)`` until every chunk is done.

    Where there is little work, the calling thread does all chunks in one call. Otherwise chunks
    are handed out in small groups to whoever is free, the calling thread among them; the outcome
    does not depend on who does which. An interrupt stops after the groups under way, and no helper
    is still at work when this returns. Where no helpers can be started, the calling thread does
    everything.

    Parameters
    ----------
    kernel : callable
        An entry point.
    n_chunks : int
        Number of chunks.
    workspaces : Workspaces
        Lends each thread its buffers.
    *args
        Further arguments of the kernel.
    work : int
        Arithmetic operations of all chunks together, roughly.
    n_threads : int, optional
        Threads to use at most; by default the caller's Numba setting.
    dtypes : tuple, optional
        What the types of all arguments depend on, for kernels that are launched often: then Numba
        does not look at them again for each call.
    """
    if dtypes is not None:
        kernel = direct(kernel, *dtypes)
    n_threads = min(threads_for(work, n_threads), n_chunks)
    if n_chunks == 1 or work < PARALLEL_WORK:
        workspace = workspaces.take()
        kernel(0, n_chunks, n_chunks, workspace, *args)
        workspaces.give_back(workspace)
        return
    chunks = _Chunks(n_chunks, n_threads)

    def run():
        workspace = workspaces.take()
        for begin, end in chunks.groups():
            kernel(begin, end, n_chunks, workspace, *args)
        workspaces.give_back(workspace)

    helpers = []
    try:
        with suppress(RuntimeError):  # no further thread can be started, or Python is ending
            for _ in range(n_threads - 1):
                helpers.append(_helpers.submit(run))
        run()
    finally:
        chunks.stop()  # after an error nobody starts another group
        running = [helper for helper in helpers if not helper.cancel()]
        wait(running)
    for helper in running:
        helper.result()
