"""The rows on which a search tries its candidates: all rows, or a sample of large data."""

from typing import NamedTuple

import numpy as np

from fastgmm.search.coordinates import Coordinates, make_coordinates
from fastgmm.search.spurious import Yardstick, make_yardstick
from fastgmm.sources.array import ArraySource

_LEAST_ROWS = 2000
_MOST_ROWS = 20_000
_WORK = 1_000_000  # rows times features times components that cost little more than the calls
_ROWS_PER_FEATURE = 4  # of each component, which else fits the accidents of the sample
_WIDE = 100  # features; above, coordinates take longer than EM
_ROWS_TO_WHITEN = 5  # for each feature; with fewer, all whitened rows have the same distances


class Sample(NamedTuple):
    """Rows of positive weight, and what the search has computed of them.

    `rows` (n_rows, n_features) and `weight` (n_rows,) are float64. `coordinates` is None for wide
    rows and for few rows: the search is then left with k-means. `is_whole` tells whether these are
    all rows.
    """

    source: ArraySource
    rows: np.ndarray
    weight: np.ndarray
    yardstick: Yardstick
    coordinates: Coordinates | None
    is_whole: bool


def sample_size(n_features: int, n_components: int) -> int:
    """Return the greatest number of rows of a sample."""
    affordable = min(_MOST_ROWS, _WORK // (n_features * n_components))
    return max(_LEAST_ROWS, affordable, _ROWS_PER_FEATURE * n_components * (n_features + 2))


def make_sample(
    source: ArraySource, n_components: int, random_state: np.random.RandomState
) -> Sample:
    """Return all rows of positive weight, or as many as a search for `n_components` needs."""
    drawn = source.sample(random_state, sample_size(source.n_features, n_components))
    indices = np.arange(drawn.n_samples)
    rows = drawn.rows(indices).astype(np.float64)
    weight = np.asarray(drawn.weights(indices), np.float64)
    n_rows, n_features = rows.shape
    coordinates = None
    if n_features <= _WIDE and n_rows > _ROWS_TO_WHITEN * n_features:
        coordinates = make_coordinates(rows, weight)
    is_whole = n_rows == source.n_weighted
    return Sample(drawn, rows, weight, make_yardstick(drawn), coordinates, is_whole)
