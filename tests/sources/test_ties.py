"""Ties between the first centers of k-means."""

import numpy as np
import pytest

from fastgmm.kernels.types import Data
from fastgmm.sources.clustering import Assignment
from fastgmm.sources.ties import Ties

NO_WEIGHT = np.empty(0)
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def bits(n_samples=700, n_features=6):
    """Rows of 0 and 1."""
    return np.random.default_rng(0).integers(0, 2, (n_samples, n_features)).astype(np.float64)


def assigned(X, centers, sample_weight=NO_WEIGHT):
    """Labels (n_samples,) of the first assignment to `centers`."""
    assignment = Assignment(Data(X, sample_weight), len(centers), centers[0], None)
    assignment.update(centers, np.append(np.zeros(len(centers)), np.inf))
    return assignment.labels


def distances(X, centers):
    """Squared distances (n_samples, n_clusters) in float64."""
    return ((X.astype(np.float64)[:, None] - centers) ** 2).sum(axis=2)


def tied(X, centers):
    """Whether two centers are nearest to a row (n_samples,); exact for small whole numbers."""
    nearest, second = np.sort(distances(X, centers), axis=1)[:, :2].T
    return nearest == second


@each_dtype
def test_ties_go_where_centered_rows_have_their_least_value(dtype):
    """Rounding of ``|c|^2 - 2 x.c`` sends some of the tied rows to the later center."""
    X = bits().astype(dtype)
    centers = X[3:6].astype(np.float64)
    ties = np.flatnonzero(tied(X, centers))
    first = distances(X, centers).argmin(axis=1)
    labels = assigned(X, centers)
    np.testing.assert_array_equal(labels[ties], Ties(X).nearest(X, ties, centers))
    np.testing.assert_array_equal(np.delete(labels, ties), np.delete(first, ties))
    assert len(ties) == 146
    assert 0 < (labels != first).sum() < 146


def test_chunks_are_those_of_all_rows():
    """A few rows get the labels that they have among all."""
    X = bits()
    centers = X[:3].copy()
    every = Ties(X).nearest(X, np.arange(700), centers)
    some = np.array([3, 255, 256, 300, 512, 699])
    np.testing.assert_array_equal(Ties(X).nearest(X, some, centers), every[some])


def test_rows_with_weights_join_the_first_of_equally_near_centers():
    """Rows of weight zero would move the mean."""
    X = bits()
    labels = assigned(X, X[:3].copy(), np.ones(700))
    np.testing.assert_array_equal(labels, distances(X, X[:3]).argmin(axis=1))


@each_dtype
@pytest.mark.parametrize("outlier", [1e12, 1e30])
def test_no_tie_is_lost_to_a_farther_center(outlier, dtype):
    """An outlier spoils centered rows; still each row joins one of its nearest centers."""
    X = bits().astype(dtype)
    X[-1] = outlier
    centers = X[[0, 1, 2, -1]].astype(np.float64)
    own = distances(X, centers)[np.arange(700), assigned(X, centers)]
    np.testing.assert_allclose(own, distances(X, centers).min(axis=1), rtol=1e-14)


@pytest.mark.parametrize("scale", [2.0**-150, 2.0**150, 2.0**500, 2.0**1000])
def test_tiny_and_huge_numbers(scale):
    """Squares may overflow, which is no warning and makes no row leave a nearer center."""
    X = bits()
    labels = assigned(scale * X, scale * X[:3])
    rest = ~tied(X, X[:3])
    if scale < 2.0**500:
        np.testing.assert_array_equal(labels[rest], distances(X, X[:3]).argmin(axis=1)[rest])
    assert (labels < 3).all()
