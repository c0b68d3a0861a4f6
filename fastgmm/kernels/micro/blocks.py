"""Blocks of accumulators that stay in registers: norms, distances, second moments, products.

Each intrinsic is the innermost loop of a kernel; the loops around it are Numba code. Its block has
a fixed size, or one of a few sizes, of which a switch chooses one at run time.

Measured on one AVX-512 core, relative to its rate in dgemm: blocks of six rows of norms reach 62,
89, 94 and 100% for 8, 10, 20 and 32 features, without code specialised on the number of features;
blocks of four rows reach 80, 66, 98 and 100%; blocks of eight rows by three vectors reach 59, 64,
94 and 100%.

A block's height is chosen so that its accumulators, one row of operands and one broadcast fit in
the registers of the instruction set (32 with AVX-512 and on 64-bit Arm, else 16).

Some intrinsics here, and `differences_of_strip` and `try_candidates` beside them, have more than
eight arguments: arrays, the distances between their rows, and offsets. Their callers have these as
separate numbers; tuples of them would only be packed and unpacked around the innermost loops.
"""

from fastgmm.jit.intrinsics import intrinsic, ir, types
from fastgmm.kernels.micro.vectors import (
    GRAM_ROWS,
    SQUARE,
    STRIP_VECTORS,
    Points,
    Vectors,
    accumulate,
    elements_of,
    index,
    one_of,
    strip_places,
)

NORM_ROWS = 6  # rows of a block of a triangular matrix; the top block may have fewer


def _add_triangle(vectors, acc, factor, points):
    """Add the products of rows of a triangular matrix, for their columns at the diagonal."""
    for t in range(len(acc)):
        strip = [points(t, c) for c in range(len(acc[t]))]
        for r in range(t, len(acc)):
            coefficient = factor(t, r)
            acc[r] = [vectors.fma(coefficient, x, a) for x, a in zip(strip, acc[r], strict=True)]


def _sums_of_squares(vectors, acc):
    """Return the sum over rows of squared accumulators, one vector per column."""
    squares = [vectors.zero] * len(acc[0])
    for row in acc:
        squares = [vectors.fma(a, a, square) for a, square in zip(row, squares, strict=True)]
    return squares


@intrinsic
def write_top_norms(typingctx, rows, U, u, ldu, D, ldd, places, i, M, L, m, out, o):
    """Write ``|U (x - mean)|^2`` over the first `rows` rows of U, 1 to NORM_ROWS of them.

    The lower-triangular matrix begins at offset u of `U`, with rows ldu apart. The strip's vectors
    of `D` (n_features, ldd) begin at the places from offset i of `places`. The mean's high and low
    part begin at offset m of `M` and `L`. The sums of squares are written to `out` float64 from
    offset o.
    """

    def generate(context, builder, signature, args):
        rows, _, u0, ldu, _, ldd, _, i, _, _, m, _, o = args
        u, d, places, high, low, total = (
            elements_of(context, builder, signature, args, a) for a in (1, 4, 6, 8, 9, 11)
        )
        vectors = Vectors(builder, d.type)
        begins = strip_places(builder, places, i)

        def factor(column, r):
            at = builder.add(u0, builder.mul(index(r), ldu))
            return vectors.multiplier(u, builder.add(at, index(column)))

        def points(column, c):
            row = builder.mul(index(column), ldd)
            x = vectors.load(d, builder.add(row, begins[c]))
            return vectors.minus_mean(x, high, low, builder.add(m, index(column)))

        def emit(height):
            acc = [[vectors.zero] * STRIP_VECTORS for _ in range(height)]
            _add_triangle(vectors, acc, factor, points)
            for c, square in enumerate(_sums_of_squares(vectors, acc)):
                at = builder.add(o, index(c * vectors.lanes))
                vectors.store_as_doubles(square, total, at)

        one_of(builder, rows, range(1, NORM_ROWS + 1), emit)
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(i8, U, i8, i8, D, i8, places, i8, M, L, i8, out, i8), generate


