"""Blocks of accumulators whose lanes run over components.

A group of components, as many as a vector has lanes, is stored side by side: number i of all of
them is the vector at offset ``i * lanes``. So a small matrix is factorised for a whole group at
once, whatever its size, and rows with different missing values need no tile of their own.

Both intrinsics are for float64 only and have more than eight arguments: see
`fastgmm.kernels.micro.blocks`.
"""

from fastgmm.jit.intrinsics import intrinsic, ir, types
from fastgmm.kernels.micro.vectors import (
    VECTOR_BYTES,
    Vectors,
    accumulate,
    elements_of,
    index,
    one_of,
)

LANES = VECTOR_BYTES // 8  # components in a group
BLOCK = 8  # rows or columns of a block: enough sums to hide the latency of multiply-adds


@intrinsic
def eliminate(typingctx, rows, A, a, lda, n, at, B, b, scale, s):
    """Replace vector `at` of some rows of A by ``(A[r, at] - sum_t A[r, t] B[t]) * scale``.

    The sum runs over t < n. Row 0 of the `rows` rows, 1 to BLOCK, begins at offset a of `A`; the
    others follow lda apart. The row of `B` begins at offset b and the vector `scale` at offset s.
    `A` is modified in place; `B` may be a row of `A`.
    """

    def generate(context, builder, signature, args):
        rows, _, a0, lda, n, at, _, b0, _, s = args
        a, b, scale = (elements_of(context, builder, signature, args, i) for i in (1, 6, 8))
        vectors = Vectors(builder, ir.DoubleType())
        width = index(vectors.lanes)

        def emit(height):
            begins = [builder.add(a0, builder.mul(index(r), lda)) for r in range(height)]

            def left(t, r):
                return vectors.load(a, builder.add(begins[r], builder.mul(t, width)))

            def right(t, c):
                return vectors.load(b, builder.add(b0, builder.mul(t, width)))

            acc = accumulate(vectors, [1] * height, n, left, right)
            factor = vectors.load(scale, s)
            for r, (register,) in enumerate(acc):
                place = builder.add(begins[r], builder.mul(at, width))
                rest = builder.fsub(vectors.load(a, place), register)
                vectors.store(builder.fmul(rest, factor), a, place)

        one_of(builder, rows, range(1, BLOCK + 1), emit)
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(i8, A, i8, i8, i8, i8, B, i8, scale, i8), generate


@intrinsic
def add_moments(typingctx, columns, P, p, Q, q, ld, n, out, o):
    """Add ``sum_t P[t] Q[t, c]`` to vector c of `out`, for c < `columns`, 1 to BLOCK of them.

    The sum runs over n rows, which lie ld apart. Row 0 begins at offset p of `P` and at offset q
    of `Q`. The first vector of `out` begins at offset o; `out` is modified in place.
    """

    def generate(context, builder, signature, args):
        columns, _, p0, _, q0, ld, n, _, o = args
        p, q, out = (elements_of(context, builder, signature, args, i) for i in (1, 3, 7))
        vectors = Vectors(builder, ir.DoubleType())

        def emit(width):
            def left(t, r):
                return vectors.load(p, builder.add(p0, builder.mul(t, ld)))

            def right(t, c):
                begin = builder.add(q0, builder.mul(t, ld))
                return vectors.load(q, builder.add(begin, index(c * vectors.lanes)))

            (acc,) = accumulate(vectors, [width], n, left, right)
            for c, register in enumerate(acc):
                vectors.add_to_doubles(register, out, builder.add(o, index(c * vectors.lanes)))

        one_of(builder, columns, range(1, BLOCK + 1), emit)
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(i8, P, i8, Q, i8, i8, i8, out, i8), generate


@intrinsic
def store_difference(typingctx, x, M, m, out, o):
    """Store the vector ``x - M[m]`` at offset o of `out`; x is a number."""

    def generate(context, builder, signature, args):
        x, _, m, _, o = args
        means, out = (elements_of(context, builder, signature, args, i) for i in (1, 3))
        vectors = Vectors(builder, ir.DoubleType())
        vectors.store(builder.fsub(vectors.splat(x), vectors.load(means, m)), out, o)
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(types.float64, M, i8, out, i8), generate


@intrinsic
def store_vector(typingctx, A, a, scale, out, o):
    """Store the vector ``A[a] * scale`` at offset o of `out`; `scale` is a number."""

    def generate(context, builder, signature, args):
        _, a0, scale, _, o = args
        a, out = (elements_of(context, builder, signature, args, i) for i in (0, 3))
        vectors = Vectors(builder, ir.DoubleType())
        vectors.store(builder.fmul(vectors.load(a, a0), vectors.splat(scale)), out, o)
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(A, i8, types.float64, out, i8), generate


@intrinsic
def store_product(typingctx, A, a, B, b, out, o):
    """Store the vector ``A[a] * B[b]`` at offset o of `out`."""

    def generate(context, builder, signature, args):
        _, a0, _, b0, _, o = args
        a, b, out = (elements_of(context, builder, signature, args, i) for i in (0, 2, 4))
        vectors = Vectors(builder, ir.DoubleType())
        vectors.store(builder.fmul(vectors.load(a, a0), vectors.load(b, b0)), out, o)
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(A, i8, B, i8, out, i8), generate


@intrinsic
def add_product(typingctx, A, a, B, b, out, o):
    """Add the vector ``A[a] * B[b]`` to that at offset o of `out`."""

    def generate(context, builder, signature, args):
        _, a0, _, b0, _, o = args
        a, b, out = (elements_of(context, builder, signature, args, i) for i in (0, 2, 4))
        vectors = Vectors(builder, ir.DoubleType())
        total = vectors.fma(vectors.load(a, a0), vectors.load(b, b0), vectors.load(out, o))
        vectors.store(total, out, o)
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(A, i8, B, i8, out, i8), generate
