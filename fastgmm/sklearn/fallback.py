"""When scikit-learn's own code runs instead of the kernels, and what the log says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sklearn
from numpy.typing import ArrayLike
from sklearn.utils._array_api import get_namespace

from fastgmm._logging import logger

FOREIGN = "X is an array of a library other than NumPy"

# The private methods that scikit-learn's methods consist of, which subclasses may override.
DENSITY_STEPS = (
    "_estimate_log_prob", "_estimate_log_weights", "_estimate_weighted_log_prob",
    "_estimate_log_prob_resp",
)  # fmt: skip
FIT_STEPS = (
    "_initialize_parameters", "_initialize", "_e_step", "_m_step", "_compute_lower_bound",
    "_get_parameters", *DENSITY_STEPS,
)  # fmt: skip
POSTERIOR_STEPS = (
    "_estimate_weights", "_estimate_means", "_estimate_precisions", "_estimate_wishart_full",
    "_estimate_wishart_tied", "_estimate_wishart_diag", "_estimate_wishart_spherical",
)  # fmt: skip


def is_foreign(X: Any) -> bool:
    """Return whether X is an array of another library, in which scikit-learn would compute.

    scikit-learn decides which libraries these are. The arrays of some, such as PyTorch's, have no
    ``__array_namespace__``.
    """
    if isinstance(X, (np.ndarray, np.generic)) or not sklearn.get_config()["array_api_dispatch"]:
        return False
    try:
        return bool(get_namespace(X)[1])
    except TypeError:  # neither an array nor a table: the check of the data will say so
        return False


def overridden_step(
    model: object, names: Sequence[str], own_steps: Mapping[str, object]
) -> str | None:
    """Return the name of the first step that a subclass or an instance replaces, or None."""
    for name in names:
        if name in vars(model) or getattr(type(model), name) is not own_steps[name]:
            return name
    return None


def fall_back(model: Any, method: str, reason: str, sample_weight: ArrayLike | None = None) -> None:
    """Log that scikit-learn's own code runs, and why.

    Raises
    ------
    ValueError
        If there are weights, priors or fixed parts, which that code does not support.
    """
    lost = unsupported_parameters(model) if method == "fit" else []
    if sample_weight is not None:
        lost.append("sample_weight")
    if lost:
        raise ValueError(f"{lost[0]} cannot be used here: {reason}. Leave it out.")
    logger.warning("%s.%s falls back to scikit-learn: %s", _name_of(model), method, reason)


def unsupported_parameters(model: Any) -> list[str]:
    """Return the names of parameters in use that change a fit and that scikit-learn lacks."""
    return [name for name in ("prior", "fixed") if getattr(model, name, None) is not None]


def log_accelerated(model: Any, method: str, shape: tuple[int, ...]) -> None:
    """Log that a method runs on the kernels."""
    logger.info("%s.%s runs accelerated on X of shape %s", _name_of(model), method, shape)


def _name_of(model: Any) -> str:
    """Return the name of scikit-learn's class that an estimator stands in for."""
    return model._stands_in_for.__name__