def _rows_of_product(vectors, rows, width, u, u0, ldu, j, points):
    """Return rows j ... j + rows - 1 of a lower-triangular matrix times `width` vectors of points.

    The matrix begins at offset u0 of `u`; ``points(column, c)`` loads the points' vectors.
    """
    builder = vectors.builder
    row = [builder.add(u0, builder.mul(builder.add(j, index(r)), ldu)) for r in range(rows)]

    def factor(column, r):
        return vectors.multiplier(u, builder.add(row[r], column))

    acc = accumulate(vectors, [width] * rows, j, factor, points)
    _add_triangle(
        vectors,
        acc,
        lambda t, r: factor(builder.add(j, index(t)), r),
        lambda t, c: points(builder.add(j, index(t)), c),
    )
    return acc


def row_norms_block(rows, width):
    """Make ``f(U, u, ldu, j, D, ldd, out, o)``: add the squares of rows of ``U @ D`` to `out`.

    The rows are j ... j + rows - 1 of the lower-triangular matrix that begins at offset u of `U`;
    the points are the first `width` vectors of `D` (n_features, ldd). `out` float64 is modified in
    place from offset o.
    """

    @intrinsic
    def add_row_norms(typingctx, U, u, ldu, j, D, ldd, out, o):
        """Add the squares of the rows: see `row_norms_block`."""

        def generate(context, builder, signature, args):
            _, u0, ldu, j, _, ldd, _, o = args
            u, d, total = (elements_of(context, builder, signature, args, i) for i in (0, 4, 6))
            vectors = Vectors(builder, d.type)

            def points(column, c):
                begin = builder.mul(column, ldd)
                return vectors.load(d, builder.add(begin, index(c * vectors.lanes)))

            acc = _rows_of_product(vectors, rows, width, u, u0, ldu, j, points)
            for c, square in enumerate(_sums_of_squares(vectors, acc)):
                vectors.add_to_doubles(square, total, builder.add(o, index(c * vectors.lanes)))
            return context.get_dummy_value()

        i8 = types.intp
        return types.void(U, i8, i8, i8, D, i8, out, i8), generate

    return add_row_norms


def product_rows_block(rows):
    """Make ``f(U, ldu, j, D, ldd, p)``: replace rows of `D` by those of ``U @ D``.

    The rows are j ... j + rows - 1, for the strip of points of `D` (n_features, ldd) that begins at
    place p. `U` is lower-triangular, so only rows of `D` up to the last of these are read.
    """

    @intrinsic
    def replace_rows(typingctx, U, ldu, j, D, ldd, p):
        """Replace the rows: see `product_rows_block`."""

        def generate(context, builder, signature, args):
            _, ldu, j, _, ldd, p = args
            u, d = (elements_of(context, builder, signature, args, i) for i in (0, 3))
            vectors = Vectors(builder, d.type)

            def at(row, c):
                begin = builder.add(builder.mul(row, ldd), p)
                return builder.add(begin, index(c * vectors.lanes))

            def points(row, c):
                return vectors.load(d, at(row, c))

            width = STRIP_VECTORS
            acc = _rows_of_product(vectors, rows, width, u, index(0), ldu, j, points)
            for r, registers in enumerate(acc):
                for c, register in enumerate(registers):
                    vectors.store(register, d, at(builder.add(j, index(r)), c))
            return context.get_dummy_value()

        i8 = types.intp
        return types.void(U, i8, i8, D, i8, i8), generate

    return replace_rows


def plain_difference(vectors, x, high, low, scale):
    """Return ``x - high - low``; `low` is None for float64."""
    diff = vectors.builder.fsub(x, high)
    return vectors.builder.fsub(diff, low) if low else diff


def scaled_difference(vectors, x, high, low, scale):
    """Return ``(x - high - low) * scale``."""
    return vectors.builder.fmul(plain_difference(vectors, x, high, low, scale), scale)


def scaled_point_difference(vectors, x, high, low, scale):
    """Return ``x * scale - high - low``: one instruction for float64, where `low` is None."""
    diff = vectors.fma(x, scale, vectors.builder.fneg(high))
    return vectors.builder.fsub(diff, low) if low else diff


