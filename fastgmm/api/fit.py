"""`fit`: check the arguments, run EM from each start, return the best mixture."""

import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastgmm.api import checks
from fastgmm.api.checkpoint import Checkpoint
from fastgmm.api.convergence import convergence_warning
from fastgmm.api.fixed import FixedParts, check_fixed
from fastgmm.api.jobs import expect_fits
from fastgmm.api.memory import fit_bytes, refuse_beyond_memory
from fastgmm.api.mixture import Mixture
from fastgmm.api.names import Names, check_names, names_of
from fastgmm.api.options import INIT_PARAMS, ON_COLLAPSE
from fastgmm.api.priors import Priors, check_prior, make_model, priors_of
from fastgmm.api.progress import NoProgress, both, fit_progress
from fastgmm.api.scale import fault_of_scale
from fastgmm.api.sources import refuse_unobserved, rows_to_fit
from fastgmm.api.warn import warn_caller
from fastgmm.em.collapse import CollapsePolicy
from fastgmm.em.loop import Run, Settings, run_em
from fastgmm.em.models import MaximumLikelihood
from fastgmm.model.base import Model
from fastgmm.model.covariance import COVARIANCE_TYPES, CovarianceType
from fastgmm.search.final import FINAL_RUNS
from fastgmm.search.restarts import best_of
from fastgmm.search.settling import settled_outside_memory
from fastgmm.search.start import Given, Start, make_start
from fastgmm.search.starts import starting_parameters
from fastgmm.sources.base import Source, digest_of


def _given(
    kind: CovarianceType,
    n_components: int,
    n_features: int,
    weights_init: ArrayLike | None,
    means_init: ArrayLike | None,
    precisions_init: ArrayLike | None,
) -> Given:
    """Return the checked starting values that the caller gave."""
    given = Given()
    if weights_init is not None:
        weights = checks.check_weights(weights_init, n_components)
        given = given._replace(weights=weights)
    if means_init is not None:
        means = checks.check_means(means_init, n_components, n_features)
        given = given._replace(means=means)
    if precisions_init is not None:
        precisions = checks.check_matrices(
            precisions_init, kind, n_components, n_features, "precisions_init"
        )
        covariances, factors, log_det = kind.from_precisions(precisions, n_components, n_features)
        checks.refuse_indefinite(log_det, "precisions_init")
        given = given._replace(covariances=covariances, factors=factors, log_det=log_det)
    return given


def check_settings(tol: float, max_iter: int, on_collapse: str) -> Settings:
    """Return the checked settings of the EM loop."""
    return Settings(
        tol=checks.check_non_negative(tol, "tol"),
        max_iter=checks.check_integer(max_iter, "max_iter", 0),
        on_collapse=checks.check_option(on_collapse, "on_collapse", ON_COLLAPSE),
    )


def names_to_keep(X: object, feature_names: Iterable[str] | None, source: Source) -> Names:
    """Return the names of the features: those given, or those of the rows."""
    given = check_names(feature_names, source.n_features, "feature_names")
    return (source.names or names_of(X)) if given is None else given


def warn_of_scale(source: Source, reg_covar: float, names: Names) -> None:
    """Give a UserWarning if `reg_covar` is too large for the variance of a feature."""
    fault = fault_of_scale(source, reg_covar, names)
    if fault:
        warn_caller(fault)


def refuse_few_rows(source: Source, n_components: int) -> None:
    """Raise ValueError if there are fewer rows of positive weight than components."""
    if source.n_weighted < n_components:
        raise ValueError(
            f"X has {source.n_weighted} rows{' of positive weight' if source.is_weighted else ''} "
            f"but n_components is {n_components}; pass more rows or fewer components."
        )


