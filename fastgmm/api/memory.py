"""What a call will take in memory, told before it is allocated.

Operating systems promise memory that they do not have, and end the program that uses it; so
sizes that cannot be meant are refused by comparison with the memory of the machine.
"""

import math
import os
from contextlib import suppress
from pathlib import Path

from fastgmm.kernels.tiles import tile_size
from fastgmm.model.covariance import CovarianceType

_COPIES = 8  # of the covariances, at least: old and new ones, their factors and their moments
_LITTLE = 2**20  # bytes that every machine has
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


def memory_of_machine() -> float:
    """Return the bytes of memory of the machine or the container, infinity where not known."""
    limit = float("inf")
    with suppress(AttributeError, ValueError, OSError):
        limit = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(ValueError, OSError):  # "max" where there is none
        limit = min(limit, float(_CONTAINER_LIMIT.read_text()))
    return limit


def fit_bytes(
    covariance_type: CovarianceType, shape: tuple[int, int], itemsize: int, n_components: int
) -> int:
    """Return about how many bytes a fit takes beside the data (n_samples, n_features)."""
    n_features = shape[1]
    covariances = math.prod(covariance_type.shape(n_components, n_features))
    tile = tile_size(*shape, itemsize)
    buffers = tile * ((3 * n_features + n_components) * itemsize + 8 * n_components)
    return 8 * (_COPIES * covariances + 4 * n_components * n_features) + buffers


def refuse_beyond_memory(n_bytes: float, what: str, advice: str) -> None:
    """Raise MemoryError if `what` needs more memory than the machine has."""
    if n_bytes < _LITTLE:  # asking the system takes half as long as a prediction for one row
        return
    limit = memory_of_machine()
    if n_bytes > limit:
        raise MemoryError(
            f"{what} would need about {_readable(n_bytes)} of memory but there are "
            f"{_readable(limit)}; {advice}."
        )


def _readable(n_bytes: float) -> str:
    for unit in ("MiB", "GiB", "TiB"):
        n_bytes /= 1024.0 if unit != "MiB" else 2.0**20
        if n_bytes < 1000:
            break
    return f"{n_bytes:,.3g} {unit}" if n_bytes < 1000 else f"{n_bytes:,.0f} {unit}"
