"""Functions of covariance matrices, for the full and the tied type."""

from contextlib import suppress

import numpy as np

from fastgmm.jit.threads import Workspaces, launch
from fastgmm.kernels.linalg import buffer_width, factorize_pass, stretch_pass
from fastgmm.model.covariance import lapack


def factorize(covariances, n_threads):
    """Return the factors U (n_matrices, n, n) and log det U (n_matrices,) of covariances.

    log det U is NaN where a matrix is not positive definite.
    """
    n_matrices, n, _ = covariances.shape
    factors, log_det = np.zeros((n_matrices, n, n)), np.empty(n_matrices)
    if n >= lapack.WIDE:
        for k, covariance in enumerate(covariances):
            log_det[k] = lapack.factorize_one(covariance, factors[k])
        return factors, log_det
    covariances = np.ascontiguousarray(covariances)
    width = buffer_width(n)
    buffers = Workspaces(lambda: (np.empty((width, width)), np.empty((width, width))))
    work = n_matrices * n**3
    options = {"work": work, "n_threads": n_threads, "dtypes": ()}
    launch(factorize_pass, n_matrices, buffers, covariances, factors, log_det, **options)
    return factors, log_det


def stretch(old, new, n_threads):
    """Return lower and upper bounds (n_matrices,) of ``|old x| / |new x|`` for triangles."""
    n_matrices, n, _ = old.shape
    least, greatest = np.empty(n_matrices), np.empty(n_matrices)
    shape = 3, buffer_width(n), buffer_width(n)
    buffers = Workspaces(lambda: (*np.empty(shape), np.empty((2, n))))
    work = n_matrices * n**3
    arrays = old, new, least, greatest
    launch(stretch_pass, n_matrices, buffers, *arrays, work=work, n_threads=n_threads)
    return least, greatest


def lengths(factors, gaps):
    """Return the norms (...) of ``factors @ gap`` for gaps (..., n)."""
    return np.linalg.norm(np.einsum("...ij,...j->...i", factors, gaps), axis=-1)


def total_distance(factors, s2):
    """Return the sum of ``tr(U S2 U^T)`` over all matrices; S2 has valid lower triangles."""
    precision = np.swapaxes(factors, -1, -2) @ factors
    twice = 2.0 * np.tril(precision, -1) + np.tril(precision) * np.eye(precision.shape[-1])
    return float((twice * s2).sum())


def inflation(covariances, factors):
    """Return the greatest ``Sigma_jj (Sigma^-1)_jj`` of all matrices (..., n, n); see the types."""
    variances = np.einsum("...jj->...j", covariances)
    return float((variances * np.einsum("...ij,...ij->...j", factors, factors)).max())


def symmetric(lower):
    """Return the symmetric matrices (..., n, n) with the given lower triangles."""
    lower = np.tril(lower)
    return lower + np.swapaxes(np.tril(lower, -1), -1, -2)


def transposed(factors):
    """Return the transposed matrices in C order."""
    return np.ascontiguousarray(np.swapaxes(factors, -1, -2))


def precisions(transposed_factors):
    """Return ``U^T U`` from ``U^T``."""
    return transposed_factors @ np.swapaxes(transposed_factors, -1, -2)


def asymmetry(matrices):
    """Return the greatest ``|A - A^T|`` relative to the largest entry of A; 0 if A is zero."""
    size = np.abs(matrices).max(axis=(-1, -2), keepdims=True)
    gaps = np.abs(matrices - np.swapaxes(matrices, -1, -2))
    return float(np.divide(gaps, size, out=np.zeros_like(gaps), where=size > 0).max())


def are_factors(factors):
    """Return whether all matrices are lower-triangular with a positive diagonal."""
    positive = (np.einsum("...jj->...j", factors) > 0).all()
    return bool(positive and not np.triu(factors, 1).any())


def factor_error(covariances, factors):
    """Return the greatest entry of ``|U^-1 U^-T - Sigma|`` in units of the deviations.

    The covariances are computed from the factors, not the factors from the covariances: a
    triangle can be inverted on every processor, however close to singular the covariance is.
    """
    deviations = np.sqrt(np.einsum("...jj->...j", covariances))
    roots = np.linalg.inv(factors) / deviations[..., None]
    made = roots @ np.swapaxes(roots, -1, -2)
    expected = covariances / deviations[..., None] / deviations[..., None, :]
    return np.abs(made - expected).max()


