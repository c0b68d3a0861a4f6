"""`GaussianMixture.partial_fit`: a fit to a stream of batches."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from fastgmm.em.stepwise import step_size, stepwise
from fastgmm.search.start import Start
from fastgmm.sklearn import fitting
from fastgmm.sklearn.fallback import log_accelerated
from fastgmm.sklearn.parity import IllDefinedError


def partial_fit(model: Any, X: ArrayLike, sample_weight: ArrayLike | None) -> None:
    """Take a step with a batch, or fit the first batch."""
    if not hasattr(model, "means_"):
        fitting.fit_attributes(model, X, sample_weight)
        return
    source, rows = fitting.checked_source(model, X, sample_weight, is_first=False)
    parameters = model._stream_parameters()
    n_steps, unit = getattr(model, "_stream", (0.0, float(source.total_weight)))
    share = float(source.total_weight) / unit
    gamma = step_size(n_steps, share, model.learning_decay, model.learning_offset)
    em_model = model._em_model()
    new, likelihood = stepwise(source, em_model, parameters, gamma)
    random_state = check_random_state(model.random_state)
    start = Start(source.in_memory(random_state), em_model, model.n_components)
    try:
        new, _ = model._policy(start, random_state).repair(new)
    except IllDefinedError as error:
        raise ValueError(str(error)) from None
    model._set_fitted(new, rows.dtype)
    model._set_parameters(model._get_parameters())  # computes `precisions_`
    model._stream = n_steps + share, unit
    model._stream_mixture = new
    model.n_iter_ += 1
    model.converged_ = False
    model.lower_bound_ = likelihood
    model.lower_bounds_ = [likelihood]
    log_accelerated(model, "partial_fit", np.shape(rows))
