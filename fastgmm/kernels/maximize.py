"""The M-step of a few rows, compiled: it joins a pass to the next where Python costs more.

A run is one mixture on its way through several iterations. It has two places: the mixture of an
iteration, and the next one, which is given up if the sums prove too imprecise for it. Python's own
M-step, in `fastgmm.model.covariance`, then takes over.
"""

import numpy as np

from fastgmm.jit.decorators import jit
from fastgmm.kernels.linalg import factorize_one
from fastgmm.kernels.tiles import NATS, fill
from fastgmm.kernels.types import Estimate, Given, Operands

# Relative. If a component's weight, and its weight times each variance, stay above this fraction
# of their old values, then dropped responsibilities change its moments by less than 2e-14. If the
# component keeps most of both, the change is less than 2e-17.
DWINDLED = 1e-3
_MOST_RATIO = 900.0  # of a term to a difference, so that the error is below 2e-13
_NEGLIGIBLE = np.exp(-NATS[8])
_HALF_LOG = 0.5 * np.log(2 * np.pi)


@jit
def estimate_at(runs, r, slot):
    """Return the mixture in one of the two places of run r."""
    return Estimate(
        runs.weights[r, slot],
        runs.means[r, slot],
        runs.covariances[r, slot],
        runs.factors[r, slot],
        runs.log_det[r, slot],
        runs.offsets[r, slot],
        runs.negligible[r, slot],
        runs.centers[r, slot],
    )


@jit
def given_to(runs, r):
    """Return the labels or the responsibilities that run r begins with; maybe none."""
    return Given(runs.labels[r], runs.resp[r])


@jit
def operands_of(runs, estimate, offsets, links):
    """Return the mixture as a pass reads it, with these offsets and links."""
    means, centers, center = estimate.means, estimate.centers, runs.center
    return Operands(
        runs.about_center,
        means,
        means,
        estimate.factors,
        offsets,
        estimate.negligible,
        centers,
        centers,
        center,
        center,
        links,
    )


@jit
def is_given(runs):
    """Return whether runs begin with labels or responsibilities."""
    return runs.labels.size > 0 or runs.resp.size > 0


@jit
def clear(s1, s2):
    """Set the sums of a run to zero, in place.

    Loops compile faster than `fill`, which Numba compiles for each number of dimensions: 0.3 s.
    """
    for k in range(s1.shape[0]):
        for j in range(s1.shape[1]):
            s1[k, j] = 0.0
    for k in range(s2.shape[0]):
        for i in range(s2.shape[1]):
            for j in range(s2.shape[2]):
                s2[k, i, j] = 0.0


@jit
def move_means(s1, n, origin, shift, old, new):
    """Write the new weights and means, in place; return the sum of all N.

    S1 of component k is about row ``shift * k`` of `origin`. A component without rows keeps its
    mean. `n` is the number of features.
    """
    n_components = old.weights.size
    total = 0.0
    for k in range(n_components):
        total += s1[k, n]
    for k in range(n_components):
        nk = s1[k, n]
        new.weights[k] = nk / total
        for j in range(n):
            moved = origin[shift * k, j] + s1[k, j] / nk
            new.means[k, j] = moved if nk > 0.0 else old.means[k, j]
    return total


@jit
def variance_at(covariances, k, j, n):
    """Return the variance of feature j in component k; `n` is the number of features."""
    n_rows, size = covariances.shape
    at = j * (n + 1) if size > n else min(j, size - 1)
    return covariances[k if n_rows > 1 else 0, at]


@jit
def has_dwindled(old, new, n):
    """Return whether a component lost nearly all its weight, or its variance in a feature."""
    for k in range(old.weights.size):
        if new.weights[k] < DWINDLED * old.weights[k]:
            return True
        for j in range(n):
            least = DWINDLED * old.weights[k] * variance_at(old.covariances, k, j, n)
            if new.weights[k] * variance_at(new.covariances, k, j, n) < least:
                return True
    return False


@jit
def prepare(runs, estimate):
    """Write what a pass needs of a mixture, in place; return whether it is precise enough."""
    n = runs.center.shape[1]
    for k in range(estimate.weights.size):
        estimate.offsets[k] = np.log(estimate.weights[k]) + estimate.log_det[k] - n * _HALF_LOG
        estimate.negligible[k] = estimate.weights[k] * _NEGLIGIBLE
        for i in range(n if runs.about_center else 0):
            whitened = 0.0
            for j in range(i + 1):
                gap = estimate.means[k, j] - runs.center[0, j]
                whitened += estimate.factors[0, i * n + j] * gap
            if not whitened * whitened <= _MOST_RATIO:
                return False
            estimate.centers[k, i] = whitened
    return True


