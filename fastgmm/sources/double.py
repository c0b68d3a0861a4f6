"""Passes over float32 rows in float64, for covariances that float32 cannot resolve.

Rows are converted in blocks of `BLOCK_BYTES`, so that no copy of a large array exists. If all rows
fit in one block, it is kept from pass to pass; then passes also keep their bounds of distances.
The blocks depend on shapes alone, so the results have the same bits for every number of threads.
"""

import numpy as np

from fastgmm.kernels.types import Data
from fastgmm.sources.base import merge
from fastgmm.sources.wide import make_pass

BLOCK_BYTES = 2**27  # of float64 rows that are held at a time


def blocks_of(n_samples, n_features, n_bytes=BLOCK_BYTES):
    """Return slices of consecutive rows that take up to `n_bytes` in float64."""
    n_rows = max(1, n_bytes // (8 * n_features))
    return [slice(i, min(i + n_rows, n_samples)) for i in range(0, n_samples, n_rows)]


class DoubleRows:
    """The rows of an array in float64.

    Parameters
    ----------
    data : Data
        The rows and their weights.
    n_threads : int or None
        Greatest number of threads; None for Numba's own setting.
    """

    def __init__(self, data, n_threads):
        self._data = data
        self._n_threads = n_threads
        self._blocks = blocks_of(*data.X.shape)
        self._last = None  # the pass over all rows, if they are one block

    def statistics(self, model, parameters, complete=False):
        """Return the statistics of all rows: see `Source.statistics`."""
        passes = self._passes(model.covariance_type, len(parameters.weights))
        return merge(each.statistics(model, parameters, complete) for each in passes)

    def given(self, kind, means, labels=None, resp=None):
        """Return statistics under given labels or responsibilities: see `EMPass.given`."""
        passes = self._passes(kind, len(means))
        return merge(
            each.given(
                means,
                None if labels is None else labels[rows],
                None if resp is None else resp[rows],
            )
            for rows, each in zip(self._blocks, passes, strict=True)
        )

    def _passes(self, kind, n_components):
        """Yield a pass over each block."""
        last = self._last
        if last is not None and (last.covariance_type, last.n_components) == (kind, n_components):
            yield last
            return
        for rows in self._blocks:
            X, weight = self._data.X[rows].astype(np.float64), self._data.sample_weight[rows]
            one = make_pass(Data(X, weight), kind, n_components, self._n_threads)
            if len(self._blocks) == 1:
                self._last = one
            yield one
