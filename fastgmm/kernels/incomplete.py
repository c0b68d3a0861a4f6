"""Passes over rows with missing values, for many patterns of missing features in one call.

Let o be the observed and m the missing features of a row x. In each component, the covariance with
the observed features first is factorised up to its observed part,

    [S_oo  .  ]   [L_oo  . ] [L_oo^T  L_mo^T]
    [S_mo S_mm] = [L_mo  I ] [  .        C  ],

so that with ``z = L_oo^-1 (x_o - mean_o)`` the squared distance of the observed features is
``|z|^2``, the conditional mean of the others is ``mean_m + L_mo z``, and their conditional
covariance is C (Little and Rubin 2019, section 11.2). All rows of a pattern use the same factors.
The M-step adds the moments of the completed rows, and C times the responsibilities of a pattern.

Lanes run over components: see `fastgmm.kernels.micro.components`. A pattern then costs K d^3 / 6
multiply-adds and a row K d^2, whatever the number of rows of a pattern. The fused pass of
`fastgmm.kernels.passes` is faster for patterns of many rows, because its lanes are full for every
number of components; `fastgmm.sources.incomplete` chooses between the two.

Arrays called dense have a lower triangle (n_features, n_features) for each component. Where
features are independent, they have (n_features, 1): the diagonal.
"""

import math

import numpy as np

from fastgmm.jit.decorators import entry, jit
from fastgmm.kernels.densities import LOWEST_OF_FIT, exp_nonpositive, log_positive
from fastgmm.kernels.micro.components import (
    BLOCK,
    LANES,
    add_moments,
    add_product,
    eliminate,
    store_difference,
    store_product,
    store_vector,
)
from fastgmm.kernels.micro.lanes import prefer_wide_vectors
from fastgmm.kernels.types import GroupWorkspace

TILE = 16  # rows of one pattern that are worked on together
_HALF_LOG_2PI = 0.5 * np.log(2.0 * np.pi)
_LEAST_PIVOT = 1e-15  # relative to the variance; rounding can make a pivot zero or negative


def aligned(shape):
    """Return an array of zeros (float64) that begins on a cache line.

    Without alignment every vector of 64 bytes would straddle two lines.
    """
    size = 8 * math.prod(shape)
    memory = np.zeros(size + 64, np.uint8)
    skip = -memory.ctypes.data % 64
    return memory[skip : skip + size].view(np.float64).reshape(shape)


