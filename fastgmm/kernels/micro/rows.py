"""Micro-kernels of k-means: squared distances between rows and centers, in two layouts.

In a round of k-means++, lanes run over the candidates: each number of a row is broadcast to all
lanes, rows need not be transposed, and the few candidates fill one vector. In an assignment, lanes
run over picked and transposed rows: all lanes work however few the centers, and the nearest center
is found without comparing lanes. With the layouts swapped, an assignment took 1.5 to 3 times as
long up to 10 features by 10 clusters, and the same time at 64 by 32; a round of k-means++ with rows
transposed by single loads took 2 to 4 times as long.

Differences are squared in float64 whatever the precision of the rows, so that no offset of the data
costs digits. float32 would save little, because every center would need a high and a low part.
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

TILE = 32  # rows in a tile of an assignment: four of the widest vectors
LANES = VECTOR_BYTES // 8  # float64 numbers in a vector
GROUP_ROWS = 8 if WIDE else 4  # rows in a group of a k-means++ round
CANDIDATES = 8  # columns of a group of k-means++: the new center and seven candidates


def _group_distances(builder, columns, group, n, centers, width, offset):
    """Emit squared distances of a group of rows from `columns` vectors of centers.

    Feature j of the first center is at ``offset + j * width`` of `centers`.
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
    """Return element i of `X` in memory order."""

    def generate(context, builder, signature, args):
        return elements_of(context, builder, signature, args, 0).load(builder, args[1])

    return X.dtype(X, types.intp), generate


def center_distances_block(rows):
    """Make ``f(tile, p, n, C, k, out)``: write squared distances of a strip of a tile.

    They are distances from the points of `tile` (n features, TILE), from place p on, to the centers
    in rows k ... k + rows - 1 of `C` (n_clusters, n). `out` (n_clusters, TILE) is modified in
    place.
    """

    @intrinsic
    def write_distances(typingctx, tile, p, n, C, k, out):
        """Write the distances: see `center_distances_block`."""

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
    """Update the distances of a group of rows with one new center and evaluate the next candidates.

    `C` (n, CANDIDATES) holds one center per column, from offset c; column 0 is the new center, the
    others are candidates. From offset i on, `closest` becomes the squared distance to the nearest
    center, the new one included. From offset o on, ``w min(closest, distance)`` is added to
    `potential` for every column, with the weights w from offset p of `weight`. `closest` and
    `potential` are modified in place.

    For why it has eleven arguments see `fastgmm.kernels.micro.blocks`.
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
    """Write a square block of picked rows of `X` (n features), with lanes over the rows.

    It has features j ... j + LANES - 1 of the rows whose numbers are in q ... q + LANES - 1 of
    `rows`. Feature j is written to `tile` float64 at offset o, the others follow ldo apart.
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
    """Write the least number of every column, the second least, and the row of the least.

    `distances` is (n, TILE). Results are written from offset p of `best`, `second` and `label`
    (int64), in place. Ties go to the lowest row. A NaN is never the least, so the label is always a
    valid row.
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
