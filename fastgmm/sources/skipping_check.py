"""A check of skipping, for debugging: it computes every pair that a pass is about to skip.

Set the environment variable ``FASTGMM_CHECK_LAZY`` to run it before every pass.
"""

import os

import numpy as np

from fastgmm.kernels.micro.vectors import VECTOR_BYTES

CHECKED = bool(os.environ.get("FASTGMM_CHECK_LAZY"))
_ROUNDING = 1e-6  # nats: greatest rounding error of the difference of two log-densities


def skipped_vectors(operands, bounds, drift):
    """Return a mask (n_tiles, n_components, vectors) of the vectors that a pass will skip."""
    home = bounds.nearest
    with np.errstate(over="ignore", invalid="ignore"):
        farthest = drift.growth[home] * (bounds.farthest + drift.move[home])
        least_peak = operands.offsets[home] - 0.5 * farthest**2
    bound = bounds.lower * drift.scale[:, None] - drift.shift[:, None]
    bound *= 1.0 - drift.error[:, None]
    negligible = drift.density[:, None] - 0.5 * bound**2 < least_peak[:, None, :] - drift.nats
    return negligible & (bound > 0.0)


def check_skipped(covariance_type, X, terms, operands, bounds, drift):
    """Raise AssertionError if a pass is about to skip a live pair of row and component."""
    skipped = skipped_vectors(operands, bounds, drift)
    n_tiles, _, n_vectors = skipped.shape
    lanes = VECTOR_BYTES // X.itemsize
    size = lanes * n_vectors
    block = np.arange(len(X)) // (bounds.tiles * size) * (bounds.tiles * size)
    rows = block + bounds.order
    for t in range(n_tiles):
        points = X[rows[t * size : (t + 1) * size]].astype(np.float64)
        gaps = points[:, None, :] - terms.means
        squares = covariance_type.distances(terms.factors, gaps) ** 2
        peak = (operands.offsets - 0.5 * squares).max(axis=1, keepdims=True)
        live = drift.density - 0.5 * squares > peak - drift.nats + _ROUNDING
        wrong = live & np.repeat(skipped[t].T, lanes, axis=0)[: len(points)]
        if wrong.any():
            place, k = np.argwhere(wrong)[0]
            raise AssertionError(
                f"component {k} matters to row {rows[t * size + place]} but would be skipped; "
                "please report this with the data"
            )
