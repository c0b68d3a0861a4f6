"""The arguments and results of the kernels: NamedTuples of arrays and scalars.

A *pair* is one point and one component. A *vector* is as many consecutive points of a tile as
fit in one register; its *place* is the position of its first point in the tile.
"""

from typing import NamedTuple

import numpy as np


class Data(NamedTuple):
    """The points and their weights.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features)
        float32 or float64.
    sample_weight : ndarray of shape (n_samples,)
        float64; empty if all weights are 1.
    """

    X: np.ndarray
    sample_weight: np.ndarray


class Given(NamedTuple):
    """Responsibilities that the caller provides, for an M-step without an E-step.

    At most one of the two is given. If both are empty, every point belongs to component 0.

    Attributes
    ----------
    labels : ndarray of shape (n_samples,)
        Component of each point, int32; or empty.
    resp : ndarray of shape (n_samples, n_components)
        Responsibilities without weights; or empty.
    """

    labels: np.ndarray
    resp: np.ndarray


class Links(NamedTuple):
    """Addresses of linked kernels that compute with a mixture; 0 where helpers do.

    Attributes
    ----------
    distances, moments : int
        The kernels of the covariance type: see `fastgmm.kernels.passes.Steps`.
    """

    distances: int
    moments: int


class SkippingLinks(NamedTuple):
    """Addresses of linked kernels of `fastgmm.kernels.skipping`; 0 where helpers do their work."""

    list_unskipped: int
    keep_bounds: int
    sort_block: int


NO_LINKS = Links(0, 0)
NO_SKIPPING_LINKS = SkippingLinks(0, 0, 0)


class Operands(NamedTuple):
    """A mixture as the kernels read it, in the precision of X unless stated otherwise.

    Means are the sum of a high and a low part. The low part is used for float32 only.

    Attributes
    ----------
    about_center : bool
        Whether moments are taken about `center` for all components, not about their means.
    means, means_low : ndarray of shape (n_components, row_width)
        High and low part of the means; rows are padded with zeros.
    factors : ndarray of shape (n_components, size)
        Inverse Cholesky factors, flat, one component a row; tied: one row for all components.
    offsets : ndarray of shape (n_components,)
        float64: log-weight plus log-density at the mean. Empty if there is no E-step.
    negligible : ndarray of shape (n_components,)
        float64: the moments of a component omit responsibilities up to this number.
    centers, centers_low : ndarray of shape (n_components, n_features)
        High and low part of the whitened means, about `center`; only tied reads them. Empty for
        full.
    center, center_low : ndarray of shape (1, n_features)
        High and low part of the weighted mean of the means. Empty for full.
    links : Links
        Where the kernels of the covariance type lie.
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
    links: Links = NO_LINKS


class Moments(NamedTuple):
    """Sums that an EM pass adds up, one set for each chunk; all float64 except `pairs`.

    Attributes
    ----------
    s1 : ndarray of shape (n_chunks, n_components, row_width)
        S1, with N in column n_features.
    s2 : ndarray of shape (n_chunks, n_matrices, rows, width)
        S2. Full: a lower triangle for each component. Tied: one lower triangle. Diag: one matrix
        with a row for each component. Spherical: one matrix with one number for each component.
    log_likelihood : ndarray of shape (n_chunks,)
        Sum of the weighted log-likelihoods.
    pairs : ndarray of shape (n_chunks, 2)
        Pairs of a point and a component: how many were computed, and how many were live.
    """

    s1: np.ndarray
    s2: np.ndarray
    log_likelihood: np.ndarray
    pairs: np.ndarray


class Block(NamedTuple):
    """Scratch space for sorting the points of one block; empty if points are never sorted.

    Attributes
    ----------
    distances : ndarray of shape (n_components, n_points)
        float32: the squared distance if it was computed, else minus the square of a lower bound.
    peak : ndarray of shape (n_points,)
        float32: log-density plus log-weight of the nearest component.
    nearest : ndarray of shape (n_points,)
        uint16: the nearest component.
    keys, order, permutation : ndarray of shape (n_points,)
        uint16: sort keys; scratch space; the points in sorted order.
    ends : ndarray of shape (n_keys + 1,)
        Counts of keys, then where the points of each key begin.
    """

    distances: np.ndarray
    peak: np.ndarray
    nearest: np.ndarray
    keys: np.ndarray
    order: np.ndarray
    permutation: np.ndarray
    ends: np.ndarray


class Workspace(NamedTuple):
    """Buffers of one thread. Every tile overwrites them.

    A component lists vectors of the tile; `resp` holds results for its listed vectors
    contiguously. float64 unless stated otherwise.

    Attributes
    ----------
    tile : ndarray of shape (n_features, size)
        The points, in the precision of X.
    points : ndarray of shape (2 * n_features, size)
        Differences from a mean, whitened points, or squares, in the precision of X.
    resp : ndarray of shape (n_components, size)
        Squared distances, then log-densities, densities, and responsibilities times weights.
    peak : ndarray of shape (size,)
        Greatest log-density of each point.
    total : ndarray of shape (size,)
        Sum of each point's densities relative to its peak.
    weight : ndarray of shape (size,)
        Weights of the points, 0 for padding.
    scratch : ndarray of shape (2, size)
        Scratch space for gathered rows of `peak`, `total` or `resp`, or for weights.
    rows : ndarray of shape (size,)
        The row of X of each point.
    places : ndarray of shape (n_components, n_vectors)
        The place of each vector that a component lists.
    counts : ndarray of shape (n_components,)
        Number of vectors that each component lists.
    live : ndarray of shape (n_components,)
        Number of points that are live for each component; -1 if not counted.
    chosen : ndarray of shape (n_vectors,)
        M-step: the listed vectors that have live points.
    index : ndarray of shape (size,)
        M-step: rows of X of the live points.
    tile_resp : ndarray of shape (>= n_components, size)
        M-step: responsibilities in the precision of the tile, and rows of zeros.
    table : ndarray of shape (size, table_width)
        M-step: the points about the center, one a row, in the precision of X; it shares the memory
        of `points`. It has no rows if there are few features.
    sums : ndarray of shape (2 * GRAM_ROWS, table_width)
        M-step: weighted sums of the rows of `table` and of their squares, for a few components.
    root : ndarray of shape (PANEL,)
        M-step: square roots of responsibilities, in the precision of the tile.
    panel : ndarray of shape (PANEL, row_width)
        M-step: gathered live points, in the precision of the tile.
    block : Block
        Scratch space for sorting.
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
    table: np.ndarray
    sums: np.ndarray
    root: np.ndarray
    panel: np.ndarray
    block: Block


