"""Cholesky factors of many small matrices, their inverses, and bounds on singular values.

LAPACK factorizes one matrix per call, and its threads compete with ours. These kernels distribute
the matrices over the library's own threads.

All n^3 operations are sums of products of rows. `add_row_products` computes them for `PANEL_ROWS`
rows of the result at a time. Sums along rows, whose lanes have to be added up for each element,
took 3.4 times as long for factors of 64 features, 2.5 times for 300 features and 0.7 times for 2.
Buffers are square; n is rounded up to full panels.
"""

import numpy as np

from fastgmm.jit.decorators import entry, jit, jit_sum
from fastgmm.kernels.micro.blocks import cross_block
from fastgmm.kernels.micro.lanes import lanes_of

PANEL_ROWS = 8

_panel, _row = cross_block(PANEL_ROWS, (1,)), cross_block(1, (1,))


def buffer_width(n):
    """Return the number of rows and columns of a buffer for matrices (n, n)."""
    return -(-n // PANEL_ROWS) * PANEL_ROWS


@jit
def add_row_products(left, right, terms, lower, out, rows, columns):
    """Add ``sum_t left[t, row + r] right[t, j]`` to ``out[row + r, j]``, in place.

    `terms` (first, end) is the range of t. `rows` (row, count) are the rows of `out`; count is 1 or
    `PANEL_ROWS`. `columns` (begin, end) are full vectors of columns. `right` is triangular, lower
    if `lower` is true, else upper; its zeros are skipped.
    """
    first_t, end_t = terms
    row, n_rows = rows
    begin, end = columns
    ld, lanes = out.shape[1], lanes_of(out)
    for j in range(begin, end, lanes):
        begin_t = j if lower and j > first_t else first_t
        n = (j + lanes if not lower and j + lanes < end_t else end_t) - begin_t
        p, q, o = begin_t * ld + row, begin_t * ld + j, row * ld + j
        if n_rows == 1:
            _row(1, left, p, right, q, ld, n, out, o)
        else:
            _panel(1, left, p, right, q, ld, n, out, o)


@jit
def scale_columns(matrix, i, begin, end, factor):
    """Multiply columns begin ... end - 1 of row i by a factor, in place."""
    for j in range(begin, end):
        matrix[i, j] *= factor


@jit
def cholesky_in_place(root, n):
    """Turn ``-A`` into the upper-triangular R with ``R^T R = A``, in place.

    Return whether A (n, n) is positive definite; if not, R is incomplete. Only upper triangles are
    read; the lower triangle is overwritten.
    """
    width = root.shape[1]
    for b in range(0, n, PANEL_ROWS):
        add_row_products(root, root, (0, b), False, root, (b, PANEL_ROWS), (b, width))
        for i in range(b, min(b + PANEL_ROWS, n)):
            add_row_products(root, root, (b, i), False, root, (i, 1), (b, width))
            pivot = -root[i, i]
            if not (pivot > 0.0 and np.isfinite(pivot)):
                return False
            scale_columns(root, i, b, width, -1.0 / np.sqrt(pivot))
    return True


@jit
def invert_transposed(root, n, inverse):
    """Write the lower-triangular inverse of the transpose of `root` to `inverse`, in place."""
    for b in range(0, n, PANEL_ROWS):
        for i in range(b, b + PANEL_ROWS):
            for j in range(inverse.shape[1]):
                inverse[i, j] = 0.0
        end = b + PANEL_ROWS
        add_row_products(root, inverse, (0, b), True, inverse, (b, PANEL_ROWS), (0, b))
        for i in range(b, min(end, n)):
            add_row_products(root, inverse, (b, i), True, inverse, (i, 1), (0, end))
            scale_columns(inverse, i, 0, end, -1.0 / root[i, i])
            inverse[i, i] = 1.0 / root[i, i]


@jit
def factorize_one(covariance, root, inverse, factor):
    """Write the inverse Cholesky factor of a matrix; return the factor's log-determinant.

    The lower triangle is read. If the matrix is not positive definite, return NaN and leave
    `factor` as it is. `root` and `inverse` are overwritten.
    """
    n = factor.shape[0]
    for i in range(n):
        for j in range(root.shape[1]):
            root[i, j] = -covariance[j, i] if i <= j < n else 0.0
    if not cholesky_in_place(root, n):
        return np.nan
    invert_transposed(root, n, inverse)
    log_det = 0.0
    for i in range(n):
        for j in range(n):
            factor[i, j] = inverse[i, j]
        log_det += np.log(inverse[i, i])
    return log_det


@entry
def factorize_pass(begin, end, n_matrices, buffers, covariances, factors, log_det):
    """Factorize the matrices begin ... end - 1 of `covariances` (n_matrices, n, n).

    `log_det` receives the log-determinants of the factors, which are -1/2 times those of the
    matrices. A matrix that is not positive definite gets NaN there. `factors` and `log_det` are
    modified in place. `buffers` are two square matrices.
    """
    root, inverse = buffers
    for m in range(begin, end):
        log_det[m] = factorize_one(covariances[m], root, inverse, factors[m])


@jit_sum
def multiply(matrix, vector, out):
    """Write ``matrix @ vector`` to `out`; return ``vector @ out`` and ``out @ out``."""
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
def extreme_eigenvalue(matrix, shift, vector, out):
    """Return an estimate of the symmetric matrix's eigenvalue farthest from `shift`.

    It comes from eight steps of power iteration. `vector` and `out` (n,) are overwritten.
    """
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


@jit
def is_positive(matrix, n, shift, sign, root):
    """Return whether ``sign (matrix - shift I)`` is positive definite; `root` is overwritten."""
    for i in range(n):
        for j in range(i, matrix.shape[1]):
            root[i, j] = -sign * matrix[i, j]
        root[i, i] = -sign * (matrix[i, i] - shift)
    return cholesky_in_place(root, n)


@jit
def write_quotient(old, new, quotient_t, spare):
    """Write the upper-triangular ``A^T`` of ``A = old inv(new)`` to `quotient_t`, in place.

    Solves ``new^T A^T = old^T`` from the last row to the first. `spare` is overwritten.
    """
    n, width = old.shape[0], quotient_t.shape[1]
    for i in range(width):
        for j in range(width):
            quotient_t[i, j] = -old[j, i] if i <= j < n else 0.0
            spare[i, j] = new[i, j] if j <= i < n else 0.0
    for b in range(width - PANEL_ROWS, -1, -PANEL_ROWS):
        end = min(b + PANEL_ROWS, n)
        add_row_products(
            spare, quotient_t, (end, n), False, quotient_t, (b, PANEL_ROWS), (b, width)
        )
        for i in range(end - 1, b - 1, -1):
            add_row_products(spare, quotient_t, (i + 1, end), False, quotient_t, (i, 1), (b, width))
            scale_columns(quotient_t, i, b, width, -1.0 / new[i, i])


@jit
def write_square(quotient_t, n, square):
    """Write ``A A^T``, from the upper-triangular ``A^T``, in place; return its trace."""
    width = square.shape[1]
    trace = 0.0
    for i in range(width):
        for j in range(width):
            square[i, j] = 0.0
    for b in range(0, n, PANEL_ROWS):
        last = min(b + PANEL_ROWS, n)
        add_row_products(
            quotient_t, quotient_t, (0, last), False, square, (b, PANEL_ROWS), (b, width)
        )
    for i in range(n):
        for j in range(i):
            square[i, j] = square[j, i]
        trace += square[i, i]
    return trace


@jit_sum
def deviation_from_multiple(matrix, n, value):
    """Return the Frobenius norm of ``matrix - value I``."""
    norm2 = 0.0
    for i in range(n):
        for j in range(n):
            diff = matrix[i, j] - (value if i == j else 0.0)
            norm2 += diff * diff
    return np.sqrt(norm2)


@jit
def proved_bound(matrix, n, estimate, bound, spare):
    """Return a proved bound on all eigenvalues, on the side of `estimate` where `bound` lies.

    `bound` is a valid but loose bound. Candidates between `estimate` and `bound` are tested by
    Cholesky factorization, nearest to `estimate` first; the result is the first that is proved,
    else `bound`.
    """
    sign = 1.0 if bound < estimate else -1.0
    for part in (1.0 / 64.0, 1.0 / 16.0, 1.0 / 4.0):
        value = estimate + part * (bound - estimate)
        if is_positive(matrix, n, value, sign, spare):
            return value
    return bound


@jit
def stretch_one(old, new, buffers):
    """Return bounds on the singular values of ``old inv(new)``: see `stretch_pass`.

    All eigenvalues of a symmetric matrix lie within ``|matrix - c I|_F`` of c, their mean. Power
    iteration estimates how much nearer they lie, and `proved_bound` proves it. Rounding in the
    square and in the Cholesky factorization moves eigenvalues by less than `noise`.
    """
    square, quotient_t, spare, vectors = buffers
    n = old.shape[0]
    write_quotient(old, new, quotient_t, spare)
    middle = write_square(quotient_t, n, square) / n
    noise = 2e-15 * (n + 8) * n * middle
    radius = deviation_from_multiple(square, n, middle)
    if not np.isfinite(radius):
        return 0.0, np.inf
    one = extreme_eigenvalue(square, middle, vectors[0], vectors[1])
    other = extreme_eigenvalue(square, one, vectors[0], vectors[1])
    high = proved_bound(square, n, max(one, other), middle + radius, spare)
    low = proved_bound(square, n, min(one, other), middle - radius, spare)
    return np.sqrt(max(low - noise, 0.0)), np.sqrt(high + noise)


@entry
def stretch_pass(begin, end, n_matrices, buffers, old, new, least, greatest):
    """Bound the ratio of ``|old[m] x|`` to ``|new[m] x|`` over all x, for m = begin ... end - 1.

    `old` and `new` (n_matrices, n, n) are lower-triangular. `least` and `greatest` (n_matrices,)
    are modified in place. `buffers` are three square matrices and one array (2, n).
    """
    for m in range(begin, end):
        least[m], greatest[m] = stretch_one(old[m], new[m], buffers)
