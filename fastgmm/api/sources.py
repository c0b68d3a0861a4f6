"""The source for the rows that a caller passes; a new kind of rows is recognised here."""

from typing import Any

from numpy.typing import ArrayLike

from fastgmm.api import checks
from fastgmm.api.readers import is_collection, reader_of
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import Source
from fastgmm.sources.blocks import BlockSource


def rows_to_fit(
    X: Any,
    sample_weight: ArrayLike | None = None,
    n_threads: int | None = None,
) -> Source:
    """Return the checked source of rows to fit a mixture to.

    Raises
    ------
    TypeError, ValueError
        If X or the weights are invalid, if squares of X would overflow, or if weights are given
        with a `Source`, which has its own.
    """
    if isinstance(X, Source):
        return _given_source(X, sample_weight, n_threads)
    outside = _outside_memory(X, sample_weight, n_threads)
    if outside is not None:
        return outside
    X = checks.check_points(X)
    checks.refuse_overflow(X)
    weight = checks.balance(checks.check_sample_weight(sample_weight, len(X)))
    return ArraySource(X, weight, n_threads)


def rows_for_inference(
    X: Any,
    n_features: int,
    sample_weight: ArrayLike | None = None,
    n_threads: int | None = None,
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
    outside = _outside_memory(X, sample_weight, n_threads)
    if outside is not None:
        checks.check_n_features(outside.n_features, n_features)
        return outside
    X = checks.check_points(X, n_features)
    return ArraySource(X, checks.check_sample_weight(sample_weight, len(X)), n_threads)


def _outside_memory(X: Any, sample_weight: Any, n_threads: int | None) -> Source | None:
    """Return the source of rows in files or on a cluster, None if X is in memory."""
    if is_collection(X):
        from fastgmm.api.collections import source_of

        return source_of(X, sample_weight, n_threads)
    reader = reader_of(X, sample_weight)
    return None if reader is None else BlockSource(reader, n_threads)


def _given_source(source: Source, sample_weight: ArrayLike | None, n_threads: int | None) -> Source:
    """Return a source that the caller made, with `n_threads` threads unless that is None."""
    if sample_weight is not None:
        raise ValueError(
            f"sample_weight was given, but X is a {type(source).__name__}, and a source has its "
            "own weights; pass the weights where the source is made."
        )
    return source if n_threads is None else source.view(n_threads)
