"""Micro-kernels written in LLVM vectors: the innermost loops of the library.

LLVM vectorises simple loops by itself, but it does not keep a block of accumulators in
registers while it runs over a third index, and that is what separates a quarter of the
machine's arithmetic rate from nine tenths of it. The intrinsics here emit exactly that loop,
for blocks of fixed height and width, and nothing else; everything around them is Numba.

Measured on one AVX-512 core against its rate in dgemm: blocks of six rows of norms run at 62,
89, 94 and 100% for 8, 10, 20 and 32 features, without any code specialised on their number;
blocks of four rows at 80, 66, 98 and 100%, of eight rows by three vectors at 59, 64, 94 and 100%.

A block has so many rows of vectors that its accumulators, one row of operands
and one broadcast fit in the registers of the instruction set (32 with AVX-512, else 16).
Explicit vectors wider than the machine's are split by LLVM, so a wrong guess of the width
costs speed and never correctness.
"""

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic


def _target_features():
    """Return the features of the processor that Numba compiles for."""
    if config.CPU_FEATURES is not None:
        return config.CPU_FEATURES
    return binding.get_host_cpu_features().flatten()


_FEATURES = _target_features().split(",")
WIDE = "+avx512f" in _FEATURES
VECTOR_BYTES = 64 if WIDE else 32 if "+avx" in _FEATURES else 16
STRIP_VECTORS = 4 if WIDE else 2  # vectors of points a block of row norms works on
GRAM_ROWS = 8 if WIDE else 4
SQUARE = 4 if WIDE else 3  # side of the register block of the Gram matrix over points

_INDEX = ir.IntType(64)
_FOUR_DOUBLES = ir.VectorType(ir.DoubleType(), 4)


def _index(value):
    return ir.Constant(_INDEX, value)


def _splat(builder, scalar, lanes):
    """Return a vector with the scalar in every lane."""
    word = ir.IntType(32)
    undefined = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(word, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(word, lanes), None))