def distances_block(rows, difference):
    """Make ``f(D, ldd, places, i, n, M, L, S, k, ldm, out, o, ldo)``: write squared distances.

    They are distances from a strip of vectors of `D` (n features, ldd), which begin at the places
    from offset i of `places`, to the means in rows k ... k + rows - 1 of `M` and `L` (high and low
    part, rows ldm apart). `difference` is one of `plain_difference`, `scaled_difference` and
    `scaled_point_difference`; the latter two read the same rows of `S`, n apart. The distances to
    mean k are written to `out` float64 from offset o, those to the next means ldo apart.
    """

    @intrinsic
    def write_distances(typingctx, D, ldd, places, i, n, M, L, S, k, ldm, out, o, ldo):
        """Write the distances: see `distances_block`."""

        def generate(context, builder, signature, args):
            _, ldd, _, i, n, _, _, _, k, ldm, _, o, ldo = args
            points, places, high, low, scale, total = (
                elements_of(context, builder, signature, args, a) for a in (0, 2, 5, 6, 7, 10)
            )
            vectors = Vectors(builder, points.type)
            begins = strip_places(builder, places, i)

            def mean(feature, r):
                row = builder.add(k, index(r))
                at = builder.add(builder.mul(row, ldm), feature)
                parts = [vectors.broadcast(high, at)]
                parts.append(vectors.broadcast(low, at) if vectors.itemsize == 4 else None)
                at = builder.add(builder.mul(row, n), feature)
                if difference is plain_difference:
                    return [*parts, None]
                fused = difference is scaled_point_difference
                load = vectors.multiplier if fused else vectors.broadcast
                parts.append(load(scale, at))
                return parts

            def strip(feature, c):
                return vectors.load(points, builder.add(builder.mul(feature, ldd), begins[c]))

            def add_square(parts, x, register):
                diff = difference(vectors, x, *parts)
                return vectors.fma(diff, diff, register)

            acc = accumulate(vectors, [STRIP_VECTORS] * rows, n, mean, strip, add_square)
            for r, registers in enumerate(acc):
                begin = builder.add(o, builder.mul(index(r), ldo))
                for c, register in enumerate(registers):
                    at = builder.add(begin, index(c * vectors.lanes))
                    vectors.store_as_doubles(register, total, at)
            return context.get_dummy_value()

        i8 = types.intp
        return types.void(D, i8, places, i8, i8, M, L, S, i8, i8, out, i8, i8), generate

    return write_distances


def cross_block(rows, widths):
    """Make ``f(columns, P, p, Q, q, ld, n, out, o)``: add a block of ``P.T @ Q`` to `out`.

    `P` and `Q` (n, ld) hold one point per row. The block is `rows` columns of `P` from offset p by
    `columns` vectors of `Q` from offset q; `columns` must be one of `widths`. Row 0 of the block is
    added to `out` float64 at offset o, the others follow ld apart. `out` is modified in place.
    """

    @intrinsic
    def add_cross(typingctx, columns, P, p, Q, q, ld, n, out, o):
        """Add the block: see `cross_block`."""

        def generate(context, builder, signature, args):
            columns, _, p0, _, q0, ld, n, _, o = args
            left_data, right_data, total = (
                elements_of(context, builder, signature, args, i) for i in (1, 3, 7)
            )
            vectors = Vectors(builder, right_data.type)

            def left(t, r):
                offset = builder.add(builder.mul(t, ld), builder.add(p0, index(r)))
                return vectors.multiplier(left_data, offset)

            def right(t, c):
                offset = builder.add(builder.mul(t, ld), q0)
                return vectors.load(right_data, builder.add(offset, index(c * vectors.lanes)))

            def emit(width):
                acc = accumulate(vectors, [width] * rows, n, left, right)
                for r, registers in enumerate(acc):
                    begin = builder.add(o, builder.mul(index(r), ld))
                    for c, register in enumerate(registers):
                        at = builder.add(begin, index(c * vectors.lanes))
                        vectors.add_to_doubles(register, total, at)

            one_of(builder, columns, widths, emit)
            return context.get_dummy_value()

        i8 = types.intp
        return types.void(i8, P, i8, Q, i8, i8, i8, out, i8), generate

    return add_cross


