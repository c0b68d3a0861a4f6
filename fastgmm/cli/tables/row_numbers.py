"""Columns that number the rows of a table: no feature, though they hold numbers.

pandas and R write such a column first and, as a rule, without a name. A mixture fitted to it would
find the order of the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Names that pandas and R give to a first column without a name when they write it once more.
_RENAMED = ("Unnamed: 0", "rownames", "row.names")


def numbers_rows(name: str, numbers: NDArray[Any]) -> bool:
    """Return whether a first column (n_rows,) numbers the rows.

    A column without a name does if its numbers increase, such as 1962.25, 1962.5, or if all are
    whole and different. They need not be consecutive, because rows may have been removed. A column
    of `_RENAMED` must count the rows.
    """
    if name:
        return name in _RENAMED and counts_rows(numbers)
    return bool((np.diff(numbers) > 0).all()) or _are_different(numbers)


def counts_rows(numbers: NDArray[Any]) -> bool:
    """Return whether numbers are consecutive, in any order."""
    return bool(_are_different(numbers) and np.ptp(numbers) == len(numbers) - 1)


def _are_different(numbers: NDArray[Any]) -> bool:
    """Return whether all numbers are whole and different."""
    if not np.array_equal(numbers, np.floor(numbers)):  # nor is any missing
        return False
    return bool((np.diff(np.sort(numbers)) > 0).all())
