"""Inference over an array: log-densities, responsibilities and labels of its rows."""

import numpy as np

from fastgmm.jit.threads import Workspaces, launch
from fastgmm.kernels.tiles import make_workspace
from fastgmm.kernels.types import Outputs
from fastgmm.sources.passes import WORK, chunk_count


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
    kernels, operands = densities.operands(X.dtype)
    n_components = densities.n_components
    launch(
        kernels.infer_pass,
        chunk_count(X),
        Workspaces(lambda: make_workspace(X, n_components)),
        X,
        operands,
        Outputs(
            np.empty(0, X.dtype) if log_prob is None else log_prob,
            np.empty((0, 0), X.dtype) if proba is None else proba,
            np.empty(0, np.intp) if labels is None else labels,
        ),
        work=X.size * n_components * WORK,
        n_threads=n_threads,
    )
