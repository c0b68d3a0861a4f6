"""Passes over incomplete rows: groups of components, patterns, and odd shapes."""

import numpy as np
import pytest
import reference

from fastgmm.kernels.incomplete import TILE
from fastgmm.kernels.micro.components import LANES
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.model.parameters import Parameters
from fastgmm.sources.patterns import PatternRows, grouped, patterns_of

# (n_samples, n_features, n_components): full and partly filled tiles, blocks and groups
SHAPES = [(1, 1, 1), (TILE, 3, LANES), (TILE + 1, 9, LANES + 1), (5 * TILE + 3, 17, 3)]


def random_mixture(name, n_features, n_components, rng):
    roots = rng.standard_normal((n_components, n_features, 2 * n_features))
    full = roots @ np.swapaxes(roots, 1, 2) / n_features
    covariances = {
        "full": full,
        "tied": full[0],
        "diag": np.einsum("kjj->kj", full).copy(),
        "spherical": full[:, 0, 0].copy(),
    }[name]
    weights = rng.dirichlet(np.full(n_components, 5.0))
    none = np.empty(0)
    means = rng.standard_normal((n_components, n_features))
    return Parameters(weights, means, covariances, none, none)


def plain_statistics(X, weight, parameters, name):
    """Return the log-likelihood, N, S1 and S2 of every component, row by row."""
    weights, means, covariances = parameters[:3]
    matrices = reference.full_covariances(covariances, name, *means.shape)
    joint = reference.incomplete_log_joint(X, weights, means, matrices, "full")
    log_prob = np.logaddexp.reduce(joint, axis=1)
    resp = np.exp(joint - log_prob[:, None]) * weight[:, None]
    s1, s2 = np.zeros(means.shape), np.zeros(matrices.shape)
    for k in range(len(means)):
        for x, r in zip(X, resp[:, k], strict=True):
            filled, covariance = reference.conditional(x, means[k], matrices[k])
            gap = filled - means[k]
            s1[k] += r * gap
            s2[k] += r * (np.outer(gap, gap) + covariance)
    return weight @ log_prob, resp.sum(axis=0), s1, s2


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", reference.COVARIANCE_TYPES)
def test_statistics(name, shape, weighted, assert_close):
    """Patterns of one row, of many rows, complete rows and rows without values."""
    n_samples, n_features, n_components = shape
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_samples, n_features))
    gaps = rng.random(X.shape) < 0.4
    gaps[n_samples // 3 :] = gaps[-1]
    X = np.where(gaps, np.nan, X)
    weight = rng.uniform(0.1, 2.0, n_samples) if weighted else np.empty(0)
    parameters = random_mixture(name, n_features, n_components, rng)
    kind = COVARIANCE_TYPES[name]
    rows = PatternRows(X, weight, patterns_of(X), 1)
    actual = rows.statistics(kind, parameters)
    ones = weight if weighted else np.ones(n_samples)
    total, nk, s1, s2 = plain_statistics(X, ones, parameters, name)
    diagonals = np.einsum("kjj->kj", s2)
    expected = {
        "full": np.tril(s2),
        "tied": np.tril(s2.sum(axis=0)),
        "diag": diagonals,
        "spherical": diagonals.sum(axis=1),
    }[name]
    found = np.tril(actual.s2) if name in ("full", "tied") else actual.s2
    assert actual.log_likelihood == pytest.approx(total, rel=1e-12)
    assert_close(actual.nk, nk, 1e-12)
    if n_samples > 1:
        assert_close(actual.s1, s1, 1e-12)
    assert_close(found, expected, 1e-12)


def test_patterns():
    """Complete rows come first; the rows of a pattern keep their order."""
    gap = np.nan
    X = np.array([[1, gap, 3], [gap, gap, gap], [1, 2, 3], [7, gap, 1], [4, 5, 6], [1, 2, gap]])
    found = [(rows.tolist(), observed.tolist()) for rows, observed in patterns_of(X)]
    assert found[0] == ([2, 4], [0, 1, 2])
    assert sorted(found[1:3]) == [([0, 3], [0, 2]), ([5], [0, 1])]
    assert found[3] == ([1], [])


def test_patterns_of_many_features():
    """Rows that differ only in whether the last of 130 features is missing have two patterns."""
    X = np.zeros((6, 130))
    X[[1, 4], 129] = np.nan
    X[3, 0] = np.nan
    found = {tuple(rows.tolist()) for rows, _ in patterns_of(X)}
    assert found == {(0, 2, 5), (1, 4), (3,)}


def test_groups_are_filled_up_with_components_of_weight_zero():
    rng = np.random.default_rng(0)
    parameters = random_mixture("full", 3, LANES + 1, rng)
    mixture = grouped(COVARIANCE_TYPES["full"], parameters)
    assert mixture.means.shape == (2, 3, LANES)
    np.testing.assert_array_equal(mixture.means[1, :, 0], parameters.means[LANES])
    np.testing.assert_array_equal(mixture.covariances[0, ..., 1], parameters.covariances[1])
    assert np.isneginf(mixture.log_weights[LANES + 1 :]).all()
