"""Estimates of a call's memory, and errors before memory is allocated that the machine lacks.

Operating systems grant more memory than they have, and kill the program that uses it. So calls
that need more than the memory of the machine raise `MemoryError` at the start.
"""

import math

from fastgmm.kernels.tiles import tile_size
from fastgmm.model.covariance import CovarianceType
from fastgmm.readers.memory import memory_of_machine

_COPIES = 8  # arrays of the covariances' size: old and new ones, their factors, their moments
_LITTLE = 2**20  # bytes: less is granted without a look at the machine


def fit_bytes(
    covariance_type: CovarianceType, shape: tuple[int, int], itemsize: int, n_components: int
) -> int:
    """Return an estimate of the bytes that a fit needs in addition to the data.

    `shape` is (n_samples, n_features), `itemsize` the bytes of a number of the data.
    """
    n_features = shape[1]
    covariances = math.prod(covariance_type.shape(n_components, n_features))
    tile = tile_size(*shape, itemsize)
    buffers = tile * ((3 * n_features + n_components) * itemsize + 8 * n_components)
    return 8 * (_COPIES * covariances + 4 * n_components * n_features) + buffers


def refuse_beyond_memory(n_bytes: float, what: str, advice: str) -> None:
    """Raise MemoryError if `what` needs more bytes than the machine has."""
    if n_bytes < _LITTLE:  # the system call takes half as long as a prediction for one row
        return
    limit = memory_of_machine()
    if n_bytes > limit:
        raise MemoryError(
            f"{what} would need about {readable(n_bytes)} of memory but the machine has "
            f"{readable(limit)}; {advice}."
        )


def readable(n_bytes: float) -> str:
    """Return a number of bytes as text, three digits and a unit."""
    unit = "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if n_bytes < 1000:
            break
        n_bytes, unit = n_bytes / 1024.0, larger
    return f"{n_bytes:,.3g} {unit}" if n_bytes < 1000 else f"{n_bytes:,.0f} {unit}"
