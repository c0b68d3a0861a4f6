"""The source for the rows that a caller passes; a new kind of rows is recognised here."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastgmm.api import checks
from fastgmm.api.names import Names
from fastgmm.api.readers import is_collection, reader_of
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import Source
from fastgmm.sources.blocks import BlockSource
from fastgmm.sources.incomplete import IncompleteSource
from fastgmm.sources.incomplete_parts import IncompleteBlocks, IncompleteParts

Watch = Callable[[int, int], object]


def rows_to_fit(
    X: Any,
    sample_weight: ArrayLike | None = None,
    n_threads: int | None = None,
    missing: str = "error",
    watch: Watch | None = None,
) -> Source:
    """Return the checked source of rows to fit a mixture to.

    `missing` is the argument of `fastgmm.fit`. `watch` follows passes over rows in files, and the
    first pass already: see `Source`.

    Raises
    ------
    TypeError, ValueError
        If X or the weights are invalid, if squares of X would overflow, or if weights are given
        with a `Source`, which has its own.
    """
    if isinstance(X, Source):
        return _given_source(X, sample_weight, n_threads)
    gaps = checks.check_missing(missing)
    outside = _outside_memory(X, sample_weight, n_threads, gaps, watch)
    if outside is not None:
        return outside
    X = checks.check_points(X, gaps=gaps)
    checks.refuse_overflow(X)
    weight = checks.balance(checks.check_sample_weight(sample_weight, len(X)))
    if gaps and _has_nan(X):
        return IncompleteSource(X, weight, n_threads)
    return ArraySource(X, weight, n_threads)


def refuse_unobserved(source: Source, names: Names) -> None:
    """Raise ValueError if a feature is missing in every row of positive weight."""
    if not isinstance(source, IncompleteSource | IncompleteParts) or source.has_values.all():
        return
    j = int(np.argmin(source.has_values))
    weighted = " of positive weight" if source.is_weighted else ""
    raise ValueError(
        f"X has no value of feature {repr(names[j]) if names else j} in any row{weighted}; leave "
        "this feature out."
    )


def rows_for_inference(
    X: Any,
    n_features: int,
    sample_weight: ArrayLike | None = None,
    n_threads: int | None = None,
    missing: str = "error",
) -> Source:
    """Return the checked source of rows for questions to a mixture of `n_features`.

    Raises
    ------
    TypeError, ValueError
        If X or the weights are invalid, if X has another number of features, or if weights are
        given with a `Source`, which has its own.
    """
    if isinstance(X, Source):
        checks.check_n_features(X.n_features, n_features)
        return _given_source(X, sample_weight, n_threads)
    gaps = checks.check_missing(missing)
    outside = _outside_memory(X, sample_weight, n_threads, gaps)
    if outside is not None:
        checks.check_n_features(outside.n_features, n_features)
        return outside
    X = checks.check_points(X, n_features, gaps)
    weight = checks.check_sample_weight(sample_weight, len(X))
    kind = IncompleteSource if gaps and _has_nan(X) else ArraySource
    return kind(X, weight, n_threads)


def _has_nan(X: np.ndarray) -> bool:
    """Return whether an array without infinite values has NaN."""
    with np.errstate(over="ignore", invalid="ignore"):
        return not np.isfinite(X.sum()) and bool(np.isnan(X).any())


def _outside_memory(
    X: Any,
    sample_weight: Any,
    n_threads: int | None,
    gaps: bool,
    watch: Watch | None = None,
) -> Source | None:
    """Return the source of rows in files or on a cluster, None if X is in memory."""
    collection = is_collection(X)
    reader = None if collection else reader_of(X, sample_weight)
    if not collection and reader is None:
        return None
    if reader is not None:
        return (IncompleteBlocks if gaps else BlockSource)(reader, n_threads, watch=watch)
    from fastgmm.api.collections import source_of

    source = source_of(X, sample_weight, n_threads, gaps)
    source.watch = watch
    return source


def _given_source(source: Source, sample_weight: ArrayLike | None, n_threads: int | None) -> Source:
    """Return a source that the caller made, with `n_threads` threads unless that is None."""
    if sample_weight is not None:
        raise ValueError(
            f"sample_weight was given, but X is a {type(source).__name__}, and a source has its "
            "own weights; pass the weights where the source is made."
        )
    return source if n_threads is None else source.view(n_threads)
