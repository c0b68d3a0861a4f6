"""Whether the columns of a file are those that a model was fitted to."""

from __future__ import annotations

from collections.abc import Sequence

from fastgmm.cli.errors import Failure
from fastgmm.cli.wording import listed, plural

Names = tuple[str, ...] | None


def check_count(place: str, found: int, fitted: int) -> None:
    """Refuse another number of columns than that of the fit."""
    if found != fitted:
        raise Failure(
            f"{place} has {found} {plural(found, 'column')} but the model was fitted to"
            f" {fitted}; choose the same columns with --columns"
        )


def check_set(place: str, names: Sequence[str], fitted: Sequence[str]) -> None:
    """Refuse other names than those of the fit, whatever their order."""
    if set(names) != set(fitted):
        raise Failure(
            f"{place}: the model was fitted to the columns {listed(fitted)}, not to"
            f" {listed(names)}; choose the same columns with --columns"
        )
