"""When passes keep bounds of distances, and how bounds change with the parameters.

A pass may skip a pair of row and component if bounds show that the pair is not live, that is,
that its responsibility is negligible. Let ``s = |U (x - m)|`` be the distance of row x from a
component, and ``s' = |U' (x - m')|`` the distance under the next parameters. If all singular
values of U U'^-1 lie between `least` and `greatest` and ``t = |U (m' - m)|`` is the move, then

    (s - t) / greatest <= s' <= (s + t) / least,

because ``|U (x - m')|`` differs from s by at most t. So bounds of one iteration give bounds of
the next. A lower bound of the form ``a b - c`` keeps this form: a and c change, which are numbers
per component, and the stored number b of each pair does not. The page ``docs/lazy-em.md`` has
the proof, which includes rounding.
"""

import numpy as np

from fastgmm.kernels.micro.vectors import VECTOR_BYTES
from fastgmm.kernels.tiles import NATS, block_tiles, tile_count, tile_size
from fastgmm.kernels.types import Bounds, Drift

_IDLE = 0.95  # fraction of pairs: a pass that computes more saves nothing
_IDLE_PASSES = 5  # idle passes in succession after which bounds are given up
_REVIVAL = 0.8  # fraction of live pairs, relative to that at which bounds were given up last
_ROWS = 128  # rows per feature: with fewer, the bounds cost more than they save
_UNIT = 1.0 / 64.0  # standard deviations per unit of the stored numbers
_FAR = 256.0  # standard deviations: a greater shift leaves too little of the numbers' range
_REORDER = frozenset(4**i for i in range(20))  # numbers of the passes (from 1) that sort the rows
MANY = 64  # components; with more, the points of long blocks are sorted, between passes
_REORDER_LONG = frozenset(8**i for i in range(20))  # the same for long blocks
_LONG_BLOCK = 2**16  # points; the places in a block are 16-bit numbers
_BYTES_OF_MANY = 2**27  # memory that the bounds of many components may take in any case
_EMPTY = np.empty(0)
NO_BOUNDS = Bounds(
    1,
    np.empty(0, np.uint16),
    np.empty((0, 0, 0), np.uint16),
    np.empty((0, 0), np.uint16),
    np.empty((0, 0), np.float32),
    np.empty((2, 0), np.uint16),
)
NO_DRIFT = Drift(*(_EMPTY,) * 8, np.empty(0, np.bool_), 0.0, False)


def affordable(n_samples, n_features, n_components, itemsize):
    """Return whether bounds can pay and take little memory.

    They may take 1/8 of the memory of the data; those of many components may take 128 MiB if that
    is more.
    """
    if n_components <= 2 or n_samples < _ROWS * n_features:
        return False
    lanes = VECTOR_BYTES // itemsize
    per_point = 2 + (2 * n_components + 6) / lanes
    most = n_samples * n_features * itemsize / 8
    if n_components > MANY:
        per_point += 4
        most = max(most, _BYTES_OF_MANY)
    return n_samples * per_point <= most


