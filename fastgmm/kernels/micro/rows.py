"""Micro-kernels of k-means: squared distances between rows and centers, both ways round.

For a round of k-means++, lanes run over the candidates: rows are read one number at a time into
all lanes and need not be transposed, and the few candidates fill one vector. For an assignment,
lanes run over rows picked out of the data and transposed: however few the centers, all lanes
work, and the nearest is found without looking across lanes. The other way round an assignment
took 1.5 to 3 times as long up to 10 features by 10 clusters, and the same at 64 by 32; a round
of k-means++ with rows transposed by single loads took 2 to 4 times as long.

Differences are squared, in float64 whatever the precision of the rows: no offset of the data
costs digits, and float32 would save little, since every center would need a high and a low part.
"""

from fastgmm.jit.intrinsics import intrinsic, ir, types
from fastgmm.kernels.micro.vectors import (
    INDEX,
    STRIP_VECTORS,
    VECTOR_BYTES,
    WIDE,
    Vectors,
    accumulate,
    elements_of,
    index,
    splat,
    transposed,
)

TILE = 32  # rows whose distances are taken at a time: four vectors of the widest
LANES = VECTOR_BYTES // 8
GROUP_ROWS = 8 if WIDE else 4  # rows whose distances are taken at a time
CANDIDATES = 8  # centers that a block of k-means++ compares, in as many vectors as that takes


def _group_distances(builder, columns, group, n, centers, width, offset):
    """Emit squared distances of a group of rows from `columns` vectors of centers.

    Feature j of the first center is at offset ``first + j * width`` of `centers`.
    """
    vectors = Vectors(builder, ir.DoubleType())
    starts = [builder.mul(index(r), n) for r in range(GROUP_ROWS)]

    def number(feature, r):
        return vectors.broadcast(group, builder.add(starts[r], feature))

    def center(feature, c):
        at = builder.add(offset, builder.mul(feature, width))
        return vectors.load(centers, builder.add(at, index(c * vectors.lanes)))

    def add_square(number, center, register):
        diff = builder.fsub(center, number)
        return vectors.fma(diff, diff, register)

    widths = [columns] * GROUP_ROWS
    return vectors, accumulate(vectors, widths, n, number, center, add_square)


@intrinsic
def element(typingctx, X, i):
    """Return element i of `X` in memory's order."""

    def generate(context, builder, signature, args):
        return elements_of(context, builder, signature, args, 0).load(builder, args[1])

    return X.dtype(X, types.intp), generate


def center_distances_block(rows):
    """Make ``f(tile, p, n, C, k, out)``: write squared distances of a strip of a tile.

    From the points of `tile` (n features, TILE) from place p to the centers in rows k ...
    k + rows - 1 of `C` (n_clusters, n); `out` (n_clusters, TILE) is modified in place.
    """

    @intrinsic
    def write_distances(typingctx, tile, p, n, C, k, out):
        def generate(context, builder, signature, args):
            _, p, n, _, k, _ = args
            tile, centers, out = (
                elements_of(context, builder, signature, args, i) for i in (0, 3, 5)
            )
            vectors = Vectors(builder, ir.DoubleType())
            starts = [builder.mul(builder.add(k, index(r)), n) for r in range(rows)]

            def points(feature, c):
                at = builder.add(builder.mul(feature, index(TILE)), p)
                return vectors.load(tile, builder.add(at, index(c * vectors.lanes)))

            def center(feature, r):
                return vectors.broadcast(centers, builder.add(starts[r], feature))

            def add_square(center, points, register):
                diff = builder.fsub(points, center)
                return vectors.fma(diff, diff, register)

            widths = [STRIP_VECTORS] * rows
            acc = accumulate(vectors, widths, n, center, points, add_square)
            for r, registers in enumerate(acc):
                row = builder.mul(builder.add(k, index(r)), index(TILE))
                for c, register in enumerate(registers):
                    at = builder.add(builder.add(row, p), index(c * vectors.lanes))
                    vectors.store(register, out, at)
            return context.get_dummy_value()

        i8 = types.intp
        return types.void(tile, i8, i8, C, i8, out), generate

    return write_distances