def marginal(covariances, features):
    """Return the covariances (n_matrices, m, m) of m features; lower triangles are valid."""
    return covariances[:, features[:, None], features]  # increasing indices: lower stays lower


def regression(covariances, observed):
    """Return B (n_matrices, m, o) and C (n_matrices, m, m): see `CovarianceType.conditional`."""
    missing = np.setdiff1d(np.arange(covariances.shape[-1]), observed)
    whole = symmetric(covariances)
    cross = whole[:, missing[:, None], observed]
    known = whole[:, observed[:, None], observed]
    try:
        slopes = np.swapaxes(np.linalg.solve(known, np.swapaxes(cross, 1, 2)), 1, 2)
    except np.linalg.LinAlgError:  # rounding made a nearly singular matrix singular
        slopes = cross @ np.linalg.pinv(known, hermitian=True)
    conditional = whole[:, missing[:, None], missing] - slopes @ np.swapaxes(cross, 1, 2)
    return slopes, conditional


def completed_sums(s1, slopes, observed):
    """Return S1 (n_components, n) of all features from that of the observed ones.

    `slopes` are B of each component, or one for all.
    """
    n_missing, n_observed = slopes.shape[1:]
    n = n_missing + n_observed
    result = np.empty((len(s1), n))
    result[:, observed] = s1
    result[:, np.setdiff1d(np.arange(n), observed)] = (slopes @ s1[:, :, None])[..., 0]
    return result


def completed_moments(s2, slopes, conditional, nk, observed):
    """Return S2 (n_matrices, n, n) of all features from that of the observed ones."""
    n_missing, n_observed = slopes.shape[1:]
    n = n_missing + n_observed
    missing = np.setdiff1d(np.arange(n), observed)
    known = symmetric(s2)
    cross = slopes @ known
    result = np.empty((len(s2), n, n))
    result[:, observed[:, None], observed] = known
    result[:, missing[:, None], observed] = cross
    result[:, observed[:, None], missing] = np.swapaxes(cross, 1, 2)
    moments = cross @ np.swapaxes(slopes, 1, 2) + nk[:, None, None] * conditional
    result[:, missing[:, None], missing] = moments
    return result


def to_local(factors, origin):
    """Return the coordinates (..., n_matrices, n (n + 1) / 2) of factors: see `CovarianceType`.

    `factors` are (..., n_matrices, n, n) and `origin` (n_matrices, n, n).
    """
    relative = factors @ np.linalg.inv(origin)
    below = np.tril_indices(origin.shape[-1], -1)
    logs = np.sqrt(2.0) * np.log(np.einsum("...jj->...j", relative))
    return np.concatenate([logs, relative[(..., *below)]], axis=-1)


def from_local(shapes, origin):
    """Return the covariances (n_matrices, n, n) of coordinates (n_matrices, n (n + 1) / 2)."""
    n = origin.shape[-1]
    relative = np.zeros_like(origin)
    relative[(..., *np.diag_indices(n))] = np.exp(shapes[:, :n] / np.sqrt(2.0))
    relative[(..., *np.tril_indices(n, -1))] = shapes[:, n:]
    roots = np.linalg.inv(relative @ origin)
    return roots @ np.swapaxes(roots, -1, -2)


def solve(factors, values):
    """Return ``factors^-1 values`` for values (n_components, n)."""
    return np.linalg.solve(factors, values[..., None])[..., 0]


def from_precisions(precisions):
    """Return Sigma, U and log det U from precisions (n_matrices, n, n).

    ``precision = U^T U`` with U lower-triangular. To find U^T, reverse the order of the rows and
    of the columns, take the Cholesky factor, and reverse both again. log det U is NaN where a
    precision is not positive definite.
    """
    n = precisions.shape[-1]
    factors, log_det = np.tile(np.eye(n), (len(precisions), 1, 1)), np.empty(len(precisions))
    for k, matrix in enumerate(precisions):
        log_det[k] = np.nan
        with suppress(np.linalg.LinAlgError):
            factors[k] = np.linalg.cholesky(matrix[::-1, ::-1])[::-1, ::-1].T
            log_det[k] = np.log(np.diag(factors[k])).sum()
    inverse = np.linalg.inv(factors)
    return inverse @ np.swapaxes(inverse, 1, 2), factors, log_det
