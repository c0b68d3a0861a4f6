"""Collections of Dask: their partitions, on the cluster of the current client if there is one."""

from typing import Any, NamedTuple

import numpy as np

from fastgmm._errors import ReadingError
from fastgmm.api.checks import check_missing, check_n_features, check_threads
from fastgmm.api.names import refuse_other_names
from fastgmm.api.readers import is_collection
from fastgmm.readers.base import float_type
from fastgmm.readers.delayed import DelayedReader, Partition, load
from fastgmm.sources.base import Source
from fastgmm.sources.blocks import BlockSource
from fastgmm.sources.cluster import ClusterSource, Parts
from fastgmm.sources.incomplete_parts import IncompleteBlocks, IncompleteCluster


def source_of(
    X: Any, sample_weight: Any = None, n_threads: int | None = None, gaps: bool = False
) -> Source:
    """Return the source of the rows of a collection; if `gaps` is true, values may be missing.

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
        kind = IncompleteBlocks if gaps else BlockSource
        return kind(DelayedReader(loads, partition), n_threads)
    return (IncompleteCluster if gaps else ClusterSource)(
        Parts(client, client.compute(loads), partition)
    )


class _Rows(NamedTuple):
    """Answers for the rows of a partition, in the process that has them."""

    mixture: Any
    method: str
    missing: str
    n_threads: int
    dtype: np.dtype

    def __call__(self, values: Any, block_id: tuple[int, ...] = (0,)) -> np.ndarray:
        """Return the array of the method for these rows."""
        partition = Partition(self.mixture.n_features, self.dtype, number=block_id[0])
        rows = load(values, None, partition).values
        if not len(rows):
            return np.empty((0, self.mixture.n_components)[: 1 + (self.method == _PROBA)])
        method = getattr(self.mixture, self.method)
        try:
            return np.asarray(method(rows, missing=self.missing, n_threads=self.n_threads))
        except ValueError as error:
            raise ReadingError(f"{partition.place}: {error}") from error


_PROBA = "predict_proba"
_METHODS = {"labels": "predict", "proba": _PROBA, "log_prob": "score_samples"}


def lazy_answer(mixture: Any, name: str, X: Any, missing: str, n_threads: int | None) -> Any:
    """Return the array of `Answers` of this name as an array of Dask; nothing is computed.

    Partitions are answered where they are, each by one thread unless `n_threads` says otherwise.

    Raises
    ------
    TypeError, ValueError
        If X or an argument is invalid, as far as this is known without computing X.
    """
    check_missing(missing)
    n_threads = check_threads(n_threads) or 1
    if hasattr(X, "columns"):
        names = tuple(X.columns)
        fitted = mixture.feature_names
        if fitted is not None and set(fitted) <= set(names):
            X = X[list(fitted)]
        else:
            refuse_other_names(names if all(isinstance(n, str) for n in names) else None, fitted)
    partition = _partition(X, None)
    check_n_features(partition.n_features, mixture.n_features)
    if hasattr(X, "columns"):
        X = X.to_dask_array() if hasattr(X, "to_dask_array") else X.values
    X = X[:, None] if X.ndim == 1 else X.rechunk({1: -1})
    rows = _Rows(
        mixture.with_feature_names(None), _METHODS[name], missing, n_threads, partition.dtype
    )
    dtype = np.dtype(np.intp) if name == "labels" else partition.dtype
    if name == "proba":
        chunks = (X.chunks[0], (mixture.n_components,))
        return X.map_blocks(rows, dtype=dtype, chunks=chunks, meta=np.empty((0, 0), dtype))
    return X.map_blocks(rows, dtype=dtype, drop_axis=1, meta=np.empty(0, dtype))


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