class _Vectors:
    """Emits operations on vectors of one scalar type, addressed by element offsets."""

    def __init__(self, builder, scalar):
        self.builder = builder
        self.scalar = scalar
        self.itemsize = 8 if scalar == ir.DoubleType() else 4
        self.lanes = VECTOR_BYTES // self.itemsize
        self.type = ir.VectorType(scalar, self.lanes)
        self.zero = ir.Constant(self.type, None)
        self.suffix = f"v{self.lanes}f{8 * self.itemsize}"

    def intrinsic(self, name, result, *args):
        signature = ir.FunctionType(result, [arg.type for arg in args])
        return cgutils.get_or_insert_function(self.builder.module, signature, name), args

    def call(self, name, result, *args):
        function, args = self.intrinsic(f"llvm.{name}.{self.suffix}", result, *args)
        return self.builder.call(function, args)

    def fma(self, a, b, c):
        """Multiply and add, in one rounding where the machine can."""
        return self.call("fmuladd", self.type, a, b, c)

    def pointer(self, base, offset):
        return self.builder.bitcast(self.builder.gep(base, [offset]), self.type.as_pointer())

    def load(self, base, offset):
        return self.builder.load(self.pointer(base, offset), align=self.itemsize)

    def store(self, value, base, offset):
        self.builder.store(value, self.pointer(base, offset), align=self.itemsize)

    def broadcast(self, base, offset):
        return self.splat(self.builder.load(self.builder.gep(base, [offset])))

    def splat(self, scalar):
        return _splat(self.builder, scalar, self.lanes)

    def minus_mean(self, x, high, low, offset):
        """Return ``x - high - low`` with the mean's parts at an offset; float64 has no low part."""
        gap = self.builder.fsub(x, self.broadcast(high, offset))
        return self.builder.fsub(gap, self.broadcast(low, offset)) if self.itemsize == 4 else gap

    def doubles(self, base, offset):
        """Return a pointer to as many doubles as the vectors have lanes."""
        wide = ir.VectorType(ir.DoubleType(), self.lanes)
        return self.builder.bitcast(self.builder.gep(base, [offset]), wide.as_pointer())

    def store_as_doubles(self, value, base, offset):
        """Store a vector as doubles, whatever its own precision."""
        pointer = self.doubles(base, offset)
        if value.type != pointer.type.pointee:
            value = self.builder.fpext(value, pointer.type.pointee)
        self.builder.store(value, pointer, align=8)

    def add_to_doubles(self, value, base, offset):
        """Add a vector to as many doubles in memory, whatever its own precision."""
        pointer = self.doubles(base, offset)
        if value.type != pointer.type.pointee:
            value = self.builder.fpext(value, pointer.type.pointee)
        total = self.builder.fadd(self.builder.load(pointer, align=8), value)
        self.builder.store(total, pointer, align=8)

    def shuffle(self, a, b, places):
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places)
        return self.builder.shuffle_vector(a, b, mask)

    def add_sums_to_doubles(self, registers, base, offset):
        """Add the sums of the lanes of four vectors to as many doubles in a row."""
        builder = self.builder
        if self.lanes < 4:
            places = [builder.add(offset, _index(c)) for c in range(len(registers))]
            self.add_sums_apart(registers, [(base, place) for place in places])
            return
        total = self._four_sums(registers)
        pointer = builder.bitcast(builder.gep(base, [offset]), total.type.as_pointer())
        builder.store(builder.fadd(builder.load(pointer, align=8), total), pointer, align=8)

    def add_sums_apart(self, registers, places):
        """Add the sums of the lanes of vectors to doubles, each at a base and offset of its own.

        Four at a time are added crosswise, which takes a third of the instructions.
        """
        builder = self.builder
        size = 4 if self.lanes >= 4 else 1
        for begin in range(0, len(registers), size):
            group, wanted = registers[begin : begin + size], places[begin : begin + size]
            if len(group) < 3:
                for register, (base, offset) in zip(group, wanted, strict=True):
                    self.add_sum_to_double(register, base, offset)
                continue
            total = self._four_sums(group + [self.zero] * (4 - len(group)))
            for c, (base, offset) in enumerate(wanted):
                pointer = builder.gep(base, [offset])
                lane_sum = builder.extract_element(total, ir.Constant(ir.IntType(32), c))
                builder.store(builder.fadd(builder.load(pointer), lane_sum), pointer)

    def add_sums_of_block(self, block, base, offset, ld):
        """Add the sums of the lanes of rows of vectors to doubles whose rows lie `ld` apart."""
        builder = self.builder
        rows = [builder.add(offset, builder.mul(_index(r), ld)) for r in range(len(block))]
        if all(len(registers) == 4 for registers in block):
            for first, registers in zip(rows, block, strict=True):
                self.add_sums_to_doubles(registers, base, first)
            return
        places = [
            (base, builder.add(first, _index(c)))
            for first, registers in zip(rows, block, strict=True)
            for c in range(len(registers))
        ]
        self.add_sums_apart([register for row in block for register in row], places)

    def _four_sums(self, group):
        """Return the sums of the lanes of four vectors, as a vector of doubles."""
        builder, lanes = self.builder, self.lanes
        pairs = []
        for a, b in (group[:2], group[2:]):  # even lanes hold sums of a, odd lanes of b
            even = [l if not l & 1 else lanes + l - 1 for l in range(lanes)]
            odd = [l + 1 if not l & 1 else lanes + l for l in range(lanes)]
            pairs.append(builder.fadd(self.shuffle(a, b, even), self.shuffle(a, b, odd)))
        a, b = pairs
        low = [l if not l & 2 else lanes + l - 2 for l in range(lanes)]
        high = [l + 2 if not l & 2 else lanes + l for l in range(lanes)]
        total = builder.fadd(self.shuffle(a, b, low), self.shuffle(a, b, high))
        while lanes > 4:
            lanes //= 2
            total = builder.fadd(
                self.shuffle(total, total, list(range(lanes))),
                self.shuffle(total, total, list(range(lanes, 2 * lanes))),
            )
        return total if self.itemsize == 8 else builder.fpext(total, _FOUR_DOUBLES)

    def add_sum_to_double(self, value, base, offset):
        """Add the sum of a vector's lanes to one double in memory."""
        function, args = self.intrinsic(
            f"llvm.vector.reduce.fadd.{self.suffix}",
            self.scalar,
            ir.Constant(self.scalar, 0.0),
            value,
        )
        lane_sum = self.builder.call(function, args, fastmath=("reassoc",))
        if self.itemsize == 4:
            lane_sum = self.builder.fpext(lane_sum, ir.DoubleType())
        pointer = self.builder.gep(base, [offset])
        self.builder.store(self.builder.fadd(self.builder.load(pointer), lane_sum), pointer)