@intrinsic
def try_candidates(typingctx, group, a, n, C, c, closest, i, weight, p, potential, o):
    """Take a center into the distances of a group of rows and try others as the next one.

    `C` holds CANDIDATES centers in columns (n, CANDIDATES) from offset c. From place i of
    `closest`, squared distances become those to the nearest center, the first of these included.
    From offset o, ``w min(closest, distance)`` is added to `potential` for every center, with
    the weights from place p of `weight`. `closest` and `potential` are modified in place.
    """
    columns = CANDIDATES // LANES

    def generate(context, builder, signature, args):
        _, a, n, _, c, _, i, _, p, _, o = args
        group, centers, closest, weight, potential = (
            elements_of(context, builder, signature, args, i) for i in (0, 3, 5, 7, 9)
        )
        group = group._replace(pointer=group.at(builder, a))
        width = index(CANDIDATES)
        vectors, acc = _group_distances(builder, columns, group, n, centers, width, c)
        sums = [vectors.zero] * columns
        for r, registers in enumerate(acc):
            place = builder.add(i, index(r))
            known = closest.load(builder, place)
            nearest = builder.extract_element(registers[0], ir.Constant(ir.IntType(32), 0))
            nearest = builder.select(builder.fcmp_ordered("<", nearest, known), nearest, known)
            closest.store(builder, nearest, place)
            nearest = vectors.splat(nearest)
            row_weight = vectors.broadcast(weight, builder.add(p, index(r)))
            for v, distance in enumerate(registers):
                closer = builder.fcmp_ordered("<", distance, nearest)
                sums[v] = vectors.fma(
                    row_weight, builder.select(closer, distance, nearest), sums[v]
                )
        for v, total in enumerate(sums):
            vectors.add_to_doubles(total, potential, builder.add(o, index(v * vectors.lanes)))
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(group, i8, i8, C, i8, closest, i8, weight, i8, potential, i8), generate


@intrinsic
def transpose_block(typingctx, X, rows, q, n, j, tile, o, ldo):
    """Write a square block of picked rows with lanes over the rows.

    Features j ... j + LANES - 1 of the rows of `X` (n features) that places q ... q + LANES - 1
    of `rows` name; the first feature is written to `tile` float64 from offset o, the others at
    distance ldo.
    """

    def generate(context, builder, signature, args):
        _, _, q, n, j, _, o, ldo = args
        x, rows, tile = (elements_of(context, builder, signature, args, i) for i in (0, 1, 5))
        vectors = Vectors(builder, ir.DoubleType())
        part = ir.VectorType(x.type, LANES)
        columns = []
        for r in range(LANES):
            row = rows.load(builder, builder.add(q, index(r)))
            at = x.at(builder, builder.add(builder.mul(row, n), j))
            values = builder.load(at, align=1, typ=part)
            columns.append(values if part == vectors.type else builder.fpext(values, vectors.type))
        for c, column in enumerate(transposed(builder, columns)):
            vectors.store(column, tile, builder.add(o, builder.mul(index(c), ldo)))
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(X, rows, i8, i8, i8, tile, i8, i8), generate


@intrinsic
def two_nearest(typingctx, distances, n, best, second, label, p):
    """Write the least of every column, the second least and the place of the least.

    For the n rows of `distances` (n, TILE); from place p of `best`, `second` and `label` (int64),
    all modified in place. Of equal ones the first counts; a NaN is never the least, so that the
    place is always one of the rows.
    """
    columns = TILE // LANES

    def generate(context, builder, signature, args):
        _, n, _, _, _, p = args
        data, best, second, label = (
            elements_of(context, builder, signature, args, i) for i in (0, 2, 3, 4)
        )
        vectors = Vectors(builder, ir.DoubleType())
        word = ir.VectorType(INDEX, vectors.lanes)
        infinite = ir.Constant(vectors.type, [float("inf")] * vectors.lanes)
        starts = [infinite, infinite, ir.Constant(word, None)]
        for strip in range(0, columns, STRIP_VECTORS):
            before = builder.block
            head, body, done = (
                builder.append_basic_block(name) for name in ("head", "body", "done")
            )
            builder.branch(head)
            builder.position_at_end(head)
            step = builder.phi(INDEX)
            found = [[builder.phi(start.type) for start in starts] for _ in range(STRIP_VECTORS)]
            builder.cbranch(builder.icmp_signed("<", step, n), body, done)
            builder.position_at_end(body)
            row = builder.mul(step, index(TILE))
            place = splat(builder, step, vectors.lanes)
            for c, registers in enumerate(found):
                least, runner_up, where = registers
                offset = index((strip + c) * vectors.lanes)
                distance = vectors.load(data, builder.add(row, offset))
                closer = builder.fcmp_ordered("<", distance, least)
                other = builder.select(closer, least, distance)
                nearer = builder.fcmp_ordered("<", other, runner_up)
                values = (
                    builder.select(closer, distance, least),
                    builder.select(nearer, other, runner_up),
                    builder.select(closer, place, where),
                )
                for register, start, value in zip(registers, starts, values, strict=True):
                    register.add_incoming(start, before)
                    register.add_incoming(value, body)
            step.add_incoming(index(0), before)
            step.add_incoming(builder.add(step, index(1)), body)
            builder.branch(head)
            builder.position_at_end(done)
            for c, registers in enumerate(found):
                at = builder.add(p, index((strip + c) * vectors.lanes))
                for register, output in zip(registers, (best, second, label), strict=True):
                    builder.store(register, output.at(builder, at), align=8)
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(distances, i8, best, second, label, i8), generate
