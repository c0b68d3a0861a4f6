"""What a mixture answers for rows: for all of them in one array, or block by block."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from fastgmm.api.memory import refuse_beyond_memory
from fastgmm.sources.base import Answers


class Predictions(NamedTuple):
    """Answers for a block of consecutive rows: see `Mixture.predict_blocks`.

    Attributes
    ----------
    labels : ndarray of shape (n_rows,)
        The most probable component of each row.
    proba : ndarray of shape (n_rows, n_components) or None
        The probability of each component, if requested.
    log_prob : ndarray of shape (n_rows,) or None
        The log-density of each row, in nats, if requested.
    """

    labels: np.ndarray
    proba: np.ndarray | None = None
    log_prob: np.ndarray | None = None


def in_blocks(blocks: Iterable[Answers], wanted: tuple[str, ...]) -> Iterator[Predictions]:
    """Yield blocks of answers that the next block does not overwrite."""
    for block in blocks:
        yield Predictions(**{name: getattr(block, name).copy() for name in wanted})


def in_one_array(blocks: Iterable[Answers], name: str) -> np.ndarray:
    """Return the array of `Answers` of this name for all rows.

    Raises
    ------
    MemoryError
        If it needs more memory than the machine has.
    """
    arrays: list[np.ndarray] = []
    n_bytes = 0
    for block in blocks:
        arrays.append(getattr(block, name))
        n_bytes += arrays[-1].nbytes
        if len(arrays) > 1:
            refuse_beyond_memory(
                2 * n_bytes, "The answers for all rows", "use predict_blocks, which yields parts"
            )
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
