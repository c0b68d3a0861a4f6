"""Inference for rows with missing values: densities, responsibilities, and conditional means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from fastgmm.model.covariance import CovarianceType
from fastgmm.sources.inference import infer
from fastgmm.sources.marginals import marginal_parameters
from fastgmm.sources.operands import Densities
from fastgmm.sources.patterns import Pattern, PatternRows, is_large, patterns_of, values_of
from fastgmm.sources.regression import Regression

_EMPTY = np.empty(0)


def answers_for(
    X: np.ndarray, densities: Densities, wanted: Iterable[str], n_threads: int | None = None
) -> dict[str, np.ndarray]:
    """Return "log_prob", "proba" or "labels" of rows with missing values, those that are wanted.

    They are those of the observed values. A row without any has the log-density 0 and the weights
    of the components as probabilities.
    """
    n_rows, n_components = len(X), densities.n_components
    shapes = {"log_prob": n_rows, "proba": (n_rows, n_components), "labels": n_rows}
    out = {
        name: np.empty(shapes[name], np.intp if name == "labels" else X.dtype) for name in wanted
    }
    patterns = patterns_of(X)
    for pattern in filter(is_large, patterns):
        part = {name: np.empty_like(array[pattern.rows]) for name, array in out.items()}
        marginal = _marginal_densities(densities, pattern.observed, X.shape[1])
        infer(values_of(X, pattern), marginal, n_threads, **part)
        for name, array in part.items():
            out[name][pattern.rows] = array
    few = [pattern for pattern in patterns if not is_large(pattern)]
    if few:
        _answer_few(PatternRows(X, _EMPTY, few, n_threads), densities, out)
    return out


def _marginal_densities(densities: Densities, observed: np.ndarray, n_features: int) -> Densities:
    """Return the densities of some features."""
    if len(observed) == n_features:
        return densities
    kind = densities.model.covariance_type
    return Densities(densities.model, marginal_parameters(kind, densities.parameters, observed))


def _answer_few(rows: PatternRows, densities: Densities, out: dict[str, np.ndarray]) -> None:
    """Write the results for the rows of many patterns, in place."""
    wanted = {"proba" if name == "labels" else name for name in out}
    found = rows.answers(densities.model.covariance_type, densities.parameters, wanted)
    for name, array in out.items():
        if name == "labels":
            array[rows.rows] = found.proba.argmax(axis=1)
        else:
            with np.errstate(over="ignore"):  # below -3e38, float32 has minus infinity
                array[rows.rows] = getattr(found, name)


def impute(
    X: np.ndarray, kind: CovarianceType, parameters: Any, n_threads: int | None = None
) -> np.ndarray:
    """Return rows with their conditional means in place of missing values."""
    filled = X.copy()
    _fill_few(filled, X, _incomplete(X), kind, parameters, n_threads)
    return filled


def conditional_means(X: np.ndarray, densities: Densities, n_threads: int | None) -> np.ndarray:
    """Return what `impute` returns; this is faster for patterns of many rows."""
    filled, patterns = X.astype(np.float64), _incomplete(X)
    for pattern in filter(is_large, patterns):
        marginal = _marginal_densities(densities, pattern.observed, X.shape[1])
        Regression(densities, marginal, pattern.observed).fill(filled, X, pattern.rows, n_threads)
    few = [pattern for pattern in patterns if not is_large(pattern)]
    kind = densities.model.covariance_type
    _fill_few(filled, X, few, kind, densities.parameters, n_threads)
    return filled.astype(X.dtype, copy=False)


def _incomplete(X: np.ndarray) -> list[Pattern]:
    """Return the patterns of the rows that have gaps."""
    return [pattern for pattern in patterns_of(X) if len(pattern.observed) < X.shape[1]]


def _fill_few(
    filled: np.ndarray,
    X: np.ndarray,
    patterns: list[Pattern],
    kind: CovarianceType,
    parameters: Any,
    n_threads: int | None,
) -> None:
    """Write the conditional means of the rows of many patterns to `filled`, in place."""
    if patterns:
        rows = PatternRows(X, _EMPTY, patterns, n_threads)
        filled[rows.rows] = rows.answers(kind, parameters, ("filled",)).filled
