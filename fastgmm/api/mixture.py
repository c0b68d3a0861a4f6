"""`Mixture`: the parameters of a Gaussian mixture, its densities, criteria and random rows."""

import os
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from fastgmm._provided import provided
from fastgmm.api import checks, conditioning
from fastgmm.api.adaptation import adapted
from fastgmm.api.answers import Predictions, in_blocks, in_one_array
from fastgmm.api.fixed import PARTS
from fastgmm.api.memory import refuse_beyond_memory
from fastgmm.api.names import Names, check_names, names_of, refuse_other_names
from fastgmm.api.readers import is_collection, reader_of
from fastgmm.api.sources import rows_for_inference
from fastgmm.em.loop import Run
from fastgmm.em.models import MaximumLikelihood
from fastgmm.model import criteria
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.model.model_file import names_in, read_model, write_model
from fastgmm.model.parameters import Parameters
from fastgmm.readers.base import Reader
from fastgmm.search.record import SearchRecord
from fastgmm.sources.base import Answers, Source
from fastgmm.sources.incomplete_answers import conditional_means
from fastgmm.sources.operands import Densities
from fastgmm.sources.streaming import stream_answers
from fastgmm.sources.totals import log_likelihood, totals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.mixture import GaussianMixture

    from fastgmm.api.statistics import Statistics


_brief = reprlib.Repr()  # of feature names, which may be many and long
_brief.maxtuple = 3
_brief.maxstring = 20
_BLOCK_ROWS = 2**18  # that are answered at a time where all rows are in memory


def _read_only(array: ArrayLike) -> np.ndarray:
    """Return a read-only copy in float64."""
    copy = np.array(array, np.float64)
    copy.flags.writeable = False
    return copy


