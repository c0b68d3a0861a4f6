"""Fits of an estimator by the kernels: from checked rows to fitted attributes.

The functions take the estimator, read its parameters and call the private methods of
`KernelMixture`, and those of scikit-learn that print and that compute the inverse covariances.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight

from fastgmm._logging import logger
from fastgmm.api import checks
from fastgmm.api.jobs import expect_fits
from fastgmm.api.names import Names
from fastgmm.api.scale import fault_of_scale
from fastgmm.api.sources import refuse_unobserved
from fastgmm.em.loop import Run, Settings, run_em
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.search.final import FINAL_RUNS
from fastgmm.search.restarts import best_of
from fastgmm.search.start import Start
from fastgmm.sklearn.compat import (
    finite_values,
    namespace_of,
    takes_gaps,
    validate_data,
    warn_of_convergence,
)
from fastgmm.sklearn.fallback import (
    FOREIGN,
    fall_back,
    is_foreign,
    log_accelerated,
    unsupported_parameters,
)
from fastgmm.sklearn.inference import AnyParameters
from fastgmm.sklearn.parity import IllDefinedError
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import Source
from fastgmm.sources.incomplete import IncompleteSource


def fit_attributes(model: Any, X: ArrayLike, sample_weight: ArrayLike | None) -> np.ndarray | None:
    """Set all fitted attributes; return X as the kernels read it, or None after a fallback."""
    if is_foreign(X):
        _fit_theirs(model, X, FOREIGN, sample_weight)
        return None
    source, rows = checked_source(model, X, sample_weight)
    expect_fits([COVARIANCE_TYPES[model.covariance_type]], source)
    previous = None
    if model.warm_start and hasattr(model, "converged_"):
        previous = model._fitted()
        if previous is None or previous.means.shape != (model.n_components, source.n_features):
            reason = "warm_start cannot continue from a solution of another shape"
            _fit_theirs(model, X, reason, sample_weight)
            return None
    model._prepare(source)
    random_state = check_random_state(model.random_state)
    state = None if isinstance(model.random_state, Integral) else random_state.get_state()
    try:
        _fit_ours(model, source, random_state, previous)
    except IllDefinedError as error:
        # Rounding can decide whether a covariance is singular, so scikit-learn's own rounding
        # decides. Its code supports no weights, missing values, priors or fixed parts.
        incomplete = isinstance(source, IncompleteSource)
        if sample_weight is not None or incomplete or unsupported_parameters(model):
            raise ValueError(str(error)) from None
        if state is not None:
            random_state.set_state(state)
        _fit_theirs(model, X, "a covariance cannot be factorised")
        return None
    return rows


def _fit_theirs(
    model: Any, X: ArrayLike, reason: str, sample_weight: ArrayLike | None = None
) -> None:
    """Fit by an estimator of scikit-learn's class, with the attributes of `model`."""
    fall_back(model, "fit", reason, sample_weight)
    theirs = object.__new__(model._stands_in_for)
    theirs.__dict__.update(vars(model))
    theirs.fit_predict(X)
    model.__dict__.update(vars(theirs))


def checked_source(
    model: Any, X: ArrayLike, sample_weight: ArrayLike | None, is_first: bool = True
) -> tuple[Source, np.ndarray]:
    """Return the source of rows, and the rows, checked by scikit-learn's code with its messages.

    A later batch of a stream (not `is_first`) may have a single row, and must have the features of
    the first.
    """
    try:
        rows = validate_data(
            model,
            X,
            dtype=[np.float64, np.float32],
            ensure_min_samples=2 if is_first else 1,
            reset=is_first,
            **finite_values(model),
        )
    except ValueError as error:
        if "contains NaN" in str(error):
            raise ValueError(f"{error}\n{model._for_gaps}") from None
        raise
    weight = np.empty(0) if sample_weight is None else checked_weight(sample_weight, rows)
    if is_first:
        _refuse_few(model, int(np.count_nonzero(weight)) if weight.size else len(rows))
        model._check_parameters(rows, **namespace_of(rows))
    rows = checks.for_kernels(rows)
    if takes_gaps(model) and np.isnan(rows).any():
        incomplete = IncompleteSource(rows, weight, model.n_threads)
        if is_first:
            refuse_unobserved(incomplete, _names_of(model))
        return incomplete, rows
    return ArraySource(rows, weight, model.n_threads), rows


def _refuse_few(model: Any, n_samples: int) -> None:
    """Raise ValueError if there are fewer rows than components."""
    if n_samples < model.n_components:
        raise ValueError(
            f"Expected n_samples >= n_components but got n_components = {model.n_components}, "
            f"n_samples = {n_samples}"
        )


def checked_weight(sample_weight: ArrayLike, X: np.ndarray) -> np.ndarray:
    """Return the weights (n_samples,) of the rows of X in float64."""
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
    return checks.check_sample_weight(weight, len(X))


def _fit_ours(
    model: Any,
    source: Source,
    random_state: np.random.RandomState,
    previous: AnyParameters | None,
) -> None:
    """Fit by the kernels and set the attributes; warn if EM did not converge."""
    fault = fault_of_scale(source, model.reg_covar, _names_of(model))
    if fault:
        logger.warning("%s.fit: %s", model._stands_in_for.__name__, fault)
    run = _best_run(model, source, random_state, previous)
    if not run.converged and model.max_iter > 0:
        warn_of_convergence(
            "Best performing initialization did not converge. Try different init "
            "parameters, or increase max_iter, tol, or check for degenerate data."
        )
    model._set_fitted(run.parameters, source.dtype)
    model._set_parameters(model._get_parameters())  # computes `precisions_`
    model.converged_ = run.converged
    model.n_iter_ = len(run.objectives)
    model.lower_bound_ = run.objective
    model.lower_bounds_ = list(run.objectives)
    log_accelerated(model, "fit", (source.n_samples, source.n_features))


def _names_of(model: Any) -> Names:
    """Return the names of the features that the estimator was given; None if they have none."""
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else tuple(names)


def _best_run(
    model: Any,
    source: Source,
    random_state: np.random.RandomState,
    previous: AnyParameters | None,
) -> Run:
    """Run EM from the previous parameters, or from `n_init` new starts if there are none."""
    start = Start(source.in_memory(random_state), model._em_model(), model.n_components)
    em_source, em_model = model._em_source(source), model._model_to_fit(source, previous)
    objective = model.lower_bound_ if previous else -np.inf

    is_new = previous is None and getattr(model, "means_init", None) is None
    plain = partial(run_em, previous=objective)
    em = FINAL_RUNS.get(model.init_params, plain) if is_new else plain
    report = _reporter(model, objective)
    settings = Settings(model.tol, model.max_iter, callback=report)

    def run_start(init: int) -> Run:
        model._print_verbose_msg_init_beg(init)
        parameters = previous or model._new_parameters(start, random_state)
        fitted = em_model.from_start(parameters)
        policy = model._policy(start._replace(model=fitted), random_state)
        run = em(em_source, fitted, parameters, settings, policy)
        if model.max_iter > 0:
            model._print_verbose_msg_init_end(run.objective, run.converged)
        return run

    return best_of(1 if previous else model.n_init, run_start)


def _reporter(model: Any, previous: float) -> Callable[[int, float], None] | None:
    """Return a callback that prints iterations, or None if the estimator is not verbose."""
    if not model.verbose:
        return None

    def report(iteration: int, log_likelihood: float) -> None:
        nonlocal previous
        model._print_verbose_msg_iter_end(iteration, log_likelihood - previous)
        previous = log_likelihood

    return report