def fit(
    X: ArrayLike | Source,
    n_components: int = 1,
    *,
    covariance_type: str = "full",
    sample_weight: ArrayLike | None = None,
    tol: float = 1e-3,
    reg_covar: float = 1e-6,
    max_iter: int = 100,
    n_init: int = 1,
    init_params: str = "auto",
    weights_init: ArrayLike | None = None,
    means_init: ArrayLike | None = None,
    precisions_init: ArrayLike | None = None,
    on_collapse: str = "regularize",
    random_state: checks.Seed = None,
    n_threads: int | None = None,
    callback: Callable[[int, float], object] | None = None,
    progress: bool = False,
    feature_names: Iterable[str] | None = None,
    missing: str = "error",
    checkpoint: str | os.PathLike[str] | None = None,
    prior: Priors = None,
    fixed: FixedParts = None,
) -> Mixture:
    """Fit a Gaussian mixture by expectation maximisation, to the likelihood or to a posterior.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or (n_samples,), or rows elsewhere
        Finite numbers, one row for each observation. Rows of float32 are computed in float32
        with sums in float64, except where a covariance is so close to singular that float32
        cannot resolve it: then in float64, as all others are. A C-contiguous float array is not
        copied. Rows that need not fit in memory are the names of files (a name, a pattern such as
        ``"data/*.parquet"``, a folder, or a list of these: .parquet, .arrow, .feather, .csv,
        .npy), an array of HDF5 or Zarr, a lazy frame of polars, a dataset of pyarrow, a function
        that yields blocks of rows or pairs (rows, weights) anew on each call, a collection of
        Dask, or a `fastgmm.sources.base.Source`.
    n_components : int, default=1
        Number of components.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        Form of the covariances: a matrix for each component, one matrix for all components, a
        variance for each component and feature, or a variance for each component.
    sample_weight : array-like of shape (n_samples,) or str, optional
        Weights of the rows: a weight of 2 counts as the row twice, 0 as no row. A weight below
        1e-308 of the greatest may count as 0. For tables in files, the name of their column.
    tol : float, default=1e-3
        EM stops when the mean log-likelihood of a row, in nats, changes by less than this. With
        "auto", the gain that is left must also be less than this and than 2e-5, by Aitken's
        estimate.
    reg_covar : float, default=1e-6
        Variance added to the diagonals of the covariances, in squared units of X.
    max_iter : int, default=100
        Greatest number of iterations of a start; with 0 the result is the start itself.
    n_init : int, default=1
        Number of starts; the result is the one with the greatest log-likelihood. If several
        differ by rounding alone, it is the earliest of them.
    init_params : {"auto", "kmeans", "k-means++", "random", "random_from_data"}, default="auto"
        Method of a start. "auto" searches for the best optimum on a sample of the rows: from
        clusters in coordinates that do not depend on units, by short runs of EM, and by moves of
        components. The others are scikit-learn's, and the same seed gives the same start: the
        clusters of k-means, components on rows chosen by k-means++, random responsibilities, or
        components on rows chosen at random.
    weights_init : array-like of shape (n_components,), optional
        Weights to start from.
    means_init : array-like of shape (n_components, n_features), optional
        Means to start from. Weights and covariances that are not given are then estimated from
        the rows nearest to each mean, and `init_params` is not used.
    precisions_init : array-like, optional
        Inverse covariances to start from, shaped as `Mixture.covariances`.
    on_collapse : {"regularize", "reset", "raise"}, default="regularize"
        What to do with a component that collapses onto a single point or into a subspace:
        "regularize" keeps it, with a covariance that only `reg_covar` keeps positive definite,
        and lists it in `Mixture.regularized`; "reset" moves it to a row drawn away from that
        point, with a broad covariance, at most 20 times in a start; "raise" raises
        `CollapseError`.
    random_state : int, RandomState, Generator or None, default=None
        Source of random numbers for the starts.
    n_threads : int, optional
        Greatest number of threads; by default that of the `Source`, or
        `numba.get_num_threads()`. The result has the same bits for every number.
    callback : callable, optional
        Called as ``callback(iteration, log_likelihood)`` after each iteration, with iterations
        counted from 1 in every start. A return value of True stops that start.
    progress : bool, default=False
        Show the start, what the search has tried, the iteration, the log-likelihood, the rate and
        the greatest time left on the standard error; for rows in files also the share of the pass,
        the rows a second and the time left of the pass. Needs tqdm.
    feature_names : iterable of str, optional
        Names of the features, for `Mixture.feature_names`; by default the column names of X if
        it is a data frame of pandas, polars or pyarrow and all its names are strings.
    missing : {"error", "em"}, default="error"
        What to do with missing values: NaN, and the nulls of data frames. "error" refuses them.
        "em" fits incomplete rows exactly, without filling them in: it maximises the likelihood of
        the values that are there. This is right if values are missing at random, that is, if
        whether a value is missing depends on observed values only. A row without any value has
        no influence.
    checkpoint : str or path-like, optional
        Name of a file, usually ending in ``.npz``, to which the state of the fit is written after
        each pass of EM over all rows. If the fit is killed, the same call goes on from there, and
        its result has the same bits as if nothing had happened. `n_threads`, `callback`,
        `progress` and `feature_names` may differ. What is made again is the first pass over rows
        outside memory, and what was not finished: the search, or the pass. After the fit the file
        stays, and the same call returns the same mixture; delete it to fit anew. `fastgmm.load`
        reads from it the mixture that the present start has reached. For rows in memory, passes
        then cannot use bounds from earlier passes, and may take a few times as long.
    prior : "default", NormalInverseWishart, Dirichlet, list of both or None, default=None
        Prior of the parameters: the result has the greatest posterior density (maximum a
        posteriori). "default" is that of Fraley and Raftery (2007), as in mclust: means near the
        mean of the rows with the weight of 0.01 rows; covariances near that of the rows, divided
        by ``n_components^(2 / n_features)``, with ``n_features + 2`` degrees of freedom; see
        `fastgmm.NormalInverseWishart`. No covariance can then become singular, and `reg_covar` is
        added to the scale of the prior, not to the covariances. Objectives are log-posteriors,
        divided by the sum of the row weights and without constants. Starts are those of maximum
        likelihood.
    fixed : str, int, iterable of these, or dict, optional
        Parts that keep the values of the start exactly: names among "weights", "means" and
        "covariances" for all components, indices of components for all their parameters, or a
        dict from names to indices. Weights that are not fixed share what is left. The start of
        these parts must be given.

    Returns
    -------
    Mixture
        The mixture of the best start.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described; the message names it and says what to do. Also if
        `checkpoint` is a file of a fit to other rows or with other arguments, or is damaged.
    ImportError
        If `progress` is true and tqdm is not installed.
    OSError
        If the file `checkpoint` cannot be written.
    MemoryError
        If the fit would need more memory than the machine has.
    ReadingError
        If rows in files cannot be read, or change during the fit.
    CollapseError
        If a covariance became singular in every start and `on_collapse` does not repair it.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` iterations did not suffice.
    UserWarning
        If `reg_covar` is more than 1% of the variance of a feature that varies, or more than the
        variance for a `reg_covar` above the default. It then hides clusters and makes variances
        too large.

    Notes
    -----
    As in scikit-learn the log-likelihood of an iteration is that of the parameters before its
    M-step, and EM stops when two consecutive values differ by less than `tol`: the same start
    takes the same number of iterations. Expectation maximisation for mixtures is described by
    Dempster, Laird and Rubin (1977), for incomplete rows by Ghahramani and Jordan (1994) and by
    Little and Rubin (2019, chapter 11).

    Examples
    --------
    >>> import numpy as np, fastgmm
    >>> X = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 50)])
    >>> mixture = fastgmm.fit(X, 2, random_state=0)
    >>> np.sort(mixture.means[:, 0]).round(3)
    array([ 0., 10.])
    """
    n_components = checks.check_integer(n_components, "n_components", 1)
    checks.check_option(covariance_type, "covariance_type", COVARIANCE_TYPES)
    n_init = checks.check_integer(n_init, "n_init", 1)
    n_threads = checks.check_threads(n_threads)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable but is {callback!r}; pass a function.")
    checks.check_option(init_params, "init_params", INIT_PARAMS)
    settings = check_settings(tol, max_iter, on_collapse)
    reg_covar = checks.check_non_negative(reg_covar, "reg_covar")
    is_seeded, draw = random_state is not None, checks.check_random_state(random_state)
    kind = COVARIANCE_TYPES[covariance_type]
    priors = check_prior(prior)
    journal = Checkpoint(checkpoint)
    with fit_progress(progress, n_init, settings.max_iter) as report:
        watch = report.reading if progress else None
        source = rows_to_fit(X, sample_weight, n_threads, missing, watch)
        expect_fits([kind], source)
        passes_before = (source.n_passes or 0) if source is X else 0
        names = names_to_keep(X, feature_names, source)
        _refuse_impossible(source, names, kind, n_components)
        warn_of_scale(source, reg_covar, names)
        given = _given(
            kind, n_components, source.n_features, weights_init, means_init, precisions_init
        )
        held = check_fixed(fixed, kind, n_components, given.known(), on_collapse)
        model = make_model(kind, reg_covar, priors, source).holding(held)
        problem = _Problem(source, model, n_components, init_params, n_init, given)
        if checkpoint is not None:
            arguments = problem.arguments(settings) | {"reg_covar": reg_covar, "missing": missing}
            journal.open(arguments, draw, is_seeded, lambda: (source.n_passes or 0) - passes_before)
            source = source.independent()
        settings = settings._replace(callback=both(report, callback), journal=journal)
        start = make_start(source, MaximumLikelihood(kind, reg_covar), n_components, draw)
        start = start._replace(watch=report.searching)
        best = problem._replace(source=source).best_run(start, settings, draw, report)
    if not best.converged and settings.max_iter > 0 and not best.stopped:
        warn_caller(
            f"EM did not converge in {max_iter} iterations; raise max_iter or tol, or try "
            "another start.",
            convergence_warning(),
        )
    n_passes = None if source.n_passes is None else source.n_passes - passes_before
    if n_passes is not None:
        n_passes += journal.n_passes_before
    priors = priors_of(model, n_components)
    return Mixture._of_run(covariance_type, best, names, start.record, n_passes, priors)


