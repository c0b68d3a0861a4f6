"""Blocks read ahead: a thread reads the next block while the one before is worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastgmm.readers.base import Block, Reader

_END = object()
_PATIENCE = 0.1  # seconds


def blocks_ahead(reader: Reader) -> Iterator[Block]:
    """Yield the blocks of a reader; one more is read meanwhile.

    An error of the reader is raised where its block would have come. If the iteration ends early,
    by an interrupt for example, the thread ends after the block that it is reading. Nobody waits
    longer for it than `_PATIENCE`: a block may take minutes.
    """
    ready: queue.Queue[Any] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def put(item: Any) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                pass
        return False

    def read() -> None:
        try:
            for block in reader.blocks():
                if not put(block):
                    return
            put(_END)
        except BaseException as error:  # raised again by the thread that works on the blocks
            put(error)

    thread = threading.Thread(target=read, name="fastgmm-reader", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            yield item
            del item  # so that a block is given up before the next one is there
    finally:
        stopped.set()
        thread.join(_PATIENCE)
