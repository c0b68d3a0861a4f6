"""Data, starts and clocks for all benchmarks.

Both sides start from the same parameters and run a fixed number of iterations (``tol=0``), so
that a commit is never faster because it converged elsewhere.

asv runs these files on every commit of the history. A benchmark that a commit cannot run raises
NotImplementedError in `setup`, and asv leaves it out: `offered` and `need` do so.
"""

import inspect
import os
import warnings
from functools import cache
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

# asv installs the commits in turn into one environment. A folder of kernels for each commit keeps
# a commit from compiling again in its second round. Numba reads the name of the folder when it is
# imported, which the import of fastgmm does not do.
if "ASV_COMMIT" in os.environ:
    kernels = Path(os.environ["ASV_ENV_DIR"], "kernels", os.environ["ASV_COMMIT"])
    os.environ["NUMBA_CACHE_DIR"] = str(kernels)

import fastgmm

COVARIANCE_TYPES = ["full", "tied", "diag", "spherical"]

shrink = 1  # rows are divided by it: the tests run every benchmark on few


@cache  # asv calls setup before every sample
def clusters(n_samples, n_features, n_components, dtype="float64", overlapping=False):
    """Rows of correlated clusters some standard deviations apart, or all in one place."""
    draw = np.random.default_rng(0)
    n_samples = max(n_samples // shrink, 10 * n_components)
    X = draw.standard_normal((n_samples, n_features))
    if not overlapping:
        labels = draw.integers(n_components, size=n_samples)
        for k in range(n_components):
            mixing = draw.standard_normal((n_features, n_features)) / np.sqrt(n_features)
            center = 6.0 * draw.standard_normal(n_features) / np.sqrt(n_features)
            X[labels == k] = X[labels == k] @ mixing + center
    return X.astype(dtype, copy=False)


def start(X, n_components, covariance_type="full", overlapping=False):
    """Arguments for both `fit_ours` and `fit_sklearn`: sizes and a start.

    Means are rows, or where the data overlap lie close to zero, so that every component
    stays alive at every row.
    """
    draw = np.random.default_rng(1)
    n_features = X.shape[1]
    means = X[draw.choice(len(X), n_components, replace=False)]
    precisions = {
        "full": np.tile(np.diag(1.0 / X.var(axis=0)), (n_components, 1, 1)),
        "tied": np.diag(1.0 / X.var(axis=0)),
        "diag": np.tile(1.0 / X.var(axis=0), (n_components, 1)),
        "spherical": np.full(n_components, n_features / X.var(axis=0).sum()),
    }[covariance_type]
    return {
        "n_components": n_components,
        "covariance_type": covariance_type,
        "weights_init": np.full(n_components, 1.0 / n_components, X.dtype),
        "means_init": 0.05 * means if overlapping else means,
        "precisions_init": precisions.astype(X.dtype),
    }


def offered(name, module="fastgmm"):
    """Return what a commit has under this name, or leave the benchmark out."""
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError):
        raise NotImplementedError(f"this commit has no {module}.{name}") from None


def need(option=None, method=None):
    """Leave the benchmark out on a commit without this option of `fit` or method of `Mixture`."""
    if option is not None and option not in inspect.signature(fastgmm.fit).parameters:
        raise NotImplementedError(f"fit of this commit has no option {option}")
    if method is not None and not hasattr(fastgmm.Mixture, method):
        raise NotImplementedError(f"Mixture of this commit has no method {method}")


def fit_ours(X, tol=0.0, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastgmm.ConvergenceWarning)
        return fastgmm.fit(X, tol=tol, **options)


def fit_sklearn(X, tol=0.0, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianMixture(tol=tol, **options).fit(X)


def seconds(call, *args, **options):
    """Seconds that a call takes."""
    begin = perf_counter()
    call(*args, **options)
    return perf_counter() - begin


def iteration_seconds(fit, X, iterations, **options):
    """Seconds of one EM iteration: what a long fit takes over a short one."""
    short = seconds(fit, X, max_iter=1, **options)
    return (seconds(fit, X, max_iter=1 + iterations, **options) - short) / iterations


def median_ratio(theirs, ours, rounds=3):
    """Median of the seconds that `theirs` returns over those of `ours`.

    Rounds alternate between the two, because machines are noisy.
    """
    return median(theirs() / ours() for _ in range(rounds))
