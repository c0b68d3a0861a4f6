"""Several EM steps of several mixtures in one launch, where a pass takes less than Python does.

A pass over a thousand rows takes 5 to 30 us, and what Python does between two passes 70 to 140 us.
Compiled code therefore takes the M-step, too (`fastgmm.kernels.maximize`), and each mixture goes
through all its steps on one thread. Results do not depend on the number of threads.
"""

import numpy as np

from fastgmm.kernels.linalg import buffer_width
from fastgmm.kernels.tiles import row_width
from fastgmm.kernels.types import Runs
from fastgmm.model.parameters import Parameters
from fastgmm.sources.base import Steps


def no_runs(dtype):
    """Return the argument of a pass without runs."""
    shape = 0, 2, 0, 0
    rows, doubles = np.empty(shape, dtype), np.empty(shape)
    numbers = np.empty((0, 2, 0))
    return Runs(
        n_iter=0,
        tol=0.0,
        previous=0.0,
        total_weight=1.0,
        reg_covar=0.0,
        about_center=False,
        center=np.empty((1, 0), dtype),
        scatter=np.empty((0, 0)),
        weights=numbers,
        log_det=numbers,
        offsets=numbers,
        negligible=numbers,
        means=rows,
        covariances=doubles,
        factors=rows,
        centers=rows,
        matrices=doubles,
        squares=doubles,
        objectives=np.empty((0, 0)),
        n_done=np.empty(0, np.int64),
    )


def make_runs(model, mixtures, n_iter, total_weight, center_and_scatter):
    """Return the runs of mixtures over float64 rows.

    `center_and_scatter` are the mean of all rows and their second moments about it, for covariance
    types whose passes omit S2.
    """
    kind = model.covariance_type
    n_runs, (n_components, n_features) = len(mixtures), mixtures[0].means.shape
    center, scatter = center_and_scatter
    rows = _rows_of(kind, mixtures[0].factors, n_components)
    n = n_features if rows.shape[1] == n_features**2 else 0
    runs = Runs(
        n_iter=n_iter,
        tol=0.0,
        previous=-np.inf,
        total_weight=float(total_weight),
        reg_covar=float(model.reg_covar),
        about_center=kind.scatter_is_constant,
        center=np.atleast_2d(center),
        scatter=scatter,
        **{
            name: np.empty((n_runs, 2, n_components))
            for name in ("weights", "log_det", "offsets", "negligible")
        },
        means=np.zeros((n_runs, 2, n_components, row_width(n_features, 8))),
        covariances=np.empty((n_runs, 2, *rows.shape)),
        factors=np.empty((n_runs, 2, *rows.shape)),
        centers=np.empty((n_runs, 2, n_components, n_features)),
        matrices=np.empty((n_runs, 2, n, n)),
        squares=np.empty((n_runs, 2, buffer_width(n), buffer_width(n))),
        objectives=np.empty((n_runs, n_iter)),
        n_done=np.zeros(n_runs, np.int64),
    )
    for r, mixture in enumerate(mixtures):
        runs.weights[r, 0] = mixture.weights
        runs.means[r, 0, :, :n_features] = mixture.means
        runs.covariances[r, 0] = mixture.covariances.reshape(rows.shape)
        runs.factors[r, 0] = mixture.factors.reshape(rows.shape)
        runs.log_det[r, 0] = mixture.log_det
    return runs


def _rows_of(kind, factors, n_components):
    """Return factors as the kernels read them: one row for each."""
    return kind.kernel_factors(factors, n_components, kind.scatter_is_constant)[1]


def results_of(runs, mixtures):
    """Return the mixtures after their runs."""
    shape, n_features = mixtures[0].covariances.shape, mixtures[0].means.shape[1]
    results = []
    for r, (mixture, done) in enumerate(zip(mixtures, runs.n_done.tolist(), strict=True)):
        if done:
            place = r, done % 2
            mixture = Parameters(
                runs.weights[place].copy(),
                runs.means[place][:, :n_features].copy(),
                runs.covariances[place].reshape(shape).copy(),
                runs.factors[place].reshape(shape).copy(),
                runs.log_det[place].copy(),
            )
        results.append(Steps(mixture, runs.objectives[r, :done].tolist()))
    return results
