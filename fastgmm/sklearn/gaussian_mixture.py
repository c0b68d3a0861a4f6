"""scikit-learn's `GaussianMixture` on the kernels of this library: the class and its methods.

`GaussianMixture` is a subclass of scikit-learn's class and replaces only its arithmetic:
scikit-learn's own code checks the arguments, the messages are the same, and the same seed gives
the same result. `fastgmm.sklearn.parity` holds the starts and rules that differ from those of
`fastgmm.fit`.

scikit-learn's own code runs, and the logger ``fastgmm`` says so, in four cases: the arrays are
of a library other than NumPy; a subclass overrides one of the private steps of a fit; the
attributes were set by hand to values that describe no mixture; or a covariance cannot be
factorised, where scikit-learn's own rounding decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
import sklearn
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from fastgmm._logging import heed_environment
from fastgmm.api.options import INIT_PARAMS, MISSING, ON_COLLAPSE
from fastgmm.model.parameters import Parameters
from fastgmm.sklearn import fitting, inference
from fastgmm.sklearn.attributes import copy_as, fitted_parameters
from fastgmm.sklearn.compat import TheirGaussianMixture
from fastgmm.sklearn.fallback import (
    DENSITY_STEPS,
    FIT_STEPS,
    FOREIGN,
    fall_back,
    is_foreign,
    log_accelerated,
    overridden_step,
)
from fastgmm.sklearn.standin import StandIn

heed_environment()


class GaussianMixture(TheirGaussianMixture, metaclass=StandIn):
    """Gaussian mixture: scikit-learn's estimator on the kernels of fastgmm.

    It has the parameters, methods, attributes, errors and warnings of
    `sklearn.mixture.GaussianMixture`. The same `random_state` gives the same starts and the same
    iterations.

    Parameters
    ----------
    n_components : int, default=1
        Number of components.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        Form of the covariances: a matrix for each component, one matrix for all components, a
        variance for each component and feature, or a variance for each component.
    tol : float, default=1e-3
        EM stops when the mean log-likelihood of a row, in nats, changes by less than this.
    reg_covar : float, default=1e-6
        Variance added to the diagonals of the covariances, in squared units of X.
    max_iter : int, default=100
        Greatest number of iterations of a start; with 0 the result is the start itself.
    n_init : int, default=1
        Number of starts; the result is the one with the greatest log-likelihood.
    init_params : {"kmeans", "auto", "k-means++", "random", "random_from_data"}, default="kmeans"
        Method of a start: "auto" searches for the best optimum and stops EM by its own rule, as
        `fastgmm.fit` does. The others are scikit-learn's: the clusters of k-means,
        components on rows chosen by k-means++, random responsibilities, or components on rows
        chosen at random.
    weights_init : array-like of shape (n_components,), default=None
        Weights to start from.
    means_init : array-like of shape (n_components, n_features), default=None
        Means to start from.
    precisions_init : array-like, default=None
        Inverse covariances to start from, shaped as `covariances_`.
    random_state : int, RandomState instance or None, default=None
        Source of random numbers for the starts and for `sample`.
    warm_start : bool, default=False
        Whether `fit` continues from the solution of the previous call.
    verbose : int, default=0
        1 prints starts and iterations, 2 also their times and log-likelihoods.
    verbose_interval : int, default=10
        Number of iterations between two printed lines.
    n_threads : int, default=None
        Greatest number of threads; by default Numba's setting, which joblib divides among its
        worker processes. The result has the same bits for every number.
    on_collapse : {"raise", "regularize", "reset"}, default="raise"
        What to do with a component that collapses. "raise" does as scikit-learn: only a
        covariance that cannot be factorised is an error. For the other two see `fastgmm.fit`.
    missing : {"error", "em"}, default="error"
        What to do with missing values (NaN). "error" refuses them as scikit-learn does; "em" fits
        and predicts from the observed values of each row, without filling in: see `fastgmm.fit`.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Mixing weights of the components.
    means_ : ndarray of shape (n_components, n_features)
        Means, in the units of the data.
    covariances_ : ndarray
        Covariances, in squared units of the data: shape (n_components, n_features, n_features)
        for "full", (n_features, n_features) for "tied", (n_components, n_features) for "diag"
        and (n_components,) for "spherical".
    precisions_ : ndarray
        Inverse covariances, shaped as `covariances_`.
    precisions_cholesky_ : ndarray
        Upper-triangular matrices P whose ``P @ P.T`` is the inverse covariance; for "diag" and
        "spherical" the inverse standard deviations.
    converged_ : bool
        Whether the last two log-likelihoods differed by less than `tol`.
    n_iter_ : int
        Number of iterations of the best start.
    lower_bound_ : float
        Mean log-likelihood of a row, in nats, before the last M-step of the best start.
    lower_bounds_ : list of float
        The same value for every iteration of the best start.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X has names that are strings.

    See Also
    --------
    fastgmm.fit : The same fit without scikit-learn.
    fastgmm.patch_sklearn : Replaces scikit-learn's class by this one.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm.sklearn import GaussianMixture
    >>> X = np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> gm = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> gm.means_
    array([[10.,  2.],
           [ 1.,  2.]])
    >>> gm.predict([[0, 0], [12, 3]])
    array([1, 0])
    """

    _stands_in_for = TheirGaussianMixture

    _parameter_constraints = {  # noqa: RUF012 - as in scikit-learn
        **TheirGaussianMixture._parameter_constraints,
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "init_params": [StrOptions(set(INIT_PARAMS))],
        "on_collapse": [StrOptions(set(ON_COLLAPSE))],
        "missing": [StrOptions(set(MISSING))],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        on_collapse: str = "raise",
        missing: str = "error",
    ) -> None:
        super().__init__(
            n_components=n_components,
            covariance_type=covariance_type,
            tol=tol,
            reg_covar=reg_covar,
            max_iter=max_iter,
            n_init=n_init,
            init_params=init_params,
            weights_init=weights_init,
            means_init=means_init,
            precisions_init=precisions_init,
            random_state=random_state,
            warm_start=warm_start,
            verbose=verbose,
            verbose_interval=verbose_interval,
        )
        self.n_threads = n_threads
        self.on_collapse = on_collapse
        self.missing = missing

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Estimate the parameters by expectation maximisation.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite numbers, one row for each observation.
        y : Ignored
            Not used, present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows: a weight of 2 counts as the row twice, 0 as no row.

        Returns
        -------
        GaussianMixture
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid or a covariance cannot be factorised, with scikit-learn's
            messages; also if `sample_weight` is given where scikit-learn's own code must run,
            which does not support it.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If `max_iter` iterations did not suffice, or if k-means found fewer distinct
            clusters than components.
        """
        if type(self).fit_predict is not GaussianMixture.fit_predict:
            weights = {} if sample_weight is None else {"sample_weight": sample_weight}
            self.fit_predict(X, y, **weights)
        else:
            self._fit(X, sample_weight)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_predict(
        self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> np.ndarray:
        """Estimate the parameters and return the most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite numbers, one row for each observation.
        y : Ignored
            Not used, present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows: a weight of 2 counts as the row twice, 0 as no row.

        Returns
        -------
        ndarray of shape (n_samples,)
            Indices of components.

        Raises
        ------
        ValueError, TypeError
            As `fit`.
        """
        rows = self._fit(X, sample_weight)
        parameters = fitted_parameters(self)
        if rows is None or parameters is None:
            return self.predict(X)
        return inference.labels(self, rows, parameters)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite numbers.

        Returns
        -------
        ndarray of shape (n_samples,)
            Indices of components.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator was not fitted.
        ValueError, TypeError
            If X is not finite numbers with as many features as in `fit`.
        """
        parameters = self._ready("predict", X)
        if parameters is None:
            return super().predict(X)
        return inference.labels(self, inference.checked_rows(self, X), parameters)

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the probability of each component for each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite numbers.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            Responsibilities; every row sums to 1.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator was not fitted.
        ValueError, TypeError
            If X is not finite numbers with as many features as in `fit`.
        """
        parameters = self._ready("predict_proba", X)
        if parameters is None:
            return super().predict_proba(X)
        return inference.responsibilities(self, inference.checked_rows(self, X), parameters)

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Return the log-density of each row under the mixture.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite numbers.

        Returns
        -------
        ndarray of shape (n_samples,)
            Natural logarithms of densities.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator was not fitted.
        ValueError, TypeError
            If X is not finite numbers with as many features as in `fit`.
        """
        parameters = self._ready("score_samples", X)
        if parameters is None:
            return super().score_samples(X)
        return inference.log_densities(self, inference.checked_rows(self, X), parameters)

    def score(
        self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the weighted mean log-density of a row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite numbers.
        y : Ignored
            Not used, present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows: a weight of 2 counts as the row twice.

        Returns
        -------
        float
            Weighted mean of `score_samples`, in nats.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator was not fitted.
        ValueError, TypeError
            If X is not finite numbers with as many features as in `fit`.
        """
        if sample_weight is None:
            return super().score(X)
        log_prob = self.score_samples(X)
        return float(np.average(log_prob, weights=fitting.checked_weight(sample_weight, log_prob)))

    def to_sklearn(self) -> TheirGaussianMixture:
        """Return scikit-learn's own estimator with the same parameters and fitted attributes.

        Returns
        -------
        sklearn.mixture.GaussianMixture
            A copy: changing its arrays does not change this estimator.
        """
        return copy_as(self, TheirGaussianMixture)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: whether NaN is allowed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "em"
        return tags

    def _more_tags(self) -> dict[str, Any]:
        """Return the tags for scikit-learn 1.5."""
        return {"allow_nan": self.missing == "em"}

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for a pickle, with scikit-learn's version as in its own pickles."""
        return {**super().__getstate__(), "_sklearn_version": sklearn.__version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state from a pickle of this class or of scikit-learn's."""
        state = {"n_threads": None, "on_collapse": "raise", "missing": "error", **state}
        if "_sklearn_version" in state:  # fastgmm 0.1 wrote none
            state = _compared_by_sklearn(state)
        super().__setstate__(state)

    def _fit(self, X: ArrayLike, sample_weight: ArrayLike | None) -> np.ndarray | None:
        """Set all fitted attributes; return X as the kernels read it, or None after a fallback."""
        if step := self._overridden(FIT_STEPS):
            fall_back("fit", f"{step} is overridden", sample_weight)
            super().fit_predict(X)
            return None
        return fitting.fit_attributes(self, X, sample_weight)

    def _ready(self, method: str, X: ArrayLike) -> Parameters | None:
        """Return the parameters for the kernels, or None if scikit-learn's own code must run."""
        check_is_fitted(self)
        if step := self._overridden(DENSITY_STEPS):
            reason = f"{step} is overridden"
        elif is_foreign(X):
            reason = FOREIGN
        else:
            parameters = fitted_parameters(self)
            if parameters is not None:
                log_accelerated(method, np.shape(X))
                return parameters
            reason = "weights_, means_ and precisions_cholesky_ describe no mixture"
        fall_back(method, reason)
        return None

    def _overridden(self, names: Sequence[str]) -> str | None:
        return overridden_step(self, names, _OWN_STEPS)

    # Steps of scikit-learn's own loop, which subclasses override and other packages call.

    def _initialize_parameters(
        self, X: np.ndarray, random_state: np.random.RandomState, **namespace: Any
    ) -> None:
        if self._overridden(("_initialize",)) or is_foreign(X):
            super()._initialize_parameters(X, random_state, **namespace)
        else:
            fitting.initialize(self, X, random_state)

    def _m_step(self, X: np.ndarray, log_resp: np.ndarray, **namespace: Any) -> None:
        ours = not is_foreign(X) and not is_foreign(log_resp) and len(X) == len(log_resp)
        if not ours or not fitting.m_step(self, X, log_resp):
            super()._m_step(X, log_resp, **namespace)

    def _estimate_log_prob(self, X: np.ndarray, **namespace: Any) -> np.ndarray:
        parameters = None if is_foreign(X) else fitted_parameters(self)
        if parameters is None:
            return super()._estimate_log_prob(X, **namespace)
        rows = inference.rows_for_kernels(self, X)
        return inference.component_log_densities(self, rows, parameters)


def _compared_by_sklearn(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state without its version; scikit-learn warns if that is not the installed one."""
    theirs = TheirGaussianMixture.__new__(TheirGaussianMixture)
    theirs.__setstate__(state)
    return vars(theirs)


GaussianMixture.__module__ = "fastgmm.sklearn"  # pickles name the public path

_OWN_STEPS = {name: getattr(GaussianMixture, name) for name in FIT_STEPS}