class _Points(_Vectors):
    """Vectors of points of an array (n_features, ld), for loops over those vectors.

    The first of them; or, with `places`, those that begin there, minus a mean: `mean` is its high
    part, its low part and the offset of both.
    """

    def __init__(self, builder, data, ld, places=None, mean=None):
        super().__init__(builder, data.type.pointee)
        self.data = data
        self.ld = ld
        self.places = places
        self.mean = mean

    def at(self, t):
        return self.builder.mul(t, _index(self.lanes))

    def row_from(self, row):
        """Return a function of step t and number r: the points of feature ``row + r``."""
        builder = self.builder

        def points(t, r):
            feature = builder.add(row, _index(r))
            first = self.at(t) if self.places is None else self._element(self.places, t)
            x = self.load(self.data, builder.add(builder.mul(feature, self.ld), first))
            if self.mean is None:
                return x
            high, low, offset = self.mean
            return self.minus_mean(x, high, low, builder.add(offset, feature))

        return points

    def _element(self, base, offset):
        return self.builder.load(self.builder.gep(base, [offset]))

    def weighted(self, w, row):
        """As `row_from`, times the points' weights `w`."""
        points = self.row_from(row)
        return lambda t, r: self.builder.fmul(points(t, r), self.load(w, self.at(t)))


def _accumulate(vectors, widths, n_steps, left, right, add=None):
    """Emit ``acc[r][c] += left(t, r) * right(t, c)`` for t < n_steps; return the registers.

    `widths` gives the number of accumulators of each row, so a block may be a triangle;
    ``add(left, right, register)`` returns another sum than that of the product.
    """
    add = add or vectors.fma
    builder = vectors.builder
    before = builder.block
    head, body, done = (builder.append_basic_block(name) for name in ("head", "body", "done"))
    builder.branch(head)
    builder.position_at_end(head)
    step = builder.phi(_INDEX)
    step.add_incoming(_index(0), before)
    acc = [[builder.phi(vectors.type) for _ in range(width)] for width in widths]
    builder.cbranch(builder.icmp_signed("<", step, n_steps), body, done)
    builder.position_at_end(body)
    columns = [right(step, c) for c in range(max(widths))]
    for r, row in enumerate(acc):
        factor = left(step, r)
        for c, register in enumerate(row):
            register.add_incoming(vectors.zero, before)
            register.add_incoming(add(factor, columns[c], register), builder.block)
    step.add_incoming(builder.add(step, _index(1)), builder.block)
    builder.branch(head)
    builder.position_at_end(done)
    return acc


def _data(context, builder, signature, args, position):
    """Return the pointer to the elements of the array argument at `position`."""
    array_type = signature.args[position]
    return context.make_array(array_type)(context, builder, args[position]).data


def _strip_places(builder, places, i):
    """Return where the vectors of a strip begin, from offset i of `places`."""
    return [
        builder.load(builder.gep(places, [builder.add(i, _index(c))])) for c in range(STRIP_VECTORS)
    ]


def _add_triangle(vectors, acc, factor, points):
    """Add the part of rows that lies on the diagonal of a triangular matrix to accumulators."""
    for t in range(len(acc)):
        strip = [points(t, c) for c in range(STRIP_VECTORS)]
        for r in range(t, len(acc)):
            coefficient = factor(t, r)
            acc[r] = [vectors.fma(coefficient, x, a) for x, a in zip(strip, acc[r], strict=True)]


def _sums_of_squares(vectors, acc):
    """Return the sum over rows of squared accumulators, a vector a column."""
    squares = [vectors.zero] * STRIP_VECTORS
    for row in acc:
        squares = [vectors.fma(a, a, square) for a, square in zip(row, squares, strict=True)]
    return squares


