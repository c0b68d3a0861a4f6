"""Tiles loaded with NumPy, and what kernels need to work on them."""

import numpy as np

from fastgmm import Mixture
from fastgmm.em.models import MaximumLikelihood
from fastgmm.kernels.micro.vectors import VECTOR_BYTES
from fastgmm.kernels.tiles import make_workspace
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.sources.operands import make_operands

# Relative to the largest entry. float64: rounding of a few hundred additions. float32: the same for
# differences and products, which are rounded to 6e-8.
RTOL = {np.float64: 1e-13, np.float32: 3e-6}


def operands_of(problem, dtype):
    """The operands of a problem's start."""
    parameters = Mixture.from_parameters(*problem.parameters)._parameters
    kind = COVARIANCE_TYPES[problem.covariance_type]
    terms = MaximumLikelihood(kind).terms(parameters)
    return make_operands(kind, terms, np.dtype(dtype))[1]


def load(X, n_components, weight=None):
    """A workspace whose tile holds all rows of X; every component lists all vectors."""
    work = make_workspace(X, n_components)
    size = work.peak.size
    assert len(X) <= size
    work.rows[:] = 0
    work.rows[: len(X)] = np.arange(len(X))
    work.tile[:] = X[work.rows].T
    work.weight[:] = 0.0
    work.weight[: len(X)] = 1.0 if weight is None else weight
    work.places[:] = np.arange(work.places.shape[1]) * lanes_of(X)
    work.counts[:] = work.places.shape[1]
    work.live[:] = -1
    return work


def lanes_of(X):
    """How many numbers of X a vector has."""
    return VECTOR_BYTES // X.itemsize


def list_some_vectors(work, lanes, seed=0):
    """Let each component list some vectors; return a mask (n_components, size) of their points.

    The first component lists all vectors, the last one none.
    """
    rng = np.random.default_rng(seed)
    n_components, n_vectors = work.places.shape
    mask = rng.random((n_components, n_vectors)) < 0.6
    mask[0], mask[-1] = True, False
    for k in range(n_components):
        places = np.flatnonzero(mask[k]) * lanes
        work.places[k, : len(places)] = places
        work.counts[k] = len(places)
    return np.repeat(mask, lanes, axis=1)


def write_listed(work, values, mask):
    """Write ``values`` (n_components, size) of the listed points side by side into `work.resp`."""
    work.resp[:] = np.nan
    for k in range(len(values)):
        listed = values[k, mask[k]]
        work.resp[k, : len(listed)] = listed