@intrinsic
def add_weighted_gram(typingctx, rows, w, D, ldd, n, row, col, out, o, ldo):
    """Add a block of ``(w * D) @ D.T`` to `out`: `rows` rows, 1 to SQUARE, by SQUARE columns.

    Lanes run over the points: n vectors of `D` (n_features, ldd). The block begins at `row` and
    column `col`. Its first element is added to `out` float64 at offset o; its rows follow ldo
    apart. `out` is modified in place.
    """

    def generate(context, builder, signature, args):
        rows, _, _, ldd, n, row, col, _, o, ldo = args
        w, d, total = (elements_of(context, builder, signature, args, i) for i in (1, 2, 7))
        points = Points(builder, d, ldd)
        left, right = points.weighted(w, row), points.row_from(col)

        def emit(height):
            acc = accumulate(points, [SQUARE] * height, n, left, right)
            points.add_sums_of_block(acc, total, o, ldo)

        one_of(builder, rows, range(1, SQUARE + 1), emit)
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(i8, w, D, i8, i8, i8, i8, out, i8, i8), generate


def _add_weighted_corner(points, rows, n, row, w, total, o, ldo, sums, s):
    """Emit a diagonal block of 1 to SQUARE `rows`: its lower triangle and the sums ``D @ w``.

    Both are computed in one loop, because small blocks have too few accumulators to hide the
    latency of the multiply-adds.
    """
    builder = points.builder
    one = ir.Constant(points.scalar, 1.0)
    ones = ir.Constant(points.type, [one] * points.lanes)
    column = points.row_from(row)

    def right(t, c):
        return column(t, c - 1) if c else ones

    def emit(height):
        widths = [r + 2 for r in range(height)]
        acc = accumulate(points, widths, n, points.weighted(w, row), right)
        moments = [(sums, builder.add(s, index(r))) for r in range(height)]
        points.add_sums_apart([row[0] for row in acc], moments)
        points.add_sums_of_block([row[1:] for row in acc], total, o, ldo)

    one_of(builder, rows, range(1, SQUARE + 1), emit)


@intrinsic
def add_weighted_corner(typingctx, rows, w, D, ldd, n, row, out, o, ldo, sums, s):
    """Add the same as `add_weighted_gram` for row = col, lower triangle only, and add ``D @ w``.

    ``D @ w`` of the same rows is added to `sums` float64 from offset s.
    """

    def generate(context, builder, signature, args):
        rows, _, _, ldd, n, row, _, o, ldo, _, s = args
        w, d, total, sums = (
            elements_of(context, builder, signature, args, i) for i in (1, 2, 6, 9)
        )
        points = Points(builder, d, ldd)
        _add_weighted_corner(points, rows, n, row, w, total, o, ldo, sums, s)
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(i8, w, D, i8, i8, i8, out, i8, i8, sums, i8), generate


@intrinsic
def add_small_matrix(typingctx, rows, w, D, ldd, places, n, M, L, m, out, o, ldo, sums, s):
    """Add the same as `add_weighted_corner` for all `rows` features, of listed points minus a mean.

    The n vectors of points begin at `places`. The mean's high and low part begin at offset m of `M`
    and `L`.
    """

    def generate(context, builder, signature, args):
        rows, _, _, ldd, _, n, _, _, m, _, o, ldo, _, s = args
        w, d, places, high, low, total, sums = (
            elements_of(context, builder, signature, args, i) for i in (1, 2, 4, 6, 7, 9, 12)
        )
        points = Points(builder, d, ldd, places, (high, low, m))
        _add_weighted_corner(points, rows, n, index(0), w, total, o, ldo, sums, s)
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(i8, w, D, i8, places, i8, M, L, i8, out, i8, i8, sums, i8), generate


@intrinsic
def weighted_rows(typingctx, W, w, ldw, P, p, ldp, n, out, o, ldo):
    """Write one vector of columns of ``W @ P`` and of ``W @ P**2``, for GRAM_ROWS rows of `W`.

    `W` (rows, ldw) holds the weights of n points from offset w on, `P` (n, ldp) one point per row,
    the vector of columns from offset p on. The sums are written to `out` float64 from offset o; its
    rows follow ldo apart, those of squares after the others. Each square is computed once for all
    rows.
    """

    def generate(context, builder, signature, args):
        _, w, ldw, _, p, ldp, n, _, o, ldo = args
        weights, points, total = (
            elements_of(context, builder, signature, args, i) for i in (0, 3, 7)
        )
        vectors = Vectors(builder, points.type)
        begins = [builder.add(w, builder.mul(index(r), ldw)) for r in range(GRAM_ROWS)]

        def left(t, r):
            return vectors.multiplier(weights, builder.add(begins[r], t))

        def right(t, c):
            x = vectors.load(points, builder.add(p, builder.mul(t, ldp)))
            return builder.fmul(x, x) if c else x

        acc = accumulate(vectors, [2] * GRAM_ROWS, n, left, right)
        for r, registers in enumerate(acc):
            for c, register in enumerate(registers):
                row = builder.mul(index(r + c * GRAM_ROWS), ldo)
                vectors.store_as_doubles(register, total, builder.add(o, row))
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(W, i8, i8, P, i8, i8, i8, out, i8, i8), generate