def first_norms_block(rows):
    """Make ``f(U, u, ldu, D, ldd, places, i, M, L, m, out, o)``: squares of ``U (x - mean)``.

    Of the first rows of the lower-triangular matrix that begins at offset u of `U`, for the strip
    of points of `D` (n_features, ldd) that begin at the places from offset i of `places`; the
    mean begins at offset m of `M` and `L`, its high and low part. The sums of squares are written
    to `out` float64 from offset o.
    """

    @intrinsic
    def write_first_norms(typingctx, U, u, ldu, D, ldd, places, i, M, L, m, out, o):
        def generate(context, builder, signature, args):
            _, u0, ldu, _, ldd, _, i, _, _, m, _, o = args
            u, d, places, high, low, total = (
                _data(context, builder, signature, args, a) for a in (0, 3, 5, 7, 8, 10)
            )
            vectors = _Vectors(builder, d.type.pointee)
            begins = _strip_places(builder, places, i)

            def factor(column, r):
                at = builder.add(u0, builder.mul(_index(r), ldu))
                return vectors.broadcast(u, builder.add(at, _index(column)))

            def points(column, c):
                row = builder.mul(_index(column), ldd)
                x = vectors.load(d, builder.add(row, begins[c]))
                return vectors.minus_mean(x, high, low, builder.add(m, _index(column)))

            acc = [[vectors.zero] * STRIP_VECTORS for _ in range(rows)]
            _add_triangle(vectors, acc, factor, points)
            for c, square in enumerate(_sums_of_squares(vectors, acc)):
                at = builder.add(o, _index(c * vectors.lanes))
                vectors.store_as_doubles(square, total, at)
            return context.get_dummy_value()

        i8 = types.intp
        return types.void(U, i8, i8, D, i8, places, i8, M, L, i8, out, i8), generate

    return write_first_norms


def row_norms_block(rows):
    """Make ``f(U, u, ldu, j, D, ldd, out, o)``: add the squares of rows of ``U @ D``.

    Rows j ... j + rows - 1 of the lower-triangular matrix that begins at offset u of `U`, for the
    strip of points with which `D` (n_features, ldd) begins; `out` float64 is modified in place
    from offset o.
    """

    @intrinsic
    def add_row_norms(typingctx, U, u, ldu, j, D, ldd, out, o):
        def generate(context, builder, signature, args):
            _, u0, ldu, j, _, ldd, _, o = args
            u, d, total = (_data(context, builder, signature, args, i) for i in (0, 4, 6))
            vectors = _Vectors(builder, d.type.pointee)
            row = [
                builder.add(u0, builder.mul(builder.add(j, _index(r)), ldu)) for r in range(rows)
            ]

            def factor(column, r):
                return vectors.broadcast(u, builder.add(row[r], column))

            def points(column, c):
                first = builder.mul(column, ldd)
                return vectors.load(d, builder.add(first, _index(c * vectors.lanes)))

            acc = _accumulate(vectors, [STRIP_VECTORS] * rows, j, factor, points)
            _add_triangle(
                vectors,
                acc,
                lambda t, r: factor(builder.add(j, _index(t)), r),
                lambda t, c: points(builder.add(j, _index(t)), c),
            )
            for c, square in enumerate(_sums_of_squares(vectors, acc)):
                vectors.add_to_doubles(square, total, builder.add(o, _index(c * vectors.lanes)))
            return context.get_dummy_value()

        i8 = types.intp
        return types.void(U, i8, i8, i8, D, i8, out, i8), generate

    return add_row_norms


def distances_block(rows, scaled):
    """Make ``f(D, ldd, places, i, n, M, L, S, k, ldm, out, o, ldo)``: write squared distances.

    From the vectors of points of `D` (n features, ldd) that begin at the first places from
    offset i of `places`, a strip of them, to the means in rows k ... k + rows - 1 of `M` and
    `L` (high and low part, rows ldm apart). Where `scaled`, differences are multiplied by the
    same rows of `S`, n apart. The distances to the first mean are written to `out` float64
    from offset o, the others at distance ldo.
    """

    @intrinsic
    def write_distances(typingctx, D, ldd, places, i, n, M, L, S, k, ldm, out, o, ldo):
        def generate(context, builder, signature, args):
            _, ldd, _, i, n, _, _, _, k, ldm, _, o, ldo = args
            points, places, high, low, scale, total = (
                _data(context, builder, signature, args, a) for a in (0, 2, 5, 6, 7, 10)
            )
            vectors = _Vectors(builder, points.type.pointee)
            begins = _strip_places(builder, places, i)

            def mean(feature, r):
                row = builder.add(k, _index(r))
                at = builder.add(builder.mul(row, ldm), feature)
                parts = [vectors.broadcast(high, at)]
                parts.append(vectors.broadcast(low, at) if vectors.itemsize == 4 else None)
                at = builder.add(builder.mul(row, n), feature)
                parts.append(vectors.broadcast(scale, at) if scaled else None)
                return parts

            def strip(feature, c):
                return vectors.load(points, builder.add(builder.mul(feature, ldd), begins[c]))

            def add_square(parts, x, register):
                high, low, scale = parts
                gap = builder.fsub(x, high)
                gap = builder.fsub(gap, low) if low else gap
                gap = builder.fmul(gap, scale) if scale else gap
                return vectors.fma(gap, gap, register)

            acc = _accumulate(vectors, [STRIP_VECTORS] * rows, n, mean, strip, add_square)
            for r, registers in enumerate(acc):
                first = builder.add(o, builder.mul(_index(r), ldo))
                for c, register in enumerate(registers):
                    at = builder.add(first, _index(c * vectors.lanes))
                    vectors.store_as_doubles(register, total, at)
            return context.get_dummy_value()

        i8 = types.intp
        return types.void(D, i8, places, i8, i8, M, L, S, i8, i8, out, i8, i8), generate

    return write_distances