class Bounds(NamedTuple):
    """Bounds of distances that are kept from pass to pass; arrays are empty if none are kept.

    Attributes
    ----------
    tiles : int
        Tiles in a block.
    order : ndarray of shape (n_samples,)
        uint16: the row of each point, relative to the first row of its block.
    lower : ndarray of shape (n_tiles, n_components, n_vectors)
        uint16: lower bounds of the distances of a vector's points, in the units of `Drift`.
    nearest : ndarray of shape (n_tiles, n_vectors)
        uint16: a component that is close to all points of the vector.
    farthest : ndarray of shape (n_tiles, n_vectors)
        float32: the greatest distance of the vector's points from component `nearest`.
    keys : ndarray of shape (2, n_tiles * size)
        uint16: keys by which the rows of long blocks are sorted between passes. Empty if the pass
        itself sorts the points of a block.
    """

    tiles: int
    order: np.ndarray
    lower: np.ndarray
    nearest: np.ndarray
    farthest: np.ndarray
    keys: np.ndarray


class Drift(NamedTuple):
    """How distances may have changed since the last pass; arrays are empty if nothing is skipped.

    Attributes
    ----------
    scale, shift : ndarray of shape (n_components,)
        A stored number b means that the distance is at least ``scale * b - shift``.
    new_steps, new_shift : ndarray of shape (n_components,)
        A number stored by this pass means ``b / new_steps - new_shift``.
    growth, move : ndarray of shape (n_components,)
        A distance to the nearest component that was s is now at most ``growth * (s + move)``.
    error : ndarray of shape (n_components,)
        Relative error of computed distances; 1 if they prove nothing.
    density : ndarray of shape (n_components,)
        Log-density at the mean, without the log-weight.
    rebased : ndarray of shape (n_components,)
        bool: whether all bounds of the component must be stored anew in the new units.
    nats : float
        A pair is negligible if its log-density is this far below that of the best component.
    reorder : bool
        Whether the points are sorted after this pass.
    links : SkippingLinks
        Where the kernels lie that use the bounds.
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
    links: SkippingLinks = NO_SKIPPING_LINKS


class EMInputs(NamedTuple):
    """What an EM pass reads: points, given responsibilities, a mixture, bounds and their drift.

    The pass updates `bounds` in place.
    """

    data: Data
    given: Given
    operands: Operands
    bounds: Bounds
    drift: Drift


class Estimate(NamedTuple):
    """One mixture of a run: see `Runs`.

    `covariances` have a row for each factor, in the layout of `Operands.factors`.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    factors: np.ndarray
    log_det: np.ndarray
    offsets: np.ndarray
    negligible: np.ndarray
    centers: np.ndarray


