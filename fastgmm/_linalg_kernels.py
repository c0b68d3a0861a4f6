"""Cholesky factors of many small matrices and their inverses.

LAPACK is called once a matrix and its threads would fight with ours; these loops run over
contiguous rows, vectorise, and share the matrices among the library's own threads.
"""

import numpy as np

from fastgmm._jit import entry, jit_sum


@jit_sum
def factorize_one(covariances, m, lower, factors, log_det):
    """Write the inverse Cholesky factor of one matrix and its log-determinant, in place.

    Reads the lower triangle. Where the matrix is not positive definite, `log_det` becomes NaN
    and the factor is left unfinished. Cholesky-Banachiewicz into `lower`
    (n, n), then forward substitution.
    """
    n = covariances.shape[1]
    log_det[m] = 0.0
    for i in range(n):
        for j in range(i + 1):
            total = 0.0
            for l in range(j):
                total += lower[i, l] * lower[j, l]
            rest = covariances[m, i, j] - total
            if i > j:
                lower[i, j] = rest / lower[j, j]
            elif rest > 0.0 and np.isfinite(rest):
                lower[i, i] = np.sqrt(rest)
                log_det[m] -= np.log(lower[i, i])
            else:
                log_det[m] = np.nan
                return
    for i in range(n):
        for j in range(n):
            factors[m, i, j] = 0.0
        for l in range(i):
            for j in range(l + 1):
                factors[m, i, j] -= lower[i, l] * factors[m, l, j]
        for j in range(i):
            factors[m, i, j] /= lower[i, i]
        factors[m, i, i] = 1.0 / lower[i, i]


@entry
def factorize_pass(begin, end, n_matrices, lower, covariances, factors, log_det):
    """Factorize some of the matrices (n_matrices, n, n); `factors` and `log_det` modified in place.

    `log_det` receives the log-determinants of the factors: half of minus the matrices' own.
    """
    for m in range(begin, end):
        factorize_one(covariances, m, lower, factors, log_det)
