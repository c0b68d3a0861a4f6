"""Squared Mahalanobis distances of one tile, for every covariance type."""

import numpy as np
import problems
import pytest
import reference

from fastgmm import Mixture
from fastgmm.em.models import MaximumLikelihood
from fastgmm.jit.decorators import entry
from fastgmm.kernels import distances as kernels
from fastgmm.kernels.tiles import find_rows, load_tile, make_workspace
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.sources.operands import make_operands


@entry
def load(X, order, work):
    find_rows(order, 0, 0, len(X), work.rows)
    load_tile(X, work.rows, work.tile, len(X))


@entry
def full(operands, work):
    kernels.mahalanobis_full(operands, work)


@entry
def tied(operands, work):
    kernels.mahalanobis_tied(operands, work)


@entry
def diag(operands, work):
    kernels.mahalanobis_diag(operands, work)


@entry
def spherical(operands, work):
    kernels.mahalanobis_spherical(operands, work)


KERNELS = {"full": full, "tied": tied, "diag": diag, "spherical": spherical}


def one_tile(X, n_components):
    """A workspace with the rows of X in reverse order, and that order padded to the tile."""
    work = make_workspace(X, n_components)
    order = np.arange(len(X), dtype=np.uint16)[::-1].copy()
    load(X, order, work)
    rows = np.append(order, np.full(work.peak.size - len(X), order[0]))
    np.testing.assert_array_equal(work.tile, X[rows].T)
    return work, rows


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("covariance_type", reference.COVARIANCE_TYPES)
def test_distances_of_listed_vectors(covariance_type, dtype):
    """Of 1 to 13 features, so that blocks of every height occur, from all or some vectors.

    With 19 features, diagonal distances are about the center.
    """
    for n_features in [*range(1, 14), 19]:
        problem = problems.overlapping(90, n_features, 8, covariance_type)
        X = problem.X.astype(dtype)
        work, rows = one_tile(X, 8)
        mixture = Mixture.from_parameters(*problem.parameters)
        kind = COVARIANCE_TYPES[covariance_type]
        terms = MaximumLikelihood(kind).terms(mixture._parameters)
        _, operands = make_operands(kind, terms, X.dtype)
        n_vectors = work.places.shape[1]
        lanes = work.peak.size // n_vectors
        lists = [np.arange(n_vectors)] * 7 + [np.arange(0, n_vectors, 3)]
        for k, vectors in enumerate(lists):
            work.places[k, : len(vectors)] = vectors * lanes
            work.counts[k] = len(vectors)
        KERNELS[covariance_type](operands, work)
        expected = reference.squared_distances(X[rows], *problem.parameters[1:])
        rtol = 1e-12 if dtype is np.float64 else 1e-5  # the factors' rounding and condition
        for k, vectors in enumerate(lists):
            points = (vectors[:, None] * lanes + np.arange(lanes)).ravel()
            ours = work.resp[k, : len(points)]
            np.testing.assert_allclose(ours, expected[points, k], rtol=rtol, atol=rtol)