@dataclass(frozen=True, eq=False, repr=False)
class Mixture:
    """A Gaussian mixture: its parameters, the record of its fit, and methods of inference.

    `fastgmm.fit` returns a mixture, and `from_parameters` makes one from known parameters. A
    mixture cannot be changed, and its arrays are read-only.

    Attributes
    ----------
    weights : ndarray of shape (n_components,)
        Mixing weights of the components; they sum to 1.
    means : ndarray of shape (n_components, n_features)
        Means, in the units of the data.
    covariances : ndarray
        Covariances, in squared units of the data: shape (n_components, n_features, n_features)
        for "full", (n_features, n_features) for "tied", (n_components, n_features) for "diag"
        and (n_components,) for "spherical".
    precisions_cholesky : ndarray
        Upper-triangular matrices P whose ``P @ P.T`` is the inverse covariance, in the shape of
        `covariances`; for "diag" and "spherical" the inverse standard deviations.
    covariance_type : {"full", "tied", "diag", "spherical"}
        Form of the covariances: see `fastgmm.fit`.
    converged : bool
        Whether the last two log-likelihoods differed by less than ``tol``.
    n_iter : int
        Number of EM iterations of the best start.
    log_likelihoods : ndarray of shape (n_iter,)
        Weighted mean log-likelihood of a row, in nats, before each M-step. With a prior, its
        log-density, without constants and divided by the sum of the row weights, is added.
    regularized : tuple of int
        Indices of the components that lie on a single point, or whose covariance could be
        factorised only with more than ``reg_covar`` on its diagonal.
    feature_names : tuple of str or None
        Names of the features: the column names of the data frame that the mixture was fitted to,
        if all are strings, or the names given to `fastgmm.fit`. None if there were none.
    search : SearchRecord or None
        What the search of ``init_params="auto"`` did: the numbers of candidates, moves, rows and
        passes. None without a search, and in a model that was read from a file.
    n_passes : int or None
        Number of passes over all rows that the fit took, the first one included, which counts the
        rows and draws a sample. None if the rows were in memory, and in a model that was read from
        a file.
    prior : tuple of NormalInverseWishart and Dirichlet
        The priors of a fit to the posterior, with the values that followed from the rows. Empty
        after maximum likelihood, and in a model that was read from a file.

    Notes
    -----
    Methods that take rows compare the column names of a data frame with `feature_names`, as
    scikit-learn does: other names, or the same in another order, raise ValueError. A UserWarning
    says so if only the rows or only the mixture have names. In files and other tables that are
    read in blocks, the features are found by name among all columns. A `Source` has no names and
    is not compared.

    `predict`, `predict_proba` and `score_samples` give one array for all rows, whether these are in
    memory or are read in blocks, and a lazy array of Dask for a collection of Dask.
    `predict_blocks` gives one block after the other.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    precisions_cholesky: np.ndarray
    covariance_type: str
    converged: bool
    log_likelihoods: np.ndarray
    regularized: tuple[int, ...]
    feature_names: tuple[str, ...] | None
    _parameters: Parameters = field(repr=False)
    _densities: Densities = field(repr=False)
    search: SearchRecord | None = None
    n_passes: int | None = None
    prior: tuple[Any, ...] = ()

    @classmethod
    def _build(
        cls,
        name: str,
        parameters: Parameters,
        converged: bool = False,
        log_likelihoods: ArrayLike = (),
        regularized: Sequence[int] = (),
        feature_names: Names = None,
        search: SearchRecord | None = None,
        n_passes: int | None = None,
        prior: tuple[Any, ...] = (),
    ) -> Self:
        """Make a mixture from internal parameters. Pickles call this method."""
        kind = COVARIANCE_TYPES[name]
        return cls(
            _read_only(parameters.weights),
            _read_only(parameters.means),
            _read_only(kind.public_covariances(parameters.covariances)),
            _read_only(kind.public_factors(parameters.factors)),
            name,
            bool(converged),
            _read_only(log_likelihoods),
            tuple(int(k) for k in regularized),
            feature_names,
            parameters,
            Densities(MaximumLikelihood(kind), parameters),
            search,
            n_passes,
            prior,
        )

    @classmethod
    def _of_run(
        cls,
        name: str,
        run: Run,
        feature_names: Names,
        search: SearchRecord | None = None,
        n_passes: int | None = None,
        prior: tuple[Any, ...] = (),
    ) -> Self:
        """Make a mixture from the outcome of EM, after a search if `search` tells of one."""
        return cls._build(
            name,
            run.parameters,
            run.converged,
            run.objectives,
            run.regularized,
            feature_names,
            search if search and search.n_candidates else None,
            n_passes,
            prior,
        )

    @classmethod
    def from_parameters(
        cls,
        weights: ArrayLike,
        means: ArrayLike,
        covariances: ArrayLike,
        covariance_type: str = "full",
        *,
        feature_names: Iterable[str] | None = None,
    ) -> Self:
        """Return a mixture with known parameters.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            Mixing weights: at least 0, with sum 1.
        means : array-like of shape (n_components, n_features)
            Means; for a single feature shape (n_components,) is accepted.
        covariances : array-like
            Symmetric positive definite covariances, in the shape of the attribute.
        covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
            Form of the covariances: see `fastgmm.fit`.
        feature_names : iterable of str, optional
            Names of the features.

        Returns
        -------
        Mixture
            The mixture, not converged and without iterations.

        Raises
        ------
        ValueError, TypeError
            If a shape does not fit, a value is not finite, the weights do not sum to 1, a
            covariance is not positive definite, or there is not one name for each feature.
        """
        checks.check_option(covariance_type, "covariance_type", COVARIANCE_TYPES)
        kind = COVARIANCE_TYPES[covariance_type]
        weights = checks.float_array(weights, "weights")
        weights = checks.check_weights(weights, weights.size, "weights")
        means = checks.float_array(means, "means")
        shape = weights.size, means.shape[-1] if means.ndim > 1 else 1
        means = checks.check_means(means, *shape, "means")
        covariances = checks.check_matrices(covariances, kind, *shape, "covariances")
        factors, log_det = kind.factorize(covariances, *shape)
        checks.refuse_indefinite(log_det, "covariances")
        names = check_names(feature_names, shape[1], "feature_names")
        parameters = Parameters(weights, means, covariances, factors, log_det)
        return cls._build(covariance_type, parameters, feature_names=names)

    @classmethod
    def from_sklearn(cls, model: "GaussianMixture") -> Self:
        """Return the mixture of a fitted estimator of scikit-learn.

        Parameters
        ----------
        model : sklearn.mixture.GaussianMixture or sklearn.mixture.BayesianGaussianMixture
            A fitted estimator of one of these classes or of `fastgmm.sklearn`.

        Returns
        -------
        Mixture
            The mixture with the estimator's parameters and its `feature_names_in_`, and with its
            `lower_bounds_` if it has them (since scikit-learn 1.7) and they are log-likelihoods.
            The parameters of a Bayesian mixture are its posterior means.

        Raises
        ------
        TypeError
            If `model` is of another class.
        sklearn.exceptions.NotFittedError
            If it was not fitted.
        ValueError
            If its attributes were changed by hand to values that describe no mixture.
        """
        parameters, log_likelihoods = provided("parameters_of")(model)
        names = getattr(model, "feature_names_in_", None)
        return cls._build(
            model.covariance_type,
            parameters,
            model.converged_,
            log_likelihoods,
            feature_names=check_names(names, parameters.means.shape[1], "feature_names_in_"),
        )

    def to_sklearn(self) -> "GaussianMixture":
        """Return a fitted estimator of scikit-learn with the parameters of this mixture.

        Returns
        -------
        sklearn.mixture.GaussianMixture
            A fitted estimator of scikit-learn's own class; `fastgmm.sklearn.from_sklearn`
            converts it to the accelerated class.
        """
        return provided("estimator_of")(self)

    def with_feature_names(self, feature_names: Iterable[str] | None) -> "Mixture":
        """Return the same mixture with other names of its features.

        Parameters
        ----------
        feature_names : iterable of str or None
            One name for each feature. With None the mixture has no names, and takes arrays
            without a warning.

        Returns
        -------
        Mixture
            A mixture that is equal but for the names.

        Raises
        ------
        TypeError, ValueError
            If the names are not strings, or not one for each feature.
        """
        names = check_names(feature_names, self.n_features, "feature_names")
        return replace(self, feature_names=names)

    def rescaled(
        self, scale: ArrayLike, offset: ArrayLike = 0.0, *, observed: ArrayLike = 1.0
    ) -> "Mixture":
        """Return the mixture of the rows ``scale * X + offset``.

        It takes a mixture of standardised features back to their units: pass the standard
        deviations as `scale` and the means as `offset`.

        Parameters
        ----------
        scale : array-like of shape (n_features,) or float
            Positive factor of each feature.
        offset : array-like of shape (n_features,) or float, default=0.0
            Number added to each feature after that, in the new units.
        observed : array-like of shape (n_features,) or float, default=1.0
            Weighted share of the rows with a value of each feature, among the rows with any value.
            Only `log_likelihoods` depends on it: a missing value has no density that changes. For
            a fit to incomplete rows X pass ``(~np.isnan(X)).mean(axis=0)``.

        Returns
        -------
        Mixture
            A mixture with the same responsibilities. The log-likelihood of a row is smaller by the
            sum of ``log(scale)`` over its observed features. "spherical" becomes "diag", for
            spheres become ellipsoids. The record of priors is not kept.

        Raises
        ------
        TypeError, ValueError
            If a scale is not positive, a share is not between 0 and 1, a value is not finite, or a
            shape does not fit.

        Examples
        --------
        >>> import fastgmm
        >>> mixture = fastgmm.Mixture.from_parameters([1.0], [[0.0, 1.0]], [1.0], "spherical")
        >>> mixture.rescaled([2.0, 3.0], offset=[1.0, 0.0]).covariances
        array([[4., 9.]])
        """
        factors = checks.per_feature(scale, self.n_features, "scale")
        offsets = checks.per_feature(offset, self.n_features, "offset")
        if (factors <= 0).any():
            raise ValueError(
                f"scale must be positive but holds {factors.min():g}; leave features that do not"
                " vary as they are, with scale 1."
            )
        shares = checks.per_feature(observed, self.n_features, "observed")
        if (shares < 0).any() or (shares > 1).any():
            wrong = shares[(shares < 0) | (shares > 1)][0]
            raise ValueError(
                f"observed must be between 0 and 1 but holds {wrong:g}; pass the share of the rows"
                " that have each feature."
            )
        shape = self.n_components, self.n_features
        kind = COVARIANCE_TYPES[self.covariance_type]
        name, covariances = kind.scaled(self._parameters.covariances, factors, *shape)
        factor, log_det = COVARIANCE_TYPES[name].factorize(covariances, *shape)
        checks.refuse_indefinite(log_det, "rescaled covariances")
        means = self.means * factors + offsets
        return self._build(
            name,
            Parameters(self.weights, means, covariances, factor, log_det),
            self.converged,
            self.log_likelihoods - shares @ np.log(factors),
            self.regularized,
            self.feature_names,
            self.search,
            self.n_passes,
        )

    def updated(self, statistics: "Statistics", *, reg_covar: float = 1e-6) -> "Mixture":
        """Return the mixture after the M-step: see `fastgmm.statistics`.

        Parameters
        ----------
        statistics : Statistics
            The statistics of all rows under this mixture.
        reg_covar : float, default=1e-6
            Variance added to the diagonals of the covariances, in squared units of the rows.

        Returns
        -------
        Mixture
            The new mixture; `log_likelihoods` has one more entry, the weighted mean log-likelihood
            of a row before the step.

        Raises
        ------
        ValueError
            If the statistics are of no rows or of another mixture, or a covariance becomes
            singular.
        """
        reg_covar = checks.check_non_negative(reg_covar, "reg_covar")
        parameters, objective = provided("update")(self, statistics, reg_covar)
        trace = np.append(self.log_likelihoods, objective)
        return self._build(
            self.covariance_type,
            parameters,
            log_likelihoods=trace,
            feature_names=self.feature_names,
        )

    def adapt(
        self,
        X: ArrayLike | Source,
        relevance: float = 16.0,
        what: str | Iterable[str] = ("means",),
        *,
        sample_weight: ArrayLike | None = None,
        n_threads: int | None = None,
        missing: str = "error",
    ) -> "Mixture":
        """Return the mixture adapted to rows: a background model becomes that of one speaker.

        One step of maximum a posteriori in which this mixture is the prior. Components that
        explain many of the rows move to them; components that explain none stay.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or rows elsewhere
            The rows: see `fastgmm.fit`.
        relevance : float, default=16.0
            Number of rows that this mixture is worth for each component; positive. A component
            with so many rows moves half of the way.
        what : {"weights", "means", "covariances"} or iterable of these, default=("means",)
            Parts to adapt. The others keep their values exactly.
        sample_weight : array-like of shape (n_samples,) or str, optional
            Weights of the rows, or the name of their column. They count rows.
        n_threads : int, optional
            Greatest number of threads.
        missing : {"error", "em"}, default="error"
            What to do with NaN and nulls: refuse them, or use the observed values of each row.

        Returns
        -------
        Mixture
            The adapted mixture, not converged and without iterations.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as described.

        Notes
        -----
        The formulas are those of Reynolds, Quatieri and Dunn, "Speaker verification using adapted
        Gaussian mixture models" (2000), equations 11 to 14, with one relevance factor for all
        parts. If means are not adapted, covariances are about the old means.

        Examples
        --------
        >>> import numpy as np, fastgmm
        >>> parameters = [0.5, 0.5], [0.0, 9.0], [1.0, 1.0]
        >>> background = fastgmm.Mixture.from_parameters(*parameters, "spherical")
        >>> background.adapt(np.full(16, 1.0)).means.round(3).ravel().tolist()
        [0.5, 9.0]
        """
        relevance = checks.check_non_negative(relevance, "relevance")
        if relevance == 0:
            raise ValueError("relevance must be positive but is 0; use fit for rows alone.")
        parts = [what] if isinstance(what, str) else list(what)
        for part in parts:
            checks.check_option(part, "what", PARTS)
        kind = COVARIANCE_TYPES[self.covariance_type]
        source = self._source(X, sample_weight, n_threads, missing)
        statistics = source.statistics(MaximumLikelihood(kind), self._parameters, complete=True)
        return self._build(
            self.covariance_type,
            adapted(kind, self._parameters, statistics, relevance, parts),
            feature_names=self.feature_names,
        )

    @property
    def n_components(self) -> int:
        """Number of components."""
        return len(self.weights)

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.means.shape[1]

    @property
    def n_iter(self) -> int:
        """Number of EM iterations of the best start."""
        return len(self.log_likelihoods)

    @property
    def log_likelihood(self) -> float:
        """Last entry of `log_likelihoods`, in nats; NaN for a mixture that was never fitted."""
        return float(self.log_likelihoods[-1]) if self.n_iter else float("nan")

    @property
    def n_parameters(self) -> int:
        """Number of free parameters: weights, means and covariances."""
        kind = COVARIANCE_TYPES[self.covariance_type]
        return criteria.n_parameters(kind, *self.means.shape)

    def _source(
        self,
        X: ArrayLike | Source,
        sample_weight: ArrayLike | None = None,
        n_threads: int | None = None,
        missing: str = "error",
    ) -> Source:
        rows, n_threads = self._rows(X, sample_weight), checks.check_threads(n_threads)
        return rows_for_inference(rows, self.n_features, sample_weight, n_threads, missing)

    def _rows(self, X: Any, sample_weight: Any = None) -> Any:
        """Return X, or its reader if it is read in blocks, after a check of its names."""
        if isinstance(X, Source):
            return X
        reader = reader_of(X, sample_weight, self.feature_names)
        refuse_other_names(names_of(X) if reader is None else reader.names, self.feature_names)
        return X if reader is None else reader

    def _answers(
        self,
        X: Any,
        wanted: Sequence[str],
        missing: str,
        n_threads: int | None,
        n_rows: int | None = None,
    ) -> Iterator[Answers]:
        """Return blocks of at most `n_rows` rows, or as they are read."""
        rows, n_threads = self._rows(X), checks.check_threads(n_threads)
        if isinstance(rows, Reader):
            gaps = checks.check_missing(missing)
            checks.check_n_features(rows.n_features, self.n_features)
            return stream_answers(rows, self._densities, wanted, n_threads, gaps)
        source = rows_for_inference(rows, self.n_features, None, n_threads, missing)
        if "proba" in wanted and n_rows is None:
            refuse_beyond_memory(
                source.n_samples * self.n_components * source.dtype.itemsize,
                f"The probabilities of {self.n_components} components for {source.n_samples} rows",
                "pass fewer rows at a time, or use predict_blocks",
            )
        return source.answers(self._densities, wanted, n_rows or source.n_samples)

    def _answer(self, name: str, X: Any, missing: str, n_threads: int | None) -> Any:
        """Return the array of `Answers` of this name for all rows, lazily if X is of Dask."""
        if is_collection(X):
            from fastgmm.api.collections import lazy_answer

            return lazy_answer(self, name, X, missing, n_threads)
        return in_one_array(self._answers(X, (name,), missing, n_threads), name)

    def predict_proba(
        self, X: ArrayLike | Source, *, missing: str = "error", n_threads: int | None = None
    ) -> np.ndarray:
        """Return the probability of each component for each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or Source
            Finite numbers; for float32 the result is float32.
        missing : {"error", "em"}, default="error"
            What to do with NaN and nulls: refuse them, or use the observed values of each row.
        n_threads : int, optional
            Greatest number of threads.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            Responsibilities; every row sums to 1.

        Raises
        ------
        ValueError, TypeError
            If X is not finite numbers with the mixture's number and names of features.
        MemoryError
            If the result would need more memory than the machine has.
        """
        return self._answer("proba", X, missing, n_threads)

    def predict(
        self, X: ArrayLike | Source, *, missing: str = "error", n_threads: int | None = None
    ) -> np.ndarray:
        """Return the most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or Source
            Finite numbers.
        missing : {"error", "em"}, default="error"
            What to do with NaN and nulls: refuse them, or use the observed values of each row.
        n_threads : int, optional
            Greatest number of threads.

        Returns
        -------
        ndarray of shape (n_samples,)
            Indices of components.

        Raises
        ------
        ValueError, TypeError
            If X is not finite numbers with the mixture's number and names of features.
        """
        return self._answer("labels", X, missing, n_threads)

    def predict_blocks(
        self,
        X: Any,
        *,
        proba: bool = False,
        log_prob: bool = False,
        missing: str = "error",
        n_threads: int | None = None,
    ) -> Iterator[Predictions]:
        """Yield answers for consecutive rows, so that neither rows nor answers fill the memory.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), Source or rows in files
            What `fastgmm.fit` takes. Rows that are not in memory are read once, in blocks, while
            the block before is worked on.
        proba : bool, default=False
            Whether to give the probability of each component, as `predict_proba` does.
        log_prob : bool, default=False
            Whether to give the log-density of each row, as `score_samples` does.
        missing : {"error", "em"}, default="error"
            What to do with NaN and nulls: refuse them, or use the observed values of each row.
        n_threads : int, optional
            Greatest number of threads.

        Yields
        ------
        Predictions
            Named arrays `labels` (n_rows,), `proba` (n_rows, n_components) and `log_prob`
            (n_rows,); None for what was not requested.

        Raises
        ------
        ValueError, TypeError
            If X is not finite numbers with the mixture's number and names of features.
        ReadingError
            If rows cannot be read, or are not finite numbers; the message says where.

        Examples
        --------
        >>> import numpy as np, fastgmm
        >>> mixture = fastgmm.Mixture.from_parameters([0.5, 0.5], [[0.0], [9.0]], [[[1.0]]] * 2)
        >>> files = lambda: ([[0.5], [8.0]], [[9.5]])
        >>> [block.labels.tolist() for block in mixture.predict_blocks(files)]
        [[0, 1], [1]]
        """
        wanted = ("labels", *(("proba",) if proba else ()), *(("log_prob",) if log_prob else ()))
        return in_blocks(self._answers(X, wanted, missing, n_threads, _BLOCK_ROWS), wanted)

    def score_samples(
        self, X: ArrayLike | Source, *, missing: str = "error", n_threads: int | None = None
    ) -> np.ndarray:
        """Return the log-density of each row under the mixture.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or Source
            Finite numbers; for float32 the result is float32.
        missing : {"error", "em"}, default="error"
            What to do with NaN and nulls: refuse them, or use the observed values of each row.
        n_threads : int, optional
            Greatest number of threads.

        Returns
        -------
        ndarray of shape (n_samples,)
            Natural logarithms of densities.

        Raises
        ------
        ValueError, TypeError
            If X is not finite numbers with the mixture's number and names of features.
        """
        return self._answer("log_prob", X, missing, n_threads)

    def score(
        self,
        X: ArrayLike | Source,
        sample_weight: ArrayLike | None = None,
        *,
        missing: str = "error",
        n_threads: int | None = None,
    ) -> float:
        """Return the weighted mean log-density of a row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or Source
            Finite numbers.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the rows: a weight of 2 counts as the row twice, 0 as no row.
        missing : {"error", "em"}, default="error"
            What to do with NaN and nulls: refuse them, or use the observed values of each row.
        n_threads : int, optional
            Greatest number of threads.

        Returns
        -------
        float
            Weighted mean of `score_samples`, in nats.

        Raises
        ------
        ValueError, TypeError
            If X is not finite numbers with the mixture's number and names of features, or the
            weights are negative, all zero or not one per row.
        """
        source = self._source(X, sample_weight, n_threads, missing)
        total = source.total_weight  # 0 if no row has any value
        return float(log_likelihood(source, self._densities) / total) if total else float("nan")

    def bic(
        self,
        X: ArrayLike | Source,
        sample_weight: ArrayLike | None = None,
        *,
        missing: str = "error",
    ) -> float:
        """Return the Bayesian information criterion; lower is better.

        ``-2 log L + n_parameters log n``, with n the sum of the weights (Schwarz 1978).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or Source
            Finite numbers.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the rows: a weight of 2 counts as the row twice, 0 as no row.
        missing : {"error", "em"}, default="error"
            What to do with NaN and nulls: refuse them, or use the observed values of each row.

        Returns
        -------
        float
            The criterion, with the sign of scikit-learn.

        Raises
        ------
        ValueError, TypeError
            As `score`.
        """
        source = self._source(X, sample_weight, missing=missing)
        found = log_likelihood(source, self._densities)
        return criteria.bic(found, self.n_parameters, source.total_weight)

    def aic(
        self,
        X: ArrayLike | Source,
        sample_weight: ArrayLike | None = None,
        *,
        missing: str = "error",
    ) -> float:
        """Return the Akaike information criterion; lower is better.

        ``-2 log L + 2 n_parameters`` (Akaike 1974).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or Source
            Finite numbers.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the rows: a weight of 2 counts as the row twice, 0 as no row.
        missing : {"error", "em"}, default="error"
            What to do with NaN and nulls: refuse them, or use the observed values of each row.

        Returns
        -------
        float
            The criterion, with the sign of scikit-learn.

        Raises
        ------
        ValueError, TypeError
            As `score`.
        """
        source = self._source(X, sample_weight, missing=missing)
        return criteria.aic(log_likelihood(source, self._densities), self.n_parameters)

    def icl(
        self,
        X: ArrayLike | Source,
        sample_weight: ArrayLike | None = None,
        *,
        missing: str = "error",
    ) -> float:
        """Return the integrated completed likelihood; lower is better.

        BIC plus twice the weighted sum of the entropies of the rows' responsibilities, a penalty
        for components that overlap (Biernacki, Celeux and Govaert 2000).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or Source
            Finite numbers.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the rows: a weight of 2 counts as the row twice, 0 as no row.
        missing : {"error", "em"}, default="error"
            What to do with NaN and nulls: refuse them, or use the observed values of each row.

        Returns
        -------
        float
            The criterion, with the sign of `bic`.

        Raises
        ------
        ValueError, TypeError
            As `score`.
        """
        source = self._source(X, sample_weight, missing=missing)
        sums = totals(source, self._densities)
        bic = criteria.bic(sums.log_likelihood, self.n_parameters, source.total_weight)
        return criteria.icl(bic, sums.entropy)

    def sample(
        self, n_samples: int = 1, random_state: checks.Seed = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows from the mixture.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState, Generator or None, default=None
            Source of random numbers.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The rows, sorted by component.
        labels : ndarray of shape (n_samples,)
            Index of the component that each row was drawn from.

        Raises
        ------
        ValueError, TypeError
            If `n_samples` is not a positive integer.
        MemoryError
            If the rows would need more memory than the machine has.
        """
        n_samples = checks.check_integer(n_samples, "n_samples", 1)
        refuse_beyond_memory(
            n_samples * 8 * (2 * self.n_features + 1),
            f"Drawing {n_samples} rows of {self.n_features} features",
            "draw fewer rows at a time",
        )
        draw = checks.check_random_state(random_state)
        counts = draw.multinomial(n_samples, self.weights)
        labels = np.repeat(np.arange(self.n_components), counts)
        X = draw.standard_normal((n_samples, self.n_features))
        roots = COVARIANCE_TYPES[self.covariance_type].square_roots(
            self.covariances, self.n_features
        )
        for k, end in enumerate(np.cumsum(counts)):
            rows = slice(end - counts[k], end)
            X[rows] = X[rows] @ roots[k % len(roots)].T + self.means[k]
        return X, labels

    def marginal(self, features: int | str | Iterable[int | str]) -> "Mixture":
        """Return the mixture of some features, whatever the others are.

        Parameters
        ----------
        features : int, str or iterable of these
            Indices or names of the features, each once; the result has them in this order.

        Returns
        -------
        Mixture
            A mixture with the same weights and the means and covariances of these features.

        Raises
        ------
        TypeError, ValueError
            If there is no such feature, or one is given twice.

        Examples
        --------
        >>> import fastgmm
        >>> covariances = [[[2.0, 1.0], [1.0, 3.0]]]
        >>> mixture = fastgmm.Mixture.from_parameters([1.0], [[0.0, 1.0]], covariances)
        >>> mixture.marginal(1).covariances
        array([[[3.]]])
        """
        names = self.feature_names
        indices = conditioning.indices_of(features, self.n_features, names)
        kind = COVARIANCE_TYPES[self.covariance_type]
        return self._build(
            self.covariance_type,
            conditioning.marginal(kind, self._parameters, indices),
            feature_names=None if names is None else tuple(names[j] for j in indices),
        )

    def condition(self, given: Mapping[Any, float]) -> "Mixture":
        """Return the mixture of the other features, given the values of some.

        Parameters
        ----------
        given : dict of int or str to float
            Values of features, by their indices or names.

        Returns
        -------
        Mixture
            The conditional distribution of the features that are not given, in their order. Its
            weights are the probabilities of the components given the values.

        Raises
        ------
        TypeError, ValueError
            If there is no such feature, a value is not finite, or no feature is left.

        Examples
        --------
        >>> import fastgmm
        >>> covariances = [[[2.0, 1.0], [1.0, 3.0]]]
        >>> mixture = fastgmm.Mixture.from_parameters([1.0], [[0.0, 1.0]], covariances)
        >>> mixture.condition({0: 2.0}).means
        array([[2.]])
        """
        names = self.feature_names
        observed, values = conditioning.given_values(given, self.n_features, names)
        kind = COVARIANCE_TYPES[self.covariance_type]
        rest = np.setdiff1d(np.arange(self.n_features), observed)
        return self._build(
            self.covariance_type,
            conditioning.conditioned(kind, self._densities, observed, values),
            feature_names=None if names is None else tuple(names[j] for j in rest),
        )

    def _incomplete(self, X: ArrayLike) -> np.ndarray:
        """Return the checked rows of an array or data frame in which values may be missing."""
        refuse_other_names(names_of(X), self.feature_names)
        return checks.check_points(X, self.n_features, gaps=True)

    def conditional_mean(self, X: ArrayLike, *, n_threads: int | None = None) -> np.ndarray:
        """Return the expected values of each row given its observed values.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in which NaN or null stands for a missing value.
        n_threads : int, optional
            Greatest number of threads.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The observed values, and the conditional means of the missing ones: the best prediction
            under squared loss. For float32 the result is float32.

        Raises
        ------
        ValueError, TypeError
            If X has infinite values, or not the mixture's number and names of features.

        Notes
        -----
        ``sum_k r_k (mean_k,m + B_k (x_o - mean_k,o))`` with ``B_k = Sigma_k,mo Sigma_k,oo^-1`` and
        the responsibilities r of the observed values (Ghahramani and Jordan 1994).
        """
        n_threads = checks.check_threads(n_threads)
        return conditional_means(self._incomplete(X), self._densities, n_threads)

    def conditional_covariance(self, X: ArrayLike, *, n_threads: int | None = None) -> np.ndarray:
        """Return the covariance of each row's missing values given its observed values.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in which NaN or null stands for a missing value.
        n_threads : int, optional
            Greatest number of threads.

        Returns
        -------
        ndarray of shape (n_samples, n_features, n_features)
            Covariances within and between the components; zeros for observed features.

        Raises
        ------
        ValueError, TypeError
            If X has infinite values, or not the mixture's number and names of features.
        MemoryError
            If the result would need more memory than the machine has.
        """
        X = self._incomplete(X)
        refuse_beyond_memory(
            16 * X.size * self.n_features,
            f"The covariances of {self.n_features} features for {len(X)} rows",
            "pass fewer rows at a time",
        )
        n_threads = checks.check_threads(n_threads)
        return conditioning.conditional_covariances(X, self._densities, n_threads)

    def impute(self, X: ArrayLike, *, n_threads: int | None = None) -> Any:
        """Return the rows with their missing values filled in by `conditional_mean`.

        Filled-in values vary less than true ones. For variances and tests, use draws of
        `sample_missing`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in which NaN or null stands for a missing value.
        n_threads : int, optional
            Greatest number of threads.

        Returns
        -------
        ndarray or pandas.DataFrame of shape (n_samples, n_features)
            A copy without missing values; a DataFrame of pandas if X is one.

        Raises
        ------
        ValueError, TypeError
            If X has infinite values, or not the mixture's number and names of features.
        """
        return conditioning.as_given(X, self.conditional_mean(X, n_threads=n_threads))

    def sample_missing(
        self, X: ArrayLike, random_state: checks.Seed = None, *, n_threads: int | None = None
    ) -> Any:
        """Return the rows with their missing values drawn given the observed values.

        Several such copies are a multiple imputation (Little and Rubin 2019, chapter 5), apart
        from the uncertainty of the mixture's parameters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in which NaN or null stands for a missing value.
        random_state : int, RandomState, Generator or None, default=None
            Source of random numbers.
        n_threads : int, optional
            Greatest number of threads; the draws do not depend on it.

        Returns
        -------
        ndarray or pandas.DataFrame of shape (n_samples, n_features)
            A copy without missing values; a DataFrame of pandas if X is one.

        Raises
        ------
        ValueError, TypeError
            If X has infinite values, or not the mixture's number and names of features.
        """
        draw = checks.check_random_state(random_state)
        n_threads, rows = checks.check_threads(n_threads), self._incomplete(X)
        return conditioning.as_given(X, conditioning.drawn(rows, self._densities, draw, n_threads))

    def plot(self, X: ArrayLike | None = None, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw the mixture with `fastgmm.plotting.plot_mixture`, and points if they are given.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), optional
            Points to draw.
        ax : matplotlib.axes.Axes, optional
            Axes to draw in; by default those of a new figure.
        **options
            Further arguments of `fastgmm.plotting.plot_mixture`.

        Returns
        -------
        matplotlib.axes.Axes
            The Axes with the drawing.
        """
        return provided("plot_mixture")(self, X, ax, **options)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the mixture to a file that `fastgmm.load` reads.

        Parameters
        ----------
        path : str or path-like
            Name of the file, usually ending in ``.npz``. If writing fails, an existing file
            stays as it was.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        write_model(
            path,
            covariance_type=self.covariance_type,
            weights=self.weights,
            means=self.means,
            covariances=self.covariances,
            factors=self._parameters.factors,
            log_det=self._parameters.log_det,
            converged=self.converged,
            log_likelihoods=self.log_likelihoods,
            regularized=np.array(self.regularized, np.int64),
            **({} if self.feature_names is None else {"feature_names": self.feature_names}),
        )

    def __reduce__(self) -> tuple:
        return Mixture._build, (
            self.covariance_type,
            self._parameters,
            self.converged,
            self.log_likelihoods,
            self.regularized,
            self.feature_names,
            self.search,
            self.n_passes,
            self.prior,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mixture):
            return NotImplemented
        return (
            (self.covariance_type, self.converged, self.regularized, self.feature_names)
            == (other.covariance_type, other.converged, other.regularized, other.feature_names)
            and np.array_equal(self.log_likelihoods, other.log_likelihoods)
            and all(
                np.array_equal(getattr(self, name), getattr(other, name))
                for name in ("weights", "means", "covariances", "precisions_cholesky")
            )
        )

    def __hash__(self) -> int:
        return hash((self.covariance_type, self.weights.tobytes(), self.means.tobytes()))

    def __repr__(self) -> str:
        found = ""
        if self.n_iter:
            found = (
                f", log_likelihood={self.log_likelihood:.6g}, n_iter={self.n_iter}, "
                f"converged={self.converged}"
            )
        if self.n_passes is not None:
            found += f", n_passes={self.n_passes}"
        names = f", feature_names={_brief.repr(self.feature_names)}" if self.feature_names else ""
        return (
            f"Mixture(n_components={self.n_components}, n_features={self.n_features}, "
            f"covariance_type={self.covariance_type!r}{names}{found})"
        )


def load(path: str | os.PathLike[str]) -> Mixture:
    """Read a mixture that `Mixture.save` wrote.

    Parameters
    ----------
    path : str or path-like
        Name of the file.

    Returns
    -------
    Mixture
        A mixture equal to the one that was saved.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ModelFileError
        If it is not a model file of this library, or it is damaged.
    """
    fields = read_model(path)
    feature_names = names_in(fields)
    parameters = Parameters(
        *(fields[name] for name in ("weights", "means", "covariances", "factors", "log_det"))
    )
    return Mixture._build(
        str(fields["covariance_type"]),
        parameters,
        bool(fields["converged"]),
        fields["log_likelihoods"],
        fields["regularized"].tolist(),
        feature_names,
    )