def product_block(rows, columns):
    """Make ``f(A, a, D, d, ld, n, out, o, ldo)``: add a block of ``A @ D.T`` to `out`.

    Lanes run over the points, n vectors of them. Rows of the block begin at offset a of `A`,
    columns at offset d of `D`; both are `ld` apart. The first element is added to `out` float64 at
    offset o; rows follow ldo apart. `out` is modified in place.
    """

    @intrinsic
    def add_product(typingctx, A, a, D, d, ld, n, out, o, ldo):
        """Add the block: see `product_block`."""

        def generate(context, builder, signature, args):
            _, a0, _, d0, ld, n, _, o, ldo = args
            left_data, right_data, total = (
                elements_of(context, builder, signature, args, i) for i in (0, 2, 6)
            )
            vectors = Vectors(builder, right_data.type)

            def points(data, begin, t, row):
                offset = builder.add(begin, builder.mul(index(row), ld))
                return vectors.load(data, builder.add(offset, builder.mul(t, index(vectors.lanes))))

            acc = accumulate(
                vectors,
                [columns] * rows,
                n,
                lambda t, r: points(left_data, a0, t, r),
                lambda t, c: points(right_data, d0, t, c),
            )
            vectors.add_sums_of_block(acc, total, o, ldo)
            return context.get_dummy_value()

        i8 = types.intp
        return types.void(A, i8, D, i8, i8, i8, out, i8, i8), generate

    return add_product


@intrinsic
def add_weighted_rows(typingctx, rows, C, c, i, n, D, p, ldd, w, q, out, o):
    """Add ``w * (B @ (D - mean) + constant)`` to `out` for a strip of points.

    At offset c of `C` begin the mean (n), an unused number, and rows of B (n), each followed by its
    constant. The block has 1 to NORM_ROWS `rows` of B from row i on. The strip is at place p of `D`
    (n, ldd), its weights at offset q of `w`. Row i is added to `out` at offset o, the others follow
    ldd apart. All arrays are float64; `out` is modified in place.
    """

    def generate(context, builder, signature, args):
        rows, _, c0, i, n, _, p, ldd, _, q, _, o = args
        numbers, points, weights, total = (
            elements_of(context, builder, signature, args, a) for a in (1, 5, 8, 10)
        )
        vectors = Vectors(builder, ir.DoubleType())
        width = builder.add(n, index(1))

        def place(row, t):
            return builder.add(builder.add(c0, builder.mul(row, width)), t)

        def factor(t, r):
            return vectors.multiplier(numbers, place(row_of(r), t))

        def row_of(r):
            return builder.add(i, index(1 + r))

        def gap(t, k):
            at = builder.add(p, builder.mul(t, ldd))
            x = vectors.load(points, builder.add(at, index(k * vectors.lanes)))
            return builder.fsub(x, vectors.broadcast(numbers, place(index(0), t)))

        def emit(height):
            widths = [STRIP_VECTORS] * height
            acc = accumulate(vectors, widths, n, factor, gap)
            for r, registers in enumerate(acc):
                constant = vectors.broadcast(numbers, place(row_of(r), n))
                begin = builder.add(o, builder.mul(index(r), ldd))
                for k, register in enumerate(registers):
                    lane = index(k * vectors.lanes)
                    weight = vectors.load(weights, builder.add(q, lane))
                    at = builder.add(begin, lane)
                    value = builder.fadd(register, constant)
                    vectors.store(vectors.fma(weight, value, vectors.load(total, at)), total, at)

        one_of(builder, rows, range(1, NORM_ROWS + 1), emit)
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(i8, C, i8, i8, i8, D, i8, i8, w, i8, out, i8), generate
