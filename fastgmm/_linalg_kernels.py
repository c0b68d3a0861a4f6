"""Cholesky factors of many small matrices and their inverses.

LAPACK is called once a matrix and its threads would fight with ours; these loops run over
contiguous rows, vectorise, and share the matrices among the library's own threads.
"""

import numpy as np

from fastgmm._jit import entry, jit, jit_sum


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


@jit_sum
def multiply(matrix, vector, out):
    """Write ``matrix @ vector``; return ``vector @ out`` and ``out @ out``."""
    n = vector.size
    along = norm2 = 0.0
    for i in range(n):
        total = 0.0
        for j in range(n):
            total += matrix[i, j] * vector[j]
        out[i] = total
        along += vector[i] * total
        norm2 += total * total
    return along, norm2


@jit
def end_of_spectrum(matrix, shift, vector, out):
    """Return about the eigenvalue of a symmetric matrix that lies farthest from `shift`."""
    n = vector.size
    for i in range(n):
        vector[i] = (1.0 + 0.1 * (i % 3)) / np.sqrt(n)
    value = shift
    for _ in range(8):
        along, _ = multiply(matrix, vector, out)
        value = along
        norm2 = 0.0
        for i in range(n):
            out[i] -= shift * vector[i]
            norm2 += out[i] * out[i]
        if not norm2 > 0.0:
            break
        for i in range(n):
            vector[i] = out[i] / np.sqrt(norm2)
    return value


@jit_sum
def is_positive(matrix, shift, sign, lower):
    """Say whether ``sign (matrix - shift I)`` is positive definite, by Cholesky in `lower`."""
    n = matrix.shape[0]
    for i in range(n):
        for j in range(i + 1):
            total = 0.0
            for l in range(j):
                total += lower[i, l] * lower[j, l]
            rest = sign * (matrix[i, j] - (shift if i == j else 0.0)) - total
            if i > j:
                lower[i, j] = rest / lower[j, j]
            elif rest > 0.0 and np.isfinite(rest):
                lower[i, i] = np.sqrt(rest)
            else:
                return False
    return True


@jit_sum
def square_of_quotient(old, new, m, quotient, square):
    """Write ``A = old[m] @ inv(new[m])``, lower-triangular, and ``A @ A.T``; return its trace."""
    n = square.shape[0]
    trace = 0.0
    for i in range(n):
        for j in range(i + 1):
            quotient[i, j] = old[m, i, j]
        for j in range(i, -1, -1):
            quotient[i, j] /= new[m, j, j]
            for l in range(j):
                quotient[i, l] -= quotient[i, j] * new[m, j, l]
        for j in range(i + 1):
            total = 0.0
            for l in range(j + 1):
                total += quotient[i, l] * quotient[j, l]
            square[i, j] = square[j, i] = total
        trace += square[i, i]
    return trace


@jit_sum
def distance_from_multiple(matrix, value):
    """Return the Frobenius norm of ``matrix - value I``."""
    norm2 = 0.0
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[0]):
            gap = matrix[i, j] - (value if i == j else 0.0)
            norm2 += gap * gap
    return np.sqrt(norm2)


@jit
def proved_end(matrix, estimate, bound, spare):
    """Return a number between an estimate and a bound that all eigenvalues lie on one side of.

    The nearest to the estimate of a few that Cholesky's method proves, or the bound.
    """
    sign = 1.0 if bound < estimate else -1.0
    for part in (1.0 / 64.0, 1.0 / 16.0, 1.0 / 4.0):
        value = estimate + part * (bound - estimate)
        if is_positive(matrix, value, sign, spare):
            return value
    return bound


@jit
def stretch_one(old, new, m, work, least, greatest):
    """Bound the singular values of ``old[m] @ inv(new[m])``: see `stretch_pass`.

    No eigenvalue of a symmetric matrix lies farther from their mean than its distance from a
    multiple of the identity. Power iteration tells how much nearer they may be proved to lie.
    Rounding in the square and in Cholesky's method moves eigenvalues by less than `noise`.
    """
    square, spare, vectors = work
    n = square.shape[0]
    middle = square_of_quotient(old, new, m, spare, square) / n
    noise = 2e-15 * (n + 8) * n * middle
    radius = distance_from_multiple(square, middle)
    least[m], greatest[m] = 0.0, np.inf
    if not np.isfinite(radius):
        return
    one = end_of_spectrum(square, middle, vectors[0], vectors[1])
    other = end_of_spectrum(square, one, vectors[0], vectors[1])
    high = proved_end(square, max(one, other), middle + radius, spare)
    low = proved_end(square, min(one, other), middle - radius, spare)
    greatest[m], least[m] = np.sqrt(high + noise), np.sqrt(max(low - noise, 0.0))


@entry
def stretch_pass(begin, end, n_matrices, work, old, new, least, greatest):
    """Bound the ratio of ``|old[m] x|`` to ``|new[m] x|`` for all x, for some of the matrices.

    Lower-triangular `old` and `new` (n_matrices, n, n); `least` and `greatest` (n_matrices,)
    are modified in place. `work` holds two buffers (n, n) and one (2, n).
    """
    for m in range(begin, end):
        stretch_one(old, new, m, work, least, greatest)
