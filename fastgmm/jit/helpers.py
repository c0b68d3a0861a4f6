"""Helper processes, which compile beside this one what it will need next.

Numba compiles on one thread at a time, so more than one core needs more than one process. Helpers
write into the cache on disk, and `fastgmm.jit.turns` keeps any two processes from compiling the
same. They start when this process finds machine code missing, never before, and end with it. There
are none where Numba or the caller is held to one thread (``NUMBA_NUM_THREADS=1``). A helper takes a
second to start, and types and lowers again what entry points share.
"""

import atexit
import os
import subprocess
import sys
from contextlib import suppress

import numba

_MOST = 3  # helpers: with more, each would compile a single entry point
_LEAVE = 2.0  # seconds that a helper has to end


class Helpers:
    """The helper processes of this process."""

    def __init__(self):
        self._asked_for = None
        self._running = []
        atexit.register(self.stop)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.forget)

    def ask_for(self, program, n_jobs, n_threads=None):
        """Note what helpers are to run once machine code is missing.

        `program` is a function that returns Python; `n_jobs` is how many helpers can be of use,
        and `n_threads` the caller's number of threads, or None for Numba's own setting.
        """
        n_threads = n_threads or numba.config.NUMBA_NUM_THREADS
        self._asked_for = program, min(n_threads - 1, n_jobs, _MOST)

    def start(self):
        """Start what was asked for, unless helpers are at work already."""
        asked_for, self._asked_for = self._asked_for, None
        self._running = [helper for helper in self._running if helper.poll() is None]
        if asked_for is None or self._running or not _is_python(sys.executable):
            return
        program, most = asked_for
        command = [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{program()}"]
        with suppress(OSError):
            for _ in range(most):
                self._running.append(
                    subprocess.Popen(
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                        env=_environment(),
                    )
                )

    def stop(self):
        """End all helpers; what they have not finished is compiled by whoever needs it."""
        running, self._running = self._running, []
        for helper in running:
            helper.terminate()
        for helper in running:
            with suppress(subprocess.TimeoutExpired):
                helper.wait(_LEAVE)

    def forget(self):
        """In a forked child: the helpers are those of the parent."""
        self._running, self._asked_for = [], None


def _is_python(executable):
    """Return whether a file is Python itself, not a program that Python is part of."""
    return os.path.basename(executable or "").lower().startswith("python")


def _environment():
    """Return the environment of a helper: it compiles into the same folder, for one thread."""
    environment = {**os.environ, "NUMBA_NUM_THREADS": "1"}
    if numba.config.CACHE_DIR:
        environment["NUMBA_CACHE_DIR"] = numba.config.CACHE_DIR
    return environment


HELPERS = Helpers()