@jit
def factorize_row(covariances, factors, k, matrices, squares):
    """Write the factor of one matrix, in place; return its log-determinant.

    If the matrix is not positive definite, the factor is zero and the log-determinant NaN.
    """
    covariance, factor = matrices[0], matrices[1]
    n = covariance.shape[0]
    for i in range(n):
        for j in range(n):
            covariance[i, j] = covariances[k, i * n + j]
    log_det = factorize_one(covariance, squares[0], squares[1], factor)
    for i in range(n):
        for j in range(n):
            factors[k, i * n + j] = factor[i, j] if np.isfinite(log_det) else 0.0
    return log_det


@jit
def maximize_full(runs, r, s1, s2, old, new):
    """Write the new mixture, in place; return whether the sums are precise enough for it."""
    n = runs.center.shape[1]
    move_means(s1, n, old.means, 1, old, new)
    for k in range(old.weights.size):
        nk = s1[k, n]
        for i in range(n):
            for j in range(n):
                at = i * n + j
                moment = s2[k, i, j] / nk - s1[k, i] / nk * (s1[k, j] / nk)
                moment += runs.reg_covar if i == j else 0.0
                new.covariances[k, at] = moment if nk > 0.0 else old.covariances[k, at]
        matrices, squares = runs.matrices[r], runs.squares[r]
        new.log_det[k] = factorize_row(new.covariances, new.factors, k, matrices, squares)
    return True


@jit
def maximize_tied(runs, r, s1, s2, old, new):
    """Write the new mixture, in place; return whether the sums are precise enough for it.

    All moments are about the mean of all rows, and S2 of all rows is known.
    """
    n = runs.center.shape[1]
    center = runs.center
    total = move_means(s1, n, center, 0, old, new)
    for i in range(n):
        for j in range(i + 1):
            within = runs.scatter[i, j]
            for k in range(old.weights.size):
                within -= s1[k, i] / s1[k, n] * s1[k, j] if s1[k, n] > 0.0 else 0.0
            if i == j and not runs.scatter[i, i] < _MOST_RATIO * within:
                return False
            covariance = within / total + (runs.reg_covar if i == j else 0.0)
            new.covariances[0, i * n + j] = new.covariances[0, j * n + i] = covariance
    log_det = factorize_row(new.covariances, new.factors, 0, runs.matrices[r], runs.squares[r])
    fill(new.log_det, log_det)
    return True


@jit
def invert_variance(new, k, j):
    """Write the factor of a variance, in place; return its logarithm; both may be NaN."""
    variance = new.covariances[k, j]
    if not (variance > 0.0 and np.isfinite(variance)):
        new.factors[k, j] = np.nan
        return np.nan
    new.factors[k, j] = 1.0 / np.sqrt(variance)
    return np.log(new.factors[k, j])


@jit
def maximize_diag(runs, r, s1, s2, old, new):
    """Write the new mixture, in place; return whether the sums are precise enough for it."""
    n = runs.center.shape[1]
    move_means(s1, n, old.means, 1, old, new)
    for k in range(old.weights.size):
        nk = s1[k, n]
        new.log_det[k] = 0.0
        for j in range(n):
            delta = s1[k, j] / nk
            variance = s2[0, k, j] / nk - delta * delta + runs.reg_covar
            new.covariances[k, j] = variance if nk > 0.0 else old.covariances[k, j]
            new.log_det[k] += invert_variance(new, k, j)
    return True


@jit
def maximize_spherical(runs, r, s1, s2, old, new):
    """Write the new mixture, in place; return whether the sums are precise enough for it."""
    n = runs.center.shape[1]
    move_means(s1, n, old.means, 1, old, new)
    for k in range(old.weights.size):
        nk = s1[k, n]
        total = s2[0, k, 0] / nk
        for j in range(n):
            delta = s1[k, j] / nk
            total -= delta * delta
        variance = total / n + runs.reg_covar
        new.covariances[k, 0] = variance if nk > 0.0 else old.covariances[k, 0]
        new.log_det[k] = n * invert_variance(new, k, 0)
    return True


def step_of(maximize):
    """Return the M-step of a run for one covariance type."""

    @jit
    def take_step(runs, r, i, s1, s2, log_likelihood):
        """Write the mixture after iteration i of run r, in place; return whether to go on."""
        old, new = estimate_at(runs, r, i % 2), estimate_at(runs, r, (i + 1) % 2)
        if not maximize(runs, r, s1, s2, old, new):
            return False
        if has_dwindled(old, new, runs.center.shape[1]):
            return False
        runs.objectives[r, i] = log_likelihood / runs.total_weight
        runs.n_done[r] = i + 1
        for k in range(new.log_det.size):
            if not np.isfinite(new.log_det[k]):
                return False
        before = runs.objectives[r, i - 1] if i else runs.previous
        if abs(runs.objectives[r, i] - before) < runs.tol:
            return False
        return prepare(runs, new)

    return take_step
