"""scikit-learn's `GaussianMixture` on the kernels of this library.

`GaussianMixture` is a subclass of scikit-learn's class that replaces its arithmetic and nothing
else: arguments are checked by scikit-learn's own code, messages are its own, and the same seed
gives the same answer. Where a start, a rule or a message differs from `fastgmm.fit`, `fastgmm.sklearn.parity`
has it.

What the kernels cannot do falls back to scikit-learn's own code, and the logger ``fastgmm``
says so: arrays of another library than NumPy, a subclass that overrides one of the private
steps of a fit, attributes that were set by hand to what is no mixture, and a covariance that
cannot be factorised, where the last word is scikit-learn's.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import sklearn
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture._gaussian_mixture import GaussianMixture as TheirGaussianMixture
from sklearn.mixture._gaussian_mixture import _compute_log_det_cholesky
from sklearn.utils import check_random_state
from sklearn.utils._array_api import get_namespace
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # scikit-learn 1.5

    def validate_data(estimator: Any, X: Any, **options: Any) -> Any:
        """Check X as later releases do."""
        return estimator._validate_data(X, **options)


from fastgmm._logging import heed_environment, logger
from fastgmm.api import checks
from fastgmm.em.collapse import CollapsePolicy
from fastgmm.em.loop import Policy, Run, Settings, run_em
from fastgmm.em.models import MaximumLikelihood
from fastgmm.model.covariance import COVARIANCE_TYPES, CovarianceType
from fastgmm.model.parameters import Parameters
from fastgmm.search.restarts import best_of
from fastgmm.search.starts import Given, Start
from fastgmm.sklearn.parity import IllDefinedError, TheirPolicy, starting_parameters
from fastgmm.sources.array import ArraySource
from fastgmm.sources.inference import infer
from fastgmm.sources.operands import Densities

if TYPE_CHECKING:
    pass

__all__ = ["GaussianMixture", "TheirGaussianMixture"]

heed_environment()

_NAMES_NAMESPACE = "xp" in inspect.signature(TheirGaussianMixture._check_parameters).parameters

_FOREIGN = "X is an array of another library than NumPy"

# The private steps that scikit-learn's methods are made of, which subclasses may override.
_DENSITY_STEPS = (
    "_estimate_log_prob", "_estimate_log_weights", "_estimate_weighted_log_prob",
    "_estimate_log_prob_resp",
)  # fmt: skip
_FIT_STEPS = (
    "_initialize_parameters", "_initialize", "_e_step", "_m_step", "_compute_lower_bound",
    "_get_parameters", *_DENSITY_STEPS,
)  # fmt: skip


class GaussianMixture(TheirGaussianMixture):
    """Gaussian mixture: scikit-learn's estimator on the kernels of fastgmm.

    All of `sklearn.mixture.GaussianMixture` holds: parameters, methods, attributes, errors and
    warnings. The same `random_state` gives the same start, and the same iterations from there.

    Parameters
    ----------
    n_components : int, default=1
        Number of components.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        One covariance a component, one for all, one variance a feature and component, or one
        variance a component.
    tol : float, default=1e-3
        EM stops when the mean log-likelihood of a row changes by less, in nats.
    reg_covar : float, default=1e-6
        Added to the diagonals of the covariances, in squared units of X.
    max_iter : int, default=100
        Iterations at most; 0 keeps the start.
    n_init : int, default=1
        Starts; the one with the greatest log-likelihood is kept.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}, default="kmeans"
        How a start is found: from the clusters of k-means, on rows chosen by k-means++, from
        random responsibilities, or on rows chosen at random.
    weights_init : array-like of shape (n_components,), default=None
        Weights to start from.
    means_init : array-like of shape (n_components, n_features), default=None
        Means to start from.
    precisions_init : array-like, default=None
        Inverse covariances to start from, shaped as `covariances_`.
    random_state : int, RandomState instance or None, default=None
        Draws the starts, and what `sample` returns.
    warm_start : bool, default=False
        Whether a further `fit` goes on from the last one's solution.
    verbose : int, default=0
        1 prints starts and iterations, 2 also their times and log-likelihoods.
    verbose_interval : int, default=10
        Iterations from one line to the next.
    n_threads : int, default=None
        Threads to use at most; by default what Numba is set to, which in the worker processes
        of joblib is their share. The result has the same bits for every number.
    on_collapse : {"raise", "regularize", "reset"}, default="raise"
        What to do with a component that collapses. "raise" does as scikit-learn: a covariance
        that cannot be factorised is an error, everything else is let be. The other two are
        those of `fastgmm.fit`.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Share of each component.
    means_ : ndarray of shape (n_components, n_features)
        Means, in the units of the data.
    covariances_ : ndarray
        Covariances: shape (n_components, n_features, n_features) for "full", (n_features,
        n_features) for "tied", (n_components, n_features) for "diag" and (n_components,) for
        "spherical".
    precisions_ : ndarray
        Inverse covariances, shaped as `covariances_`.
    precisions_cholesky_ : ndarray
        Upper-triangular P with ``P @ P.T`` the inverse covariance; one over the standard
        deviation for "diag" and "spherical".
    converged_ : bool
        Whether the last two log-likelihoods differed by less than `tol`.
    n_iter_ : int
        Iterations of the best start.
    lower_bound_ : float
        Mean log-likelihood of a row in the last iteration of the best start.
    lower_bounds_ : list of float
        The same for every iteration of the best start.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X has names that are strings.

    See Also
    --------
    fastgmm.fit : The same without scikit-learn.
    fastgmm.patch_sklearn : Puts this class in the place of scikit-learn's.

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

    _parameter_constraints = {  # noqa: RUF012 - as in scikit-learn
        **TheirGaussianMixture._parameter_constraints,
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "on_collapse": [StrOptions({"raise", "regularize", "reset"})],
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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Estimate the parameters by expectation maximisation.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite numbers, a row per observation.
        y : Ignored
            Not used, present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows: 2 counts as the row twice, 0 as its absence.

        Returns
        -------
        GaussianMixture
            The estimator itself.
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
            Finite numbers, a row per observation.
        y : Ignored
            Not used, present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows: 2 counts as the row twice, 0 as its absence.

        Returns
        -------
        ndarray of shape (n_samples,)
            Places of components.
        """
        rows = self._fit(X, sample_weight)
        parameters = self._fitted()
        if rows is None or parameters is None:
            return self.predict(X)
        return self._labels(rows, parameters)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite numbers.

        Returns
        -------
        ndarray of shape (n_samples,)
            Places of components.
        """
        parameters = self._ready("predict", X)
        if parameters is None:
            return super().predict(X)
        return self._labels(self._rows(X), parameters)

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the probability of each component for each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite numbers.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            Rows sum to 1.
        """
        parameters = self._ready("predict_proba", X)
        if parameters is None:
            return super().predict_proba(X)
        rows = self._rows(X)
        proba = np.empty((len(rows), len(parameters.means)), rows.dtype)
        self._infer(rows, parameters, proba=proba)
        return proba

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Return the log-density of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite numbers.

        Returns
        -------
        ndarray of shape (n_samples,)
            Natural logarithms of the mixture's density.
        """
        parameters = self._ready("score_samples", X)
        if parameters is None:
            return super().score_samples(X)
        rows = self._rows(X)
        log_prob = np.empty(len(rows), rows.dtype)
        self._infer(rows, parameters, log_prob=log_prob)
        return log_prob

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
            Weights of the rows; weight 2 counts as the row twice.

        Returns
        -------
        float
            Mean of `score_samples`.
        """
        if sample_weight is None:
            return super().score(X)
        log_prob = self.score_samples(X)
        return float(np.average(log_prob, weights=_checked_weight(sample_weight, log_prob)))

    def to_sklearn(self) -> TheirGaussianMixture:
        """Return scikit-learn's own estimator with the same parameters and fitted attributes.

        Returns
        -------
        sklearn.mixture.GaussianMixture
            Independent of this one.
        """
        return converted(self, TheirGaussianMixture)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the state of a pickle, also of one that scikit-learn's class wrote."""
        state = {"n_threads": None, "on_collapse": "raise", **state}
        state.pop("_sklearn_version", None)
        super().__setstate__(state)

    # Fitting.

    def _fit(self, X: ArrayLike, sample_weight: ArrayLike | None) -> np.ndarray | None:
        """Set all fitted attributes; return X as the kernels take it, None after a fallback."""
        if overridden := _overridden(self, _FIT_STEPS):
            _fall_back("fit", f"{overridden} is overridden", sample_weight)
            super().fit_predict(X)
            return None
        if _foreign(X):
            self._fit_theirs(X, _FOREIGN, sample_weight)
            return None
        source = self._checked_source(X, sample_weight)
        last = None
        if self.warm_start and hasattr(self, "converged_"):
            last = self._fitted()
            if last is None or last.means.shape != (self.n_components, source.n_features):
                reason = "warm_start cannot go on from a solution of another shape"
                self._fit_theirs(X, reason, sample_weight)
                return None
        random_state = check_random_state(self.random_state)
        before = None if isinstance(self.random_state, Integral) else random_state.get_state()
        try:
            self._fit_ours(source, random_state, last)
        except IllDefinedError as error:
            # Where rounding decides whether a covariance is singular, theirs does.
            if sample_weight is not None:
                raise ValueError(str(error)) from None
            if before is not None:
                random_state.set_state(before)
            self._fit_theirs(X, "a covariance cannot be factorised")
            return None
        return source.rows(slice(None))

    def _fit_theirs(
        self, X: ArrayLike, reason: str, sample_weight: ArrayLike | None = None
    ) -> None:
        """Fit with nothing of ours."""
        _fall_back("fit", reason, sample_weight)
        model = TheirGaussianMixture.__new__(TheirGaussianMixture)
        model.__dict__.update(vars(self))
        model.fit_predict(X)
        self.__dict__.update(vars(model))

    def _checked_source(self, X: ArrayLike, sample_weight: ArrayLike | None) -> ArraySource:
        rows = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        weight = np.empty(0) if sample_weight is None else _checked_weight(sample_weight, rows)
        n_samples = np.count_nonzero(weight) if weight.size else len(rows)
        if n_samples < self.n_components:
            raise ValueError(
                f"Expected n_samples >= n_components but got n_components = {self.n_components}, "
                f"n_samples = {n_samples}"
            )
        self._check_parameters(rows, **_namespace(rows))
        return ArraySource(checks.for_kernels(rows), weight, self.n_threads)

    def _fit_ours(
        self, source: ArraySource, random_state: np.random.RandomState, last: Parameters | None
    ) -> None:
        run = self._best_run(source, random_state, last)
        if not run.converged and self.max_iter > 0:
            warnings.warn(
                "Best performing initialization did not converge. Try different init "
                "parameters, or increase max_iter, tol, or check for degenerate data.",
                ConvergenceWarning,
                stacklevel=4,  # in sklearn.base, so that filters of scikit-learn's warnings match
            )
        self._adopt(run.parameters, source.dtype)
        self._set_parameters(self._get_parameters())  # which adds the precisions
        self.converged_ = run.converged
        self.n_iter_ = len(run.objectives)
        self.lower_bound_ = run.objective
        self.lower_bounds_ = list(run.objectives)
        _log_accelerated("fit", (source.n_samples, source.n_features))

    def _best_run(
        self, source: ArraySource, random_state: np.random.RandomState, last: Parameters | None
    ) -> Run:
        """Run EM on from the last parameters, or from new starts where there are none."""
        start = self._start(source)
        previous = self.lower_bound_ if last else -np.inf

        def run_start(init: int) -> Run:
            self._print_verbose_msg_init_beg(init)
            run = run_em(
                source,
                start.model,
                last or self._first_parameters(start, random_state),
                self._settings(previous),
                self._policy(start, random_state),
                previous,
            )
            if self.max_iter > 0:
                self._print_verbose_msg_init_end(run.objective, run.converged)
            return run

        return best_of(1 if last else self.n_init, run_start)

    def _start(self, source: ArraySource, n_components: int | None = None) -> Start:
        model = MaximumLikelihood(self._kind, self.reg_covar)
        return Start(source, model, n_components or self.n_components)

    def _settings(self, previous: float) -> Settings:
        return Settings(self.tol, self.max_iter, self.on_collapse, self._reporter(previous))

    def _reporter(self, previous: float) -> Callable[[int, float], None] | None:
        """Return what prints an iteration, None where nothing is to be printed."""
        if not self.verbose:
            return None

        def report(iteration: int, log_likelihood: float) -> None:
            nonlocal previous
            self._print_verbose_msg_iter_end(iteration, log_likelihood - previous)
            previous = log_likelihood

        return report

    def _policy(self, start: Start, random_state: np.random.RandomState) -> Policy:
        if self.on_collapse == "raise":
            return _their_policy(start)
        return CollapsePolicy(self.on_collapse, start.model, start.source, random_state)

    def _first_parameters(self, start: Start, random_state: np.random.RandomState) -> Parameters:
        """Return the parameters of a new start."""
        given = Given(
            weights=None if self.weights_init is None else _doubles(self.weights_init),
            means=None if self.means_init is None else _doubles(self.means_init),
        )
        if self.precisions_init is not None:
            shape = self.n_components, start.source.n_features
            covariances, factors, log_det = self._kind.from_precisions(
                _doubles(self.precisions_init), *shape
            )
            given = given._replace(covariances=covariances, factors=factors, log_det=log_det)
        policy = _their_policy(start)
        return starting_parameters(start, self.init_params, given, policy, random_state)

    # The steps of scikit-learn's own loop, for those who override or call them.

    def _initialize_parameters(
        self, X: np.ndarray, random_state: np.random.RandomState, **namespace: Any
    ) -> None:
        if _overridden(self, ("_initialize",)) or _foreign(X):
            super()._initialize_parameters(X, random_state, **namespace)
            return
        source = ArraySource(checks.for_kernels(X), n_threads=self.n_threads)
        self._adopt(self._first_parameters(self._start(source), random_state), X.dtype)

    def _m_step(self, X: np.ndarray, log_resp: np.ndarray, **namespace: Any) -> None:
        if not _foreign(X) and not _foreign(log_resp) and len(X) == len(log_resp):
            source = ArraySource(checks.for_kernels(X), n_threads=self.n_threads)
            resp = checks.for_kernels(np.exp(log_resp).astype(X.dtype, copy=False))
            start = self._start(source, resp.shape[1])
            means = np.tile(X.mean(axis=0, dtype=np.float64), (resp.shape[1], 1))
            parameters = start.estimate(means, source.given(self._kind, means, resp=resp))
            parameters = _their_policy(start).dilute(parameters)
            if not np.isnan(parameters.log_det).any():
                self._adopt(parameters, X.dtype)
                return
        super()._m_step(X, log_resp, **namespace)

    def _estimate_log_prob(self, X: np.ndarray, **namespace: Any) -> np.ndarray:
        parameters = None if _foreign(X) else self._fitted()
        if parameters is None:
            return super()._estimate_log_prob(X, **namespace)
        rows = self._as_computed(X)
        n_features = rows.shape[1]
        log_prob = np.empty((len(parameters.means), len(rows)), rows.dtype)
        for k, out in enumerate(log_prob):
            one = slice(k, k + 1)
            factors = parameters.factors
            if factors.shape != self._kind.shape(1, n_features):
                factors = factors[one]
            alone = Parameters(
                np.ones(1), parameters.means[one], factors, factors, parameters.log_det[one]
            )
            self._infer(rows, alone, log_prob=out)
        return log_prob.T

    # Between attributes and kernels.

    @property
    def _kind(self) -> CovarianceType:
        return COVARIANCE_TYPES[self.covariance_type]

    def _adopt(self, parameters: Parameters, dtype: np.dtype) -> None:
        """Set the attributes that hold the parameters."""
        self.weights_ = parameters.weights.astype(dtype)
        self.means_ = parameters.means.astype(dtype)
        self.covariances_ = self._kind.public_covariances(parameters.covariances).astype(dtype)
        self.precisions_cholesky_ = self._kind.public_factors(parameters.factors).astype(dtype)

    def _fitted(self) -> Parameters | None:
        """Return the parameters that the attributes hold, None where they are no mixture."""
        attributes = self.weights_, self.means_, self.precisions_cholesky_
        if any(map(_foreign, attributes)):
            return None
        weights, means, cholesky = map(_doubles, attributes)
        if means.ndim != 2 or weights.shape != means.shape[:1]:
            return None
        if cholesky.shape != self._kind.shape(*means.shape):
            return None
        finite = all(np.isfinite(array).all() for array in (weights, means, cholesky))
        factors = self._kind.public_factors(cholesky)
        if not finite or not self._kind.are_factors(factors) or (weights < 0).any():
            return None
        log_det = _compute_log_det_cholesky(cholesky, self.covariance_type, means.shape[1])
        covariances = getattr(self, "covariances_", cholesky)
        return Parameters(
            weights,
            means,
            _doubles(covariances),
            factors,
            np.broadcast_to(log_det, len(means)).copy(),
        )

    def _ready(self, method: str, X: ArrayLike) -> Parameters | None:
        """Return the parameters if kernels can tell of X by them, None to fall back."""
        check_is_fitted(self)
        reason = _overridden(self, _DENSITY_STEPS)
        if reason:
            reason += " is overridden"
        elif _foreign(X):
            reason = _FOREIGN
        else:
            parameters = self._fitted()
            if parameters is not None:
                _log_accelerated(method, np.shape(X))
                return parameters
            reason = "weights_, means_ or precisions_cholesky_ are no mixture"
        _fall_back(method, reason)
        return None

    def _rows(self, X: ArrayLike) -> np.ndarray:
        return self._as_computed(validate_data(self, X, reset=False))

    def _as_computed(self, X: np.ndarray) -> np.ndarray:
        """Return X as the kernels take it, in the precision scikit-learn would answer in."""
        n_features = self.means_.shape[1]
        if X.ndim != 2 or X.shape[1] != n_features:  # no fit has said how many it must have
            raise ValueError(
                f"X has {X.shape[-1]} features, but {type(self).__name__} is expecting "
                f"{n_features} features as input."
            )
        dtype = np.result_type(X, self.means_)
        single = np.float32 if dtype.itemsize <= 4 and dtype.kind == "f" else np.float64
        return checks.for_kernels(X.astype(single, copy=False))

    def _infer(self, X: np.ndarray, parameters: Parameters, **outputs: np.ndarray) -> None:
        densities = Densities(MaximumLikelihood(self._kind), parameters)
        infer(X, densities, self.n_threads, **outputs)

    def _labels(self, X: np.ndarray, parameters: Parameters) -> np.ndarray:
        labels = np.empty(len(X), np.intp)
        self._infer(X, parameters, labels=labels)
        return labels


GaussianMixture.__module__ = "fastgmm.sklearn"  # the public path, which pickles name

_OWN_STEPS = {name: getattr(GaussianMixture, name) for name in _FIT_STEPS}


def converted(model: Any, kind: type) -> Any:
    """Return an estimator of another class with all of a model's attributes that it can have."""
    converted = kind()
    unknown = set(model.get_params(deep=False)) - set(converted.get_params(deep=False))
    state = {name: value for name, value in vars(model).items() if name not in unknown}
    vars(converted).update(copy.deepcopy(state))
    return converted


def _doubles(values: ArrayLike) -> np.ndarray:
    return np.array(values, np.float64)


def _namespace(X: np.ndarray) -> dict[str, Any]:
    """Return the argument that names the array library, where this scikit-learn has it."""
    return {"xp": get_namespace(X)[0]} if _NAMES_NAMESPACE else {}


def _foreign(X: Any) -> bool:
    """Say whether X is an array of another library that scikit-learn would compute in."""
    return (
        hasattr(X, "__array_namespace__")
        and not isinstance(X, np.ndarray)
        and sklearn.get_config()["array_api_dispatch"]
    )


def _overridden(model: GaussianMixture, names: Sequence[str]) -> str | None:
    """Return the first of some steps that a subclass or an instance replaces, None if none."""
    for name in names:
        if name in vars(model) or getattr(type(model), name) is not _OWN_STEPS[name]:
            return name
    return None


def _their_policy(start: Start) -> TheirPolicy:
    return TheirPolicy(start.model, start.source.total_weight, start.source.dtype)


def _checked_weight(sample_weight: ArrayLike, X: np.ndarray) -> np.ndarray:
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
    return checks.check_sample_weight(weight, len(X))


def _log_accelerated(method: str, shape: tuple[int, ...]) -> None:
    logger.info("GaussianMixture.%s runs accelerated on X of shape %s", method, shape)


def _fall_back(method: str, reason: str, sample_weight: ArrayLike | None = None) -> None:
    """Say that scikit-learn's own code runs, which knows no weights."""
    if sample_weight is not None:
        raise ValueError(f"sample_weight cannot be used here: {reason}. Leave it out.")
    logger.warning("GaussianMixture.%s falls back to scikit-learn: %s", method, reason)