def long_block_tiles(n_samples, size):
    """Return the number of tiles in a long block; all blocks have about the same number."""
    n_tiles = tile_count(n_samples, size)
    return tile_count(n_tiles, tile_count(n_tiles, _LONG_BLOCK // size))


def sort_rows(bounds, n_points):
    """Sort the rows of each long block of `n_points` points by their keys, and forget the bounds.

    `bounds` is modified in place.
    """
    order = bounds.order
    for begin in range(0, len(order), n_points):
        block = slice(begin, min(begin + n_points, len(order)))
        order[block] = order[block][np.lexsort(bounds.keys[::-1, block])]
    bounds.farthest.fill(np.inf)


def _rounding(dtype, n_features):
    """Return a generous bound of the relative error of a sum of `n_features` products."""
    return 4.0 * (n_features + 8) * np.finfo(dtype).eps


class Skipping:
    """Decides when a pass keeps bounds, and adapts the bounds to new parameters.

    Attribute `bounds` has empty arrays until the first pass that keeps bounds.

    Parameters
    ----------
    covariance_type : CovarianceType
        A value of `COVARIANCE_TYPES`.
    X : ndarray of shape (n_samples, n_features)
        The rows.
    n_components : int
        Number of components.
    n_threads : int
        Number of threads that may work on `CovarianceType.stretch`.
    """

    def __init__(self, covariance_type, X, n_components, n_threads):
        self._type = covariance_type
        self._X = X
        self._n_components = n_components
        self._n_threads = n_threads
        self._size = tile_size(len(X), X.shape[1], X.itemsize)
        self._affordable = affordable(len(X), X.shape[1], n_components, X.itemsize)
        self._active = False
        self._most = self._worth = covariance_type.worth_skipping
        self._long = n_components > MANY
        grouped = self._affordable and not self._long
        tiles = block_tiles(len(X), self._size) if grouped else 1
        self.bounds = NO_BOUNDS._replace(tiles=tiles)

    @property
    def _reorders(self):
        """Whether the last pass sorts the rows or writes the keys to sort them by."""
        return self._passes in (_REORDER_LONG if self._long else _REORDER)

    @property
    def ordered(self):
        """Whether passes sort the rows of short blocks."""
        return self.bounds.order.size > 0 and not self._long

    def _begin(self):
        """Start to keep bounds, with no distance known."""
        n_samples = len(self._X)
        n_tiles = tile_count(n_samples, self._size)
        n_vectors = self._size * self._X.itemsize // VECTOR_BYTES
        if not self.bounds.order.size:
            tiles = long_block_tiles(n_samples, self._size) if self._long else self.bounds.tiles
            block = np.arange(tiles * self._size).astype(np.uint16)
            self.bounds = Bounds(
                tiles,
                np.resize(block, n_samples),
                np.zeros((n_tiles, self._n_components, n_vectors), np.uint16),
                np.zeros((n_tiles, n_vectors), np.uint16),
                np.full((n_tiles, n_vectors), np.inf, np.float32),
                np.empty((2, n_tiles * self._size if self._long else 0), np.uint16),
            )
        self.bounds.farthest.fill(np.inf)
        self._active = True
        self._passes = self._idle = 0
        self._scale = np.zeros(self._n_components)
        self._shift = np.zeros(self._n_components)
        self._before, self._cancellation = None, np.zeros(self._n_components)

    def drift(self, terms):
        """Return how much distances may have changed between the last pass and the new `terms`."""
        if not self._active:
            return NO_DRIFT
        means, covariances, factors = terms.means, terms.covariances, terms.factors
        n_components, n_features = means.shape
        cancellation = self._type.cancellation(covariances, factors, *means.shape)
        error = np.minimum(_rounding(self._X.dtype, n_features) * cancellation, 1.0)
        scale, shift = np.zeros(n_components), np.zeros(n_components)
        growth, move = np.full(n_components, np.inf), np.zeros(n_components)
        if self._before is not None:
            worst = np.maximum(cancellation, self._cancellation)
            slack = n_features * _rounding(np.float64, n_features) * worst
            least, greatest, move = self._change(self._before, terms, slack)
            scale, shift = self._scale / greatest, (self._shift + move) / greatest
            part = least * (1.0 - error)
            growth = np.divide(1.0, part, out=growth, where=part > 0.0)
        stays = (shift < _FAR) & (scale > _UNIT / 4) & (scale < _UNIT * 4)
        self._scale, self._shift = np.where(stays, scale, _UNIT), np.where(stays, shift, 0.0)
        self._before, self._cancellation = terms, cancellation
        self._passes += 1
        return Drift(
            scale=scale,
            shift=shift,
            new_steps=1.0 / self._scale,
            new_shift=self._shift,
            growth=growth,
            move=move,
            error=error,
            density=terms.log_norm,
            rebased=~stays,
            nats=NATS[self._X.itemsize],
            reorder=self._reorders,
        )

    def _change(self, old, new, slack):
        """Return `least`, `greatest` and the move of the means, each (n_components,).

        Rounding never makes the bounds tighter. If a value is not finite, or `slack`
        (n_components,), its relative error, is too large, then least is 0 and greatest infinite.
        """
        kind, shape = self._type, new.means.shape
        least, greatest = kind.stretch(old.factors, new.factors, *shape, self._n_threads)
        move = kind.distances(old.factors, new.means - old.means) * (1.0 + slack)
        known = np.isfinite(greatest) & np.isfinite(move) & (greatest > 0.0) & (slack < 0.5)
        least = np.where(known, least - slack * greatest, 0.0)
        greatest = np.where(known, greatest * (1.0 + slack), np.inf)
        return least, greatest, np.where(known, move, 0.0)

    def decide(self, computed, live):
        """Start or stop keeping bounds, given the fractions of computed and of live pairs."""
        if not self._affordable:
            return
        if not self._active:
            if live < self._worth:
                self._begin()
            return
        if self._reorders and self._long:
            sort_rows(self.bounds, self.bounds.tiles * self._size)
        self._idle = self._idle + 1 if computed > _IDLE else 0
        if live > self._most or self._idle >= _IDLE_PASSES:
            self._active = False
            self._worth = _REVIVAL * min(live, self._most)
