"""Conditional means of many rows that lack the same features."""

from __future__ import annotations

import numpy as np

from fastgmm.jit.threads import Workspaces, launch
from fastgmm.kernels.conditional import conditional_pass, make_conditional_workspace
from fastgmm.kernels.types import ConditionalInputs
from fastgmm.sources.inference import infer
from fastgmm.sources.operands import Densities
from fastgmm.sources.passes import chunk_count

_BLOCK = 2**15  # rows at a time, so that their values and responsibilities stay in the cache


class Regression:
    """The regression of missing features on the observed ones, in each component of a mixture.

    Parameters
    ----------
    densities : Densities
        The mixture.
    marginal : Densities
        The mixture of the observed features.
    observed : ndarray of shape (n_observed,)
        Their indices, which increase.
    """

    def __init__(self, densities: Densities, marginal: Densities, observed: np.ndarray) -> None:
        _, means, covariances, *_ = densities.parameters
        n_features = means.shape[1]
        self._marginal, self._observed = marginal, observed
        self._missing = np.setdiff1d(np.arange(n_features), observed)
        self._observed_means = np.ascontiguousarray(means[:, observed])
        self._means = np.ascontiguousarray(means[:, self._missing])
        units = np.repeat(np.eye(len(observed))[:, None], len(means), axis=1)
        kind = densities.model.covariance_type
        columns, _ = kind.conditional(covariances, units, observed, n_features)
        self._slopes = np.ascontiguousarray(np.moveaxis(columns, 0, -1))

    def fill(
        self, filled: np.ndarray, X: np.ndarray, rows: np.ndarray, n_threads: int | None
    ) -> None:
        """Write the conditional means of rows of X to the same rows of `filled`, in place."""
        proba = np.empty((min(len(rows), _BLOCK), len(self._means)))
        for begin in range(0, len(rows), _BLOCK):
            chosen = rows[begin : begin + _BLOCK]
            part = X[begin : begin + _BLOCK] if len(rows) == len(X) else X[chosen]
            values = np.ascontiguousarray(part[:, self._observed], np.float64)
            found = proba[: len(values)]
            infer(values, self._marginal, n_threads, proba=found)
            self._launch(values, found, chosen, filled, n_threads)

    def _launch(
        self,
        values: np.ndarray,
        proba: np.ndarray,
        rows: np.ndarray,
        filled: np.ndarray,
        n_threads: int | None,
    ) -> None:
        """Run the pass over a block of rows."""
        n_components, n_missing, n_observed = self._slopes.shape
        launch(
            conditional_pass,
            chunk_count(values),
            Workspaces(lambda: make_conditional_workspace(n_components, n_observed, n_missing)),
            ConditionalInputs(
                values,
                proba,
                rows,
                self._missing,
                self._observed_means,
                self._means,
                self._slopes,
            ),
            filled,
            work=len(values) * self._slopes.size,
            n_threads=n_threads,
        )
