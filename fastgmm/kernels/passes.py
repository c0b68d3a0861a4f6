"""The passes over the data that Python calls: one for fitting, one for inference.

A pass works through chunks of tiles. Both steps of EM are done while a tile is in cache. The passes
of all covariance types have the same machine code. It calls the distances, the moments and the
M-step of a type by their addresses, so that the first fit of a type compiles no kernel of another.
Where kernels cannot be linked (see `fastgmm.jit.linking`) each type has passes of its own, which
call helpers.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from fastgmm.jit.decorators import entry, jit
from fastgmm.jit.linking import LinkedKernel, caller, linkable
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
    accumulate_matrices,
    accumulate_squares,
    diag_about_center,
    spherical_about_center,
    tied_about_center,
)
from fastgmm.kernels.skipping import keep_bounds, list_unskipped, sort_block
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


class Steps(NamedTuple):
    """What passes call for a tile.

    Attributes
    ----------
    distances : dispatcher
        ``distances(operands, work)`` writes squared distances into `work.resp`.
    moments : dispatcher
        ``moments(operands, X, work, s1, s2)`` adds moments and returns the number of live pairs.
    step : dispatcher
        ``step(runs, r, i, s1, s2, log_likelihood)`` is made by `maximize.step_of`.
    list_unskipped, keep_bounds, sort_block : dispatcher
        See `fastgmm.kernels.skipping`.
    """

    distances: Any
    moments: Any
    step: Any
    list_unskipped: Any = list_unskipped
    keep_bounds: Any = keep_bounds
    sort_block: Any = sort_block


def em_pass_of(steps):
    """Return the fitting pass that takes these steps."""
    distances, moments, step, list_unskipped, keep_bounds, sort_block = steps

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
        distances(operands, work)
        if lazy:
            keep_bounds(operands, bounds, drift, t, place, work)
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
            pairs[1] += moments(operands, X, work, s1, s2)
            sorts = drift.reorder and not bounds.keys.size
            if sorts and (t + 1 == end or (t + 1) % bounds.tiles == 0):
                begin_row, n = block * size, start + count - block * size
                sort_block(operands.offsets, bounds, drift, block, begin_row, n, work)
        return total

    @entry
    def em_pass(begin, end, n_chunks, work, inputs, sums, runs):
        """Add the moments of some chunks to `sums` and update the bounds in `inputs`, in place.

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
            s1, s2, pairs = sums.s1[chunk], sums.s2[chunk], sums.pairs[chunk]
            if n_iter and not prepare(runs, estimate_at(runs, chunk, 0)):
                continue
            for i in range(max(n_iter, 1)):
                if n_iter:
                    estimate, given = estimate_at(runs, chunk, i % 2), given_to(runs, chunk)
                    offsets = inputs.operands.offsets if is_given(runs) else estimate.offsets
                    operands = operands_of(runs, estimate, offsets, inputs.operands.links)
                    clear(s1, s2)
                log_likelihood = em_chunk(
                    range_of_tiles, work, inputs, given, operands, s1, s2, pairs
                )
                sums.log_likelihood[chunk] = log_likelihood
                if n_iter and not step(runs, chunk, i, s1, s2, log_likelihood):
                    break

    return em_pass


def infer_pass_of(distances):
    """Return the inference pass that takes its distances from a kernel; see `Steps`."""

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
            distances(operands, work)
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


_two, _five, _six, _seven = (caller("none", n) for n in (2, 5, 6, 7))
_count_of_five, _truth_of_six = caller("intp", 5), caller("boolean", 6)


@jit
def _distances(operands, work):
    _two(operands.links.distances, operands, work)


@jit
def _moments(operands, X, work, s1, s2):
    return _count_of_five(operands.links.moments, operands, X, work, s1, s2)


@jit
def _step(runs, r, i, s1, s2, log_likelihood):
    return _truth_of_six(runs.step, runs, r, i, s1, s2, log_likelihood)


@jit
def _list_unskipped(operands, bounds, drift, t, work):
    _five(drift.links.list_unskipped, operands, bounds, drift, t, work)


@jit
def _keep_bounds(operands, bounds, drift, t, place, work):
    _six(drift.links.keep_bounds, operands, bounds, drift, t, place, work)


@jit
def _sort_block(offsets, bounds, drift, t, start, n, work):
    _seven(drift.links.sort_block, offsets, bounds, drift, t, start, n, work)


class Passes(NamedTuple):
    """The compiled passes, and whether they call linked kernels."""

    em_pass: Any
    infer_pass: Any
    linked: bool


@functools.cache
def _linked_passes():
    steps = Steps(_distances, _moments, _step, _list_unskipped, _keep_bounds, _sort_block)
    return Passes(em_pass_of(steps), infer_pass_of(_distances), True)


@functools.cache
def _passes_of(steps):
    return Passes(em_pass_of(steps), infer_pass_of(steps.distances), False)


class LinkedSteps(NamedTuple):
    """The linked kernels of `Steps`; moments about the center have code of their own, or none."""

    distances: LinkedKernel
    moments: LinkedKernel
    moments_about_center: LinkedKernel | None
    step: LinkedKernel
    list_unskipped: LinkedKernel
    keep_bounds: LinkedKernel
    sort_block: LinkedKernel


_linked = functools.cache(LinkedKernel)


class Kernels:
    """The kernels of one covariance type.

    Parameters
    ----------
    distances, moments : dispatcher
        See `Steps`; moments about the components' means.
    maximize : dispatcher
        ``maximize(runs, r, s1, s2, old, new)`` is the M-step of `fastgmm.kernels.maximize`.
    moments_about_center : dispatcher, optional
        Moments of all components about `Operands.center`, for types that have any.
    """

    def __init__(self, distances, moments, maximize, moments_about_center=None):
        step = step_of(maximize)
        self._steps = Steps(distances, moments_of(moments, moments_about_center), step)
        self.linked = LinkedSteps(
            *map(_linked, (distances, moments)),
            _linked(moments_about_center) if moments_about_center is not None else None,
            *map(_linked, (step, list_unskipped, keep_bounds, sort_block)),
        )

    def passes(self):
        """Return the passes that run at present."""
        return _linked_passes() if linkable() else _passes_of(self._steps)


def moments_of(about_means, about_center):
    """Return the moments about the means or the center, whichever `operands` ask for."""
    if about_center is None:
        return about_means

    @jit
    def moments(operands, X, work, s1, s2):
        if operands.about_center:
            return about_center(operands, X, work, s1, s2)
        return about_means(operands, X, work, s1, s2)

    return moments


FULL = Kernels(mahalanobis_full, accumulate_matrices, maximize_full)
TIED = Kernels(mahalanobis_tied, accumulate_matrices, maximize_tied, tied_about_center)
DIAG = Kernels(mahalanobis_diag, accumulate_squares, maximize_diag, diag_about_center)
SPHERICAL = Kernels(
    mahalanobis_spherical, accumulate_squares, maximize_spherical, spherical_about_center
)
