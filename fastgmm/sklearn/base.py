"""What our estimators share: the methods that run on the kernels, and when they do not.

Each class is a subclass of scikit-learn's and replaces only its arithmetic: scikit-learn's own
code checks the arguments, the messages are the same, and the same seed gives the same result.
`fastgmm.sklearn.parity` holds the starts and rules that differ from those of `fastgmm.fit`.

scikit-learn's own code runs, and the logger ``fastgmm`` says so, in four cases: the arrays are
of a library other than NumPy; a subclass overrides one of the private steps of a fit; the
attributes were set by hand to values that describe no mixture; or a covariance cannot be
factorised, where scikit-learn's own rounding decides.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import sklearn
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.mixture._base import BaseMixture
from sklearn.utils.validation import check_is_fitted

from fastgmm._logging import heed_environment
from fastgmm.em.loop import Policy
from fastgmm.model.base import Model
from fastgmm.search.start import Start
from fastgmm.sklearn import fitting, inference
from fastgmm.sklearn.attributes import copy_as
from fastgmm.sklearn.fallback import (
    DENSITY_STEPS,
    FOREIGN,
    fall_back,
    is_foreign,
    log_accelerated,
    overridden_step,
)
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import Source

heed_environment()


class KernelMixture(BaseMixture):
    """Base of our estimators; the next base of each is the class that it stands in for.

    Attributes
    ----------
    _stands_in_for : type
        scikit-learn's class.
    _own_steps : mapping
        The private methods that a fit consists of, by name: if a subclass overrides one,
        scikit-learn's own code runs.
    _own_parameters : mapping
        Default values of the parameters that scikit-learn's class does not have.
    _described_by : str
        The attributes that hold a fitted mixture.
    _for_gaps : str
        What to do to fit rows with missing values.
    """

    _stands_in_for: ClassVar[type]
    _own_steps: ClassVar[Mapping[str, object]]
    _own_parameters: ClassVar[Mapping[str, object]]
    _described_by: ClassVar[str]
    _for_gaps: ClassVar[str]

    # What a fit asks of a class.

    @abstractmethod
    def _em_model(self) -> Model:
        """Return the model that EM fits, or under which the fitted attributes are read."""

    @abstractmethod
    def _fitted(self) -> Any:
        """Return the parameters that the attributes hold, or None if they describe no mixture."""

    @abstractmethod
    def _set_fitted(self, parameters: Any, dtype: np.dtype) -> None:
        """Set the attributes that hold the parameters of a fit to rows of `dtype`."""

    @abstractmethod
    def _new_parameters(self, start: Start, random_state: np.random.RandomState) -> Any:
        """Return the parameters of a new start."""

    @abstractmethod
    def _policy(self, start: Start, random_state: np.random.RandomState) -> Policy:
        """Return what to do with collapsed components."""

    def _model_to_fit(self, source: Source, previous: Any) -> Model:
        """Return the model that EM fits to the rows; starts are made for `_em_model`.

        `previous` are the parameters from which a warm start continues, or None.
        """
        return self._em_model()

    def _prepare(self, source: ArraySource) -> None:
        """Set what the model needs to know of the rows, after scikit-learn's own checks."""

    def _em_source(self, source: ArraySource) -> ArraySource:
        """Return the rows that EM reads, given those from which starts are made."""
        return source

    # Public methods.

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Estimate the parameters.

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
        KernelMixture
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
        if type(self).fit_predict is not KernelMixture.fit_predict:
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
        parameters = self._fitted()
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

    def to_sklearn(self) -> Any:
        """Return scikit-learn's own estimator with the same parameters and fitted attributes.

        Returns
        -------
        sklearn.mixture.GaussianMixture or sklearn.mixture.BayesianGaussianMixture
            A copy: changing its arrays does not change this estimator.
        """
        return copy_as(self, self._stands_in_for)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for a pickle, with scikit-learn's version as in its own pickles."""
        return {**super().__getstate__(), "_sklearn_version": sklearn.__version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state from a pickle of this class or of scikit-learn's."""
        state = {**self._own_parameters, **state}
        if "_sklearn_version" in state:  # fastgmm 0.1 wrote none
            state = self._compared_by_sklearn(state)
        super().__setstate__(state)

    def _compared_by_sklearn(self, state: dict[str, Any]) -> dict[str, Any]:
        """Return the state without its version; scikit-learn warns if that is another one."""
        theirs: Any = object.__new__(self._stands_in_for)
        theirs.__setstate__(state)
        return vars(theirs)

    def _fit(self, X: ArrayLike, sample_weight: ArrayLike | None) -> np.ndarray | None:
        """Set all fitted attributes; return X as the kernels read it, or None after a fallback."""
        if step := self._overridden(tuple(self._own_steps)):
            fall_back(self, "fit", f"{step} is overridden", sample_weight)
            super().fit_predict(X)
            return None
        return fitting.fit_attributes(self, X, sample_weight)

    def _ready(self, method: str, X: ArrayLike) -> Any:
        """Return the parameters for the kernels, or None if scikit-learn's own code must run."""
        check_is_fitted(self)
        if step := self._overridden(DENSITY_STEPS):
            reason = f"{step} is overridden"
        elif is_foreign(X):
            reason = FOREIGN
        else:
            parameters = self._fitted()
            if parameters is not None:
                log_accelerated(self, method, np.shape(X))
                return parameters
            reason = f"{self._described_by} describe no mixture"
        fall_back(self, method, reason)
        return None

    def _overridden(self, names: Sequence[str]) -> str | None:
        return overridden_step(self, names, self._own_steps)
