"""scikit-learn's rules that differ from those of `fastgmm.fit`: starts, and empty components.

scikit-learn adds 10 eps to the weight of every component before it divides by that weight. A
component that has lost its rows therefore ends with its mean at the origin and its covariance at
`reg_covar`. A start on single rows has weights 1 / n_samples; they do not sum to one and enter
the log-likelihood of iteration 1. Its tied covariance is the scatter of all rows. Weights, means
or precisions that the caller gives replace those of the start, and the start is made as if they
had not been given.
"""

import numpy as np
from sklearn.mixture import _gaussian_mixture as theirs

from fastgmm.api.options import THEIR_INIT_PARAMS
from fastgmm.model.base import Model
from fastgmm.model.parameters import Parameters
from fastgmm.search import starts
from fastgmm.search.start import Given, Start
from fastgmm.search.starts import RESP_STARTS, ROW_STARTS
from fastgmm.sklearn.compat import warn_of_convergence

_FEW = 1e-3  # rows: adding 10 eps to a greater weight changes it by no more than rounding


class IllDefinedError(ValueError):
    """A covariance cannot be factorised; the message is scikit-learn's."""

    def __init__(self) -> None:
        super().__init__(
            "Fitting the mixture model failed because some components have ill-defined empirical "
            "covariance (for instance caused by singleton or collapsed samples). Try to decrease "
            "the number of components, increase reg_covar, or scale the input data."
        )


class TheirPolicy:
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

    floor_raised = False

    def __init__(self, model: Model, n_rows: float, dtype: np.dtype) -> None:
        self._type = model.covariance_type
        self._reg_covar = model.reg_covar
        self._n_rows = n_rows
        self._extra = 10 * float(np.finfo(dtype).eps)

    def on_few_points(self, parameters: Parameters) -> np.ndarray:
        """Return a mask (n_components,) of False: no component counts as collapsed."""
        return np.zeros(len(parameters.weights), bool)

    def repair(self, parameters: Parameters, iterated: bool = True) -> tuple[Parameters, bool]:
        """Return the parameters of scikit-learn's M-step, and False: no component was moved.

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
        """Return the parameters after 10 eps were added to the weight of every component.

        Only components with hardly any rows change.
        """
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
    """Return the parameters that scikit-learn would start from."""
    known = given.known()
    if len(known) == len(given):
        return Parameters(**known)
    if init_params not in THEIR_INIT_PARAMS:
        return starts.starting_parameters(start, init_params, given, random_state)
    if init_params in ROW_STARTS:
        parameters = _on_rows(start, ROW_STARTS[init_params](start, random_state))
    else:
        parameters = RESP_STARTS[init_params](start, random_state)
        _warn_of_few_clusters(parameters)
        parameters = policy.dilute(parameters)
    return parameters._replace(**known)


def _warn_of_few_clusters(parameters: Parameters) -> None:
    """Give the warning of scikit-learn's k-means if clusters are empty."""
    found, wanted = np.count_nonzero(parameters.weights), len(parameters.weights)
    if found < wanted:
        warn_of_convergence(
            f"Number of distinct clusters ({found}) found smaller than n_clusters ({wanted}). "
            "Possibly due to duplicate points in X."
        )


def _on_rows(start: Start, rows: np.ndarray) -> Parameters:
    """Return a start with one component on each of the rows (n_components, n_features)."""
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
    factors, log_det = kind.factorize(covariances, *means.shape)
    return Parameters(nk / start.source.total_weight, means, covariances, factors, log_det)
