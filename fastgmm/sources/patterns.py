"""Patterns of missing features: rows grouped by pattern, and the passes over many of them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from fastgmm.jit.threads import Workspaces, launch
from fastgmm.kernels import incomplete as kernels
from fastgmm.kernels.micro.components import LANES
from fastgmm.kernels.types import (
    GroupMoments,
    Groups,
    IncompleteAnswers,
    IncompleteInputs,
    Patterns,
)
from fastgmm.model.covariance import CovarianceType
from fastgmm.sources.base import Statistics

_MANY = 1000  # rows of a pattern: with fewer, the compiled call for all patterns is faster
_PIECE = 256  # rows of one pattern that one thread works on
_MOMENT_BYTES = 16 * 2**20  # bytes for the moments of all chunks together
_MAX_CHUNKS = 64
_PIECES_PER_CHUNK = 32
_ANSWERS = IncompleteAnswers._fields


class Pattern(NamedTuple):
    """The rows that lack the same features: indices of rows, and of the features they have."""

    rows: np.ndarray
    observed: np.ndarray


def patterns_of(X: np.ndarray) -> list[Pattern]:
    """Return the patterns of missing values (NaN) of an array, the complete rows first.

    The other patterns follow by their number of missing features. The rows of each pattern are in
    their order.
    """
    gaps = np.isnan(X)
    if (gaps == gaps[0]).all():
        return [Pattern(np.arange(len(X)), np.flatnonzero(~gaps[0]))]
    bits = np.packbits(gaps, axis=1)
    words = np.zeros((len(X), -(-bits.shape[1] // 8) * 8), np.uint8)
    words[:, : bits.shape[1]] = bits
    keys = words.view(np.uint64)
    order = np.lexsort(keys.T)
    changes = (np.diff(keys[order], axis=0) != 0).any(axis=1)
    ends = [0, *(np.flatnonzero(changes) + 1).tolist(), len(X)]
    found = [
        Pattern(order[begin:end], np.flatnonzero(~gaps[order[begin]]))
        for begin, end in pairwise(ends)
    ]
    return sorted(found, key=lambda pattern: -len(pattern.observed))


def is_large(pattern: Pattern) -> bool:
    """Return whether the rows of a pattern are worth passes of their own."""
    return len(pattern.rows) >= _MANY and len(pattern.observed) > 0


def values_of(X: np.ndarray, pattern: Pattern) -> np.ndarray:
    """Return the observed values (n_rows, n_observed) of the rows of a pattern, C-contiguous.

    They are X itself if the pattern has all rows and features.
    """
    rows, observed = pattern
    chosen = X if len(rows) == len(X) else X[rows]
    return chosen if len(observed) == X.shape[1] else np.take(chosen, observed, axis=1)


def tabulated(patterns: list[Pattern], n_features: int) -> Patterns:
    """Return patterns as kernels read them, for rows that are sorted by pattern."""
    features = np.empty((len(patterns), n_features), np.intp)
    pieces, begin = [], 0
    for p, (rows, observed) in enumerate(patterns):
        features[p, : len(observed)] = observed
        features[p, len(observed) :] = np.setdiff1d(np.arange(n_features), observed)
        end = begin + len(rows)
        pieces += [(p, i, min(i + _PIECE, end)) for i in range(begin, end, _PIECE)]
        begin = end
    n_observed = np.array([len(pattern.observed) for pattern in patterns], np.intp)
    return Patterns(features, n_observed, np.array(pieces, np.intp).reshape(-1, 3))


def grouped(kind: CovarianceType, parameters: Any) -> Groups:
    """Return a mixture with its components in groups, as kernels read it."""
    weights, means, covariances = parameters[:3]
    n_components = len(weights)
    n_groups = -(-n_components // LANES)
    spread = kind.of_components(covariances, *means.shape)
    spread = spread if spread.ndim == 3 else spread[:, :, None]
    with np.errstate(divide="ignore"):
        log_weights = np.log(weights)
    filler = n_groups * LANES - n_components

    def lanes(array, rest):
        """Return an array with the components last; `rest` fills up the last group."""
        rest = np.broadcast_to(rest, (filler, *array.shape[1:]))
        whole = np.concatenate([array, rest]).reshape(n_groups, LANES, *array.shape[1:])
        result = kernels.aligned((n_groups, *array.shape[1:], LANES))
        result[:] = np.moveaxis(whole, 1, -1)
        return result

    return Groups(
        n_components,
        lanes(means, 0.0),
        lanes(spread, spread[0]),
        np.concatenate([log_weights, np.full(filler, -np.inf)]),
    )


def _ungrouped(array: np.ndarray, n_components: int) -> np.ndarray:
    """Return an array (n_components, ...) from one of groups of components."""
    last = np.moveaxis(array, -1, 1)
    return last.reshape(-1, *last.shape[2:])[:n_components]


class PatternRows:
    """Rows that are sorted by pattern.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        All rows, of which those of the patterns are copied and converted to float64.
    sample_weight : ndarray of shape (n_samples,)
        Weights of all rows; empty if all are 1.
    patterns : list of Pattern
        Patterns of some rows.
    n_threads : int or None
        Greatest number of threads.

    Attributes
    ----------
    rows : ndarray of shape (n_rows,)
        The indices of the rows of the patterns, in their order.
    """

    def __init__(
        self,
        X: np.ndarray,
        sample_weight: np.ndarray,
        patterns: list[Pattern],
        n_threads: int | None,
    ) -> None:
        self.rows = np.concatenate([pattern.rows for pattern in patterns])
        self._X = X[self.rows].astype(np.float64, copy=False)
        self._weight = sample_weight[self.rows] if sample_weight.size else sample_weight
        self._patterns = tabulated(patterns, X.shape[1])
        self._n_threads = n_threads

    def n_chunks(self, n_bytes: int = 1) -> int:
        """Return the number of chunks, a power of two that depends on shapes alone.

        `n_bytes` is the size of the sums of one chunk.
        """
        pieces = len(self._patterns.pieces) // _PIECES_PER_CHUNK
        most = min(_MAX_CHUNKS, pieces, max(2, _MOMENT_BYTES // n_bytes))
        return 1 << max(most, 1).bit_length() - 1

    def statistics(self, kind: CovarianceType, parameters: Any) -> Statistics:
        """Return the statistics of the completed rows: see `Source.statistics`."""
        mixture = grouped(kind, parameters)
        means, covariances = mixture.means, mixture.covariances
        n_chunks = self.n_chunks(8 * (means.size + covariances.size))
        moments = GroupMoments(
            np.zeros((n_chunks, mixture.log_weights.size)),
            kernels.aligned((n_chunks, *means.shape)),
            kernels.aligned((n_chunks, *covariances.shape)),
            np.zeros(n_chunks),
        )
        self._launch(kernels.incomplete_pass, n_chunks, mixture, moments)
        nk, s1, s2, log_likelihood = (array.sum(axis=0) for array in moments)
        n_components = mixture.n_components
        form = kind.of_components(parameters.covariances, *parameters.means.shape).shape
        return Statistics(
            float(log_likelihood),
            nk[:n_components],
            _ungrouped(s1, n_components),
            kind.sum_of_components(_ungrouped(s2, n_components).reshape(form)),
        )

    def answers(
        self, kind: CovarianceType, parameters: Any, wanted: Iterable[str]
    ) -> IncompleteAnswers:
        """Return the results of inference that `wanted` names; the others are empty."""
        mixture = grouped(kind, parameters)
        n_rows, n_features = self._X.shape
        shapes: tuple[tuple[int, ...], ...] = (
            (n_rows,),
            (n_rows, mixture.n_components),
            (n_rows, n_features),
            (n_rows, n_features, n_features),
        )
        answers = IncompleteAnswers(
            *(
                self._answer(name, shape if name in wanted else (0,) * len(shape))
                for name, shape in zip(_ANSWERS, shapes, strict=True)
            )
        )
        self._launch(kernels.answer_pass, self.n_chunks(), mixture, answers)
        return answers

    def _answer(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Return an array for results, with those that a pass does not write."""
        return self._X.copy() if name == "filled" and shape[0] else np.zeros(shape)

    def draws(
        self, kind: CovarianceType, parameters: Any, labels: np.ndarray, normals: np.ndarray
    ) -> np.ndarray:
        """Return rows whose missing values are drawn given the observed ones.

        `labels` (n_rows,) are the components from which they are drawn, and `normals` (n_rows,
        n_features) independent numbers of a standard normal distribution.
        """
        filled = self._X.copy()
        mixture = grouped(kind, parameters)
        arrays = np.ascontiguousarray(labels, np.intp), np.ascontiguousarray(normals), filled
        self._launch(kernels.draw_pass, self.n_chunks(), mixture, *arrays)
        return filled

    def _launch(self, kernel, n_chunks, mixture, *args):
        """Run a pass."""
        n_groups, n_features, width, lanes = mixture.covariances.shape
        n_pieces = len(self._patterns.pieces)
        launch(
            kernel,
            n_chunks,
            Workspaces(
                lambda: kernels.make_group_workspace(mixture.n_components, n_features, width)
            ),
            IncompleteInputs(self._X, self._weight, mixture, self._patterns),
            *args,
            work=n_groups * lanes * width * n_features * (n_pieces * width + len(self._X)),
            n_threads=self._n_threads,
        )
