"""Which rows of a table are used: those in which no value is missing, or all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastgmm.cli.errors import FileProblem
from fastgmm.cli.tables.content import Content
from fastgmm.cli.tables.features import Features
from fastgmm.cli.wording import shortened

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK_ROWS = 1 << 16


class Rows(NamedTuple):
    """Rows of finite numbers, or NaN where values are missing."""

    values: NDArray[Any]  # (n_kept, n_features)
    kept: NDArray[Any] | None  # (n_rows,) bool: which rows these are; None: all


def usable_rows(path: Path, content: Content, features: Features, missing: str) -> Rows:
    """Return the rows in which every value is finite, and incomplete ones if `missing` is "em".

    Raises
    ------
    FileProblem
        If a value is infinite, no row is left, or a value is missing and `missing` is "error".
    """
    values = features.values
    if not values.size:
        raise FileProblem(f"{path} holds no rows of data")
    kept = np.ones(len(values), dtype=bool)
    for start in range(0, len(values), _BLOCK_ROWS):
        block = values[start : start + _BLOCK_ROWS]
        if not np.isfinite(block).all():
            refused = ~np.isfinite(block) if missing == "error" else np.isinf(block)
            if refused.any():
                raise _not_finite(path, features, start, *np.argwhere(refused)[0])
            kept[start : start + _BLOCK_ROWS] = ~np.isnan(block).any(axis=1)
    if kept.all():
        # A .npy file stays mapped into memory, whatever its order.
        return Rows(values if isinstance(values, np.memmap) else np.ascontiguousarray(values), None)
    n_kept, n_rows = np.count_nonzero(kept), len(kept)
    if missing == "em":
        n_gaps = n_rows - n_kept
        verb = "has" if n_gaps == 1 else "have"
        content.remarks.append(f"{n_gaps} of {n_rows} rows {verb} a missing value")
        return Rows(np.ascontiguousarray(values), None)
    if not n_kept:
        counts = np.isnan(values).sum(axis=0)
        name = shortened(features.names[counts.argmax()])
        raise FileProblem(
            f"{path}: every row has a missing value; leave out columns with --exclude, such as"
            f" {name}, in which {counts.max()} of {n_rows} values are missing"
        )
    n_left_out = n_rows - n_kept
    verb = "has" if n_left_out == 1 else "have"
    content.remarks.append(
        f"{n_left_out} of {n_rows} rows {verb} a missing value and"
        f" {'is' if n_left_out == 1 else 'are'} left out"
    )
    return Rows(np.ascontiguousarray(values[kept]), kept)


def _not_finite(path: Path, features: Features, start: int, row: int, column: int) -> FileProblem:
    """Return the error for a value in a row of the block that begins at row `start`."""
    row += start
    name = shortened(features.names[column])
    if np.isnan(features.values[row, column]):
        return FileProblem(
            f"{path}: the value of {name} in row {row + 1} is missing; fill in missing values,"
            " leave out such rows with --missing drop, or use their other values with --missing em"
        )
    return FileProblem(
        f"{path}: the value of {name} in row {row + 1} is infinite; every value must be a finite"
        " number, so remove such rows or correct them"
    )
