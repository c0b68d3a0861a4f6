"""Inference over an array: log-densities, responsibilities and labels of its rows."""

import numpy as np

from fastgmm.jit.threads import Workspaces, launch
from fastgmm.kernels.tiles import make_workspace
from fastgmm.kernels.types import Outputs
from fastgmm.sources.double import blocks_of
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
    out = Outputs(
        np.empty(0, X.dtype) if log_prob is None else log_prob,
        np.empty((0, 0), X.dtype) if proba is None else proba,
        np.empty(0, np.intp) if labels is None else labels,
    )
    if densities.precision(X.dtype) == X.dtype:
        _infer(X, densities, n_threads, out)
    else:
        _infer_in_double(X, densities, n_threads, out)


def _infer_in_double(X, densities, n_threads, out):
    """Fill the outputs that are not empty from float32 rows that are computed in float64."""
    for rows in blocks_of(*X.shape, _DOUBLE_BYTES):
        block = X[rows].astype(np.float64)
        part = Outputs(*(array[rows] for array in out))
        made = Outputs(*(np.empty(a.shape) for a in part[:2]), part.labels)
        _infer(block, densities, n_threads, made)
        for array, values in zip(part[:2], made[:2], strict=True):
            array[:] = values


def _infer(X, densities, n_threads, out):
    """Fill the outputs that are not empty, in the precision of X."""
    kernels, operands = densities.operands(X.dtype)
    n_components = densities.n_components
    launch(
        kernels.infer_pass,
        chunk_count(X),
        Workspaces(lambda: make_workspace(X, n_components)),
        X,
        operands,
        out,
        work=X.size * n_components * WORK,
        n_threads=n_threads,
    )
