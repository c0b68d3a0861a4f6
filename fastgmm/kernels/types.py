"""What the kernels are given and give back: NamedTuples of arrays, and nothing else."""

from typing import NamedTuple

import numpy as np


class Data(NamedTuple):
    """Points X (n_samples, n_features) and their weights (n_samples,), empty when all are 1."""

    X: np.ndarray
    sample_weight: np.ndarray


class Given(NamedTuple):
    """Responsibilities from outside: `labels` (n_samples,), or `resp`, or neither (both empty)."""

    labels: np.ndarray
    resp: np.ndarray


class Operands(NamedTuple):
    """What the E-step needs of a mixture, laid out for the kernels in the precision of X.

    `means` and `means_low` (n_components, width) add up to the means and are padded with zeros
    to `row_width`; `factors` holds the inverse Cholesky factors, flat, one component a row
    (one row in all for tied); `offsets` (n_components,) is the log-density at the mean plus
    the log-weight; responsibilities of at most `negligible` (n_components,) are left out of moments;
    `centers`, `centers_low` (n_components, n_features) are the whitened means and `center`,
    `center_low` (1, n_features) the point they are taken about, empty for full; `about_center` says
    that moments are to be taken about that point, too.
    """

    about_center: bool
    means: np.ndarray
    means_low: np.ndarray
    factors: np.ndarray
    offsets: np.ndarray
    negligible: np.ndarray
    centers: np.ndarray
    centers_low: np.ndarray
    center: np.ndarray
    center_low: np.ndarray


class Moments(NamedTuple):
    """Sums of one chunk each: S1 and N, S2, and the weighted log-likelihood.

    `s1` (n_chunks, n_components, width) has N in column n_features; `s2` is (n_chunks,
    n_matrices, rows, width), lower triangles for full (a matrix a component) and tied (one),
    a row a component for diag and one number for spherical; `log_likelihood` is (n_chunks,).
    `pairs` (n_chunks, 2) counts points times components: those computed and those that mattered.
    """

    s1: np.ndarray
    s2: np.ndarray
    log_likelihood: np.ndarray
    pairs: np.ndarray


class Block(NamedTuple):
    """Buffers for the points of one block; empty where none are put in order.

    `distances` (n_components, points) float32: a point's squared distance where it was
    computed, minus a lower bound of it where not. `peak` (points,) float32 is the log-density of
    the nearest component with its weight, `nearest` which that is. `keys`, `order` and `turn` are
    (points,) uint16, too; `ends` has a place more than there are keys.
    """

    distances: np.ndarray
    peak: np.ndarray
    nearest: np.ndarray
    keys: np.ndarray
    order: np.ndarray
    permutation: np.ndarray
    ends: np.ndarray


class Workspace(NamedTuple):
    """Buffers of one thread, reused by every tile.

    `tile` (n_features, size), `rows` (size,) of X that its points come from, and their
    `weight`; `places` (n_components, vectors) where the vectors that a component lists begin,
    and `counts` (n_components,) how many they are; `live` (n_components,) how many of their
    points matter, -1 where that is not known; `resp` (n_components, size) what is computed
    of them, side by side; `peak` and `total` (size,); `near` (2, size) for what is gathered of
    those or of the weights. `points` (2 n_features, size) holds what is made of the tile:
    differences from a mean, whitened points, squares. For the M-step `chosen` (vectors,) lists
    the vectors with live points, `index` (size,) live points; `tile_resp` (n_components, size) is
    in the precision of the tile, as `root` (PANEL,) and `panel` (PANEL, row width). `block` is
    what putting points in order takes: see `Block`.
    """

    tile: np.ndarray
    points: np.ndarray
    resp: np.ndarray
    peak: np.ndarray
    total: np.ndarray
    weight: np.ndarray
    scratch: np.ndarray
    rows: np.ndarray
    places: np.ndarray
    counts: np.ndarray
    live: np.ndarray
    chosen: np.ndarray
    index: np.ndarray
    tile_resp: np.ndarray
    root: np.ndarray
    panel: np.ndarray
    block: Block


