"""`select`: fit a grid of mixtures and choose among them.

`fastgmm.api.grid` makes the fits, `fastgmm.api.schedule` divides them among threads.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from fastgmm.api import checks
from fastgmm.api.fit import check_settings, names_to_keep, refuse_few_rows, warn_of_scale
from fastgmm.api.grid import Grid
from fastgmm.api.jobs import expect_fits
from fastgmm.api.options import COVARIANCE_TYPES as DEFAULT_TYPES
from fastgmm.api.options import CRITERIA, INIT_PARAMS
from fastgmm.api.priors import Priors, check_prior, make_model
from fastgmm.api.schedule import divide_threads, run_grid
from fastgmm.api.selection import Candidate, Selection
from fastgmm.api.sources import refuse_unobserved, rows_to_fit
from fastgmm.em.models import MaximumLikelihood
from fastgmm.jit.threads import PARALLEL_WORK, threads_for
from fastgmm.model import criteria
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.search.grid_starts import GridPlan
from fastgmm.sources.base import Source


def _counts(n_components: int | Iterable[int]) -> list[int]:
    """Return the numbers of components to try, each once."""
    values = n_components if isinstance(n_components, Iterable) else (n_components,)
    counts = [checks.check_integer(value, "n_components", 1) for value in values]
    if not counts:
        raise ValueError("n_components is empty; pass at least one number, or a range.")
    return list(dict.fromkeys(counts))


def _types(covariance_type: str | Iterable[str]) -> list[str]:
    """Return the names of the covariance types to try, each once."""
    names = [covariance_type] if isinstance(covariance_type, str) else list(covariance_type)
    if not names:
        raise ValueError("covariance_type is empty; pass at least one type.")
    for name in names:
        checks.check_option(name, "covariance_type", COVARIANCE_TYPES)
    return list(dict.fromkeys(names))


def _seed(random_state: checks.Seed) -> int:
    """Return a seed: the one given, or one drawn from the generator given."""
    draw = checks.check_random_state(random_state)
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return draw.randint(2**31 - 1)


def select(
    X: ArrayLike | Source,
    n_components: int | Iterable[int] = range(1, 10),
    covariance_type: str | Iterable[str] = DEFAULT_TYPES,
    criterion: str = "bic",
    *,
    sample_weight: ArrayLike | None = None,
    n_folds: int = 5,
    tol: float = 1e-5,
    reg_covar: float = 1e-6,
    max_iter: int = 500,
    n_init: int = 1,
    init_params: str = "auto",
    on_collapse: str = "regularize",
    random_state: checks.Seed = None,
    n_threads: int | None = None,
    progress: bool = False,
    feature_names: Iterable[str] | None = None,
    missing: str = "error",
    prior: Priors = None,
) -> Selection:
    """Fit every number of components with every covariance type and choose the best.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or (n_samples,), or Source
        Finite numbers, one row for each observation; or a `fastgmm.sources.base.Source`.
    n_components : int or iterable of int, default=range(1, 10)
        Numbers of components to try.
    covariance_type : str or iterable of str, default=("full", "tied", "diag", "spherical")
        Covariance types to try.
    criterion : {"bic", "aic", "icl", "held_out"}, default="bic"
        Criterion of the choice. The Bayesian and the Akaike information criterion and the
        integrated completed likelihood are lower for better models, as in scikit-learn.
        "held_out" is the mean log-likelihood of rows that were left out of the fit, and greater
        for better models.
    sample_weight : array-like of shape (n_samples,), optional
        Weights of the rows: a weight of 2 counts as the row twice, 0 as no row.
    n_folds : int, default=5
        Number of random parts for the cross-validation of "held_out".
    tol : float, default=1e-5
        EM stops when the mean log-likelihood of a row, in nats, changes by less than this. The
        default of `fit`, 1e-3, is too large to compare models: EM is slow near saddle points.
    reg_covar : float, default=1e-6
        Variance added to the diagonals of the covariances, in squared units of X.
    max_iter : int, default=500
        Greatest number of iterations of a start.
    n_init : int, default=1
        Number of starts for each number of components.
    init_params : {"auto", "kmeans", "k-means++", "random", "random_from_data"}, default="auto"
        Method of the starts: see `fit`. With "auto" the candidates also learn from each other:
        from splits and merges of those with one component less or more, and from other
        covariance types.
    on_collapse : {"regularize", "reset", "raise"}, default="regularize"
        What to do with a component that collapses onto a single point: see `fit`.
    random_state : int, RandomState, Generator or None, default=None
        The seed, or the generator that draws it. Every number of components starts from that
        seed. Unless `init_params` is "auto", a candidate is therefore the mixture that `fit`
        returns for the same seed and settings.
    n_threads : int, optional
        Greatest number of threads. The result is the same for every number.
    progress : bool, default=False
        Show the current fit, the best candidate so far and the time left on the standard error;
        needs tqdm.
    feature_names : iterable of str, optional
        Names of the features, for `Mixture.feature_names`; by default the column names of X if
        it is a data frame of pandas, polars or pyarrow and all its names are strings.
    missing : {"error", "em"}, default="error"
        What to do with missing values: see `fit`.
    prior : "default", NormalInverseWishart, Dirichlet, list of both or None, default=None
        Prior of the parameters: see `fit`. With one of covariances no candidate is spurious. The
        criteria take the likelihood at the greatest posterior density, as mclust does (Fraley and
        Raftery 2007). What follows from the rows is that of all rows, in every fold.

    Returns
    -------
    Selection
        All candidates and the best mixture.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described; the message names it and says what to do. The error
        of a candidate that cannot be fitted is recorded in the candidate and not raised.
    ImportError
        If `progress` is true and tqdm is not installed.

    Warns
    -----
    RuntimeWarning
        If an interrupt stopped the fits; the result has the candidates that were done.
    UserWarning
        If `reg_covar` is too large for the variance of a feature: see `fit`.

    Notes
    -----
    Rows in files, or from a function, are read once per pass for all candidates together.

    A fit is a spurious optimum if the variance of a component has shrunk to `reg_covar` in some
    direction, or if a component lies on fewer distinct points than its parameters need. The
    likelihood of such a fit depends on `reg_covar` and not on how well the model fits. It is
    marked in the table and never chosen. The criteria are defined in `Mixture.bic`,
    `Mixture.aic` and `Mixture.icl`.

    Examples
    --------
    >>> import numpy as np, fastgmm
    >>> draw = np.random.default_rng(0)
    >>> X = np.concatenate([draw.normal(0, 1, (200, 2)), draw.normal(8, 1, (100, 2))])
    >>> selection = fastgmm.select(X, range(1, 5), random_state=0)
    >>> selection.best.n_components
    2
    """
    counts, types = _counts(n_components), _types(covariance_type)
    checks.check_option(criterion, "criterion", CRITERIA)
    n_folds = checks.check_integer(n_folds, "n_folds", 2)
    n_init = checks.check_integer(n_init, "n_init", 1)
    n_threads = checks.check_threads(n_threads)
    checks.check_option(init_params, "init_params", INIT_PARAMS)
    settings = check_settings(tol, max_iter, on_collapse)
    reg_covar = checks.check_non_negative(reg_covar, "reg_covar")
    seed = _seed(random_state)
    priors = check_prior(prior)
    source = rows_to_fit(X, sample_weight, n_threads, missing)
    expect_fits([COVARIANCE_TYPES[name] for name in types], source)
    names = names_to_keep(X, feature_names, source)
    refuse_unobserved(source, names)
    warn_of_scale(source, reg_covar, names)
    if criterion != "held_out":
        n_folds = 0
    else:
        refuse_few_rows(source, n_folds)
    n_threads = threads_for(PARALLEL_WORK, source.n_threads)
    n_workers, threads_each = divide_threads(source, sum(counts) // len(counts), n_threads)
    todo = [
        Candidate(
            count, name, criteria.n_parameters(COVARIANCE_TYPES[name], count, source.n_features)
        )
        for name in types
        for count in counts
    ]
    kinds = [COVARIANCE_TYPES[name] for name in types]
    searched = [MaximumLikelihood(kind, reg_covar) for kind in kinds]
    models = [make_model(kind, reg_covar, priors, source) for kind in kinds]
    plan = GridPlan(init_params, n_init, seed, searched, counts, n_threads)
    grid = Grid(source.view(threads_each), settings, plan, models, n_folds, n_workers, names)
    return run_grid(grid, todo, n_workers, criterion, progress)