def gram_block(rows, columns):
    """Make ``f(P, ld, n, row, col, out, o)``: add a block of ``P.T @ P`` to `out`.

    `P` (n, ld) holds one point a row; the block is `rows` rows by `columns` vectors from
    (row, col); its first row is added to `out` float64 from offset o, the others follow at
    distance ld. `out` is modified in place.
    """

    @intrinsic
    def add_gram(typingctx, P, ld, n, row, col, out, o):
        def generate(context, builder, signature, args):
            _, ld, n, row, col, _, o = args
            p, total = (_data(context, builder, signature, args, i) for i in (0, 5))
            vectors = _Vectors(builder, p.type.pointee)

            def left(t, r):
                offset = builder.add(builder.mul(t, ld), builder.add(row, _index(r)))
                return vectors.broadcast(p, offset)

            def right(t, c):
                offset = builder.add(builder.mul(t, ld), col)
                return vectors.load(p, builder.add(offset, _index(c * vectors.lanes)))

            acc = _accumulate(vectors, [columns] * rows, n, left, right)
            for r in range(rows):
                first = builder.add(o, builder.mul(_index(r), ld))
                for c in range(columns):
                    offset = builder.add(first, _index(c * vectors.lanes))
                    vectors.add_to_doubles(acc[r][c], total, offset)
            return context.get_dummy_value()

        i8 = types.intp
        return types.void(P, i8, i8, i8, i8, out, i8), generate

    return add_gram


def weighted_gram_block(rows, columns):
    """Make ``f(w, D, ldd, n, row, col, out, o, ldo)``: add a block of ``(w * D) @ D.T``.

    Lanes run over the points, n vectors of them; `D` is (n_features, ldd). The block is `rows`
    rows from `row` by `columns` columns from `col`; its first element is added to `out` float64
    at offset o, its rows follow at distance ldo. `out` is modified in place.
    """

    @intrinsic
    def add_weighted_gram(typingctx, w, D, ldd, n, row, col, out, o, ldo):
        def generate(context, builder, signature, args):
            _, _, ldd, n, row, col, _, o, ldo = args
            w, d, total = (_data(context, builder, signature, args, i) for i in (0, 1, 6))
            points = _Points(builder, d, ldd)
            left = points.weighted(w, row)
            acc = _accumulate(points, [columns] * rows, n, left, points.row_from(col))
            points.add_sums_of_block(acc, total, o, ldo)
            return context.get_dummy_value()

        i8 = types.intp
        return types.void(w, D, i8, i8, i8, i8, out, i8, i8), generate

    return add_weighted_gram


def _add_weighted_corner(points, rows, n, row, w, total, o, ldo, sums, s):
    """Emit what `weighted_corner_block` and `only_corner_block` have in common."""
    builder = points.builder
    one = ir.Constant(points.scalar, 1.0)
    ones = ir.Constant(points.type, [one] * points.lanes)
    column = points.row_from(row)

    def right(t, c):
        return column(t, c - 1) if c else ones

    widths = [r + 2 for r in range(rows)]
    acc = _accumulate(points, widths, n, points.weighted(w, row), right)
    moments = [(sums, builder.add(s, _index(r))) for r in range(rows)]
    points.add_sums_apart([row[0] for row in acc], moments)
    points.add_sums_of_block([row[1:] for row in acc], total, o, ldo)


def weighted_corner_block(rows):
    """Make ``f(w, D, ldd, n, row, out, o, ldo, sums, s)``: a block on the diagonal, with sums.

    As `weighted_gram_block` where row = col, for the lower triangle only; ``D @ w`` of the
    same rows is added to `sums` float64 from offset s. In one loop, because the few registers
    of small blocks wait for each other.
    """

    @intrinsic
    def add_weighted_corner(typingctx, w, D, ldd, n, row, out, o, ldo, sums, s):
        def generate(context, builder, signature, args):
            _, _, ldd, n, row, _, o, ldo, _, s = args
            w, d, total, sums = (_data(context, builder, signature, args, i) for i in (0, 1, 5, 8))
            points = _Points(builder, d, ldd)
            _add_weighted_corner(points, rows, n, row, w, total, o, ldo, sums, s)
            return context.get_dummy_value()

        i8 = types.intp
        return types.void(w, D, i8, i8, i8, out, i8, i8, sums, i8), generate

    return add_weighted_corner


