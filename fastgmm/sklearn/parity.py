"""scikit-learn's rules that differ from those of `fastgmm.fit`: starts, and empty components.

scikit-learn adds 10 eps to the weight of every component before it divides by that weight. A
component that has lost its rows therefore ends with its mean at the origin and its covariance at
`reg_covar`, or in a Bayesian mixture at its prior. A start on single rows has weights 1 /
n_samples; they do not sum to one and enter the log-likelihood of iteration 1. Its tied covariance
is the scatter of all rows. Weights, means or precisions that the caller gives replace those of the
start, and the start is made as if they had not been given.
"""

import copy
from typing import Any, Self

import numpy as np
from sklearn.mixture import _gaussian_mixture as theirs

from fastgmm.api.options import THEIR_INIT_PARAMS
from fastgmm.em.models import MaximumLikelihood
from fastgmm.em.variational import Posterior, Variational
from fastgmm.model.base import Model
from fastgmm.model.covariance import CovarianceType
from fastgmm.model.parameters import Parameters
from fastgmm.search import starts
from fastgmm.search.start import Given, Start
from fastgmm.search.starts import RESP_STARTS, ROW_STARTS
from fastgmm.sklearn.compat import warn_of_convergence
from fastgmm.sources.base import Statistics

_FEW = 1e-3  # rows: adding 10 eps to a greater weight changes it by no more than rounding


class IllDefinedError(ValueError):
    """A covariance cannot be factorised; the message is scikit-learn's."""

    def __init__(self) -> None:
        super().__init__(
            "Fitting the mixture model failed because some components have ill-defined empirical "
            "covariance (for instance caused by singleton or collapsed samples). Try to decrease "
            "the number of components, increase reg_covar, or scale the input data."
        )


class NoRepair:
    """A `Policy` that repairs nothing: a covariance that cannot be factorised is an error."""

    floor_raised = False

    def on_few_points(self, parameters: Any) -> np.ndarray:
        """Return a mask (n_components,) of False: no component counts as collapsed."""
        return np.zeros(len(parameters.weights), bool)

    def leaves(self, parameters: Any) -> bool:
        """Return whether `repair` would return the parameters of an iteration as they are."""
        return not np.isnan(parameters.log_det).any()

    def repair(self, parameters: Any, iterated: bool = True) -> tuple[Any, bool]:
        """Return the same parameters, and False: no component was moved.

        Raises
        ------
        IllDefinedError
            If a covariance cannot be factorised.
        """
        if np.isnan(parameters.log_det).any():
            raise IllDefinedError
        return parameters, False


class TheirPolicy(NoRepair):
    """scikit-learn's treatment of collapsed components: a `Policy` that repairs nothing.

    Parameters
    ----------
    model : Model
        The model that is fitted.
    n_rows : float
        Number of rows, or the sum of their weights.
    dtype : dtype
        Precision of the data; scikit-learn adds ten times its eps.
    """

    def __init__(self, model: Model, n_rows: float, dtype: np.dtype) -> None:
        self._type = model.covariance_type
        self._reg_covar = model.reg_covar
        self._n_rows = n_rows
        self._extra = extra_weight(dtype)

    def leaves(self, parameters: Parameters) -> bool:
        """Return whether `repair` would return the parameters of an iteration as they are."""
        return super().leaves(parameters) and self.dilute(parameters) is parameters

    def repair(self, parameters: Parameters, iterated: bool = True) -> tuple[Parameters, bool]:
        """Return the parameters of scikit-learn's M-step, and False: no component was moved.

        Raises
        ------
        IllDefinedError
            If a covariance cannot be factorised.
        """
        return super().repair(self.dilute(parameters) if iterated else parameters)

    def dilute(self, parameters: Parameters) -> Parameters:
        """Return the parameters after 10 eps were added to the weight of every component.

        Only components with hardly any rows change.
        """
        weights, means, covariances, _, _ = parameters
        nk = weights * self._n_rows
        if not (nk < _FEW).any():
            return parameters
        rows = nk, means, covariances
        nk, means, covariances = diluted(self._type, self._reg_covar, self._extra, *rows)
        factors, log_det = self._type.factorize(covariances, *means.shape)
        return Parameters(nk / nk.sum(), means, covariances, factors, log_det)


