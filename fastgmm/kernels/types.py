"""The arguments and results of the kernels: NamedTuples of arrays and scalars.

A *pair* is one point and one component. A *vector* is as many consecutive points of a tile as fit
in one register; its *place* is the position of its first point in the tile.
"""

from typing import NamedTuple

import numpy as np


class Data(NamedTuple):
    """Points X (n_samples, n_features) and their weights (n_samples,).

    `sample_weight` is empty if all weights are 1.
    """

    X: np.ndarray
    sample_weight: np.ndarray


class Given(NamedTuple):
    """Responsibilities that the caller supplies: `labels` or `resp`, or neither.

    `labels` (n_samples,) is the component of each point; `resp` is (n_samples, n_components). The
    array that is not used is empty.
    """

    labels: np.ndarray
    resp: np.ndarray


class Operands(NamedTuple):
    """The E-step's view of a mixture, in the precision of X.

    `means` and `means_low` (n_components, row_width) are the high and the low part of the means,
    padded with zeros. `factors` holds the inverse Cholesky factors, flat, one row per component
    (tied: one row in all). `offsets` (n_components,) is the log-density at the mean plus the
    log-weight. `negligible` (n_components,) is the largest responsibility that moments leave out.
    For tied, diag and spherical, `center` and `center_low` (1, n_features) are the weighted mean of
    the means, and `centers` and `centers_low` (n_components, n_features) are ``U_k (mean_k -
    center)``; for full, these four are empty. If `about_center` is true, moments are taken about
    `center` instead of the means.
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
    """Sums of each chunk: N and S1, S2, the weighted log-likelihood, and the number of pairs.

    `s1` (n_chunks, n_components, width) has S1 in its first n_features columns and N in the next.
    `s2` is (n_chunks, n_matrices, rows, width): full has one lower triangle per component, tied one
    lower triangle, diag one row per component, spherical one number per component. `log_likelihood`
    is (n_chunks,). `pairs` (n_chunks, 2) counts the pairs computed and the live pairs.
    """

    s1: np.ndarray
    s2: np.ndarray
    log_likelihood: np.ndarray
    pairs: np.ndarray


class Block(NamedTuple):
    """Buffers for sorting the points of one block; empty if points are not sorted.

    `distances` (n_components, points) float32 is a point's squared distance if it was computed,
    else minus the square of its lower bound. `peak` (points,) float32 is the largest weighted
    log-density of a point and `nearest` (points,) uint16 the component that has it. `keys`, `order`
    and `permutation` are (points,) uint16: sort keys, a scratch array, and the permutation being
    sorted. `ends` has one entry more than there are different keys.
    """

    distances: np.ndarray
    peak: np.ndarray
    nearest: np.ndarray
    keys: np.ndarray
    order: np.ndarray
    permutation: np.ndarray
    ends: np.ndarray


class Workspace(NamedTuple):
    """Buffers of one thread, reused for every tile.

    The tile: `tile` (n_features, size) holds the points, `rows` (size,) their rows in X, `weight`
    (size,) their weights.

    The lists: component k lists `counts[k]` vectors, whose places are the first entries of
    `places[k]` (n_components, vectors). `resp[k]` (n_components, size) holds the values of the
    listed vectors, side by side: squared distances, then log-densities, then densities, then
    responsibilities times weights. `live` (n_components,) counts the live points, or is -1 if they
    are not counted.

    The E-step: `peak` (size,) is the largest log-density of each point and `total` (size,) the sum
    of densities relative to it. `scratch` (2, size) holds gathered values of `peak`, `total`,
    `resp` or `weight`. `points` (2 n_features, size) holds differences from a mean, whitened points
    or squares.

    The M-step: `chosen` (vectors,) lists the vectors that have live points, `index` (size,) the
    rows of live points. `tile_resp` (n_components, size) holds responsibilities in the tile's
    precision. `root` (PANEL,) and `panel` (PANEL, row_width) hold live points as rows. `block`: see
    `Block`.
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
    """Bounds on distances, carried from pass to pass; empty if none are kept.

    A block has `tiles` tiles. `order` (n_samples,) uint16 maps each position to a row of its block.
    `lower` (n_tiles, n_components, vectors) uint16 are lower bounds on the distances of all points
    of a vector, quantised as described in `Drift`. `nearest` (n_tiles, vectors) uint16 is a
    component near the vector, and `farthest` (n_tiles, vectors) float32 is an upper bound on the
    distance of the vector's points from it.
    """

    tiles: int
    order: np.ndarray
    lower: np.ndarray
    nearest: np.ndarray
    farthest: np.ndarray


