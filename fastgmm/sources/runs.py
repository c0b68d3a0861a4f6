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

_NO_LABELS = np.empty((0, 0), np.int32)


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
        labels=_NO_LABELS,
        resp=np.empty((0, 0, 0)),
        matrices=doubles,
        squares=doubles,
        objectives=np.empty((0, 0)),
        n_done=np.empty(0, np.int64),
    )


def runs_of_mixtures(model, mixtures, n_iter, total_weight, center_and_scatter):
    """Return the runs of mixtures over float64 rows.

    `center_and_scatter` are the mean of all rows and their second moments about it, for covariance
    types whose passes omit S2.
    """
    shape = len(mixtures), *mixtures[0].means.shape
    runs = _make_runs(model, shape, n_iter, total_weight, center_and_scatter)
    for r, mixture in enumerate(mixtures):
        runs.weights[r, 0] = mixture.weights
        runs.means[r, 0, :, : shape[-1]] = mixture.means
        runs.covariances[r, 0] = mixture.covariances.reshape(runs.covariances.shape[2:])
        runs.factors[r, 0] = mixture.factors.reshape(runs.factors.shape[2:])
        runs.log_det[r, 0] = mixture.log_det
    return runs


def runs_of_seeds(model, seeds, total_weight, center_and_scatter):
    """Return the runs that compute the mixtures of seeds; see `runs_of_mixtures`."""
    shape = len(seeds), *seeds[0].points.shape
    runs = _make_runs(model, shape, 1, total_weight, center_and_scatter)
    for r, seed in enumerate(seeds):
        runs.means[r, 0, :, : shape[-1]] = seed.points
    for array in (runs.weights, runs.covariances, runs.factors, runs.log_det):
        array[:, 0] = 0.0
    if seeds[0].labels.size:
        return runs._replace(labels=np.stack([seed.labels for seed in seeds]))
    return runs._replace(resp=np.stack([seed.resp for seed in seeds]))


def _make_runs(model, shape, n_iter, total_weight, center_and_scatter):
    """Return runs without mixtures: `shape` is (n_runs, n_components, n_features)."""
    kind = model.covariance_type
    n_runs, n_components, n_features = shape
    center, scatter = center_and_scatter
    factors = np.zeros(kind.shape(n_components, n_features))
    size = kind.kernel_factors(factors, n_components, kind.scatter_is_constant)[1].shape
    n = n_features if size[1] == n_features**2 else 0
    weights, log_det, offsets, negligible = (np.empty((n_runs, 2, n_components)) for _ in range(4))
    return Runs(
        n_iter=n_iter,
        tol=0.0,
        previous=-np.inf,
        total_weight=float(total_weight),
        reg_covar=float(model.reg_covar),
        about_center=kind.scatter_is_constant,
        center=np.atleast_2d(center),
        scatter=scatter,
        weights=weights,
        log_det=log_det,
        offsets=offsets,
        negligible=negligible,
        means=np.zeros((n_runs, 2, n_components, row_width(n_features, 8))),
        covariances=np.empty((n_runs, 2, *size)),
        factors=np.empty((n_runs, 2, *size)),
        centers=np.empty((n_runs, 2, n_components, n_features)),
        labels=np.empty((n_runs, 0), np.int32),
        resp=np.empty((n_runs, 0, 0)),
        matrices=np.empty((n_runs, 2, n, n)),
        squares=np.empty((n_runs, 2, buffer_width(n), buffer_width(n))),
        objectives=np.empty((n_runs, n_iter)),
        n_done=np.zeros(n_runs, np.int64),
    )


def steps_of(runs, mixtures):
    """Return the mixtures after their runs."""
    results = []
    for r, (mixture, done) in enumerate(zip(mixtures, runs.n_done.tolist(), strict=True)):
        parameters = (
            _parameters(runs, (r, done % 2), mixture.covariances.shape) if done else mixture
        )
        results.append(Steps(parameters, runs.objectives[r, :done].tolist()))
    return results


def mixtures_of(runs, kind, n_features):
    """Return the mixtures of seeds, None where a covariance is singular."""
    shape = kind.shape(runs.weights.shape[-1], n_features)
    return [
        _parameters(runs, (r, 1), shape)
        if runs.n_done[r] and np.isfinite(runs.log_det[r, 1]).all()
        else None
        for r in range(len(runs.n_done))
    ]


def _parameters(runs, place, shape):
    """Return the mixture at a place of a run; `shape` is that of its covariances."""
    return Parameters(
        runs.weights[place].copy(),
        runs.means[place][:, : runs.center.shape[1]].copy(),
        runs.covariances[place].reshape(shape).copy(),
        runs.factors[place].reshape(shape).copy(),
        runs.log_det[place].copy(),
    )
