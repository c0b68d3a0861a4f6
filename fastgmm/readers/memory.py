"""How much memory there is, and whether the system's cache can hold files."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
_MOST_CACHED = 0.8  # of the memory: programs need the rest


def memory_of_machine() -> float:
    """Return the bytes of memory of the machine or its container; infinity if unknown."""
    limit = float("inf")
    with suppress(AttributeError, ValueError, OSError):
        limit = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(ValueError, OSError):  # the file says "max" if there is no limit
        limit = min(limit, float(_CONTAINER_LIMIT.read_text()))
    return limit


def fit_in_cache(files: Iterable[Path]) -> bool:
    """Return whether the system can keep all these files in memory from one pass to the next."""
    size = sum(file.stat().st_size for file in files)
    return size <= _MOST_CACHED * memory_of_machine()
