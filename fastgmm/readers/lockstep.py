"""Rows that are read once for several fits, which run in lockstep.

Each fit runs on a thread of its own. A thread that needs a block waits until every other one does,
or has ended. Then one of them takes the block from the reader, and all who wait for it get it. A
pass begins when every thread waits for one, so n fits in lockstep read the rows as often as the
longest fit alone. Each fit adds up the same blocks in the same order as it would alone: the results
have the same bits.

Sums over blocks were not gathered in one place, because sums, answers, folds, and rows with gaps
would each need a second form there. This way they are shared without knowing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastgmm.readers.base import Block, Reader

_PATIENCE = 0.1  # seconds between two looks at whether all fits are to end

_Handed = Block | BaseException | None  # None is the end of a pass


class Lockstep:
    """Threads that read the same rows together.

    Parameters
    ----------
    n_members : int
        Number of threads. No block is read before each has become a member once and waits, or has
        left.
    turns : threading.Semaphore
        A member has a turn while it computes; it is given back while the member waits for a block.
    tick : callable
        Called before each block and while members wait; it raises an exception to end them all.
    """

    def __init__(self, n_members: int, turns: threading.Semaphore, tick: Callable[[], None]):
        self._turns, self._tick = turns, tick
        self._changed = threading.Condition()
        self._n_members = n_members  # who may still ask for blocks
        self._present: set[int] = set()
        self._waiting: dict[int, bool] = {}  # by thread: whether it waits for a new pass
        self._handed: dict[int, _Handed] = {}
        self._blocks: Iterator[Block] = iter(())  # of the present pass

    @contextmanager
    def member(self) -> Iterator[None]:
        """Make this thread a member; the others no longer wait for it at the end, errors included.

        Waiting members need not be told why a member has left.
        """
        me = threading.get_ident()
        with self._changed:
            self._present.add(me)
        try:
            yield
        finally:
            with self._changed:
                self._present.discard(me)
                self._n_members -= 1
                self._changed.notify_all()

    def blocks(self, reader: Reader) -> Iterator[Block]:
        """Yield the blocks of a reader, the same one for all threads, in a pass with all members.

        A member must have a turn. A thread that is no member reads alone.

        Raises
        ------
        BaseException
            Any error of the reader; every member of the pass gets it.
        """
        if threading.get_ident() not in self._present:
            yield from reader.ahead()
            return
        begins = True
        while (block := self._next(reader, begins)) is not None:
            yield block
            del block
            begins = False

    def _next(self, reader: Reader, begins: bool) -> Block | None:
        """Return the next block, or the first of a pass that `begins`; None after the last."""
        me = threading.get_ident()
        self._turns.release()
        try:
            with self._changed:
                handed = self._wait(me, begins, reader)
        finally:
            self._turns.acquire()
        if isinstance(handed, BaseException):
            raise handed
        return handed

    def _wait(self, me: int, begins: bool, reader: Reader) -> _Handed:
        """Wait for a block; the last who does so reads it."""
        self._waiting[me] = begins
        try:
            while me in self._waiting:
                self._tick()
                if len(self._waiting) == self._n_members:
                    self._hand_out(reader)
                else:
                    self._changed.wait(_PATIENCE)
        finally:
            self._waiting.pop(me, None)
        return self._handed.pop(me)

    def _hand_out(self, reader: Reader) -> None:
        """Read a block for those who wait for one; with nobody in a pass, begin one for all.

        The lock is held meanwhile: whoever could want it waits for the block.
        """
        going = [member for member, begins in self._waiting.items() if not begins]
        if not going:
            self._blocks = reader.ahead()
            going = list(self._waiting)
        handed: _Handed
        try:
            handed = next(self._blocks, None)
        except BaseException as error:  # raised again by every member of the pass
            handed = error
        for member in going:
            del self._waiting[member]
            self._handed[member] = handed
        self._changed.notify_all()


class SharedReader(Reader):
    """The rows of a reader, which threads in lockstep read together."""

    def __init__(self, reader: Reader, lockstep: Lockstep):
        self.n_features, self.dtype, self.names = reader.n_features, reader.dtype, reader.names
        self._reader, self._lockstep = reader, lockstep

    def blocks(self) -> Iterator[Block]:
        """Yield all rows, alone."""
        return self._reader.blocks()

    def ahead(self) -> Iterator[Block]:
        """Yield all rows, together with the other members."""
        return self._lockstep.blocks(self._reader)

    def fingerprint(self) -> dict[str, tuple[int, ...]]:
        """Return that of the reader."""
        return self._reader.fingerprint()