def only_corner_block(rows):
    """Make ``f(w, D, ldd, places, n, M, L, m, out, o, ldo, sums, s)``: a whole small matrix.

    As `weighted_corner_block` for the first rows, of the n vectors of points that begin at
    `places`, minus the mean from offset m of `M` and `L`, its high and low part.
    """

    @intrinsic
    def add_only_corner(typingctx, w, D, ldd, places, n, M, L, m, out, o, ldo, sums, s):
        def generate(context, builder, signature, args):
            _, _, ldd, _, n, _, _, m, _, o, ldo, _, s = args
            w, d, places, high, low, total, sums = (
                _data(context, builder, signature, args, i) for i in (0, 1, 3, 5, 6, 8, 11)
            )
            points = _Points(builder, d, ldd, places, (high, low, m))
            _add_weighted_corner(points, rows, n, _index(0), w, total, o, ldo, sums, s)
            return context.get_dummy_value()

        i8 = types.intp
        return types.void(w, D, i8, places, i8, M, L, i8, out, i8, i8, sums, i8), generate

    return add_only_corner


def product_block(rows, columns):
    """Make ``f(A, a, D, d, ld, n, out, o, ldo)``: add a block of ``A @ D.T`` to `out`.

    Lanes run over the points, n vectors of them; rows of the block begin at offset a of `A`,
    columns at offset d of `D`, `ld` apart in both. The first element is added to `out` float64
    at offset o, rows follow at distance ldo. `out` is modified in place.
    """

    @intrinsic
    def add_product(typingctx, A, a, D, d, ld, n, out, o, ldo):
        def generate(context, builder, signature, args):
            _, a0, _, d0, ld, n, _, o, ldo = args
            left_data, right_data, total = (
                _data(context, builder, signature, args, i) for i in (0, 2, 6)
            )
            vectors = _Vectors(builder, right_data.type.pointee)

            def points(data, begin, t, row):
                offset = builder.add(begin, builder.mul(_index(row), ld))
                return vectors.load(
                    data, builder.add(offset, builder.mul(t, _index(vectors.lanes)))
                )

            acc = _accumulate(
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
def gaps_of_strip(typingctx, D, ldd, n, places, i, M, L, m, out, o, ldo):
    """Write ``x - high - low`` for a strip of the listed vectors of points.

    Points are read from `D` (n features, ldd) at the places from offset i of `places`, the mean
    from offset m of `M` and `L`, its high and low part; rows of `out` begin at offset o, ldo
    apart. `out` is modified in place.
    """

    def generate(context, builder, signature, args):
        _, ldd, n, _, i, _, _, m, _, o, ldo = args
        points, places, high, low, out = (
            _data(context, builder, signature, args, a) for a in (0, 3, 5, 6, 8)
        )
        vectors = _Vectors(builder, points.type.pointee)
        begins = _strip_places(builder, places, i)
        with cgutils.for_range(builder, n) as loop:
            feature = loop.index
            mean = vectors.broadcast(high, builder.add(m, feature))
            rest = vectors.broadcast(low, builder.add(m, feature))
            row = builder.mul(feature, ldd)
            at = builder.add(o, builder.mul(feature, ldo))
            for c, begin in enumerate(begins):
                gap = builder.fsub(vectors.load(points, builder.add(row, begin)), mean)
                if vectors.itemsize == 4:
                    gap = builder.fsub(gap, rest)
                vectors.store(gap, out, builder.add(at, _index(c * vectors.lanes)))
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(D, i8, i8, places, i8, M, L, i8, out, i8, i8), generate


def _transposed(builder, rows):
    """Return the vectors that hold the columns of square `rows`."""
    lanes = len(rows)
    word = ir.IntType(32)

    def shuffle(a, b, places):
        return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(word, lanes), places))

    step = 1
    while step < lanes:
        low = [l if not l & step else lanes + l - step for l in range(lanes)]
        high = [l + step if not l & step else lanes + l for l in range(lanes)]
        for i in range(lanes):
            if not i & step:
                a, b = rows[i], rows[i + step]
                rows[i], rows[i + step] = shuffle(a, b, low), shuffle(a, b, high)
        step *= 2
    return rows


