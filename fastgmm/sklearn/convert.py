"""Conversions between scikit-learn's estimator, this library's estimator and `Mixture`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastgmm.model.parameters import Parameters
from fastgmm.sklearn.attributes import copy_as, fitted_parameters
from fastgmm.sklearn.base import KernelMixture
from fastgmm.sklearn.bayesian_mixture import BayesianGaussianMixture
from fastgmm.sklearn.compat import TheirBayesianGaussianMixture, TheirGaussianMixture
from fastgmm.sklearn.gaussian_mixture import GaussianMixture

if TYPE_CHECKING:
    from fastgmm.api.mixture import Mixture

# Our class for each of scikit-learn's.
ESTIMATORS: dict[type, type[KernelMixture]] = {
    TheirGaussianMixture: GaussianMixture,
    TheirBayesianGaussianMixture: BayesianGaussianMixture,
}


def from_sklearn(model: Any) -> Any:
    """Return this library's estimator with the parameters and attributes of scikit-learn's.

    Parameters
    ----------
    model : sklearn.mixture.GaussianMixture or sklearn.mixture.BayesianGaussianMixture
        An estimator, fitted or not.

    Returns
    -------
    GaussianMixture or BayesianGaussianMixture
        A copy: changing its arrays does not change `model`.

    Raises
    ------
    TypeError
        If `model` is of another class. Subclasses are refused, because they may compute another
        model.
    """
    return copy_as(model, _our_class(model))


def parameters_of(model: Any) -> tuple[Parameters, Sequence[float]]:
    """Return the parameters of a fitted estimator, and the log-likelihoods of its iterations.

    See `Mixture.from_sklearn`. Those of a Bayesian mixture are posterior means, and it has no
    log-likelihoods.
    """
    kind = _our_class(model)
    check_is_fitted(model)
    parameters = fitted_parameters(copy_as(model, kind))
    if parameters is None:
        raise ValueError(
            "model holds no mixture in weights_, means_ and precisions_cholesky_; fit it again."
        )
    likelihoods = getattr(model, "lower_bounds_", ()) if kind is GaussianMixture else ()
    return parameters._replace(weights=parameters.weights / parameters.weights.sum()), likelihoods


def estimator_of(mixture: Mixture) -> TheirGaussianMixture:
    """Return an estimator that holds a mixture: see `Mixture.to_sklearn`."""
    model = TheirGaussianMixture(mixture.n_components, covariance_type=mixture.covariance_type)
    parameters = mixture.weights, mixture.means, mixture.covariances, mixture.precisions_cholesky
    model._set_parameters(tuple(array.copy() for array in parameters))
    model.converged_ = mixture.converged
    model.n_iter_ = mixture.n_iter
    model.lower_bound_ = mixture.log_likelihood if mixture.n_iter else -np.inf
    model.lower_bounds_ = mixture.log_likelihoods.tolist()
    model.n_features_in_ = mixture.n_features
    if mixture.feature_names is not None:
        model.feature_names_in_ = np.array(mixture.feature_names, object)
    return model


def _our_class(model: object) -> type[KernelMixture]:
    """Return our class for an estimator of scikit-learn's class or of ours."""
    kind: Any = type(model)
    if kind in ESTIMATORS.values():
        return kind
    if kind not in ESTIMATORS:
        raise TypeError(
            "model must be scikit-learn's GaussianMixture or BayesianGaussianMixture but is a "
            f"{kind.__name__}; pass an estimator of such a class or of fastgmm.sklearn."
        )
    return ESTIMATORS[kind]
