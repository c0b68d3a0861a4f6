"""Priors for maximum a posteriori: the objects that callers pass, and the model they make.

`fastgmm.em.posterior` has the formulas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastgmm.api import checks
from fastgmm.api.options import DEFAULT_PRIOR
from fastgmm.em.models import MaximumLikelihood
from fastgmm.em.posterior import MaximumPosterior
from fastgmm.em.priors import Prior, unbiased_covariance
from fastgmm.model.base import Model
from fastgmm.model.covariance import CovarianceType
from fastgmm.sources.base import Source


@dataclass(frozen=True)
class Dirichlet:
    """Symmetric Dirichlet prior of the weights, for `fastgmm.fit` and `fastgmm.select`.

    Parameters
    ----------
    concentration : float
        At least 1. Each component counts as if it had ``concentration - 1`` rows more. 1 changes
        nothing.

    Raises
    ------
    TypeError, ValueError
        If it is not such a number. Below 1, the posterior would have no upper bound.
    """

    concentration: float

    def __post_init__(self) -> None:
        concentration = checks.check_non_negative(self.concentration, "concentration")
        if concentration < 1:
            raise ValueError(
                f"concentration must be at least 1 but is {concentration:g}: with less, the "
                "posterior has no upper bound. To drop components that are not needed, use "
                "BayesianGaussianMixture."
            )
        object.__setattr__(self, "concentration", concentration)


@dataclass(frozen=True, eq=False)
class NormalInverseWishart:
    """Prior of the mean and the covariance of each component, for `fit` and `select`.

    ``mean | Sigma ~ Normal(mean, Sigma / mean_precision)`` and ``Sigma ~ inverse
    Wishart(degrees_of_freedom, scale)``. For the types with variances in place of matrices, each
    variance has an inverse gamma distribution with half the degrees of freedom and half the scale.
    Values that are left out are those of Fraley and Raftery (2007), which follow from the rows;
    with all of them left out this is ``prior="default"``.

    Parameters
    ----------
    mean : array-like of shape (n_features,) or float, optional
        Where means are expected, in the units of the rows; by default the mean of all rows.
    mean_precision : float, default=0.01
        Number of rows that this is worth; positive.
    degrees_of_freedom : float, optional
        About the number of rows that `scale` is worth, greater than ``n_features - 1``; by default
        ``n_features + 2``.
    scale : array-like of shape (n_features, n_features), (n_features,) or (), optional
        Positive definite matrix, in squared units of the rows; numbers are a diagonal. "diag"
        takes its diagonal and "spherical" the mean of that. By default the covariance S of all
        rows, divided by ``n_components^(2 / n_features)``; for "diag" and "spherical" the mean of
        the variances in place of S, so features should be in similar units.

    Raises
    ------
    TypeError, ValueError
        If a value is not as described. Those that depend on the number of features are checked
        by the fit.

    References
    ----------
    Fraley and Raftery, "Bayesian regularization for normal mixture estimation and model-based
    clustering", Journal of Classification 24, 2007. mclust calls `mean_precision` "shrinkage".

    Examples
    --------
    >>> import numpy as np, fastgmm
    >>> X = np.concatenate([np.linspace(-1, 1, 50), np.full(10, 9.0)])
    >>> prior = fastgmm.NormalInverseWishart(scale=0.1)
    >>> mixture = fastgmm.fit(X, 2, prior=prior, random_state=0)
    >>> mixture.means.round(2).ravel().tolist()
    [0.0, 8.99]
    """

    mean: ArrayLike | None = None
    mean_precision: float = 0.01
    degrees_of_freedom: float | None = None
    scale: ArrayLike | None = None

    def __post_init__(self) -> None:
        for name in ("mean", "scale"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _read_only(value, name))
        for name in ("mean_precision", "degrees_of_freedom"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _positive(value, name))

    def _key(self) -> tuple[Any, ...]:
        """Return the values in a form that can be compared."""
        values = (self.mean, self.mean_precision, self.degrees_of_freedom, self.scale)
        return tuple(v.tolist() if isinstance(v, np.ndarray) else v for v in values)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NormalInverseWishart):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash((self.mean_precision, self.degrees_of_freedom))


AnyPrior = NormalInverseWishart | Dirichlet
Priors = str | AnyPrior | Sequence[AnyPrior] | None  # what the argument `prior` takes


def _read_only(values: ArrayLike, name: str) -> np.ndarray:
    """Return a read-only copy of finite numbers in float64."""
    array = np.array(checks.float_array(values, name), np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has a NaN or infinite value; pass finite numbers.")
    array.flags.writeable = False
    return array


def _positive(value: object, name: str) -> float:
    """Return `value` as a finite float above zero."""
    number = checks.check_non_negative(value, name)
    if number == 0:
        raise ValueError(f"{name} must be positive but is 0.")
    return number


def check_prior(prior: Priors) -> tuple[AnyPrior, ...]:
    """Return the checked priors that the argument `prior` names: at most one of each kind."""
    if prior is None:
        return ()
    if isinstance(prior, str):
        checks.check_option(prior, "prior", (DEFAULT_PRIOR,))
        return (NormalInverseWishart(),)
    priors = (prior,) if isinstance(prior, AnyPrior) else prior
    if not isinstance(priors, list | tuple) or not all(isinstance(p, AnyPrior) for p in priors):
        raise TypeError(
            f"prior must be None, {DEFAULT_PRIOR!r}, a NormalInverseWishart, a Dirichlet or a "
            f"list of both but is {prior!r:.100}."
        )
    if len(set(map(type, priors))) < len(priors):
        raise ValueError("prior has two priors of the same kind; pass one of each at most.")
    return tuple(priors)


def make_model(
    kind: CovarianceType, reg_covar: float, priors: Sequence[AnyPrior], source: Source
) -> Model:
    """Return the model of maximum likelihood, or under priors that `check_prior` returned."""
    if not priors:
        return MaximumLikelihood(kind, reg_covar)
    given = {type(prior): prior for prior in priors}
    weights: Any = given.get(Dirichlet, Dirichlet(1.0))
    components: Any = given.get(NormalInverseWishart)
    if components is None:
        return MaximumPosterior(kind, reg_covar, None, weights.concentration)
    prior = _completed(components, kind, source)
    fills_space = components.scale is None
    model = MaximumPosterior(kind, reg_covar, prior, weights.concentration, fills_space)
    _refuse_singular(model, components)
    return model


def _completed(given: NormalInverseWishart, kind: CovarianceType, source: Source) -> Prior:
    """Return a prior with the values that follow from the rows where none are given."""
    n_features = source.n_features
    if given.mean is not None:
        mean = checks.per_feature(given.mean, n_features, "mean of the prior")
    else:
        mean = source.mean_and_variance()[0]
    freedom = given.degrees_of_freedom
    freedom = n_features + 2.0 if freedom is None else freedom
    if freedom <= n_features - 1:
        raise ValueError(
            f"degrees_of_freedom of the prior must exceed n_features - 1 = {n_features - 1} but "
            f"is {freedom:g}."
        )
    if given.scale is not None:
        scale = kind.scale_from_matrix(_matrix(given.scale, n_features))
    else:
        scale = kind.default_scale(_covariance(source, kind))
    return Prior(given.mean_precision, mean, freedom, scale)


def _matrix(scale: Any, n_features: int) -> np.ndarray:
    """Return the scale of a prior as a symmetric matrix (n_features, n_features)."""
    if scale.shape != (n_features, n_features):
        return np.diag(checks.per_feature(scale, n_features, "scale of the prior"))
    if np.abs(scale - scale.T).max() > 1e-6 * np.abs(scale).max():
        raise ValueError("scale of the prior must be symmetric; average it with its transpose.")
    return 0.5 * (scale + scale.T)


def _covariance(source: Source, kind: CovarianceType) -> np.ndarray:
    """Return the covariance of all rows in the shape of one component's."""
    if source.total_weight <= 1:
        raise ValueError(
            f"sample_weight must have a sum above 1 but has {source.total_weight:g}: the weights "
            "count rows, which are weighed against the prior. Multiply them, or give the prior a "
            "scale."
        )
    return unbiased_covariance(source, kind, source.mean_and_variance()[0])