class Runs(NamedTuple):
    """Mixtures that take several iterations each within one pass; all float64 for float64 rows.

    Iteration i reads place ``i % 2`` of a run's arrays and writes the other.

    Attributes
    ----------
    n_iter : int
        Number of iterations; 0 if there are no runs.
    tol : float
        A run ends after an iteration whose objective differs by less from the one before.
    previous : float
        The objective before the first iteration.
    total_weight : float
        Sum of the weights of the rows.
    reg_covar : float
        Number added to the diagonals of the covariances.
    about_center : bool
        Whether moments are taken about `center`.
    center : ndarray of shape (1, n_features)
        The mean of all rows; zeros if `about_center` is false.
    scatter : ndarray of shape (n_features, n_features)
        Second moments of all rows about `center`; empty if `about_center` is false.
    weights, log_det, offsets, negligible : ndarray of shape (n_runs, 2, n_components)
        See `Parameters` and `Operands`.
    means : ndarray of shape (n_runs, 2, n_components, row_width)
        The means, padded with zeros.
    covariances, factors : ndarray of shape (n_runs, 2, n_factors, size)
        See `Estimate`.
    centers : ndarray of shape (n_runs, 2, n_components, n_features)
        Whitened means relative to `center`; empty if `about_center` is false.
    labels : ndarray of shape (n_runs, n_samples)
        int32: labels from which the first mixture is computed, or empty. A run with labels or
        responsibilities has one iteration, an M-step about the means in its first place.
    resp : ndarray of shape (n_runs, n_samples, n_components)
        Responsibilities for the same, or empty.
    matrices : ndarray of shape (n_runs, 2, n_features, n_features)
        Scratch space; empty for types without matrices, like `squares`.
    squares : ndarray of shape (n_runs, 2, width, width)
        Scratch space for `factorize_one`.
    objectives : ndarray of shape (n_runs, n_iter)
        Mean log-likelihoods before each iteration.
    n_done : ndarray of shape (n_runs,)
        Number of iterations done. A run ends early if the sums of a pass are too imprecise for
        the next mixture, and after an iteration in which a covariance became singular or the
        objective changed by less than `tol`.
    step : int
        Address of the linked kernel that takes the M-step; 0 where a helper does.
    """

    n_iter: int
    tol: float
    previous: float
    total_weight: float
    reg_covar: float
    about_center: bool
    center: np.ndarray
    scatter: np.ndarray
    weights: np.ndarray
    log_det: np.ndarray
    offsets: np.ndarray
    negligible: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    factors: np.ndarray
    centers: np.ndarray
    labels: np.ndarray
    resp: np.ndarray
    matrices: np.ndarray
    squares: np.ndarray
    objectives: np.ndarray
    n_done: np.ndarray
    step: int = 0


class Outputs(NamedTuple):
    """What an inference pass fills; it skips empty arrays.

    Attributes
    ----------
    log_prob : ndarray of shape (n_samples,)
        Log-densities of the points.
    proba : ndarray of shape (n_samples, n_components)
        Responsibilities.
    labels : ndarray of shape (n_samples,)
        The most probable component.
    """

    log_prob: np.ndarray
    proba: np.ndarray
    labels: np.ndarray


class Known(NamedTuple):
    """What k-means keeps of each row from one assignment to the next.

    Attributes
    ----------
    labels : ndarray of shape (n_samples,)
        The row's cluster, an unsigned integer; n_clusters before the first assignment.
    reach : ndarray of shape (n_samples,)
        float32: the label cannot change while the drift of the cluster is at most this.
    """

    labels: np.ndarray
    reach: np.ndarray