class Drift(NamedTuple):
    """How distances may have changed since the last pass; arrays (n_components,), or empty.

    A stored number b states that the distance is at least ``scale b - shift``. Numbers stored in
    this pass are read with the scale 1 / `new_steps` and the shift `new_shift`; if `rebased` is set
    for a component, all its bounds are rewritten in these units. A distance to `Bounds.nearest`
    that was at most s is now at most ``growth (s + move)``. `error` bounds the relative rounding
    error of computed distances; at 1, a computed distance carries no information. `density` is the
    log-density at the mean without the weight. A component whose log-density is `nats` below the
    best one's is negligible. If `reorder` is true, the points are sorted after this pass.
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
    """Inputs of an EM pass; `bounds` is modified in place."""

    data: Data
    given: Given
    operands: Operands
    bounds: Bounds
    drift: Drift


class Outputs(NamedTuple):
    """Results of an inference pass; empty arrays are not filled.

    `log_prob` (n_samples,) are log-densities, `proba` (n_samples, n_components) responsibilities,
    `labels` (n_samples,) the most probable components.
    """

    log_prob: np.ndarray
    proba: np.ndarray
    labels: np.ndarray


class Known(NamedTuple):
    """The state of every row between two assignments of k-means.

    `labels` (n_samples,) is the row's cluster, or n_clusters before the first assignment. A row is
    read again once the drift of its cluster exceeds its `reach` (n_samples,) float32.
    """

    labels: np.ndarray
    reach: np.ndarray


class Sums(NamedTuple):
    """Sums of each chunk over its clusters, updated by each assignment.

    `high` + `low` (n_chunks, n_clusters, n_features + 1) are the sums of w (x - origin), with the
    sum of w in the last column. `size` (n_chunks, n_clusters) counts the rows with a positive
    weight. `changed` (n_chunks,) counts the rows whose label the last assignment changed. `scatter`
    (n_chunks,) sums w times the squared distance over the rows that it read.
    """

    high: np.ndarray
    low: np.ndarray
    size: np.ndarray
    changed: np.ndarray
    scatter: np.ndarray


class Centers(NamedTuple):
    """The centers of k-means and how far they have moved.

    `centers` is (n_clusters, n_features). `drift` (n_clusters + 1,) bounds how much nearer the
    other centers can have come to the rows of a cluster, summed over all assignments; it is
    infinite for rows without a cluster. `slack` bounds the relative rounding error of distances.
    Sums are taken about `origin` (n_features,).
    """

    centers: np.ndarray
    drift: np.ndarray
    slack: float
    origin: np.ndarray


class Candidates(NamedTuple):
    """Candidates for the next center of k-means++.

    Each group of `centers` (n_groups, n_features, CANDIDATES) has the center chosen last in its
    first column and candidates in the others. `tile` is the number of rows per partial sum of
    weights.
    """

    centers: np.ndarray
    tile: int


class RowWorkspace(NamedTuple):
    """Buffers of one thread for a block of rows.

    `rows`, `label`, `best` and `second` (2 BLOCK,) describe the picked rows. `tile` (n_features,
    TILE) and `distances` (n_clusters, TILE) hold some of them. `weight` (n_rows,) and the flat
    `group` hold the weights and the values of a run of rows, short enough for the first-level
    cache.
    """

    rows: np.ndarray
    label: np.ndarray
    best: np.ndarray
    second: np.ndarray
    tile: np.ndarray
    distances: np.ndarray
    weight: np.ndarray
    group: np.ndarray
