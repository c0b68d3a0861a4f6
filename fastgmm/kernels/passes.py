"""The passes over the data that Python calls: one for fitting, one for inference.

A pass works through chunks of tiles. Both steps of EM are done while a tile is in cache. Each
covariance type has its own passes, compiled for its kernels, so that the first fit of a type
compiles no kernel of another.
"""

from typing import Any, NamedTuple

import numpy as np

from fastgmm.jit.decorators import entry, jit
from fastgmm.kernels.densities import (
    LOWEST,
    LOWEST_OF_FIT,
    densities,
    dot,
    log_densities,
    log_totals,
    scale_densities,
    sum_of_logs,
)
from fastgmm.kernels.distances import (
    mahalanobis_diag,
    mahalanobis_full,
    mahalanobis_spherical,
    mahalanobis_tied,
)
from fastgmm.kernels.maximize import (
    clear,
    estimate_at,
    given_to,
    is_given,
    maximize_diag,
    maximize_full,
    maximize_spherical,
    maximize_tied,
    operands_of,
    prepare,
    step_of,
)
from fastgmm.kernels.micro.lanes import lanes_of, prefer_wide_vectors
from fastgmm.kernels.moments import (
    accumulate_diag,
    accumulate_matrices,
    accumulate_spherical,
    accumulate_tied,
)
from fastgmm.kernels.skipping import (
    list_unskipped,
    sort_block,
    store_distances,
    update_bounds,
    write_keys,
)
from fastgmm.kernels.tiles import (
    chunk_tiles,
    fill,
    find_rows,
    list_all,
    load_tile,
    load_weights,
    prefetch_distance,
)


@jit
def load_given(labels, given, work):
    """Write the weighted responsibilities that the caller supplies for a tile's points, in place.

    `labels` (n_samples,) is the component of each point, `given` (n_samples, n_components) its
    responsibilities. If both are empty, every point is assigned to component 0.
    """
    rows, weight, resp = work.rows, work.weight, work.resp
    for k in range(resp.shape[0]):
        work.live[k] = -1
        for p in range(weight.size):
            resp[k, p] = 0.0
    for p in range(weight.size):
        if weight[p] == 0.0:  # also true past the last point
            continue
        if labels.size:
            resp[labels[rows[p]], p] = weight[p]
        elif given.size:
            for k in range(resp.shape[0]):
                resp[k, p] = weight[p] * given[rows[p], k]
        else:
            resp[0, p] = weight[p]


@jit
def write_labels(resp, start, count, best, place, labels):
    """Write the most probable component of each point to `labels`, in place.

    Ties go to the component with the lowest number. `best` and `place` (size,) are overwritten.
    """
    prefer_wide_vectors()
    for p in range(best.size):
        best[p] = resp[0, p]
        place[p] = 0
    for k in range(1, resp.shape[0]):
        for p in range(best.size):
            more = resp[k, p] > best[p]
            best[p] = resp[k, p] if more else best[p]
            place[p] = k if more else place[p]
    for p in range(count):
        labels[start + p] = place[p]


