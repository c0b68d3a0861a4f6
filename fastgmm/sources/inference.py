"""Inference over an array: log-densities, responsibilities and labels of its rows."""

import numpy as np

from fastgmm.jit.threads import Workspaces
from fastgmm.kernels.tiles import make_workspace
from fastgmm.kernels.types import Outputs
from fastgmm.sources.double import blocks_of
from fastgmm.sources.links import launch_infer
from fastgmm.sources.passes import WORK, chunk_count

_DOUBLE_BYTES = 2**24  # of float64 rows that are held at a time


def infer(X, densities, n_threads, log_prob=None, proba=None, labels=None):
    """Fill the outputs that are given, in place.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows.
    densities : Densities
        The mixture.
    n_threads : int or None
        Greatest number of threads.
    log_prob : ndarray of shape (n_samples,), optional
        Receives log-densities.
    proba : ndarray of shape (n_samples, n_components), optional
        Receives responsibilities.
    labels : ndarray of shape (n_samples,), optional
        Receives the most probable components.
    """
    single = X.dtype != np.float64
    if single and log_prob is None:
        log_prob = np.empty(len(X), X.dtype)  # it tells which rows are too far for float32
    out = Outputs(
        np.empty(0, X.dtype) if log_prob is None else log_prob,
        np.empty((0, 0), X.dtype) if proba is None else proba,
        np.empty(0, np.intp) if labels is None else labels,
    )
    if densities.precision(X.dtype) == X.dtype:
        _infer(X, densities, n_threads, out)
        if single and not np.isfinite(log_prob).all():
            _infer_in_double(X, np.flatnonzero(~np.isfinite(log_prob)), densities, n_threads, out)
    else:
        _infer_in_double(X, np.arange(len(X)), densities, n_threads, out)


def _infer_in_double(X, rows, densities, n_threads, out):
    """Fill the given rows of the outputs from float32 rows that are computed in float64."""
    for block in blocks_of(len(rows), X.shape[1], _DOUBLE_BYTES):
        chosen = rows[block]
        made = Outputs(*(_doubles_for(array, len(chosen)) for array in out))
        _infer(X[chosen].astype(np.float64), densities, n_threads, made)
        for array, values in zip(out, made, strict=True):
            if array.size:
                with np.errstate(over="ignore"):  # below -3e38, float32 has minus infinity
                    array[chosen] = values


def _doubles_for(array, n_rows):
    """Return a buffer for `n_rows` rows of an output; float64 unless that holds labels."""
    shape = (n_rows, *array.shape[1:]) if array.size else array.shape
    return np.empty(shape, np.float64 if array.dtype == np.float32 else array.dtype)


def _infer(X, densities, n_threads, out):
    """Fill the outputs that are not empty, in the precision of X."""
    kernels, operands = densities.operands(X.dtype)
    n_components = densities.n_components
    launch_infer(
        kernels,
        chunk_count(X),
        Workspaces(lambda: make_workspace(X, n_components)),
        X,
        operands,
        out,
        work=X.size * n_components * WORK,
        n_threads=n_threads,
    )
