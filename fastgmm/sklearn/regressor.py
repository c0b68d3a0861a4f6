"""Gaussian mixture regression as an estimator of scikit-learn.

A mixture is fitted to features and targets together. The prediction is the conditional mean of the
targets given the features (Ghahramani and Jordan 1994, section 4.1).
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from fastgmm.api.fit import fit
from fastgmm.api.options import COVARIANCE_TYPES, INIT_PARAMS, MISSING, ON_COLLAPSE
from fastgmm.sklearn.compat import finite_values, validate_data

_OPTIONS = (
    "n_components",
    "covariance_type",
    "tol",
    "reg_covar",
    "max_iter",
    "n_init",
    "init_params",
    "n_threads",
    "on_collapse",
    "missing",
)
_BLOCK_BYTES = 2**24  # of conditional covariances that are held at a time


class GaussianMixtureRegressor(RegressorMixin, MultiOutputMixin, BaseEstimator):
    """Regression by a Gaussian mixture of features and targets.

    With one component it is linear regression. With more components, predictions follow curves,
    and their standard deviations change from place to place.

    Parameters
    ----------
    n_components : int, default=1
        Number of components.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        Form of the covariances of features and targets together: see `fastgmm.fit`.
    tol : float, default=1e-3
        EM stops when the mean log-likelihood of a row, in nats, changes by less than this.
    reg_covar : float, default=1e-6
        Variance added to the diagonals of the covariances, in squared units of the data.
    max_iter : int, default=100
        Greatest number of iterations of a start.
    n_init : int, default=1
        Number of starts; the result is the one with the greatest log-likelihood.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}, default="kmeans"
        Method of a start: see `fastgmm.fit`.
    random_state : int, RandomState instance or None, default=None
        Source of random numbers for the starts.
    n_threads : int, default=None
        Greatest number of threads; by default Numba's setting.
    on_collapse : {"regularize", "reset", "raise"}, default="regularize"
        What to do with a component that collapses: see `fastgmm.fit`.
    missing : {"error", "em"}, default="error"
        "em" accepts missing values (NaN) in features, and in targets during `fit`. They are
        not filled in: see `fastgmm.fit`.

    Attributes
    ----------
    mixture_ : fastgmm.Mixture
        The mixture of the features, followed by the targets.
    n_iter_ : int
        Number of iterations of the best start.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X has names that are strings.

    See Also
    --------
    fastgmm.Mixture.condition : The distribution of some features given others.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm.sklearn import GaussianMixtureRegressor
    >>> X = np.linspace(-3, 3, 200)[:, None]
    >>> model = GaussianMixtureRegressor(6, random_state=0).fit(X, np.sin(X).ravel())
    >>> model.predict([[np.pi / 2]]).round(1)
    array([1.])
    """

    _parameter_constraints = {  # noqa: RUF012 - as in scikit-learn
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(COVARIANCE_TYPES))],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions(set(INIT_PARAMS))],
        "random_state": ["random_state"],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
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
        random_state: int | np.random.RandomState | None = None,
        n_threads: int | None = None,
        on_collapse: str = "regularize",
        missing: str = "error",
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.random_state = random_state
        self.n_threads = n_threads
        self.on_collapse = on_collapse
        self.missing = missing

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the mixture of features and targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows: a weight of 2 counts as the row twice, 0 as no row.

        Returns
        -------
        GaussianMixtureRegressor
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` iterations did not suffice.
        """
        finite = finite_values(self)
        rows, targets = validate_data(
            self,
            X,
            y,
            validate_separately=(
                {"dtype": [np.float64, np.float32], "ensure_min_samples": 2, **finite},
                {"dtype": "numeric", "ensure_2d": False, **finite},
            ),
        )
        check_consistent_length(rows, targets)
        self._target_shape = targets.shape[1:]
        joint = np.column_stack([rows, targets.astype(rows.dtype, copy=False)])
        self.mixture_ = fit(
            joint,
            sample_weight=sample_weight,
            random_state=check_random_state(self.random_state),
            **{name: getattr(self, name) for name in _OPTIONS},
        )
        self.n_iter_ = self.mixture_.n_iter
        return self

    def predict(
        self, X: ArrayLike, return_std: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Return the conditional means of the targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        return_std : bool, default=False
            Whether to return the conditional standard deviations, too.

        Returns
        -------
        y_mean : ndarray of shape (n_samples,) or (n_samples, n_targets)
            Conditional means, shaped as the targets of `fit`.
        y_std : ndarray of the same shape
            Conditional standard deviations, only if `return_std` is true.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator was not fitted.
        ValueError, TypeError
            If X is invalid.
        """
        rows = self._with_gaps(X)
        means = self._targets(self.mixture_.conditional_mean(rows, n_threads=self.n_threads))
        if not return_std:
            return means
        variances = np.empty((len(rows), rows.shape[1] - self.n_features_in_))
        n_rows = max(1, _BLOCK_BYTES // (8 * rows.shape[1] ** 2))
        for begin in range(0, len(rows), n_rows):
            block = slice(begin, begin + n_rows)
            found = self.mixture_.conditional_covariance(rows[block], n_threads=self.n_threads)
            variances[block] = np.einsum("ijj->ij", found)[:, self.n_features_in_ :]
        deviations = np.sqrt(np.maximum(variances, 0.0)).astype(means.dtype, copy=False)
        return means, deviations.reshape(means.shape)

    def sample(
        self, X: ArrayLike, random_state: int | np.random.RandomState | None = None
    ) -> np.ndarray:
        """Draw targets given the features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        random_state : int, RandomState instance or None, default=None
            Source of random numbers.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
            One draw for each row.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator was not fitted.
        ValueError, TypeError
            If X is invalid.
        """
        rows = self._with_gaps(X)
        draw = check_random_state(random_state)
        return self._targets(self.mixture_.sample_missing(rows, draw, n_threads=self.n_threads))

    def _with_gaps(self, X: ArrayLike) -> np.ndarray:
        """Return the checked features, followed by targets that are missing."""
        check_is_fitted(self)
        finite = finite_values(self)
        rows = validate_data(self, X, reset=False, dtype=[np.float64, np.float32], **finite)
        n_targets = self.mixture_.n_features - self.n_features_in_
        return np.hstack([rows, np.full((len(rows), n_targets), np.nan, rows.dtype)])

    def _targets(self, rows: np.ndarray) -> np.ndarray:
        """Return the targets of rows, shaped as those of `fit`."""
        return rows[:, self.n_features_in_ :].reshape(len(rows), *self._target_shape)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: whether NaN is allowed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "em"
        return tags

    def _more_tags(self) -> dict[str, Any]:
        """Return the tags for scikit-learn 1.5."""
        return {"allow_nan": self.missing == "em"}


GaussianMixtureRegressor.__module__ = "fastgmm.sklearn"  # pickles name the public path