def _refuse_singular(model: MaximumPosterior, given: NormalInverseWishart) -> None:
    """Raise ValueError if the scale, with reg_covar, is not positive definite."""
    prior: Any = model.prior_of(1)
    kind, n_features = model.covariance_type, len(prior.mean)
    covariance = kind.from_moments(
        np.broadcast_to(prior.scale, kind.shape(1, n_features)),
        np.ones(1), np.zeros((1, n_features)), np.ones(1),
    )  # fmt: skip
    if np.isnan(kind.factorize(covariance, 1, n_features)[1]).any():
        if given.scale is not None:
            raise ValueError("scale of the prior must be positive definite but is not.")
        raise ValueError(
            "prior needs the covariance of all rows, which is singular: features are constant or "
            "depend on others. Leave such features out, raise reg_covar, or give the prior a scale."
        )


def priors_of(model: Any, n_components: int) -> tuple[AnyPrior, ...]:
    """Return the priors of a model that `make_model` made, with all values filled in."""
    if not isinstance(model, MaximumPosterior):
        return ()
    prior = model.prior_of(n_components)
    found: list[AnyPrior] = []
    if prior is not None:
        mean_precision, mean, freedom, scale = prior
        found.append(NormalInverseWishart(mean, mean_precision, freedom, scale))
    if model.concentration > 1:
        found.append(Dirichlet(model.concentration))
    return tuple(found)