class Sums(NamedTuple):
    """Sums over clusters, one set for each chunk, kept from one assignment to the next.

    Attributes
    ----------
    high, low : ndarray of shape (n_chunks, n_clusters, n_features + 1)
        Their sum is that of ``w * (x - origin)``, with that of w in the last column.
    size : ndarray of shape (n_chunks, n_clusters)
        Number of rows of positive weight.
    changed : ndarray of shape (n_chunks,)
        Number of rows whose label the last assignment changed.
    scatter : ndarray of shape (n_chunks,)
        Sum of w times the squared distance over the rows that the last assignment read.
    """

    high: np.ndarray
    low: np.ndarray
    size: np.ndarray
    changed: np.ndarray
    scatter: np.ndarray


class Centers(NamedTuple):
    """The centers of k-means and how far they have moved.

    Attributes
    ----------
    centers : ndarray of shape (n_clusters, n_features)
        The centers.
    drift : ndarray of shape (n_clusters + 1,)
        By how much the gap between the nearest and the second nearest center may have shrunk for
        rows of a cluster, over all assignments; infinite in the last place, for rows without one.
    slack : float
        Bound of the relative rounding error of distances.
    origin : ndarray of shape (n_features,)
        The point that `Sums` are taken about.
    """

    centers: np.ndarray
    drift: np.ndarray
    slack: float
    origin: np.ndarray


class Candidates(NamedTuple):
    """Rows that k-means++ may choose as the next center.

    Attributes
    ----------
    centers : ndarray of shape (n_groups, n_features, CANDIDATES)
        The center chosen last in the first column of each group, candidates in the others.
    tile : int
        Number of rows whose potentials are added up to one number.
    """

    centers: np.ndarray
    tile: int


class RowWorkspace(NamedTuple):
    """Buffers of one thread for the rows that k-means reads.

    Attributes
    ----------
    rows, label, best, second : ndarray of shape (2 * BLOCK,)
        Picked rows, the index of the nearest center, and the squared distances to the nearest and
        the second nearest center; `second` becomes the difference of the two distances.
    tile : ndarray of shape (n_features, TILE)
        Some of the picked rows, transposed.
    distances : ndarray of shape (n_clusters, TILE)
        Their squared distances to all centers.
    weight : ndarray of shape (n_run,)
        Weights of a run of rows, as many as stay in the first-level cache.
    group : ndarray of shape (n_run * n_features,)
        The rows of the run, flat.
    """

    rows: np.ndarray
    label: np.ndarray
    best: np.ndarray
    second: np.ndarray
    tile: np.ndarray
    distances: np.ndarray
    weight: np.ndarray
    group: np.ndarray


class Groups(NamedTuple):
    """A mixture whose components are stored in groups of `LANES`, side by side; all float64.

    The last group is filled up with components of weight zero.

    Attributes
    ----------
    n_components : int
        Number of components, without those that fill up the last group.
    means : ndarray of shape (n_groups, n_features, LANES)
        Means.
    covariances : ndarray of shape (n_groups, n_features, width, LANES)
        Lower triangles of the covariances; `width` is n_features. Where features are independent,
        it is 1, and they are variances.
    log_weights : ndarray of shape (n_groups * LANES,)
        Logarithms of the weights.
    """

    n_components: int
    means: np.ndarray
    covariances: np.ndarray
    log_weights: np.ndarray


class Patterns(NamedTuple):
    """Patterns of missing features, and the rows that have them.

    Attributes
    ----------
    features : ndarray of shape (n_patterns, n_features)
        The features, the observed ones first.
    n_observed : ndarray of shape (n_patterns,)
        Number of observed features.
    pieces : ndarray of shape (n_pieces, 3)
        Some rows of one pattern: the pattern, the first row, and the row after the last.
    """

    features: np.ndarray
    n_observed: np.ndarray
    pieces: np.ndarray


class IncompleteInputs(NamedTuple):
    """What passes over incomplete rows read: rows in the order of patterns, weights, a mixture."""

    X: np.ndarray
    sample_weight: np.ndarray
    mixture: Groups
    patterns: Patterns


