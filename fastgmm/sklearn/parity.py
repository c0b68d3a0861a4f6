"""Where scikit-learn's rules differ from the library's own: starts, and components without rows.

scikit-learn adds 10 eps to the number of rows of every component before it divides by it. That
decides what becomes of a component that has lost its rows: its mean goes to the origin and its
covariance to `reg_covar`. A start on single rows has weights 1 / n_samples, which do not sum to
one and count in the first log-likelihood; with tied covariances the scatter of all rows goes
into it. And an array given for one of weights, means and precisions replaces what the start
found, but does not change how it is found.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import _gaussian_mixture as theirs

from fastgmm.model.base import Model
from fastgmm.model.parameters import Parameters
from fastgmm.search.starts import RESP_STARTS, ROW_STARTS, Given, Start

_FEW = 1e-3  # rows; what 10 eps change about more is lost in rounding


class IllDefinedError(ValueError):
    """A covariance cannot be factorised."""

    def __init__(self) -> None:
        super().__init__(
            "Fitting the mixture model failed because some components have ill-defined empirical "
            "covariance (for instance caused by singleton or collapsed samples). Try to decrease "
            "the number of components, increase reg_covar, or scale the input data."
        )


class TheirPolicy:
    """Treats components as scikit-learn does: a `Policy` that repairs nothing.

    Parameters
    ----------
    model : Model
        Whose parameters these are.
    n_rows : float
        Number of rows, or the sum of their weights.
    dtype : dtype
        Of the data; its eps is the one meant above.
    """

    floor_raised = False

    def __init__(self, model: Model, n_rows: float, dtype: np.dtype) -> None:
        self._type = model.covariance_type
        self._reg_covar = model.reg_covar
        self._n_rows = n_rows
        self._extra = 10 * float(np.finfo(dtype).eps)

    def on_few_points(self, parameters: Parameters) -> np.ndarray:
        """Return a mask (n_components,) that names no component."""
        return np.zeros(len(parameters.weights), bool)

    def repair(self, parameters: Parameters, iterated: bool = True) -> tuple[Parameters, bool]:
        """Return the parameters as scikit-learn's M-step finds them, and False.

        Raises
        ------
        IllDefinedError
            If a covariance cannot be factorised.
        """
        if iterated:
            parameters = self.dilute(parameters)
        if np.isnan(parameters.log_det).any():
            raise IllDefinedError
        return parameters, False

    def dilute(self, parameters: Parameters) -> Parameters:
        """Return parameters with the 10 eps that count where a component has hardly any rows."""
        weights, means, covariances, _, _ = parameters
        nk = weights * self._n_rows
        few = nk < _FEW
        if not few.any():
            return parameters
        kept = np.where(few, nk / (nk + self._extra), 1.0)
        floor = np.zeros_like(covariances)
        self._type.add_to_diagonal(floor, self._reg_covar)
        covariances = self._type.dilute(covariances - floor, means, kept) + floor
        factors, log_det = self._type.factorize(covariances, *means.shape)
        weights = (nk + self._extra) / (nk + self._extra).sum()
        return Parameters(weights, kept[:, None] * means, covariances, factors, log_det)


def starting_parameters(
    start: Start,
    init_params: str,
    given: Given,
    policy: TheirPolicy,
    random_state: np.random.RandomState,
) -> Parameters:
    """Return the parameters that scikit-learn starts from."""
    known = given.known()
    if len(known) == len(given):
        return Parameters(**known)
    if init_params in ROW_STARTS:
        parameters = _on_rows(start, ROW_STARTS[init_params](start, random_state))
    else:
        parameters = RESP_STARTS[init_params](start, random_state)
        _warn_of_few_clusters(parameters)
        parameters = policy.dilute(parameters)
    return parameters._replace(**known)


def _warn_of_few_clusters(parameters: Parameters) -> None:
    found, asked = np.count_nonzero(parameters.weights), len(parameters.weights)
    if found < asked:
        warnings.warn(
            f"Number of distinct clusters ({found}) found smaller than n_clusters ({asked}). "
            "Possibly due to duplicate points in X.",
            ConvergenceWarning,
            stacklevel=8,  # where theirs says it: in sklearn.base, whence `fit` is called
        )


def _on_rows(start: Start, rows: np.ndarray) -> Parameters:
    """Return a start with one component on each row."""
    kind, reg_covar = start.model.covariance_type, start.model.reg_covar
    seeds = np.eye(len(rows), dtype=rows.dtype)
    nk, means, covariances = (
        values.astype(np.float64)
        for values in theirs._estimate_gaussian_parameters(rows, seeds, reg_covar, kind.name)
    )
    if kind.scatter_is_constant:  # the scatter of all rows, whatever their responsibilities
        scatter = start.source.moments(kind, np.zeros(means.shape[1])).s2
        covariances = (scatter - (nk * means.T) @ means) / nk.sum()
        kind.add_to_diagonal(covariances, reg_covar)
    factors, log_det = kind.factorize(covariances, *means.shape)
    return Parameters(nk / start.source.total_weight, means, covariances, factors, log_det)