def em_pass_of(mahalanobis, accumulate, maximize):
    """Return the fitting pass for one covariance type.

    ``mahalanobis(operands, work)`` writes squared distances into `work.resp`.
    ``accumulate(operands, X, work, s1, s2)`` adds moments and returns the live pairs.
    ``maximize(runs, r, s1, s2, old, new)`` is the M-step of `fastgmm.kernels.maximize`.
    """
    take_step = step_of(maximize)

    @jit
    def expectation(t, place, count, weighted, work, operands, bounds, drift):
        """Turn tile t into responsibilities times weights; return its log-likelihood.

        `place` is the position of its first point in its block, `count` its number of points.
        `weighted` is true if the points have weights. If `drift` is not empty, bounds are used and
        updated.
        """
        lazy = drift.scale.size > 0
        if lazy:
            list_unskipped(operands, bounds, drift, t, work)
        mahalanobis(operands, work)
        if lazy:
            update_bounds(operands, bounds, drift, t, work)
            if drift.reorder and bounds.keys.size:
                write_keys(operands, bounds, drift, t * work.peak.size, work)
            elif drift.reorder:
                store_distances(bounds, drift, t, place, work)
        log_densities(operands.offsets, LOWEST_OF_FIT, work)
        densities(work)
        if weighted:
            log_totals(work.peak, work.total)
        log_likelihood = dot(work.peak, work.weight)
        if not weighted:
            for p in range(count, work.total.size):
                work.total[p] = 1.0
            log_likelihood += sum_of_logs(work.total)
        scale_densities(operands.negligible, work)
        return log_likelihood

    @jit
    def em_chunk(tiles, work, inputs, given, operands, s1, s2, pairs):
        """Run both steps, or the M-step alone, over the tiles of a chunk.

        Add to the moments, in place, and return the log-likelihood.
        """
        data, _, _, bounds, drift = inputs
        X, (begin, end) = data.X, tiles
        size, lanes = work.peak.size, lanes_of(work.tile)
        total = 0.0
        for t in range(begin, end):
            start = t * size
            count = min(size, X.shape[0] - start)
            block = t // bounds.tiles * bounds.tiles
            ahead = bounds.tiles * size if bounds.order.size else prefetch_distance(X)
            if bounds.keys.size:
                ahead = X.shape[0]  # the block is too long for the cache: prefetch nothing
            find_rows(bounds.order, block * size, start, count, work.rows)
            load_tile(X, work.rows, work.tile, start + ahead)
            load_weights(data.sample_weight, work.rows, count, work.weight)
            list_all(work.places, work.counts, lanes)
            if operands.offsets.size:
                place, weighted = start - block * size, data.sample_weight.size > 0
                total += expectation(t, place, count, weighted, work, operands, bounds, drift)
            else:
                load_given(given.labels, given.resp, work)
            for k in range(work.counts.size):
                pairs[0] += work.counts[k] * lanes
            pairs[1] += accumulate(operands, X, work, s1, s2)
            sorts = drift.reorder and not bounds.keys.size
            if sorts and (t + 1 == end or (t + 1) % bounds.tiles == 0):
                begin_row, n = block * size, start + count - block * size
                sort_block(operands.offsets, bounds, drift, block, begin_row, n, work)
        return total

    @entry
    def em_pass(begin, end, n_chunks, work, inputs, moments, runs):
        """Add the moments of some chunks to `moments` and update the bounds in `inputs`, in place.

        If `operands.offsets` is empty, the responsibilities are those `given` and no log-likelihood
        is computed. If `drift` is empty, every pair is computed and `bounds` do not change.

        If there are `runs`, a chunk is a run: its iterations, each over all rows.
        """
        X, bounds, given, operands = inputs.data.X, inputs.bounds, inputs.given, inputs.operands
        tiles = 1 if bounds.keys.size else bounds.tiles  # long blocks may span chunks
        n_iter, size = runs.n_iter, work.peak.size
        for chunk in range(begin, end):
            part, n_parts = (0, 1) if n_iter else (chunk, n_chunks)
            range_of_tiles = chunk_tiles(part, n_parts, X.shape[0], size, tiles)
            s1, s2, pairs = moments.s1[chunk], moments.s2[chunk], moments.pairs[chunk]
            if n_iter and not prepare(runs, estimate_at(runs, chunk, 0)):
                continue
            for i in range(max(n_iter, 1)):
                if n_iter:
                    estimate, given = estimate_at(runs, chunk, i % 2), given_to(runs, chunk)
                    offsets = inputs.operands.offsets if is_given(runs) else estimate.offsets
                    operands = operands_of(runs, estimate, offsets)
                    clear(s1, s2)
                log_likelihood = em_chunk(
                    range_of_tiles, work, inputs, given, operands, s1, s2, pairs
                )
                moments.log_likelihood[chunk] = log_likelihood
                if n_iter and not take_step(runs, chunk, i, s1, s2, log_likelihood):
                    break

    return em_pass


def infer_pass_of(mahalanobis):
    """Return the inference pass for one covariance type; see `em_pass_of`."""

    @jit
    def infer_chunk(chunk, n_chunks, work, X, operands, outputs):
        """Fill one chunk's rows of the outputs that are not empty, in place."""
        log_prob, proba, labels = outputs
        size = work.peak.size
        fill(work.weight, 1.0)
        list_all(work.places, work.counts, lanes_of(work.tile))
        begin, end = chunk_tiles(chunk, n_chunks, X.shape[0], size)
        for t in range(begin, end):
            start = t * size
            count = min(size, X.shape[0] - start)
            find_rows(work.block.order, 0, start, count, work.rows)
            load_tile(X, work.rows, work.tile, start + prefetch_distance(X))
            mahalanobis(operands, work)
            log_densities(operands.offsets, LOWEST, work)
            densities(work)
            log_totals(work.peak, work.total)
            if log_prob.size:
                for p in range(count):
                    log_prob[start + p] = work.peak[p] if work.peak[p] > LOWEST else -np.inf
            if proba.size:
                scale_densities(operands.negligible, work)
                for p in range(count):
                    for k in range(work.resp.shape[0]):
                        proba[start + p, k] = work.resp[k, p]
            if labels.size:
                write_labels(work.resp, start, count, work.total, work.index, labels)

    @entry
    def infer_pass(begin, end, n_chunks, work, X, operands, outputs):
        """Fill some chunks of the outputs that are not empty, in place."""
        for chunk in range(begin, end):
            infer_chunk(chunk, n_chunks, work, X, operands, outputs)

    return infer_pass


class Kernels(NamedTuple):
    """The compiled passes of one covariance type."""

    em_pass: Any
    infer_pass: Any


def _kernels(mahalanobis, accumulate, maximize):
    """Return both passes of one covariance type."""
    return Kernels(em_pass_of(mahalanobis, accumulate, maximize), infer_pass_of(mahalanobis))


FULL = _kernels(mahalanobis_full, accumulate_matrices, maximize_full)
TIED = _kernels(mahalanobis_tied, accumulate_tied, maximize_tied)
DIAG = _kernels(mahalanobis_diag, accumulate_diag, maximize_diag)
SPHERICAL = _kernels(mahalanobis_spherical, accumulate_spherical, maximize_spherical)
