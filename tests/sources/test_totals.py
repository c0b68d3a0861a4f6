"""Sums over rows of the results of inference, against plain NumPy."""

import numpy as np
import problems
import pytest
import reference

from fastgmm.em.models import MaximumLikelihood
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.model.parameters import Parameters
from fastgmm.sources import totals as module
from fastgmm.sources.array import ArraySource
from fastgmm.sources.operands import Densities
from fastgmm.sources.totals import log_likelihood, totals

each_type = pytest.mark.parametrize("covariance_type", reference.COVARIANCE_TYPES)
each_weighting = pytest.mark.parametrize("weighted", [False, True])


def densities_of(problem):
    kind = COVARIANCE_TYPES[problem.covariance_type]
    factors, log_det = kind.factorize(problem.covariances, *problem.means.shape)
    parameters = Parameters(*problem.parameters[:3], factors, log_det)
    return Densities(MaximumLikelihood(kind), parameters)


def weights_of(X, weighted):
    """Return weights, some of them zero, or the empty array that stands for ones."""
    if not weighted:
        return np.empty(0)
    return np.random.default_rng(0).integers(0, 4, len(X)) * 0.7


@each_type
@each_weighting
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_sums_agree_with_numpy(covariance_type, weighted, dtype, rtol, monkeypatch):
    """In several blocks, the last one shorter."""
    monkeypatch.setattr(module, "_ROWS", 100)
    monkeypatch.setattr(module, "_RESP_ROWS", 64)
    problem = problems.overlapping(331, 3, 4, covariance_type)
    X = problem.X.astype(dtype)
    weight = weights_of(X, weighted)
    source, densities = ArraySource(X, weight), densities_of(problem)
    distinct = np.arange(len(X)) % 3 > 0
    found = totals(source, densities, distinct)

    w = reference.row_weights(X, weight if weighted else None)
    resp = reference.responsibilities(X, *problem.parameters)
    log_prob = reference.score_samples(X, *problem.parameters)
    np.testing.assert_allclose(found.log_likelihood, w @ log_prob, rtol)
    np.testing.assert_allclose(found.entropy, -(w @ (resp * np.log(resp))).sum(), rtol)
    np.testing.assert_allclose(found.points, resp[distinct].sum(axis=0), rtol)
    np.testing.assert_allclose(log_likelihood(source, densities), w @ log_prob, rtol)


def test_without_a_mask_no_points_are_counted():
    problem = problems.overlapping(331, 3, 4)
    found = totals(ArraySource(problem.X), densities_of(problem))
    np.testing.assert_array_equal(found.points, np.zeros(4))


def test_a_responsibility_of_zero_has_no_entropy():
    """Components so far apart that responsibilities underflow."""
    X, labels = problems.blobs(n_components=3, distance=1e6)
    problem = problems.Problem(X, *problems.separate_parameters(X, labels), "full")
    assert totals(ArraySource(X), densities_of(problem)).entropy == 0.0
