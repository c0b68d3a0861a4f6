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
        self._coefficients = np.zeros((len(means), 1 + len(self._missing), len(observed) + 1))
        self._coefficients[:, 0, :-1] = means[:, observed]
        self._coefficients[:, 1:, -1] = means[:, self._missing]
        units = np.repeat(np.eye(len(observed))[:, None], len(means), axis=1)
        kind = densities.model.covariance_type
        columns, _ = kind.conditional(covariances, units, observed, n_features)
        self._coefficients[:, 1:, :-1] = np.moveaxis(columns, 0, -1)

    def fill(
        self, filled: np.ndarray, X: np.ndarray, rows: np.ndarray, n_threads: int | None
    ) -> None:
        """Write the conditional means of rows of X to the same rows of `filled`, in place."""
        proba = np.empty((min(len(rows), _BLOCK), len(self._coefficients)))
        for begin in range(0, len(rows), _BLOCK):
            chosen = rows[begin : begin + _BLOCK]
            part = X[begin : begin + _BLOCK] if len(rows) == len(X) else X[chosen]
            values = np.take(part, self._observed, axis=1).astype(np.float64, copy=False)
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
        sizes = len(self._coefficients), len(self._observed), len(self._missing)
        launch(
            conditional_pass,
            chunk_count(values),
            Workspaces(lambda: make_conditional_workspace(*sizes)),
            ConditionalInputs(values, proba, rows, self._missing, self._coefficients),
            filled,
            work=len(values) * self._coefficients.size,
            n_threads=n_threads,
        )
