"""Mixtures of some features, mixtures given the values of others, and missing values filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fastgmm.api.checks import check_value
from fastgmm.api.names import Names
from fastgmm.model.covariance import CovarianceType
from fastgmm.model.parameters import Parameters
from fastgmm.sources.marginals import factorized
from fastgmm.sources.operands import Densities
from fastgmm.sources.patterns import PatternRows, patterns_of

_EMPTY = np.empty(0)


def index_of(feature: object, n_features: int, names: Names) -> int:
    """Return the index of a feature that is given by its index or name.

    Raises
    ------
    TypeError, ValueError
        If there is no such feature, or several have that name.
    """
    if isinstance(feature, str):
        if names is None:
            raise ValueError(
                f"feature {feature!r} was given but the mixture has no feature names;"
                " pass its index."
            )
        if names.count(feature) != 1:
            found = "no feature" if feature not in names else "several features"
            raise ValueError(
                f"the mixture has {found} {feature!r}; pass an index from 0 to"
                f" {n_features - 1}, or a name of {', '.join(map(repr, names[:5]))}"
                f"{', ...' if len(names) > 5 else ''}."
            )
        return names.index(feature)
    if isinstance(feature, bool) or not isinstance(feature, int | np.integer):
        raise TypeError(f"a feature must be an index or a name but is {feature!r}.")
    if not -n_features <= feature < n_features:
        raise ValueError(
            f"feature {feature} does not exist; pass an index from 0 to {n_features - 1}."
        )
    return int(feature) % n_features


def indices_of(features: Any, n_features: int, names: Names) -> np.ndarray:
    """Return the indices of features, which must be at least one and each given once."""
    if isinstance(features, str) or not isinstance(features, Iterable):
        features = [features]
    found = [index_of(feature, n_features, names) for feature in features]
    if not found:
        raise ValueError("features is empty; pass at least one feature.")
    if len(set(found)) < len(found):
        twice = next(index for index in found if found.count(index) > 1)
        raise ValueError(
            f"features has feature {names[twice] if names else twice!r} twice; pass"
            " each feature once."
        )
    return np.array(found, np.intp)


def marginal(kind: CovarianceType, parameters: Parameters, features: np.ndarray) -> Parameters:
    """Return the parameters of some features, in the order of `features`."""
    whole = kind.public_covariances(parameters.covariances)  # the order may turn triangles over
    means = np.ascontiguousarray(parameters.means[:, features])
    return factorized(kind, parameters.weights, means, kind.marginal(whole, features))


def given_values(
    given: Mapping[Any, Any], n_features: int, names: Names
) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the given features in increasing order, and their values."""
    if not isinstance(given, Mapping):
        raise TypeError(f"given must be a dict of features and their values but is {given!r:.50}.")
    observed = indices_of(list(given), n_features, names)
    if len(observed) == n_features:
        raise ValueError(
            "given has a value for every feature; leave out at least one, or use"
            " score_samples for the density."
        )
    values = np.array([check_value(value, feature) for feature, value in given.items()])
    order = np.argsort(observed)
    return observed[order], values[order]


def conditioned(
    kind: CovarianceType, densities: Densities, observed: np.ndarray, values: np.ndarray
) -> Parameters:
    """Return the parameters of the other features given the values of the observed ones.

    The weights become the responsibilities of the observed values; see `CovarianceType.conditional`
    for means and covariances.
    """
    parameters = densities.parameters
    n_features = parameters.means.shape[1]
    row = np.full((1, n_features), np.nan)
    row[0, observed] = values
    weights = PatternRows(row, _EMPTY, patterns_of(row), 1).answers(kind, parameters, ("proba",))
    missing = np.setdiff1d(np.arange(n_features), observed)
    gaps = values - parameters.means[:, observed]
    moves, covariances = kind.conditional(parameters.covariances, gaps, observed, n_features)
    means = parameters.means[:, missing] + moves
    return factorized(kind, weights.proba[0], means, covariances)


def conditional_covariances(
    X: np.ndarray, densities: Densities, n_threads: int | None
) -> np.ndarray:
    """Return the conditional covariances (n_samples, n_features, n_features) of missing values."""
    result = np.zeros((*X.shape, X.shape[1]))
    gaps = [pattern for pattern in patterns_of(X) if len(pattern.observed) < X.shape[1]]
    if gaps:
        kind, rows = densities.model.covariance_type, PatternRows(X, _EMPTY, gaps, n_threads)
        found = rows.answers(kind, densities.parameters, ("covariances",))
        result[rows.rows] = found.covariances
    return result


def drawn(
    X: np.ndarray, densities: Densities, draw: np.random.RandomState, n_threads: int | None
) -> np.ndarray:
    """Return rows whose missing values are drawn given the observed ones.

    Random numbers are drawn in the order of the rows, so they do not depend on the patterns.
    """
    filled = X.copy()
    gaps = [pattern for pattern in patterns_of(X) if len(pattern.observed) < X.shape[1]]
    if not gaps:
        return filled
    kind, rows = densities.model.covariance_type, PatternRows(X, _EMPTY, gaps, n_threads)
    order = np.argsort(rows.rows)  # from the order of the rows to that of the patterns
    uniform, normals = np.empty(len(order)), np.empty((len(order), X.shape[1]))
    uniform[order] = draw.uniform(size=len(order))
    normals[order] = draw.standard_normal(normals.shape)
    proba = rows.answers(kind, densities.parameters, ("proba",)).proba
    labels = (np.cumsum(proba, axis=1) < uniform[:, None]).sum(axis=1)
    labels = np.minimum(labels, densities.n_components - 1)  # the sum may round below 1
    filled[rows.rows] = rows.draws(kind, densities.parameters, labels, normals)
    return filled


def as_given(X: Any, values: np.ndarray) -> Any:
    """Return values as a DataFrame of pandas if X is one, with its index and columns."""
    if all(hasattr(X, name) for name in ("iloc", "index", "columns")):
        return type(X)(values, index=X.index, columns=X.columns)
    return values