class GroupMoments(NamedTuple):
    """Sums that a pass over incomplete rows adds up, one set for each chunk; all float64.

    Attributes
    ----------
    nk : ndarray of shape (n_chunks, n_groups * LANES)
        N.
    s1 : ndarray of shape (n_chunks, n_groups, n_features, LANES)
        S1.
    s2 : ndarray of shape (n_chunks, n_groups, n_features, width, LANES)
        S2, in the form of `Groups.covariances`.
    log_likelihood : ndarray of shape (n_chunks,)
        Sum of the weighted log-likelihoods.
    """

    nk: np.ndarray
    s1: np.ndarray
    s2: np.ndarray
    log_likelihood: np.ndarray


class GroupWorkspace(NamedTuple):
    """Buffers of one thread for rows with missing values, float64 but for `is_whole`.

    Attributes
    ----------
    factors : ndarray of shape (n_groups, n_features, width, LANES)
        Factors of a pattern's covariances, observed features first.
    inverse : ndarray of shape (n_groups, n_features, LANES)
        Inverses of the factors' diagonals.
    offsets : ndarray of shape (n_groups * LANES,)
        Log-weight plus log-density of the observed features at the mean.
    solved : ndarray of shape (n_groups, TILE, n_features, LANES)
        Whitened observed features, then conditional differences from the means.
    gaps : ndarray of shape (n_groups, TILE, n_features, LANES)
        Differences of completed rows from the means, in the order of the features.
    weighted : ndarray of shape (TILE, n_features, LANES)
        Differences times responsibilities, for one group.
    resp : ndarray of shape (TILE, n_groups * LANES)
        Squared distances, then responsibilities.
    nk : ndarray of shape (n_groups * LANES,)
        Sums of the responsibilities of a piece.
    is_whole : ndarray of shape (n_groups,)
        Whether the factors of a group have the rows of missing features; bool.
    peak : ndarray of shape (TILE,)
        Log-likelihoods of the rows.
    center : ndarray of shape (n_features,)
        Scratch space for the conditional mean of a row.
    signs : ndarray of shape (2, LANES)
        Ones, and minus ones.
    """

    factors: np.ndarray
    inverse: np.ndarray
    offsets: np.ndarray
    solved: np.ndarray
    gaps: np.ndarray
    weighted: np.ndarray
    resp: np.ndarray
    nk: np.ndarray
    is_whole: np.ndarray
    peak: np.ndarray
    center: np.ndarray
    signs: np.ndarray


class IncompleteAnswers(NamedTuple):
    """What an inference pass over incomplete rows fills; it skips empty arrays.

    Attributes
    ----------
    log_prob : ndarray of shape (n_samples,)
        Log-densities of the observed features.
    proba : ndarray of shape (n_samples, n_components)
        Responsibilities.
    filled : ndarray of shape (n_samples, n_features)
        Rows whose missing values are replaced by conditional means.
    covariances : ndarray of shape (n_samples, n_features, n_features)
        Conditional covariances of the missing values; zeros elsewhere.
    """

    log_prob: np.ndarray
    proba: np.ndarray
    filled: np.ndarray
    covariances: np.ndarray


class ConditionalInputs(NamedTuple):
    """What a pass for conditional means reads, for rows that lack the same m of o + m features.

    Attributes
    ----------
    X : ndarray of shape (n_rows, o)
        Observed features; float64.
    proba : ndarray of shape (n_rows, n_components)
        Responsibilities; float64.
    rows : ndarray of shape (n_rows,)
        Indices of the rows of the result.
    missing : ndarray of shape (m,)
        Indices of the missing features.
    regression : ndarray of shape (n_components, 1 + m, o + 1)
        For each component the means of the observed features and 0; then for each missing feature
        its regression coefficients on the observed ones, and its mean.
    """

    X: np.ndarray
    proba: np.ndarray
    rows: np.ndarray
    missing: np.ndarray
    regression: np.ndarray


class ConditionalWorkspace(NamedTuple):
    """Buffers of one thread for conditional means of a tile of rows, float64 but for `places`.

    Attributes
    ----------
    values : ndarray of shape (o, TILE)
        Observed features.
    resp : ndarray of shape (n_components, TILE)
        Responsibilities.
    means : ndarray of shape (m, TILE)
        Conditional means of the missing features.
    places : ndarray of shape (TILE,)
        Indices of the rows; the last one is repeated where the tile has fewer.
    """

    values: np.ndarray
    resp: np.ndarray
    means: np.ndarray
    places: np.ndarray