class Bounds(NamedTuple):
    """What is known of the points, tile by tile and vector by vector; empty where nothing is.

    A block has `tiles` tiles. `order` (n_samples,) uint16 says which row of its block each point
    is; `lower` (n_tiles, n_components, vectors) uint16 are bounds of distances in the units of
    `Drift`; `nearest` (n_tiles, vectors) uint16 is a component close to all points of the
    vector, whose distance from none of them was greater than `farthest` float32.
    """

    tiles: int
    order: np.ndarray
    lower: np.ndarray
    nearest: np.ndarray
    farthest: np.ndarray


class Drift(NamedTuple):
    """What became of distances since the last pass; all arrays (n_components,), or empty.

    A stored number b says that the distance is at least ``scale b - shift``. What is stored now
    is to be read with a scale of 1 / `new_steps` and `new_shift`; where `rebased` is set, all
    bounds are to be stored so. A distance to the nearest component that was s is now at most
    ``growth (s + move)``. Computed distances err by their `error`, relatively; where that is 1
    they say nothing. `density` is the log-density at the mean, without the weight; one that is
    `nats` below that of the best component does not matter. `reorder` says that the points are to
    be put in order after this pass.
    """

    scale: np.ndarray
    shift: np.ndarray
    new_steps: np.ndarray
    new_shift: np.ndarray
    growth: np.ndarray
    move: np.ndarray
    error: np.ndarray
    density: np.ndarray
    rebased: np.ndarray
    nats: float
    reorder: bool


class EMInputs(NamedTuple):
    """What an EM pass reads: rows, given responsibilities, a mixture, and what is known of pairs.

    It also updates `bounds`.
    """

    data: Data
    given: Given
    operands: Operands
    bounds: Bounds
    drift: Drift


class Outputs(NamedTuple):
    """What an inference pass fills; empty arrays are left alone.

    `log_prob` (n_samples,) are log-densities, `proba` (n_samples, n_components) responsibilities,
    `labels` (n_samples,) the most probable components.
    """

    log_prob: np.ndarray
    proba: np.ndarray
    labels: np.ndarray


class Known(NamedTuple):
    """What is known of every row: its cluster, and how far its bound reaches.

    `labels` (n_samples,) is n_clusters where there is none yet; a row has to be looked at once
    the drift of its cluster exceeds its `reach` (n_samples,) float32.
    """

    labels: np.ndarray
    reach: np.ndarray


class Sums(NamedTuple):
    """Sums of one chunk each over the clusters, kept from one assignment to the next.

    `high` and `low` (n_chunks, n_clusters, n_features + 1) add up to the sums of w (x - origin),
    and of w in the last column; `size` (n_chunks, n_clusters) counts the rows with weight.
    `changed` (n_chunks,) counts the rows whose label the last assignment changed, `scatter`
    (n_chunks,) sums w times the squared distance over those it looked at.
    """

    high: np.ndarray
    low: np.ndarray
    size: np.ndarray
    changed: np.ndarray
    scatter: np.ndarray


class Centers(NamedTuple):
    """The centers of k-means and how far they have moved.

    `centers` (n_clusters, n_features); `drift` (n_clusters + 1,) says by how much the centers may
    have closed in on the rows of a cluster, all assignments together, and is infinite for rows
    without a cluster; `slack` bounds the relative rounding error of distances; sums are taken
    about `origin` (n_features,).
    """

    centers: np.ndarray
    drift: np.ndarray
    slack: float
    origin: np.ndarray


class Candidates(NamedTuple):
    """Rows that k-means++ may choose as the next center.

    `centers` (n_groups, n_features, CANDIDATES) have the center chosen last in the first column
    of each group, then candidates; `tile` is the number of rows whose weights share a sum.
    """

    centers: np.ndarray
    tile: int


class RowWorkspace(NamedTuple):
    """Buffers of one thread for a block of rows.

    `rows`, `label`, `best` and `second` (2 BLOCK,), for picked rows; `tile` (n_features, TILE)
    and `distances` (n_clusters, TILE) of some of them. Of a run of as many rows as stay in the
    first-level cache, `weight` (n_rows,) and `group`, the rows themselves, flat.
    """

    rows: np.ndarray
    label: np.ndarray
    best: np.ndarray
    second: np.ndarray
    tile: np.ndarray
    distances: np.ndarray
    weight: np.ndarray
    group: np.ndarray