def make_group_workspace(n_components, n_features, width):
    """Return the buffers of one thread; `width` is n_features, or 1 for independent features."""
    n_groups = -(-n_components // LANES)
    return GroupWorkspace(
        factors=aligned((n_groups, n_features, width, LANES)),
        inverse=aligned((n_groups, n_features, LANES)),
        offsets=np.empty(n_groups * LANES),
        solved=aligned((n_groups, TILE, n_features, LANES)),
        gaps=aligned((n_groups, TILE, n_features, LANES)),
        weighted=aligned((TILE, n_features, LANES)),
        resp=aligned((TILE, n_groups * LANES)),
        nk=aligned((n_groups * LANES,)),
        is_whole=np.zeros(n_groups, np.bool_),
        peak=np.empty(TILE),
        center=np.empty(n_features),
        signs=np.array([[1.0] * LANES, [-1.0] * LANES]),
    )


@jit
def gather_rows(mixture, features, p, g, first, last, work):
    """Write rows of the covariances of group g, in the order of pattern p, to `factors`, in place.

    The rows are those of places first ... last - 1 in the order.
    """
    covariances, factors = mixture.covariances, work.factors
    _, n, width, _ = factors.shape
    begin = g * n * width
    for i in range(first, last):
        f = features[p, i]
        if width != n:
            o = (begin + i) * LANES
            store_vector(covariances, (begin + f) * LANES, 1.0, factors, o)
            continue
        for j in range(i + 1):
            h = features[p, j]
            place = f * n + h if f >= h else h * n + f
            o = (begin + i * n + j) * LANES
            store_vector(covariances, (begin + place) * LANES, 1.0, factors, o)


@jit
def finish_pivot(mixture, g, f, i, j, counted, work):
    """Take the root of the pivot of feature f, in row i and column j of the factors, in place."""
    prefer_wide_vectors()
    factors, inverse = work.factors, work.inverse
    variance = mixture.covariances[g, f, f if factors.shape[2] == factors.shape[1] else 0]
    for l in range(LANES):
        least = _LEAST_PIVOT * variance[l]
        pivot = factors[g, i, j, l]
        pivot = pivot if pivot > least else least
        root = np.sqrt(pivot)
        factors[g, i, j, l] = root
        inverse[g, i, l] = 1.0 / root
        if counted:
            work.offsets[g * LANES + l] -= 0.5 * log_positive(pivot)


@jit
def factorize_observed(mixture, patterns, p, work):
    """Factorise the observed part of the covariances of pattern p, in place.

    Write the offsets of the densities, and mark the missing part of all groups as not done.
    """
    factors, inverse, signs = work.factors, work.inverse, work.signs
    n_groups, n, width, _ = factors.shape
    observed = patterns.n_observed[p]
    ld = width * LANES
    for c in range(work.offsets.size):
        work.offsets[c] = mixture.log_weights[c] - observed * _HALF_LOG_2PI
    for g in range(n_groups):
        work.is_whole[g] = False
        gather_rows(mixture, patterns.features, p, g, 0, observed, work)
        begin = g * n * ld
        for j in range(observed):
            at = j if width == n else 0
            row = begin + j * ld
            eliminate(1, factors, row, ld, at, at, factors, row, signs, 0)
            finish_pivot(mixture, g, patterns.features[p, j], j, at, True, work)
            s = (g * n + j) * LANES
            for i in range(j + 1, observed if width == n else 0, BLOCK):
                rows = min(BLOCK, observed - i)
                eliminate(rows, factors, begin + i * ld, ld, at, at, factors, row, inverse, s)


@jit
def factorize_missing(mixture, patterns, p, g, eliminate_all, work):
    """Factorise the missing part of the covariances of group g, after the observed one, in place.

    If `eliminate_all` is true, the factors are those of all features: in place of the conditional
    covariance C stands its Cholesky factor.
    """
    factors, inverse, signs = work.factors, work.inverse, work.signs
    _, n, width, _ = factors.shape
    observed = patterns.n_observed[p]
    ld = width * LANES
    begin = g * n * ld
    last = n if width == n else 0  # independent features need no elimination
    work.is_whole[g] = True
    gather_rows(mixture, patterns.features, p, g, observed, n, work)
    for j in range(observed):
        s = (g * n + j) * LANES
        for i in range(observed, last, BLOCK):
            rows = min(BLOCK, n - i)
            eliminate(rows, factors, begin + i * ld, ld, j, j, factors, begin + j * ld, inverse, s)
    for j in range(observed, n):
        at = j if width == n else 0
        row = begin + j * ld
        if not eliminate_all:
            for i in range(j, last, BLOCK):
                rows = min(BLOCK, n - i)
                eliminate(rows, factors, begin + i * ld, ld, observed, at, factors, row, signs, 0)
            continue
        eliminate(1, factors, row, ld, at, at, factors, row, signs, 0)
        finish_pivot(mixture, g, patterns.features[p, j], j, at, False, work)
        s = (g * n + j) * LANES
        for i in range(j + 1, last, BLOCK):
            rows = min(BLOCK, n - i)
            eliminate(rows, factors, begin + i * ld, ld, at, at, factors, row, inverse, s)


@jit
def load_gaps(X, begin, count, mixture, features, p, observed, g, work):
    """Write the differences from the means of group g to `solved` and `gaps`, in place.

    In `solved` they are in the order of the pattern, and 0 where missing.
    """
    means, solved, gaps = mixture.means, work.solved, work.gaps
    n = means.shape[1]
    for r in range(count):
        row = (g * TILE + r) * n
        for i in range(observed):
            f = features[p, i]
            m = (g * n + f) * LANES
            store_difference(X[begin + r, f], means, m, solved, (row + i) * LANES)
            store_difference(X[begin + r, f], means, m, gaps, (row + f) * LANES)
        for i in range(observed, n):
            store_vector(work.signs, 0, 0.0, solved, (row + i) * LANES)


@jit
def store_gaps(count, features, p, observed, g, work):
    """Copy the conditional differences of the missing features to `gaps`, in place."""
    solved, gaps = work.solved, work.gaps
    n = gaps.shape[2]
    for r in range(count):
        row = (g * TILE + r) * n
        for i in range(observed, n):
            o = (row + features[p, i]) * LANES
            store_vector(solved, (row + i) * LANES, 1.0, gaps, o)


@jit
def write_distances(count, observed, g, work):
    """Write the squared distances of the observed features to `resp`, in place."""
    solved, resp = work.solved, work.resp
    n = solved.shape[2]
    for r in range(count):
        o = r * resp.shape[1] + g * LANES
        z = (g * TILE + r) * n * LANES
        store_vector(work.signs, 0, 0.0, resp, o)
        add_moments(1, solved, z, solved, z, LANES, observed, resp, o)


@jit
def solve_observed(X, begin, count, mixture, patterns, p, work):
    """Write differences from the means and squared distances of `count` rows of pattern p.

    `gaps` receives the differences of the observed features, and `resp` their distances; both are
    modified in place.
    """
    factors, solved = work.factors, work.solved
    n_groups, n, width, _ = factors.shape
    observed = patterns.n_observed[p]
    ld = n * LANES
    for g in range(n_groups):
        load_gaps(X, begin, count, mixture, patterns.features, p, observed, g, work)
        for i in range(observed):
            known = i if width == n else 0
            row, s = (g * n + i) * width * LANES, (g * n + i) * LANES
            for r in range(0, count, BLOCK):
                rows, at = min(BLOCK, count - r), (g * TILE + r) * ld
                eliminate(rows, solved, at, ld, known, i, factors, row, work.inverse, s)
        write_distances(count, observed, g, work)


@jit
def complete_group(count, mixture, patterns, p, g, eliminate_all, work):
    """Write the conditional differences of the missing features of group g to `gaps`, in place.

    Groups without a responsibility above 0 do not need this in EM, and no group does for densities:
    with a pattern for each of 20,000 rows, 30 features and 10 components they then take 90 ms, not
    190.
    """
    factors, solved = work.factors, work.solved
    _, n, width, _ = factors.shape
    observed = patterns.n_observed[p]
    ld = n * LANES
    if not work.is_whole[g]:
        factorize_missing(mixture, patterns, p, g, eliminate_all, work)
    for i in range(observed, n):
        known = observed if width == n else 0
        row = (g * n + i) * width * LANES
        for r in range(0, count, BLOCK):
            rows, at = min(BLOCK, count - r), (g * TILE + r) * ld
            eliminate(rows, solved, at, ld, known, i, factors, row, work.signs, LANES)
    store_gaps(count, patterns.features, p, observed, g, work)


@jit
def write_densities(count, n_components, work):
    """Turn squared distances into densities relative to the largest of each row, in place.

    `peak` receives the rows' log-likelihoods, and `resp` the responsibilities.
    """
    prefer_wide_vectors()
    resp, offsets = work.resp, work.offsets
    for r in range(count):
        peak = LOWEST_OF_FIT
        for c in range(n_components):
            value = offsets[c] - 0.5 * resp[r, c]
            value = value if value > LOWEST_OF_FIT else LOWEST_OF_FIT
            resp[r, c] = value
            peak = value if value > peak else peak
        total = 0.0
        for c in range(n_components):
            resp[r, c] = exp_nonpositive(resp[r, c] - peak)
        for c in range(n_components):
            total += resp[r, c]
        for c in range(n_components):
            resp[r, c] /= total
        for c in range(n_components, resp.shape[1]):
            resp[r, c] = 0.0
        work.peak[r] = peak + np.log(total)


@jit
def is_live(count, g, resp):
    """Return whether a component of group g has a responsibility above 0 for a row of the tile."""
    largest = 0.0
    for r in range(count):
        for c in range(g * LANES, (g + 1) * LANES):
            largest = max(largest, resp[r, c])
    return largest > 0.0


@jit
def weight_gaps(chunk, count, g, work, s1):
    """Write responsibilities times differences of group g to `weighted`; add them to `s1`.

    Both are modified in place.
    """
    resp, gaps, weighted = work.resp, work.gaps, work.weighted
    n = gaps.shape[2]
    total = (chunk * gaps.shape[0] + g) * n
    for r in range(count):
        c = r * resp.shape[1] + g * LANES
        row = (g * TILE + r) * n
        for i in range(n):
            at, o = (row + i) * LANES, (r * n + i) * LANES
            store_product(resp, c, gaps, at, weighted, o)
            add_product(resp, c, gaps, at, s1, (total + i) * LANES)


@jit
def add_group(chunk, count, g, work, s1, s2):
    """Add the moments of a tile's completed rows in group g to `s1` and `s2` of a chunk."""
    gaps, weighted = work.gaps, work.weighted
    n_groups, _, n, _ = gaps.shape
    width = s2.shape[3]
    weight_gaps(chunk, count, g, work, s1)
    q = g * TILE * n * LANES
    for i in range(n):
        o = ((chunk * n_groups + g) * n + i) * width * LANES
        p, ld = i * LANES, n * LANES
        if width != n:
            add_moments(1, weighted, p, gaps, q + p, ld, count, s2, o)
            continue
        for j in range(0, i + 1, BLOCK):
            at = j * LANES
            columns = min(BLOCK, i + 1 - j)
            add_moments(columns, weighted, p, gaps, q + at, ld, count, s2, o + at)


@jit
def add_conditional(chunk, patterns, p, work, s2):
    """Add the conditional covariances of pattern p times `nk` to `s2` of a chunk, in place."""
    factors, features = work.factors, patterns.features
    n_groups, n, width, _ = factors.shape
    for g in range(n_groups):
        if not work.is_whole[g]:  # no row has a responsibility above 0
            continue
        begin, total = g * n * width, (chunk * n_groups + g) * n * width
        for i in range(patterns.n_observed[p], n):
            f = features[p, i]
            if width != n:
                a, o = (begin + i) * LANES, (total + f) * LANES
                add_product(work.nk, g * LANES, factors, a, s2, o)
                continue
            for j in range(patterns.n_observed[p], i + 1):
                h = features[p, j]
                place = f * n + h if f >= h else h * n + f
                a, o = (begin + i * n + j) * LANES, (total + place) * LANES
                add_product(work.nk, g * LANES, factors, a, s2, o)


@entry
def incomplete_pass(begin, end, n_chunks, work, inputs, moments):
    """Add the moments of the completed rows of some chunks to `moments`, in place."""
    X, sample_weight, mixture, patterns = inputs
    nk, s1, s2, log_likelihood = moments
    n_components = mixture.n_components
    n_pieces = patterns.pieces.shape[0]
    for chunk in range(begin, end):
        for piece in range(chunk * n_pieces // n_chunks, (chunk + 1) * n_pieces // n_chunks):
            p, first, last = patterns.pieces[piece]
            factorize_observed(mixture, patterns, p, work)
            work.nk.fill(0.0)
            for start in range(first, last, TILE):
                count = min(TILE, last - start)
                solve_observed(X, start, count, mixture, patterns, p, work)
                write_densities(count, n_components, work)
                for r in range(count):
                    weight = sample_weight[start + r] if sample_weight.size else 1.0
                    log_likelihood[chunk] += weight * work.peak[r]
                    for c in range(work.nk.size):
                        work.resp[r, c] *= weight
                        work.nk[c] += work.resp[r, c]
                for g in range(mixture.means.shape[0]):
                    if is_live(count, g, work.resp):
                        complete_group(count, mixture, patterns, p, g, False, work)
                        add_group(chunk, count, g, work, s1, s2)
            add_conditional(chunk, patterns, p, work, s2)
            for c in range(work.nk.size):
                nk[chunk, c] += work.nk[c]


@jit
def fill_row(x, r, mixture, features, p, observed, work):
    """Write the conditional means of the missing features of tile row r to `x`, in place."""
    means, gaps, resp = mixture.means, work.gaps, work.resp
    for i in range(observed, x.size):
        f = features[p, i]
        total = 0.0
        for g in range(means.shape[0]):
            for l in range(LANES):
                total += resp[r, g * LANES + l] * (means[g, f, l] + gaps[g, r, f, l])
        x[f] = total


@jit
def spread_row(out, r, mixture, features, p, observed, work):
    """Write the conditional covariance of the missing features of tile row r to `out`, in place.

    It is that of the mixture: ``sum_k r_k (C_k + (m_k - m)(m_k - m)^T)``, where m_k are the
    conditional means of the components and m, in `work.center`, that of the mixture. Entries of
    observed features are 0 already.
    """
    means, factors, gaps, resp = mixture.means, work.factors, work.gaps, work.resp
    n_groups, n, width, _ = factors.shape
    center = work.center
    for i in range(observed, n):
        f = features[p, i]
        for j in range(observed, i + 1):
            h = features[p, j]
            total = 0.0
            for g in range(n_groups):
                for l in range(LANES):
                    one = means[g, f, l] + gaps[g, r, f, l] - center[f]
                    other = means[g, h, l] + gaps[g, r, h, l] - center[h]
                    within = 0.0
                    if width == n:
                        within = factors[g, i, j, l]
                    elif i == j:
                        within = factors[g, i, 0, l]
                    total += resp[r, g * LANES + l] * (within + one * other)
            out[f, h] = total
            out[h, f] = total


@entry
def answer_pass(begin, end, n_chunks, work, inputs, answers):
    """Write the results of inference for the incomplete rows of some chunks, in place.

    Arrays of `answers` that are empty are skipped.
    """
    X, _, mixture, patterns = inputs
    log_prob, proba, filled, covariances = answers
    n_pieces = patterns.pieces.shape[0]
    for chunk in range(begin, end):
        for piece in range(chunk * n_pieces // n_chunks, (chunk + 1) * n_pieces // n_chunks):
            p, first, last = patterns.pieces[piece]
            observed = patterns.n_observed[p]
            factorize_observed(mixture, patterns, p, work)
            for start in range(first, last, TILE):
                count = min(TILE, last - start)
                solve_observed(X, start, count, mixture, patterns, p, work)
                write_densities(count, mixture.n_components, work)
                if filled.size or covariances.size:
                    for g in range(mixture.means.shape[0]):
                        complete_group(count, mixture, patterns, p, g, False, work)
                for r in range(count):
                    if log_prob.size:
                        peak = work.peak[r]
                        log_prob[start + r] = peak if peak > LOWEST_OF_FIT else -np.inf
                    if proba.size:
                        for k in range(mixture.n_components):
                            proba[start + r, k] = work.resp[r, k]
                    if filled.size:
                        x = filled[start + r]
                        fill_row(x, r, mixture, patterns.features, p, observed, work)
                    if covariances.size:
                        fill_row(work.center, r, mixture, patterns.features, p, observed, work)
                        out = covariances[start + r]
                        spread_row(out, r, mixture, patterns.features, p, observed, work)


@jit
def draw_row(x, k, normals, r, mixture, features, p, observed, work):
    """Write missing features of tile row r, drawn from component k, to `x`, in place.

    Row i of the factors gives ``mean_i + sum_t L[i, t] z_t``, where z are the whitened observed
    features, then independent `normals`.
    """
    factors, solved = work.factors, work.solved
    g, l = k // LANES, k % LANES
    n, width = factors.shape[1], factors.shape[2]
    for i in range(observed, n):
        f = features[p, i]
        total = mixture.means[g, f, l]
        if width == n:
            total += solved[g, r, i, l]
            for t in range(observed, i + 1):
                total += factors[g, i, t, l] * normals[features[p, t]]
        else:
            total += factors[g, i, 0, l] * normals[f]
        x[f] = total


@entry
def draw_pass(begin, end, n_chunks, work, inputs, labels, normals, filled):
    """Write draws of the missing features given the observed ones to `filled`, in place.

    `labels` (n_samples,) are the components that they are drawn from, and `normals` (n_samples,
    n_features) independent standard normal numbers.
    """
    X, _, mixture, patterns = inputs
    n_pieces = patterns.pieces.shape[0]
    for chunk in range(begin, end):
        for piece in range(chunk * n_pieces // n_chunks, (chunk + 1) * n_pieces // n_chunks):
            p, first, last = patterns.pieces[piece]
            observed, features = patterns.n_observed[p], patterns.features
            factorize_observed(mixture, patterns, p, work)
            for start in range(first, last, TILE):
                count = min(TILE, last - start)
                solve_observed(X, start, count, mixture, patterns, p, work)
                for g in range(mixture.means.shape[0]):
                    complete_group(count, mixture, patterns, p, g, True, work)
                for r in range(count):
                    i = start + r
                    x, k = filled[i], labels[i]
                    draw_row(x, k, normals[i], r, mixture, features, p, observed, work)
