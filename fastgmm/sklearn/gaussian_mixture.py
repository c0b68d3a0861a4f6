"""scikit-learn's `GaussianMixture` on the kernels of this library: see `KernelMixture`."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions

from fastgmm.api.fixed import PARTS, FixedParts, check_fixed
from fastgmm.api.options import DEFAULT_PRIOR, INIT_PARAMS, MISSING, ON_COLLAPSE
from fastgmm.api.priors import (
    Dirichlet,
    NormalInverseWishart,
    Priors,
    check_prior,
    make_model,
    priors_of,
)
from fastgmm.em.loop import Policy
from fastgmm.em.models import MaximumLikelihood
from fastgmm.model.base import Model
from fastgmm.model.parameters import Parameters
from fastgmm.search.start import Start
from fastgmm.sklearn import inference, likelihood, online
from fastgmm.sklearn.attributes import covariance_type_of, fitted_parameters, set_attributes
from fastgmm.sklearn.base import KernelMixture
from fastgmm.sklearn.compat import TheirGaussianMixture
from fastgmm.sklearn.fallback import FIT_STEPS, is_foreign
from fastgmm.sklearn.standin import StandIn
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import Source


class GaussianMixture(KernelMixture, TheirGaussianMixture, metaclass=StandIn):
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
    learning_decay : float, default=0.7
        The exponent kappa of the step sizes of `partial_fit`, above 0.5 and at most 1. The smaller
        it is, the faster old batches are forgotten; with 1 and a `learning_offset` of 2, all
        batches of a size have the same weight.
    learning_offset : float, default=2.0
        The number added to the number of steps in the step sizes of `partial_fit`, above 1. The
        greater it is, the less the second batch changes what the first one gave.
    prior : "default", NormalInverseWishart, Dirichlet, list of both or None, default=None
        Prior of the parameters, for the greatest posterior density: see `fastgmm.fit`.
    fixed : str, int, iterable of these, or dict, default=None
        Parts that keep the values of the start exactly: see `fastgmm.fit`. With `warm_start` they
        keep those of the previous call.

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
    prior_ : tuple of NormalInverseWishart and Dirichlet
        The priors with the values that followed from the rows; only after a fit with `prior`.
        `lower_bound_` and `lower_bounds_` are then log-posteriors: see `Mixture.log_likelihoods`.
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
    _own_parameters = {  # noqa: RUF012 - a constant
        "n_threads": None,
        "on_collapse": "raise",
        "missing": "error",
        "learning_decay": 0.7,
        "learning_offset": 2.0,
        "prior": None,
        "fixed": None,
    }
    _described_by = "weights_, means_ and precisions_cholesky_"
    _for_gaps = "To fit the values that are there, pass missing='em'."

    _parameter_constraints = {  # noqa: RUF012 - as in scikit-learn
        **TheirGaussianMixture._parameter_constraints,
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "init_params": [StrOptions(set(INIT_PARAMS))],
        "on_collapse": [StrOptions(set(ON_COLLAPSE))],
        "missing": [StrOptions(set(MISSING))],
        "learning_decay": [Interval(Real, 0.5, 1.0, closed="right")],
        "learning_offset": [Interval(Real, 1.0, None, closed="neither")],
        "prior": [StrOptions({DEFAULT_PRIOR}), NormalInverseWishart, Dirichlet, list, tuple, None],
        "fixed": [str, Integral, list, tuple, dict, None],
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
        learning_decay: float = 0.7,
        learning_offset: float = 2.0,
        prior: Priors = None,
        fixed: FixedParts = None,
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
        self.learning_decay = learning_decay
        self.learning_offset = learning_offset
        self.prior = prior
        self.fixed = fixed

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Update the mixture with a batch of rows that is read once: stepwise EM.

        The first call fits the batch as `fit` does, unless `fit` was called before. Each later
        call takes one pass over its batch. With n steps so far, the batch has the weight

            gamma = (n + learning_offset) ** -learning_decay

        beside 1 - gamma for all rows before it. One step is as much weight of rows as the first
        batch, or `fit`, had. A batch of a fraction f of that counts as f steps: its weight is
        ``1 - (1 - gamma) ** f``, so rows may also come one by one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite numbers, one row for each observation: at least `n_components` rows in the first
            batch, and better thousands, because it decides which optimum is found; any number of
            rows later.
        y : Ignored
            Not used, present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows: a weight of 2 counts as the row twice, 0 as no row.

        Returns
        -------
        GaussianMixture
            The estimator itself. `n_iter_` has grown by one, `converged_` is False, and
            `lower_bound_` is the mean log-likelihood of a row of this batch before the update.

        Raises
        ------
        ValueError, TypeError
            As `fit`; also if X has other features than the rows before.

        References
        ----------
        Cappe and Moulines, "On-line expectation-maximization algorithm for latent data models",
        Journal of the Royal Statistical Society B 71, 2009. Liang and Klein, "Online EM for
        unsupervised models", NAACL 2009.
        """
        online.partial_fit(self, X, sample_weight)
        return self

    def _prepare(self, source: ArraySource) -> None:
        self._stream = online.start_of_stream(source)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: whether NaN is allowed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "em"
        return tags

    def _more_tags(self) -> dict[str, Any]:
        """Return the tags for scikit-learn 1.5."""
        return {"allow_nan": self.missing == "em"}

    def _em_model(self) -> MaximumLikelihood:
        return MaximumLikelihood(covariance_type_of(self), self.reg_covar)

    def _model_to_fit(self, source: Source, previous: Parameters | None) -> Model:
        priors, kind = check_prior(self.prior), covariance_type_of(self)
        model = make_model(kind, self.reg_covar, priors, source)
        self.__dict__.pop("prior_", None)
        if priors:
            self.prior_ = priors_of(model, self.n_components)
        given = PARTS if previous else likelihood.given_start(self, source.n_features).known()
        held = check_fixed(self.fixed, kind, self.n_components, given, self.on_collapse)
        return model.holding(held)

    def _fitted(self) -> Parameters | None:
        return fitted_parameters(self)

    def _set_fitted(self, parameters: Parameters, dtype: np.dtype) -> None:
        set_attributes(self, parameters, dtype)

    def _new_parameters(self, start: Start, random_state: np.random.RandomState) -> Parameters:
        return likelihood.new_parameters(self, start, random_state)

    def _policy(self, start: Start, random_state: np.random.RandomState) -> Policy:
        return likelihood.policy(self, start, random_state)

    # Steps of scikit-learn's own loop, which subclasses override and other packages call.

    def _initialize_parameters(
        self, X: np.ndarray, random_state: np.random.RandomState, **namespace: Any
    ) -> None:
        if self._overridden(("_initialize",)) or is_foreign(X):
            super()._initialize_parameters(X, random_state, **namespace)
        else:
            likelihood.initialize(self, X, random_state)

    def _m_step(self, X: np.ndarray, log_resp: np.ndarray, **namespace: Any) -> None:
        ours = not is_foreign(X) and not is_foreign(log_resp) and len(X) == len(log_resp)
        if not ours or not likelihood.m_step(self, X, log_resp):
            super()._m_step(X, log_resp, **namespace)

    def _estimate_log_prob(self, X: np.ndarray, **namespace: Any) -> np.ndarray:
        parameters = None if is_foreign(X) else fitted_parameters(self)
        if parameters is None:
            return super()._estimate_log_prob(X, **namespace)
        rows = inference.rows_for_kernels(self, X)
        return inference.component_log_densities(self, rows, parameters)


GaussianMixture.__module__ = "fastgmm.sklearn"  # pickles name the public path
GaussianMixture._own_steps = {name: getattr(GaussianMixture, name) for name in FIT_STEPS}
