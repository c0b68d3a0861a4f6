"""Differences between releases of scikit-learn, and warnings at the place where it gives them."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture._bayesian_mixture import (
    BayesianGaussianMixture as TheirBayesianGaussianMixture,
)
from sklearn.mixture._gaussian_mixture import GaussianMixture as TheirGaussianMixture
from sklearn.utils import check_array
from sklearn.utils._array_api import get_namespace

from fastgmm.api.warn import warn_caller

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # scikit-learn 1.5

    def validate_data(estimator: Any, X: Any, **options: Any) -> Any:
        """Check X as later releases do."""
        return estimator._validate_data(X, **options)


__all__ = [
    "TheirBayesianGaussianMixture",
    "TheirGaussianMixture",
    "finite_values",
    "namespace_of",
    "takes_gaps",
    "validate_data",
    "warn_of_convergence",
]

_TAKES_NAMESPACE = "xp" in inspect.signature(TheirGaussianMixture._check_parameters).parameters


_FINITE = (  # scikit-learn 1.5 has another name
    "ensure_all_finite"
    if "ensure_all_finite" in inspect.signature(check_array).parameters
    else "force_all_finite"
)


def takes_gaps(model: Any) -> bool:
    """Return whether an estimator takes missing values: its parameter `missing` is "em"."""
    return getattr(model, "missing", "error") == "em"


def finite_values(model: Any) -> dict[str, Any]:
    """Return the argument of scikit-learn's checks that says whether an estimator takes NaN."""
    return {_FINITE: "allow-nan" if takes_gaps(model) else True}


def namespace_of(X: np.ndarray) -> dict[str, Any]:
    """Return the keyword argument that names the array library, if this release takes one."""
    return {"xp": get_namespace(X)[0]} if _TAKES_NAMESPACE else {}


def warn_of_convergence(message: str) -> None:
    """Give a ConvergenceWarning of scikit-learn from the innermost frame outside this library.

    For a fit this is the wrapper in ``sklearn.base`` around `fit`, where scikit-learn's own
    warning comes from: filters by module match both.
    """
    warn_caller(message, ConvergenceWarning)