class TheirVariational(Variational):
    """The posterior as scikit-learn computes it: 10 eps are added to the rows of every component.

    The posterior adds the prior's rows to them, so it shows only where the prior is weak, or for
    a start from float32 responsibilities.
    """

    extra = 0.0

    def adding(self, dtype: np.dtype) -> Self:
        """Return the model that adds ten times the eps of a precision."""
        added = copy.copy(self)
        added.extra = extra_weight(dtype)
        return added

    def row_estimates(
        self, parameters: Posterior, statistics: Statistics
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the number, the mean and the covariance of the rows of each component."""
        return self.diluted(*super().row_estimates(parameters, statistics))

    def diluted(
        self, nk: np.ndarray, means: np.ndarray, covariances: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return estimates from the rows after `extra` rows were added."""
        return diluted(self.covariance_type, self.reg_covar, self.extra, nk, means, covariances)


def extra_weight(dtype: np.dtype) -> float:
    """Return what scikit-learn adds to the weight of every component."""
    return 10 * float(np.finfo(dtype).eps)


def diluted(
    kind: CovarianceType,
    reg_covar: float,
    extra: float,
    nk: np.ndarray,
    means: np.ndarray,
    covariances: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return number, mean and covariance of each component's rows after `extra` rows at 0."""
    few = nk < _FEW
    if few.any():
        kept = np.where(few, nk / (nk + extra), 1.0)
        floor = np.zeros_like(covariances)
        kind.add_to_diagonal(floor, reg_covar)
        covariances = kind.dilute(covariances - floor, means, kept) + floor
        means = kept[:, None] * means
    return nk + extra, means, covariances


def starting_parameters(
    start: Start,
    init_params: str,
    given: Given,
    policy: TheirPolicy,
    random_state: np.random.RandomState,
) -> Parameters:
    """Return the parameters that scikit-learn would start from."""
    known = given.known()
    if len(known) == len(given):
        return Parameters(**known)
    if init_params not in THEIR_INIT_PARAMS:
        return starts.starting_parameters(start, init_params, given, random_state)
    if init_params in ROW_STARTS:
        nk, means, covariances = _on_rows(start, ROW_STARTS[init_params](start, random_state))
        factors, log_det = start.model.covariance_type.factorize(covariances, *means.shape)
        weights = nk / start.source.total_weight
        parameters = Parameters(weights, means, covariances, factors, log_det)
    else:
        parameters = policy.dilute(_on_all_rows(start, init_params, random_state))
    return parameters._replace(**known)


def starting_posterior(
    start: Start, init_params: str, random_state: np.random.RandomState
) -> Posterior:
    """Return the posterior that scikit-learn would start from, by a `TheirVariational`."""
    model: Any = start.model
    if init_params in ROW_STARTS:
        return model.posterior(*_on_rows(start, ROW_STARTS[init_params](start, random_state)))
    likelihood = MaximumLikelihood(model.covariance_type, model.reg_covar)
    estimates = _on_all_rows(start._replace(model=likelihood), init_params, random_state)
    nk = estimates.weights * start.source.total_weight
    model = model.adding(start.source.dtype)
    return model.posterior(*model.diluted(nk, estimates.means, estimates.covariances))


def _on_all_rows(start: Start, init_params: str, random_state: np.random.RandomState) -> Parameters:
    """Return a start from responsibilities of all rows; warn if clusters are empty."""
    parameters = RESP_STARTS[init_params](start, random_state)
    _warn_of_few_clusters(parameters)
    return parameters


def _warn_of_few_clusters(parameters: Parameters) -> None:
    """Give the warning of scikit-learn's k-means if clusters are empty."""
    found, wanted = np.count_nonzero(parameters.weights), len(parameters.weights)
    if found < wanted:
        warn_of_convergence(
            f"Number of distinct clusters ({found}) found smaller than n_clusters ({wanted}). "
            "Possibly due to duplicate points in X."
        )


def _on_rows(start: Start, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return number, mean and covariance of the rows of components that have one row each.

    `rows` is (n_components, n_features).
    """
    kind, reg_covar = start.model.covariance_type, start.model.reg_covar
    seeds = np.eye(len(rows), dtype=rows.dtype)
    nk, means, covariances = (
        values.astype(np.float64)
        for values in theirs._estimate_gaussian_parameters(rows, seeds, reg_covar, kind.name)
    )
    if kind.scatter_is_constant:  # scikit-learn takes the scatter of all rows of the data
        scatter = start.source.moments(kind, np.zeros(means.shape[1])).s2
        covariances = (scatter - (nk * means.T) @ means) / nk.sum()
        kind.add_to_diagonal(covariances, reg_covar)
    return nk, means, covariances
