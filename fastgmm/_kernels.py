"""The passes over data that Python calls: one for fitting, one for asking a fitted mixture.

Each works through chunks of tiles; both steps of EM are done while a tile is in cache. One
entry point serves all covariance types, and `kind` chooses the kernels: the types then share
one compilation, and a further type costs nothing.
"""

from fastgmm._density_kernels import dot, mahalanobis, responsibilities, scale_columns
from fastgmm._jit import entry, inline, jit
from fastgmm._moment_kernels import accumulate
from fastgmm._simd import prefer_wide_vectors
from fastgmm._tile_kernels import chunk_tiles, load_tile, load_weights


@jit
def given_responsibilities(labels, given, start, weight, resp):
    """Write the weighted shares of a tile's points that the caller gave, in place.

    `labels` (n_samples,) names each point's component, `given` (n_samples, n_components) its
    shares; where both are empty every point belongs to the one component.
    """
    n_components, size = resp.shape
    for k in range(n_components):
        for p in range(size):
            share = 1.0
            if weight[p] == 0.0:
                share = 0.0  # past the last point, too
            elif labels.size:
                share = 1.0 * (labels[start + p] == k)
            elif given.size:
                share = given[start + p, k]
            resp[k, p] = weight[p] * share


@inline
def em_chunk(chunk, n_chunks, work, data, given, operands, moments):
    """Run both steps over one chunk, or the M-step alone; its row of `moments` changes in place."""
    X = data.X
    size = work.peak.size
    first, second = moments.first[chunk], moments.second[chunk]
    begin, end = chunk_tiles(chunk, n_chunks, X.shape[0], size)
    for t in range(begin, end):
        start = t * size
        count = min(size, X.shape[0] - start)
        load_tile(X, start, count, work.tile)
        load_weights(data.sample_weight, start, count, work.weight)
        if operands.offsets.size:
            mahalanobis(operands, work.tile, work.points, work.resp)
            responsibilities(operands.offsets, work.resp, work.peak, work.total)
            moments.log_likelihood[chunk] += dot(work.peak, work.weight)
            scale_columns(work.resp, work.weight, work.total)
        else:
            given_responsibilities(given.labels, given.resp, start, work.weight, work.resp)
        accumulate(operands, X, start, work, first, second)


@entry
def em_pass(begin, end, n_chunks, work, data, given, operands, moments):
    """Add the moments of some chunks to `moments`, in place.

    Where `operands.offsets` is empty the responsibilities are those `given`, and there is no
    log-likelihood.
    """
    for chunk in range(begin, end):
        em_chunk(chunk, n_chunks, work, data, given, operands, moments)


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


@inline
def infer_chunk(chunk, n_chunks, work, X, operands, log_prob, proba, labels):
    """Fill one chunk's rows of the outputs that are not empty, in place."""
    size = work.peak.size
    work.weight.fill(1.0)
    begin, end = chunk_tiles(chunk, n_chunks, X.shape[0], size)
    for t in range(begin, end):
        start = t * size
        count = min(size, X.shape[0] - start)
        load_tile(X, start, count, work.tile)
        mahalanobis(operands, work.tile, work.points, work.resp)
        responsibilities(operands.offsets, work.resp, work.peak, work.total)
        if log_prob.size:
            for p in range(count):
                log_prob[start + p] = work.peak[p]
        if proba.size:
            scale_columns(work.resp, work.weight, work.total)
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
