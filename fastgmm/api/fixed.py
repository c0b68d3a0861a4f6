"""The argument `fixed`: which parts of a mixture stay at the values of its start."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fastgmm.api import checks
from fastgmm.em.fixed import Fixed
from fastgmm.model.covariance import CovarianceType

PARTS = ("weights", "means", "covariances")
_INITS = {"weights": "weights_init", "means": "means_init", "covariances": "precisions_init"}

FixedParts = str | int | Iterable[str | int] | Mapping[str, int | Iterable[int]] | None


def check_fixed(
    fixed: FixedParts,
    kind: CovarianceType,
    n_components: int,
    given: Iterable[str],
    on_collapse: str,
) -> Fixed | None:
    """Return the checked parts that stay, None if there are none.

    `given` names the parts whose start is given. See `fastgmm.fit` for the forms of `fixed`.
    """
    if fixed is None:
        return None
    if on_collapse == "reset":
        raise ValueError(
            "on_collapse='reset' moves components, which fixed forbids; use 'regularize' or "
            "'raise'."
        )
    masks = {part: np.zeros(n_components, bool) for part in PARTS}
    for part, components in _pairs(fixed, n_components):
        masks[part][components] = True
    for part, mask in masks.items():
        if mask.any() and part not in given:
            raise ValueError(
                f"fixed holds {part} at their start, but none is given; pass {_INITS[part]}."
            )
    shared = kind.shape(n_components, 2) == kind.shape(n_components + 1, 2)
    some = masks["covariances"]
    if shared and some.any() and not some.all():
        raise ValueError(
            f"fixed holds the covariances of some components, but with {kind.name!r} all have the "
            "same; fix all, none, or choose another covariance_type."
        )
    anything = any(mask.any() for mask in masks.values())
    return Fixed(masks["weights"], masks["means"], masks["covariances"]) if anything else None


def _pairs(fixed: Any, n_components: int) -> list[tuple[str, Any]]:
    """Return pairs of a part and the indices of components for which it is fixed."""
    if isinstance(fixed, Mapping):
        return [
            (checks.check_option(part, "fixed", PARTS), _indices(components, n_components))
            for part, components in fixed.items()
        ]
    if isinstance(fixed, str | numbers.Integral):
        fixed = (fixed,)
    if not isinstance(fixed, Iterable):
        raise TypeError(f"fixed must be names, component indices or a dict but is {fixed!r}.")
    pairs: list[tuple[str, Any]] = []
    for entry in fixed:
        if isinstance(entry, str):
            pairs.append((checks.check_option(entry, "fixed", PARTS), slice(None)))
        else:
            pairs += [(part, _indices(entry, n_components)) for part in PARTS]
    return pairs


def _indices(components: Any, n_components: int) -> list[int]:
    """Return the checked indices of components."""
    entries = components if isinstance(components, Iterable) else (components,)
    indices = [checks.check_integer(entry, "a component in fixed", 0) for entry in entries]
    if indices and max(indices) >= n_components:
        raise ValueError(
            f"fixed names component {max(indices)}, but n_components is {n_components}; count "
            "from 0."
        )
    return indices
