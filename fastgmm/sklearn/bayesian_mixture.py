"""scikit-learn's `BayesianGaussianMixture` on the kernels of this library: see `KernelMixture`.

`fastgmm.em.variational` has the formulas. Float32 rows are summed in float64: scikit-learn
computes its responsibilities in float64 too, and ends when the lower bound of all rows together
changes by less than `tol`, which is less than the rounding of float32 sums.
"""

from __future__ import annotations

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval

from fastgmm.api import checks
from fastgmm.api.fixed import PARTS, FixedParts, check_fixed
from fastgmm.em.priors import Prior
from fastgmm.em.variational import Posterior
from fastgmm.em.weight_priors import WEIGHT_PRIORS
from fastgmm.search.start import Start
from fastgmm.sklearn.attributes import (
    covariance_type_of,
    doubles,
    fitted_posterior,
    set_posterior,
)
from fastgmm.sklearn.base import KernelMixture
from fastgmm.sklearn.compat import TheirBayesianGaussianMixture
from fastgmm.sklearn.fallback import FIT_STEPS, POSTERIOR_STEPS, is_foreign
from fastgmm.sklearn.parity import NoRepair, TheirVariational, starting_posterior
from fastgmm.sklearn.standin import StandIn
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import Source


class BayesianGaussianMixture(KernelMixture, TheirBayesianGaussianMixture, metaclass=StandIn):
    """Gaussian mixture by variational Bayes: scikit-learn's estimator on the kernels of fastgmm.

    It has the parameters, methods, attributes, errors and warnings of
    `sklearn.mixture.BayesianGaussianMixture`. The same `random_state` gives the same starts and
    the same iterations. Components that the data do not need end with weights close to zero.

    Parameters
    ----------
    n_components : int, default=1
        Greatest number of components.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        Form of the covariances: a matrix for each component, one matrix for all components, a
        variance for each component and feature, or a variance for each component.
    tol : float, default=1e-3
        A fit stops when the lower bound, of all rows together, changes by less than this.
    reg_covar : float, default=1e-6
        Variance added to the diagonals of the covariances, in squared units of X.
    max_iter : int, default=100
        Greatest number of iterations of a start; with 0 the result is the start itself.
    n_init : int, default=1
        Number of starts; the result is the one with the greatest lower bound.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}, default="kmeans"
        Method of a start: the clusters of k-means, components on rows chosen by k-means++,
        random responsibilities, or components on rows chosen at random.
    weight_concentration_prior_type : {"dirichlet_process", "dirichlet_distribution"}, \
default="dirichlet_process"
        Prior of the weights.
    weight_concentration_prior : float, default=None
        Concentration of that prior: the smaller, the fewer components keep rows. By default
        ``1 / n_components``.
    mean_precision_prior : float, default=None
        Number of rows that the prior of each mean is worth; 1 by default.
    mean_prior : array-like of shape (n_features,), default=None
        Prior of the means; by default the mean of X.
    degrees_of_freedom_prior : float, default=None
        Number of rows that the prior of each covariance is worth; by default `n_features`.
    covariance_prior : float or array-like, default=None
        Prior of the covariances times its degrees of freedom, in the shape of the covariance of
        one component; by default the covariance of X.
    random_state : int, RandomState instance or None, default=None
        Source of random numbers for the starts and for `sample`.
    warm_start : bool, default=False
        Whether `fit` continues from the solution of the previous call.
    verbose : int, default=0
        1 prints starts and iterations, 2 also their times and lower bounds.
    verbose_interval : int, default=10
        Number of iterations between two printed lines.
    n_threads : int, default=None
        Greatest number of threads; by default Numba's setting, which joblib divides among its
        worker processes. The result has the same bits for every number.
    fixed : str, iterable of str, or dict, default=None
        Parts that a warm start leaves exactly as the previous call found them: "weights", "means",
        or a dict such as ``{"means": [0, 2]}`` for those of some components. See `fastgmm.fit`.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Means of the mixing weights.
    means_ : ndarray of shape (n_components, n_features)
        Means, in the units of the data.
    covariances_ : ndarray
        Inverses of the mean precisions, in squared units of the data: shape (n_components,
        n_features, n_features) for "full", (n_features, n_features) for "tied", (n_components,
        n_features) for "diag" and (n_components,) for "spherical".
    precisions_ : ndarray
        Mean precisions, shaped as `covariances_`.
    precisions_cholesky_ : ndarray
        Upper-triangular matrices P whose ``P @ P.T`` is the precision; for "diag" and
        "spherical" the inverse standard deviations.
    weight_concentration_ : ndarray of shape (n_components,), or tuple of two
        Parameters of the Dirichlet distribution of the weights, or of the beta distributions of
        the sticks of a Dirichlet process.
    mean_precision_ : ndarray of shape (n_components,)
        Numbers of rows that the means rest on, with those of the prior.
    degrees_of_freedom_ : ndarray of shape (n_components,), or float for "tied"
        Numbers of rows that the covariances rest on, with those of the prior.
    weight_concentration_prior_, mean_precision_prior_, mean_prior_, degrees_of_freedom_prior_, \
covariance_prior_
        The priors that were used.
    converged_ : bool
        Whether the last two lower bounds differed by less than `tol`.
    n_iter_ : int
        Number of iterations of the best start.
    lower_bound_ : float
        Lower bound of the log evidence of all rows, without constants, of the best start.
    lower_bounds_ : list of float
        The same value for every iteration of the best start.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X has names that are strings.

    See Also
    --------
    fastgmm.sklearn.GaussianMixture : Maximum likelihood.
    fastgmm.patch_sklearn : Replaces scikit-learn's classes by these.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm.sklearn import BayesianGaussianMixture
    >>> X = np.array([[1, 2], [1, 4], [1, 0], [4, 2], [12, 4], [10, 7]])
    >>> bgm = BayesianGaussianMixture(n_components=2, random_state=42).fit(X)
    >>> bgm.means_.round(2)
    array([[2.49, 2.29],
           [8.45, 4.52]])
    >>> bgm.predict([[0, 0], [9, 3]])
    array([0, 1])
    """

    _stands_in_for = TheirBayesianGaussianMixture
    _own_parameters = {"n_threads": None, "fixed": None}  # noqa: RUF012 - a constant
    _described_by = "the attributes of the posterior"
    _for_gaps = (
        "Variational Bayes needs complete rows. To fit the values that are there, use"
        " fastgmm.sklearn.GaussianMixture(missing='em'), with prior='default' for a prior; or fill"
        " the gaps first with fastgmm.fit(X, n_components, missing='em').impute(X)."
    )

    _parameter_constraints = {  # noqa: RUF012 - as in scikit-learn
        **TheirBayesianGaussianMixture._parameter_constraints,
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "fixed": [str, list, tuple, dict, None],
    }

    def __init__(
        self,
        *,
        n_components: int = 1,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        weight_concentration_prior_type: str = "dirichlet_process",
        weight_concentration_prior: float | None = None,
        mean_precision_prior: float | None = None,
        mean_prior: ArrayLike | None = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: float | ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
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
            weight_concentration_prior_type=weight_concentration_prior_type,
            weight_concentration_prior=weight_concentration_prior,
            mean_precision_prior=mean_precision_prior,
            mean_prior=mean_prior,
            degrees_of_freedom_prior=degrees_of_freedom_prior,
            covariance_prior=covariance_prior,
            random_state=random_state,
            warm_start=warm_start,
            verbose=verbose,
            verbose_interval=verbose_interval,
        )
        self.n_threads = n_threads
        self.fixed = fixed

    def _em_model(self) -> TheirVariational:
        kind = WEIGHT_PRIORS[self.weight_concentration_prior_type]
        prior = Prior(
            self.mean_precision_prior_,
            doubles(self.mean_prior_),
            self.degrees_of_freedom_prior_,
            doubles(self.covariance_prior_),
        )
        weight_prior = kind(self.weight_concentration_prior_)
        model = TheirVariational(covariance_type_of(self), self.reg_covar, weight_prior, prior)
        return model.adding(np.dtype(np.float64))

    def _model_to_fit(self, source: Source, previous: Posterior | None) -> TheirVariational:
        model = self._em_model()
        if self.fixed is None:
            return model
        if previous is None:
            raise ValueError(
                "fixed holds parts at the values of the previous call, but there is none; fit, "
                "then set warm_start=True and fixed."
            )
        kind = covariance_type_of(self)
        held = check_fixed(self.fixed, kind, self.n_components, PARTS, on_collapse="raise")
        if held is not None and (held.covariances.any() or held.weights.any() > held.weights.all()):
            raise ValueError(
                f"fixed is {self.fixed!r}, but a Bayesian mixture can hold only means, and the "
                "weights of all components."
            )
        return model.holding(held)

    def _fitted(self) -> Posterior | None:
        return fitted_posterior(self)

    def _set_fitted(self, parameters: Posterior, dtype: np.dtype) -> None:
        set_posterior(self, parameters)

    def _new_parameters(self, start: Start, random_state: np.random.RandomState) -> Posterior:
        return starting_posterior(start, self.init_params, random_state)

    def _policy(self, start: Start, random_state: np.random.RandomState) -> NoRepair:
        return NoRepair()

    def _checkcovariance_prior_parameter(self, X: np.ndarray) -> None:
        """Check or set the prior; scikit-learn would compute the default of every type, by BLAS."""
        if self.covariance_prior is not None or is_foreign(X):
            super()._checkcovariance_prior_parameter(X)
        else:
            source = ArraySource(checks.for_kernels(X), n_threads=self.n_threads)
            self.covariance_prior_ = self._covariance_of(source, X.mean(axis=0, dtype=np.float64))

    def _covariance_of(self, source: ArraySource, mean: np.ndarray) -> np.ndarray:
        """Return the unbiased covariance of all rows, in the shape of one component's."""
        kind, total = covariance_type_of(self), source.total_weight
        _, nk, s1, s2 = source.given(kind, mean[None], double=True)
        covariances = kind.from_moments(s2, nk, s1 / nk[:, None], nk)
        return kind.one(kind.public_covariances(covariances)) * (total / (total - 1.0))

    def _prepare(self, source: ArraySource) -> None:
        """Replace the priors that were taken from rows without weights."""
        if not source.is_weighted:
            return
        total = source.total_weight
        if total <= 1:
            raise ValueError(
                f"sample_weight must have a sum above 1 but has {total:g}: the weights count "
                "rows, which a Bayesian mixture weighs against its prior. Multiply them."
            )
        mean = source.mean_and_variance()[0]
        if self.mean_prior is None:
            self.mean_prior_ = mean
        if self.covariance_prior is None:
            self.covariance_prior_ = self._covariance_of(source, mean)

    def _em_source(self, source: ArraySource) -> ArraySource:
        return source.as_double()


BayesianGaussianMixture.__module__ = "fastgmm.sklearn"  # pickles name the public path
BayesianGaussianMixture._own_steps = {
    name: getattr(BayesianGaussianMixture, name) for name in (*FIT_STEPS, *POSTERIOR_STEPS)
}
