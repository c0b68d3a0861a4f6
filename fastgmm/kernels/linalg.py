"""Cholesky factors of many small matrices, their inverses, and bounds of singular values.

LAPACK is called once a matrix and its threads would fight with ours; the library's own share
the matrices among them.

All that takes n^3 multiplications are sums of products of rows, which `add_row_products` makes for
`PANEL_ROWS` rows of the result at a time. Sums along rows, whose lanes have to be added up for
each element, took 3.4 times as long for factors of 64 features, 2.5 times for those of 300 and
0.7 times for those of 2. Buffers are square, n filled up to whole panels wide.
"""

import numpy as np

from fastgmm.jit.decorators import entry, jit, jit_sum
from fastgmm.kernels.micro.blocks import cross_block
from fastgmm.kernels.micro.lanes import lanes_of

PANEL_ROWS = 8

_panel, _row = cross_block(PANEL_ROWS, (1,)), cross_block(1, (1,))


def buffer_width(n):
    """Return the rows and columns of a buffer for matrices (n, n)."""
    return -(-n // PANEL_ROWS) * PANEL_ROWS


@jit
def add_row_products(left, right, terms, lower, out, rows, columns):
    """Add ``sum_t left[t, row + r] right[t, j]`` to `out`, in place.

    `terms` (first, last) is the range of t; `rows` (row, count) are the rows of `out`, one or
    `PANEL_ROWS` of them; `columns` (begin, end) are whole vectors of its columns. `right` is
    triangular, `lower` or upper, and its zeros are skipped.
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
    """Multiply some columns of a row by a factor, in place."""
    for j in range(begin, end):
        matrix[i, j] *= factor


@jit
def cholesky_in_place(root, n):
    """Turn ``-A`` into the upper-triangular R with ``R^T R = A``, in place.

    Say whether A (n, n) is positive definite; where not, R is left unfinished. Only upper
    triangles are read, and what is below is overwritten.
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
    """Write the inverse, lower-triangular, of the transposed root, in place."""
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
    """Write the inverse Cholesky factor of a matrix and return its log-determinant.

    Reads the lower triangle. NaN where the matrix is not positive definite; the factor is then
    left as it is. `root` and `inverse` are overwritten.
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
    """Factorize some of the matrices (n_matrices, n, n); `factors` and `log_det` modified in place.

    `log_det` receives the log-determinants of the factors: half of minus the matrices' own.
    """
    root, inverse = buffers
    for m in range(begin, end):
        log_det[m] = factorize_one(covariances[m], root, inverse, factors[m])


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
def extreme_eigenvalue(matrix, shift, vector, out):
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


@jit
def is_positive(matrix, n, shift, sign, root):
    """Say whether ``sign (matrix - shift I)`` is positive definite; `root` is overwritten."""
    for i in range(n):
        for j in range(i, matrix.shape[1]):
            root[i, j] = -sign * matrix[i, j]
        root[i, i] = -sign * (matrix[i, i] - shift)
    return cholesky_in_place(root, n)


@jit
def write_quotient(old, new, quotient_t, spare):
    """Write ``A^T``, upper-triangular, of ``A = old inv(new)``, in place.

    From the last row to the first, by ``new^T A^T = old^T``; `spare` is overwritten.
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
    """Write ``A A^T`` of the upper-triangular ``A^T``, in place, and return its trace."""
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
    """Return a number between an estimate and a bound that all eigenvalues lie on one side of.

    The nearest to the estimate of a few that Cholesky's method proves, or the bound.
    """
    sign = 1.0 if bound < estimate else -1.0
    for part in (1.0 / 64.0, 1.0 / 16.0, 1.0 / 4.0):
        value = estimate + part * (bound - estimate)
        if is_positive(matrix, n, value, sign, spare):
            return value
    return bound


@jit
def stretch_one(old, new, buffers):
    """Return bounds of the singular values of ``old inv(new)``: see `stretch_pass`.

    No eigenvalue of a symmetric matrix lies farther from their mean than its distance from a
    multiple of the identity. Power iteration tells how much nearer they may be proved to lie.
    Rounding in the square and in Cholesky's method moves eigenvalues by less than `noise`.
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
    """Bound the ratio of ``|old[m] x|`` to ``|new[m] x|`` for all x, for some of the matrices.

    Lower-triangular `old` and `new` (n_matrices, n, n); `least` and `greatest` (n_matrices,)
    are modified in place. `buffers` are three of matrices and one (2, n).
    """
    for m in range(begin, end):
        least[m], greatest[m] = stretch_one(old[m], new[m], buffers)