@intrinsic
def transpose_rows(typingctx, X, n, rows, i, tile, o, ldo):
    """Write a vector's worth of rows of X (n_samples, n) as columns of `tile`.

    The rows named from offset i of `rows`; the vector of their first feature is written to
    offset o of `tile`, the others follow at distance ldo. In squares of registers: moving
    numbers one by one, or by gather or scatter instructions, takes 3 to 9 times as long on
    AMD's Zen 4. The last square begins early rather than end late; fewer features than lanes
    are loaded under a mask.
    """

    def generate(context, builder, signature, args):
        _, n, _, i, _, o, ldo = args
        x, rows, tile = (_data(context, builder, signature, args, a) for a in (0, 2, 4))
        vectors = _Vectors(builder, x.type.pointee)
        lanes = vectors.lanes
        begins = [
            builder.mul(builder.load(builder.gep(rows, [builder.add(i, _index(r))])), n)
            for r in range(lanes)
        ]
        few = builder.icmp_signed("<", n, _index(lanes))
        with builder.if_else(few) as (then, otherwise):
            with then:
                mask = builder.icmp_signed(
                    "<",
                    ir.Constant(ir.VectorType(_INDEX, lanes), list(range(lanes))),
                    _splat(builder, n, lanes),
                )
                load = cgutils.get_or_insert_function(
                    builder.module,
                    ir.FunctionType(
                        vectors.type,
                        [vectors.type.as_pointer(), ir.IntType(32), mask.type, vectors.type],
                    ),
                    f"llvm.masked.load.{vectors.suffix}.p0",
                )
                align = ir.Constant(ir.IntType(32), vectors.itemsize)
                part = [
                    builder.call(load, [vectors.pointer(x, begin), align, mask, vectors.zero])
                    for begin in begins
                ]
                for c, column in enumerate(_transposed(builder, part)[:-1]):
                    with builder.if_then(builder.icmp_signed("<", _index(c), n)):
                        at = builder.add(o, builder.mul(_index(c), ldo))
                        vectors.store(column, tile, at)
            with otherwise:
                last = builder.sub(n, _index(lanes))
                squares = builder.sdiv(builder.add(n, _index(lanes - 1)), _index(lanes))
                with cgutils.for_range(builder, squares) as loop:
                    first = builder.mul(loop.index, _index(lanes))
                    late = builder.icmp_signed(">", first, last)
                    first = builder.select(late, last, first)
                    square = [vectors.load(x, builder.add(begin, first)) for begin in begins]
                    for c, column in enumerate(_transposed(builder, square)):
                        feature = builder.add(first, _index(c))
                        vectors.store(column, tile, builder.add(o, builder.mul(feature, ldo)))
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(X, i8, rows, i8, tile, i8, i8), generate


@intrinsic
def prefetch(typingctx, array, i):
    """Ask for the cache line of the element at offset i, into the second-level cache."""

    def generate(context, builder, signature, args):
        data = _data(context, builder, signature, args, 0)
        byte = ir.IntType(8).as_pointer()
        word = ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [byte, word, word, word]),
            "llvm.prefetch.p0",
        )
        pointer = builder.bitcast(builder.gep(data, [args[1]]), byte)
        builder.call(function, [pointer, *(ir.Constant(word, flag) for flag in (0, 2, 1))])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic
def copy_doubles(typingctx, values, i, out, o, like):
    """Copy as many float64 as a vector of `like` has lanes; `out` is modified in place."""

    def generate(context, builder, signature, args):
        _, i, _, o, _ = args
        values, out = (_data(context, builder, signature, args, a) for a in (0, 2))
        lanes = VECTOR_BYTES // (like.dtype.bitwidth // 8)
        wide = ir.VectorType(ir.DoubleType(), lanes).as_pointer()
        source = builder.bitcast(builder.gep(values, [i]), wide)
        target = builder.bitcast(builder.gep(out, [o]), wide)
        builder.store(builder.load(source, align=8), target, align=8)
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(values, i8, out, i8, like), generate