def _refuse_impossible(
    source: Source, names: Names, kind: CovarianceType, n_components: int
) -> None:
    """Raise ValueError or MemoryError if the rows do not suffice, or the fit would be too large."""
    refuse_unobserved(source, names)
    refuse_few_rows(source, n_components)
    shape = source.n_samples, source.n_features
    refuse_beyond_memory(
        fit_bytes(kind, shape, source.dtype.itemsize, n_components),
        f"{n_components} {kind.name} components of {source.n_features} features",
        "use fewer of either, or a covariance_type with fewer parameters",
    )


class _Problem(NamedTuple):
    """What a fit has to do: rows, model, number of components and starts."""

    source: Source
    model: Model
    n_components: int
    init_params: str
    n_init: int
    given: Given

    def arguments(self, settings: Settings) -> dict[str, Any]:
        """Return what the result depends on, by the names of arguments of `fit`."""
        model, given = self.model, self.given
        values = {"weights": given.weights, "means": given.means, "precisions": given.covariances}
        priors = [(type(p).__name__, vars(p)) for p in priors_of(model, self.n_components)]
        return {
            "X": self.source.digest(),
            "n_components": self.n_components,
            "covariance_type": model.covariance_type.name,
            "tol": settings.tol,
            "max_iter": settings.max_iter,
            "n_init": self.n_init,
            "init_params": self.init_params,
            "on_collapse": settings.on_collapse,
            "prior": str([(name, _as_lists(values)) for name, values in priors]),
            "fixed": None if model.fixed is None else digest_of(*model.fixed.masks),
            **{
                f"{name}_init": None if value is None else digest_of(value)
                for name, value in values.items()
            },
        }

    def best_run(
        self,
        start: Start,
        settings: Settings,
        random_state: np.random.RandomState,
        report: NoProgress,
    ) -> Run:
        """Run EM from each start, or from where the journal goes on; return the best run."""
        source, model, given = self.source, self.model, self.given
        # A start that the caller gives is followed by EM as in scikit-learn.
        em = run_em if given.means is not None else FINAL_RUNS.get(self.init_params, run_em)
        journal: Any = settings.journal

        def run_start(init: int) -> Run:
            report.begin(init)
            policy = CollapsePolicy(settings.on_collapse, model, source, random_state)
            parameters = journal.begin(init, policy, start.record)
            is_new = parameters is None
            if is_new:
                parameters = starting_parameters(start, self.init_params, given, random_state)
            fitted = model.from_start(parameters)
            if is_new and given.means is None:
                parameters = settled_outside_memory(source, fitted, parameters)
            return em(source, fitted, parameters, settings, policy)

        return best_of(self.n_init, run_start, journal.first, journal.best, journal.note)


def _as_lists(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with arrays as lists, whose text has all digits."""
    return {name: np.asarray(value).tolist() for name, value in values.items()}
