"""Collections of Dask: their partitions, on the cluster of the current client if there is one."""

from typing import Any

import numpy as np

from fastgmm._errors import ReadingError
from fastgmm.api.readers import is_collection
from fastgmm.readers.base import float_type
from fastgmm.readers.delayed import DelayedReader, Partition, load
from fastgmm.sources.base import Source
from fastgmm.sources.blocks import BlockSource
from fastgmm.sources.cluster import ClusterSource, Parts


def source_of(X: Any, sample_weight: Any = None, n_threads: int | None = None) -> Source:
    """Return the source of the rows of a collection.

    With a client of Dask the partitions stay on its workers. Without one they are computed one
    after the other at each pass.

    Raises
    ------
    ReadingError
        If the collection does not hold numbers, or the weights have other partitions.
    """
    from dask.delayed import delayed

    partition = _partition(X, sample_weight)
    rows = _delayed(X)
    weights = [sample_weight] * len(rows)
    if sample_weight is not None and not isinstance(sample_weight, str):
        weights = list(_delayed(sample_weight)) if is_collection(sample_weight) else []
        if len(weights) != len(rows):
            raise ReadingError(
                f"sample_weight must be a collection of Dask with the {len(rows)} partitions of X,"
                " or the name of a column."
            )
    loads = [
        delayed(load)(values, weight, partition._replace(number=number))
        for number, (values, weight) in enumerate(zip(rows, weights, strict=True))
    ]
    client = _current_client()
    if client is None:
        return BlockSource(DelayedReader(loads, partition), n_threads)
    return ClusterSource(Parts(client, client.compute(loads), partition))


def _partition(X: Any, sample_weight: Any) -> Partition:
    """Return what all partitions have in common."""
    names: tuple[str, ...] | None = None
    if hasattr(X, "columns"):
        types = {name: X.dtypes[name] for name in X.columns if name != sample_weight}
        text = [name for name, kind in types.items() if kind.kind not in "fiub"]
        if text:
            raise ReadingError(
                f"column {text[0]!r} of X holds {types[text[0]]}, not numbers; choose other"
                " columns."
            )
        single = all(kind == np.float32 for kind in types.values())
        if all(isinstance(name, str) for name in types):
            names = tuple(types)
        return Partition(len(types), np.dtype(np.float32 if single else np.float64), names)
    if X.ndim not in (1, 2):
        raise ReadingError(f"X must have 2 dimensions (rows, features) but has {X.ndim}.")
    if X.dtype.kind not in "fiub":
        raise ReadingError(f"X must hold real numbers but holds {X.dtype}.")
    return Partition(X.shape[1] if X.ndim == 2 else 1, float_type(X.dtype))


def _delayed(X: Any) -> list[Any]:
    """Return the partitions of a collection as delayed objects, each with all columns."""
    if not hasattr(X, "columns") and getattr(X, "ndim", 1) == 2:
        X = X.rechunk({1: -1})
    parts = X.to_delayed()
    return list(np.ravel(parts)) if isinstance(parts, np.ndarray) else list(parts)


def _current_client() -> Any:
    """Return the current client of Dask, None if there is none."""
    try:
        from distributed import default_client
    except ImportError:
        return None
    try:
        return default_client()
    except ValueError:
        return None
