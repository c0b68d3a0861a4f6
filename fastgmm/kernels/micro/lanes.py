"""Operations that take one instruction or a few for all lanes of a vector: move, compare, count."""

from fastgmm.jit.intrinsics import add_attribute, declared, for_range, intrinsic, ir, types
from fastgmm.kernels.micro.vectors import (
    INDEX,
    VECTOR_BYTES,
    WIDE,
    Vectors,
    elements_of,
    index,
    splat,
    strip_places,
    transposed,
)


@intrinsic
def differences_of_strip(typingctx, D, ldd, n, places, i, M, L, m, out, o, ldo):
    """Write ``x - high - low`` for one strip of listed vectors of points.

    The vectors of `D` (n features, ldd) begin at the places from offset i of `places`. The mean's
    high and low part begin at offset m of `M` and `L`. Rows of `out` begin at offset o and lie ldo
    apart. `out` is modified in place.

    For why it has eleven arguments see `fastgmm.kernels.micro.blocks`.
    """

    def generate(context, builder, signature, args):
        _, ldd, n, _, i, _, _, m, _, o, ldo = args
        points, places, high, low, out = (
            elements_of(context, builder, signature, args, a) for a in (0, 3, 5, 6, 8)
        )
        vectors = Vectors(builder, points.type)
        begins = strip_places(builder, places, i)
        with for_range(builder, n) as loop:
            feature = loop.index
            mean = vectors.broadcast(high, builder.add(m, feature))
            rest = vectors.broadcast(low, builder.add(m, feature))
            row = builder.mul(feature, ldd)
            at = builder.add(o, builder.mul(feature, ldo))
            for c, begin in enumerate(begins):
                diff = builder.fsub(vectors.load(points, builder.add(row, begin)), mean)
                if vectors.itemsize == 4:
                    diff = builder.fsub(diff, rest)
                vectors.store(diff, out, builder.add(at, index(c * vectors.lanes)))
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(D, i8, i8, places, i8, M, L, i8, out, i8, i8), generate


@intrinsic
def transpose_rows(typingctx, X, n, rows, i, tile, o, ldo):
    """Write rows of X (n_samples, n), as many as a vector has lanes, as columns of `tile`.

    The row numbers begin at offset i of `rows`. Feature 0 is written at offset o of `tile`, the
    others follow ldo apart. Squares are transposed in registers: moving numbers one by one, or by
    gather or scatter instructions, takes 3 to 9 times as long on AMD's Zen 4. The last square
    overlaps the one before it instead of reading past the last feature. If there are fewer features
    than lanes, rows are loaded under a mask.
    """

    def generate(context, builder, signature, args):
        _, n, _, i, _, o, ldo = args
        x, rows, tile = (elements_of(context, builder, signature, args, a) for a in (0, 2, 4))
        vectors = Vectors(builder, x.type)
        lanes = vectors.lanes
        begins = [
            builder.mul(rows.load(builder, builder.add(i, index(r))), n) for r in range(lanes)
        ]
        few = builder.icmp_signed("<", n, index(lanes))
        with builder.if_else(few) as (then, otherwise):
            with then:
                mask = builder.icmp_signed(
                    "<",
                    ir.Constant(ir.VectorType(INDEX, lanes), list(range(lanes))),
                    splat(builder, n, lanes),
                )
                load = declared(
                    builder,
                    ir.FunctionType(
                        vectors.type,
                        [ir.PointerType(), ir.IntType(32), mask.type, vectors.type],
                    ),
                    f"llvm.masked.load.{vectors.suffix}.p0",
                )
                align = ir.Constant(ir.IntType(32), vectors.itemsize)
                part = [
                    builder.call(load, [x.at(builder, begin), align, mask, vectors.zero])
                    for begin in begins
                ]
                for c, column in enumerate(transposed(builder, part)[:-1]):
                    with builder.if_then(builder.icmp_signed("<", index(c), n)):
                        at = builder.add(o, builder.mul(index(c), ldo))
                        vectors.store(column, tile, at)
            with otherwise:
                last = builder.sub(n, index(lanes))
                squares = builder.sdiv(builder.add(n, index(lanes - 1)), index(lanes))
                with for_range(builder, squares) as loop:
                    begin_feature = builder.mul(loop.index, index(lanes))
                    past_end = builder.icmp_signed(">", begin_feature, last)
                    begin_feature = builder.select(past_end, last, begin_feature)
                    square = [
                        vectors.load(x, builder.add(begin, begin_feature)) for begin in begins
                    ]
                    for c, column in enumerate(transposed(builder, square)):
                        feature = builder.add(begin_feature, index(c))
                        vectors.store(column, tile, builder.add(o, builder.mul(feature, ldo)))
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(X, i8, rows, i8, tile, i8, i8), generate


@intrinsic
def prefetch(typingctx, array, i):
    """Prefetch the cache line of the element at offset i into the second-level cache."""

    def generate(context, builder, signature, args):
        data = elements_of(context, builder, signature, args, 0)
        word = ir.IntType(32)
        function = declared(
            builder,
            ir.FunctionType(ir.VoidType(), [ir.PointerType(), word, word, word]),
            "llvm.prefetch.p0",
        )
        place = data.at(builder, args[1])
        builder.call(function, [place, *(ir.Constant(word, flag) for flag in (0, 2, 1))])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic
