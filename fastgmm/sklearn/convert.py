"""Conversions between scikit-learn's estimator, this library's estimator and `Mixture`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastgmm.model.parameters import Parameters
from fastgmm.sklearn.attributes import copy_as, fitted_parameters
from fastgmm.sklearn.compat import TheirGaussianMixture
from fastgmm.sklearn.gaussian_mixture import GaussianMixture

if TYPE_CHECKING:
    from fastgmm.api.mixture import Mixture


def from_sklearn(model: TheirGaussianMixture) -> GaussianMixture:
    """Return this library's estimator with the parameters and attributes of scikit-learn's.

    Parameters
    ----------
    model : sklearn.mixture.GaussianMixture
        An estimator, fitted or not.

    Returns
    -------
    GaussianMixture
        A copy: changing its arrays does not change `model`.

    Raises
    ------
    TypeError
        If `model` is of another class. Subclasses are refused, because they may compute another
        model.
    """
    _refuse_other_models(model)
    return copy_as(model, GaussianMixture)


def parameters_of(model: TheirGaussianMixture) -> Parameters:
    """Return the parameters of a fitted estimator: see `Mixture.from_sklearn`."""
    _refuse_other_models(model)
    check_is_fitted(model)
    parameters = fitted_parameters(from_sklearn(model))
    if parameters is None:
        raise ValueError(
            "model holds no mixture in weights_, means_ and precisions_cholesky_; fit it again."
        )
    return parameters._replace(weights=parameters.weights / parameters.weights.sum())


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


def _refuse_other_models(model: object) -> None:
    if type(model) not in (TheirGaussianMixture, GaussianMixture):
        raise TypeError(
            f"model must be scikit-learn's GaussianMixture but is a {type(model).__name__}; "
            "pass an estimator of that class or of fastgmm.sklearn.GaussianMixture."
        )
