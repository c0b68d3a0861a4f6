"""Turns: of several processes that need the same machine code, one compiles it.

Who compiles an entry point holds a lock on a file beside the one that it will write. Others wait
for that, or do something else meanwhile. A lock ends with its process. Where a system has no such
locks each process compiles for itself, as it does after `MOST_SECONDS`.
"""

import os
import time
from contextlib import suppress

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

MOST_SECONDS = 120.0
_POLL_SECONDS = 0.02


class Busy(BaseException):
    """Another process compiles this, and the present one is not to wait for it."""


class Turn:
    """The lock that this process holds while it compiles; it compiles one entry point at a time.

    Attribute `waits` tells what `take` does if another process compiles: wait, or raise `Busy`.
    """

    def __init__(self):
        self.waits = True
        self._held = None

    def take(self, path):
        """Begin to compile what will be written to a file named `path`."""
        self.end()
        name = f"{path}.lock"
        if fcntl is None:
            return
        with suppress(OSError):
            file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                self._lock(file)
            except BaseException:
                os.close(file)
                raise
            self._held = file, name

    def _lock(self, file):
        """Lock an open file; raise TimeoutError after `MOST_SECONDS`."""
        give_up = time.monotonic() + MOST_SECONDS
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except (BlockingIOError, PermissionError):
                if not self.waits:
                    raise Busy from None
            if time.monotonic() > give_up:
                raise TimeoutError
            time.sleep(_POLL_SECONDS)

    def end(self):
        """End the turn, if this process has it."""
        held, self._held = self._held, None
        if held is not None:
            file, name = held
            with suppress(OSError):
                os.unlink(name)
            with suppress(OSError):
                os.close(file)


TURN = Turn()
