"""`GaussianMixture.partial_fit`: a fit to a stream of batches, each of which is read once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastgmm.em.stepwise import step_size, stepwise
from fastgmm.sklearn import fitting
from fastgmm.sklearn.fallback import is_foreign, log_accelerated
from fastgmm.sklearn.parity import IllDefinedError
from fastgmm.sources.base import Source


def start_of_stream(source: Source) -> tuple[float, float]:
    """Return the number of steps, 0, and the weight of rows that counts as one step."""
    return 0.0, float(source.total_weight)


def partial_fit(model: Any, X: ArrayLike, sample_weight: ArrayLike | None) -> None:
    """Fit the first batch, or take a step with a later one."""
    if not hasattr(model, "means_"):
        model._fit(X, sample_weight)
        return
    if is_foreign(X):
        raise TypeError("X must be an array of NumPy here; convert it with numpy.asarray.")
    source, rows = fitting.checked_source(model, X, sample_weight, is_first=False)
    parameters = model._fitted()
    if parameters is None:
        raise ValueError(f"{model._described_by} describe no mixture; call fit first.")
    n_steps, unit = getattr(model, "_stream", start_of_stream(source))
    share = float(source.total_weight) / unit
    gamma = step_size(n_steps, share, model.learning_decay, model.learning_offset)
    new, likelihood = stepwise(source, model._em_model(), parameters, gamma)
    if np.isnan(new.log_det).any():
        raise ValueError(str(IllDefinedError()))
    # In float64 whatever the rows are: steps may be smaller than the rounding of float32.
    model._set_fitted(new, np.dtype(np.float64))
    model._set_parameters(model._get_parameters())  # computes `precisions_`
    model._stream = n_steps + share, unit
    model.n_iter_ += 1
    model.converged_ = False
    model.lower_bound_ = likelihood
    model.lower_bounds_ = [likelihood]
    log_accelerated(model, "partial_fit", np.shape(rows))
