"""Which source serves what the caller passed: the place to name a new kind of rows."""

from numpy.typing import ArrayLike

from fastgmm.api import checks
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import Source


def rows_to_fit(
    X: ArrayLike | Source, sample_weight: ArrayLike | None, n_threads: int | None
) -> Source:
    """Return the source of rows to fit a mixture to, checked."""
    if isinstance(X, Source):
        return X
    X = checks.check_points(X)
    checks.refuse_overflow(X)
    weight = checks.balance(checks.check_sample_weight(sample_weight, len(X)))
    return ArraySource(X, weight, n_threads)


def rows_to_ask_of(
    X: ArrayLike | Source,
    n_features: int,
    sample_weight: ArrayLike | None = None,
    n_threads: int | None = None,
) -> Source:
    """Return the source of rows to ask a fitted mixture of, checked."""
    if isinstance(X, Source):
        return X
    X = checks.check_points(X, n_features)
    return ArraySource(X, checks.check_sample_weight(sample_weight, len(X)), n_threads)