def _extreme(name):
    """Make ``f(values, o, like)``: the least or greatest of as many non-negative float64.

    As many as a vector of `like` has lanes, from offset o. Their bits are compared as integers,
    which orders non-negative numbers and puts NaN above all.
    """

    @intrinsic
    def extreme(typingctx, values, o, like):
        def generate(context, builder, signature, args):
            values = _data(context, builder, signature, args, 0)
            lanes = VECTOR_BYTES // (like.dtype.bitwidth // 8)
            vector = ir.VectorType(_INDEX, lanes)
            pointer = builder.bitcast(builder.gep(values, [args[1]]), vector.as_pointer())
            reduce = cgutils.get_or_insert_function(
                builder.module,
                ir.FunctionType(_INDEX, [vector]),
                f"llvm.vector.reduce.{name}.v{lanes}i64",
            )
            bits = builder.call(reduce, [builder.load(pointer, align=8)])
            return builder.bitcast(bits, ir.DoubleType())

        return types.float64(values, types.intp, like), generate

    return extreme


least, greatest = _extreme("umin"), _extreme("umax")


@intrinsic
def live_bits(typingctx, resp, i, weight, p, dead, like):
    """Return a bit for each place of a vector: whether ``resp[i:] > dead * weight[p:]``, float64.

    As many as a vector of `like` has lanes.
    """

    def generate(context, builder, signature, args):
        _, i, _, p, dead, _ = args
        resp, weight = (_data(context, builder, signature, args, position) for position in (0, 2))
        vectors = _Vectors(builder, ir.DoubleType())
        dead = vectors.splat(dead)
        word = ir.IntType(64)
        bits = ir.Constant(word, 0)
        for c in range(0, VECTOR_BYTES // (like.dtype.bitwidth // 8), vectors.lanes):
            bound = builder.fmul(vectors.load(weight, builder.add(p, _index(c))), dead)
            live = builder.fcmp_ordered(">", vectors.load(resp, builder.add(i, _index(c))), bound)
            part = builder.zext(builder.bitcast(live, ir.IntType(vectors.lanes)), word)
            bits = builder.or_(bits, builder.shl(part, ir.Constant(word, c)))
        return bits

    i8 = types.intp
    return types.int64(resp, i8, weight, i8, types.float64, like), generate


@intrinsic
def count_bits(typingctx, bits):
    """Return how many bits of a non-negative int64 are set."""

    def generate(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.int64(types.int64), generate


@intrinsic
def lowest_bit(typingctx, bits):
    """Return the place of the lowest set bit of a positive int64."""

    def generate(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate


@intrinsic
def store_scaled_difference(typingctx, x, i, high, low, j, scale, out, o):
    """Store one vector of ``(x - high - low) * scale``.

    `x` is read from offset i, `high` and `low` from offset j, `out` written from offset o.
    """

    def generate(context, builder, signature, args):
        _, i, _, _, j, scale, _, o = args
        data = [_data(context, builder, signature, args, position) for position in (0, 2, 3, 6)]
        vectors = _Vectors(builder, data[0].type.pointee)
        gap = builder.fsub(vectors.load(data[0], i), vectors.load(data[1], j))
        if vectors.itemsize == 4:
            gap = builder.fsub(gap, vectors.load(data[2], j))
        scaled = builder.fmul(gap, vectors.splat(scale))
        vectors.store(scaled, data[3], o)
        return context.get_dummy_value()

    i8 = types.intp
    return types.void(x, i8, high, low, i8, x.dtype, out, i8), generate


@intrinsic
def difference(typingctx, x, high, low):
    """Return ``x - (high + low)``; the low part of a mean exists for float32 only."""

    def generate(context, builder, signature, args):
        gap = builder.fsub(args[0], args[1])
        return builder.fsub(gap, args[2]) if signature.return_type == types.float32 else gap

    return x(x, high, low), generate


@intrinsic
def lanes_of(typingctx, array):
    """Return how many of the array's elements a vector holds, as a constant.

    ``array.itemsize`` is read at run time, and strips whose width the compiler does not know
    took half as long again.
    """

    def generate(context, builder, signature, args):
        return ir.Constant(_INDEX, VECTOR_BYTES // (array.dtype.bitwidth // 8))

    return types.intp(array), generate


@intrinsic
def prefer_wide_vectors(typingctx):
    """Let LLVM use vectors of full width in the calling function.

    Its tables prefer half of AVX-512's width, out of concern for programs that vectorise
    little; the exponentials here run 1.36 times as fast at full width.
    """

    def generate(context, builder, signature, args):
        if WIDE:
            # llvmlite's attribute set knows no string attributes; its base class takes any.
            set.add(builder.function.attributes, f'"prefer-vector-width"="{8 * VECTOR_BYTES}"')
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
