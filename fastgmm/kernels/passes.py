"""The passes over data that Python calls: one for fitting, one for asking a fitted mixture.

Each works through chunks of tiles; both steps of EM are done while a tile is in cache. Each
covariance type has passes of its own, made for its kernels: the first fit of a type then
compiles no other's.
"""

from fastgmm.jit.decorators import entry, jit
from fastgmm.kernels.densities import (
    densities,
    dot,
    log_densities,
    log_totals,
    mahalanobis_diag,
    mahalanobis_full,
    mahalanobis_spherical,
    mahalanobis_tied,
    scale_densities,
    sum_of_logs,
)
from fastgmm.kernels.micro.lanes import lanes_of, prefer_wide_vectors
from fastgmm.kernels.moments import accumulate_diag, accumulate_matrices, accumulate_tied
from fastgmm.kernels.skipping import list_some, note_distances, put_in_order, remember
from fastgmm.kernels.tiles import (
    chunk_tiles,
    find_rows,
    list_all,
    load_tile,
    load_weights,
    rows_ahead,
)


@jit
def given_responsibilities(labels, given, work):
    """Write the weighted shares of a tile's points that the caller gave, in place.

    `labels` (n_samples,) names each point's component, `given` (n_samples, n_components) its
    shares; where both are empty every point belongs to the first component.
    """
    rows, weight, resp = work.rows, work.weight, work.resp
    for k in range(resp.shape[0]):
        work.live[k] = -1
        for p in range(weight.size):
            resp[k, p] = 0.0
    for p in range(weight.size):
        if weight[p] == 0.0:  # past the last point, too
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
    """Write the most probable component of each point; `labels` is modified in place.

    The first of several equal ones. `best` and `place` (size,) are overwritten.
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


def em_pass_of(name, mahalanobis, accumulate):
    """Return the pass for fitting mixtures of one covariance type.

    ``mahalanobis(operands, work)`` writes squared distances into `work.resp`, and
    ``accumulate(operands, X, work, first, second)`` adds up moments and returns live pairs.
    """

    @jit
    def expectation(t, first, count, weighted, work, operands, bounds, drift):
        """Turn tile t into responsibilities times weights; return its log-likelihood.

        `first` is the place of its first point in its block, `count` the number of its points;
        `weighted` says that they have weights. With bounds, where there is drift.
        """
        lazy = drift.scale.size > 0
        if lazy:
            list_some(operands, bounds, drift, t, work)
        mahalanobis(operands, work)
        if lazy:
            remember(operands, bounds, drift, t, work)
            if drift.reorder:
                note_distances(bounds, drift, t, first, work)
        log_densities(operands.offsets, work)
        densities(work)
        if weighted:
            log_totals(work.peak, work.total)
        log_likelihood = dot(work.peak, work.weight)
        if not weighted:
            for p in range(count, work.total.size):
                work.total[p] = 1.0
            log_likelihood += sum_of_logs(work.total)
        scale_densities(operands.dead, work)
        return log_likelihood

    @jit
    def em_chunk(chunk, n_chunks, work, data, given, operands, bounds, drift, moments):
        """Run both steps over one chunk, or the M-step alone; its row of `moments` changes."""
        X = data.X
        size, lanes = work.peak.size, lanes_of(work.tile)
        first, second, pairs = moments.first[chunk], moments.second[chunk], moments.pairs[chunk]
        begin, end = chunk_tiles(chunk, n_chunks, X.shape[0], size, bounds.tiles)
        for t in range(begin, end):
            start = t * size
            count = min(size, X.shape[0] - start)
            block = t // bounds.tiles * bounds.tiles
            ahead = bounds.tiles * size if bounds.order.size else rows_ahead(X)
            find_rows(bounds.order, block * size, start, count, work.rows)
            load_tile(X, work.rows, work.tile, start + ahead)
            load_weights(data.sample_weight, work.rows, count, work.weight)
            list_all(work.places, work.counts, lanes)
            if operands.offsets.size:
                place, weighted = start - block * size, data.sample_weight.size > 0
                log_likelihood = expectation(
                    t, place, count, weighted, work, operands, bounds, drift
                )
                moments.log_likelihood[chunk] += log_likelihood
            else:
                given_responsibilities(given.labels, given.resp, work)
            pairs[0] += work.counts.sum() * lanes
            pairs[1] += accumulate(operands, X, work, first, second)
            if drift.reorder and (t + 1 == end or (t + 1) % bounds.tiles == 0):
                begin_row, n = block * size, start + count - block * size
                put_in_order(
                    operands.offsets, bounds, drift, block, begin_row, n, size, lanes, work
                )

    @entry
    def em_pass(begin, end, n_chunks, work, data, given, operands, bounds, drift, moments):
        """Add the moments of some chunks to `moments` and keep `bounds` up to date, in place.

        Where `operands.offsets` is empty the responsibilities are those `given`, and there is no
        log-likelihood. Where `drift` is empty every pair is computed and `bounds` stay as they
        are.
        """
        for chunk in range(begin, end):
            em_chunk(chunk, n_chunks, work, data, given, operands, bounds, drift, moments)

    return em_pass


def infer_pass_of(name, mahalanobis):
    """Return the pass for asking fitted mixtures of one covariance type: see `em_pass_of`."""

    @jit
    def infer_chunk(chunk, n_chunks, work, X, operands, log_prob, proba, labels):
        """Fill one chunk's rows of the outputs that are not empty, in place."""
        size = work.peak.size
        work.weight.fill(1.0)
        list_all(work.places, work.counts, lanes_of(work.tile))
        begin, end = chunk_tiles(chunk, n_chunks, X.shape[0], size)
        for t in range(begin, end):
            start = t * size
            count = min(size, X.shape[0] - start)
            find_rows(work.block.order, 0, start, count, work.rows)
            load_tile(X, work.rows, work.tile, start + rows_ahead(X))
            mahalanobis(operands, work)
            log_densities(operands.offsets, work)
            densities(work)
            log_totals(work.peak, work.total)
            if log_prob.size:
                for p in range(count):
                    log_prob[start + p] = work.peak[p]
            if proba.size:
                scale_densities(operands.dead, work)
                for p in range(count):
                    for k in range(work.resp.shape[0]):
                        proba[start + p, k] = work.resp[k, p]
            if labels.size:
                write_labels(work.resp, start, count, work.total, work.index, labels)

    @entry
    def infer_pass(begin, end, n_chunks, work, X, operands, log_prob, proba, labels):
        """Fill some chunks of the outputs that are not empty: log-likelihoods, shares, labels."""
        for chunk in range(begin, end):
            infer_chunk(chunk, n_chunks, work, X, operands, log_prob, proba, labels)

    return infer_pass


# By `Operands.kind`: FULL, TIED, DIAG, SPHERICAL.
_TYPES = (
    ("full", mahalanobis_full, accumulate_matrices),
    ("tied", mahalanobis_tied, accumulate_tied),
    ("diag", mahalanobis_diag, accumulate_diag),
    ("spherical", mahalanobis_spherical, accumulate_diag),
)
EM_PASSES = tuple(em_pass_of(*kernels) for kernels in _TYPES)
INFER_PASSES = tuple(infer_pass_of(*kernels[:2]) for kernels in _TYPES)