def copy_doubles(typingctx, values, i, out, o, like):
    """Copy as many float64 numbers as a vector of `like` has lanes; `out` is modified in place."""

    def generate(context, builder, signature, args):
        _, i, _, o, _ = args
        values, out = (elements_of(context, builder, signature, args, a) for a in (0, 2))
        lanes = VECTOR_BYTES // (like.dtype.bitwidth // 8)
        wide = ir.VectorType(ir.DoubleType(), lanes)
        source, target = values.at(builder, i), out.at(builder, o)
        builder.store(builder.load(source, align=8, typ=wide), target, align=8)
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(values, i8, out, i8, like), generate


def _extreme(name):
    """Make ``f(values, o, like)``: the least or greatest of several non-negative float64 numbers.

    There are as many as a vector of `like` has lanes, from offset o on. Their bits are compared as
    integers, which orders non-negative numbers and puts NaN above all.
    """

    @intrinsic
    def extreme(typingctx, values, o, like):
        """Return the least or the greatest number."""

        def generate(context, builder, signature, args):
            values = elements_of(context, builder, signature, args, 0)
            lanes = VECTOR_BYTES // (like.dtype.bitwidth // 8)
            vector = ir.VectorType(INDEX, lanes)
            place = values.at(builder, args[1])
            reduce = declared(
                builder,
                ir.FunctionType(INDEX, [vector]),
                f"llvm.vector.reduce.{name}.v{lanes}i64",
            )
            bits = builder.call(reduce, [builder.load(place, align=8, typ=vector)])
            return builder.bitcast(bits, ir.DoubleType())

        return types.float64(values, types.intp, like), generate

    return extreme


least, greatest = _extreme("umin"), _extreme("umax")


@intrinsic
def live_bits(typingctx, resp, i, weight, p, negligible, like):
    """Return one bit per lane: whether ``resp[i + lane] > negligible * weight[p + lane]``.

    All arrays are float64; there are as many lanes as a vector of `like` has.
    """

    def generate(context, builder, signature, args):
        _, i, _, p, negligible, _ = args
        resp, weight = (
            elements_of(context, builder, signature, args, position) for position in (0, 2)
        )
        vectors = Vectors(builder, ir.DoubleType())
        negligible = vectors.splat(negligible)
        word = ir.IntType(64)
        bits = ir.Constant(word, 0)
        for c in range(0, VECTOR_BYTES // (like.dtype.bitwidth // 8), vectors.lanes):
            bound = builder.fmul(vectors.load(weight, builder.add(p, index(c))), negligible)
            live = builder.fcmp_ordered(">", vectors.load(resp, builder.add(i, index(c))), bound)
            part = builder.zext(builder.bitcast(live, ir.IntType(vectors.lanes)), word)
            bits = builder.or_(bits, builder.shl(part, ir.Constant(word, c)))
        return bits

    i8 = types.intp
    return types.int64(resp, i8, weight, i8, types.float64, like), generate


@intrinsic
def count_bits(typingctx, bits):
    """Return the number of set bits of a non-negative int64."""

    def generate(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.int64(types.int64), generate


@intrinsic
def lowest_bit(typingctx, bits):
    """Return the position of the lowest set bit of a positive int64."""

    def generate(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate


@intrinsic
def store_scaled_difference(typingctx, x, i, high, low, j, scale, out, o):
    """Store one vector of ``(x - high - low) * scale``.

    `x` is read at offset i, `high` and `low` at offset j; `out` is written at offset o.
    """

    def generate(context, builder, signature, args):
        _, i, _, _, j, scale, _, o = args
        data = [
            elements_of(context, builder, signature, args, position) for position in (0, 2, 3, 6)
        ]
        vectors = Vectors(builder, data[0].type)
        diff = builder.fsub(vectors.load(data[0], i), vectors.load(data[1], j))
        if vectors.itemsize == 4:
            diff = builder.fsub(diff, vectors.load(data[2], j))
        scaled = builder.fmul(diff, vectors.splat(scale))
        vectors.store(scaled, data[3], o)
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(x, i8, high, low, i8, x.dtype, out, i8), generate


@intrinsic
def difference(typingctx, x, high, low):
    """Return ``x - high - low``; float64 means have no low part."""

    def generate(context, builder, signature, args):
        diff = builder.fsub(args[0], args[1])
        return builder.fsub(diff, args[2]) if signature.return_type == types.float32 else diff

    return x(x, high, low), generate


@intrinsic
def lanes_of(typingctx, array):
    """Return the number of elements of an array's type in a vector, as a compile-time constant.

    ``array.itemsize`` is read at run time; strips whose width was unknown to the compiler took half
    as long again.
    """

    def generate(context, builder, signature, args):
        return ir.Constant(INDEX, VECTOR_BYTES // (array.dtype.bitwidth // 8))

    return types.intp(array), generate


@intrinsic
def prefer_wide_vectors(typingctx):
    """Let LLVM use vectors of full width in the calling function.

    For AVX-512, LLVM prefers vectors of half the width, because programs that vectorise little lose
    clock rate at full width. The exponentials here run 1.36 times as fast at full width.
    """

    def generate(context, builder, signature, args):
        if WIDE:
            add_attribute(builder, f'"prefer-vector-width"="{8 * VECTOR_BYTES}"')
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def float_bits(typingctx, x):
    """Return the bits of a float64 as an int64."""

    def generate(context, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), generate


@intrinsic
def float_from_bits(typingctx, bits):
    """Return the float64 with the given bits."""

    def generate(context, builder, signature, args):
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), generate
