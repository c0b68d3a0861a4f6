"""Vectors of the machine's width: how wide they are, and how operations on them are emitted.

LLVM vectorises simple loops, but it does not keep a block of accumulators in registers while a
third index runs. Such a loop reaches nine tenths of the machine's arithmetic rate, LLVM's own loop
a quarter. `accumulate` emits exactly this loop. `fastgmm.kernels.micro.blocks`,
`fastgmm.kernels.micro.lanes` and `fastgmm.kernels.micro.rows` build intrinsics from it, which Numba
code calls.

LLVM splits explicit vectors that are wider than the machine's, so a wrong guess of the width costs
speed and never correctness.

The number of vector registers decides how large blocks are: 32 with AVX-512 and on 64-bit Arm, else
16. On Arm a vector has 128 bits. Cycles of one step of an inner loop there, and multiply-adds a
cycle, of float64 in blocks for 16 and for 32 registers (`tools/cycles.py`, LLVM 19):

=================  =========  =========  =========  =========
                   Neoverse V2           Apple M1
block              16         32         16         32
=================  =========  =========  =========  =========
row norms           4.8, 2.5   6.0, 4.0   7.4, 1.6  12.0, 2.0
distances           5.3, 1.5   9.3, 1.7   7.5, 1.1  13.0, 1.2
weighted Gram       3.0, 3.0   5.0, 3.2   6.0, 1.5  11.0, 1.4
its diagonal        3.0, 2.0   4.5, 2.2   5.0, 1.2   7.0, 1.4
products            3.0, 4.0   4.0, 4.0   6.0, 2.0   8.0, 2.0
gathered Gram       3.7, 3.3   6.0, 4.0   7.0, 1.7  12.0, 2.0
conditional means   5.6, 2.1   9.0, 2.7   9.4, 1.3  12.0, 2.0
k-means             5.3, 1.5   9.4, 1.7   7.5, 1.1  12.0, 1.3
=================  =========  =========  =========  =========

At most 4 are possible, and 2 in LLVM's model of the M1, which is that of an older processor with
half of its units. No loop spills a register. In a distance the subtraction takes as many cycles as
the multiply-add. The figures for 16 are without `Vectors.multiplier`; without it the row norms for
32 take 7.7 cycles on the V2.
"""

from typing import NamedTuple

from fastgmm.jit.intrinsics import declared, element_type, ir, pointer_of, vector_registers

VECTOR_BYTES, REGISTERS = vector_registers()
WIDE = VECTOR_BYTES == 64
_MANY = REGISTERS == 32
_BY_LANE = _MANY and not WIDE  # Arm: multiply-adds take a lane of a register for all lanes
STRIP_VECTORS = 4 if _MANY else 2  # vectors of points in a strip, the width of most blocks
GRAM_ROWS = 8 if _MANY else 4  # rows of a block of the Gram matrix with lanes over features
SQUARE = 4 if _MANY else 3  # rows and columns of a block of the Gram matrix, lanes over points

INDEX = ir.IntType(64)
_FOUR_DOUBLES = ir.VectorType(ir.DoubleType(), 4)


def index(value):
    """Return a constant offset."""
    return ir.Constant(INDEX, value)


def splat(builder, scalar, lanes):
    """Return a vector with the scalar in every lane."""
    word = ir.IntType(32)
    undefined = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    lane_0 = builder.insert_element(undefined, scalar, ir.Constant(word, 0))
    return builder.shuffle_vector(lane_0, undefined, ir.Constant(ir.VectorType(word, lanes), None))


class Elements(NamedTuple):
    """The elements of an array argument: an opaque pointer to the first, and their type."""

    pointer: ir.Value
    type: ir.Type

    def at(self, builder, offset):
        """Return the pointer to the element at an offset."""
        return builder.gep(self.pointer, [offset], source_etype=self.type)

    def load(self, builder, offset):
        """Return the element at an offset."""
        return builder.load(self.at(builder, offset), typ=self.type)

    def store(self, builder, value, offset):
        """Store an element at an offset."""
        builder.store(value, self.at(builder, offset))


def elements_of(context, builder, signature, args, position):
    """Return the elements of the array argument at `position`."""
    pointer = pointer_of(context, builder, signature, args, position)
    return Elements(pointer, element_type(signature, position))


class Vectors:
    """Emits operations on vectors of one scalar type, addressed by array and element offset."""

    def __init__(self, builder, scalar):
        self.builder = builder
        self.scalar = scalar
        self.itemsize = 8 if scalar == ir.DoubleType() else 4
        self.lanes = VECTOR_BYTES // self.itemsize
        self.type = ir.VectorType(scalar, self.lanes)
        self.zero = ir.Constant(self.type, None)
        self.suffix = f"v{self.lanes}f{8 * self.itemsize}"

    def intrinsic(self, name, result, *args):
        """Return an LLVM intrinsic of the given name and result type, and its arguments."""
        signature = ir.FunctionType(result, [arg.type for arg in args])
        return declared(self.builder, signature, name), args

    def call(self, name, result, *args):
        """Emit a call of the LLVM intrinsic ``llvm.<name>`` for these vectors."""
        function, args = self.intrinsic(f"llvm.{name}.{self.suffix}", result, *args)
        return self.builder.call(function, args)

    def fma(self, a, b, c):
        """Return ``a * b + c``, rounded once if the machine has fused multiply-add."""
        return self.call("fmuladd", self.type, a, b, c)

    def load(self, base, offset):
        """Return the vector that begins at an offset."""
        place = base.at(self.builder, offset)
        return self.builder.load(place, align=self.itemsize, typ=self.type)

    def store(self, value, base, offset):
        """Store a vector at an offset."""
        self.builder.store(value, base.at(self.builder, offset), align=self.itemsize)

    def broadcast(self, base, offset):
        """Return a vector with the element at an offset in every lane."""
        return self.splat(base.load(self.builder, offset))

    def multiplier(self, base, offset):
        """Return the same as `broadcast`, for a vector that is multiplied only.

        Arm multiplies by a lane of a register. LLVM prefers to load the number into all lanes,
        which takes a slot of the multiply-adds. The fence hides from LLVM that it is loaded.
        """
        number = base.load(self.builder, offset)
        if _BY_LANE:
            signature = ir.FunctionType(self.scalar, [self.scalar])
            fence = f"llvm.arithmetic.fence.f{8 * self.itemsize}"
            number = self.builder.call(declared(self.builder, signature, fence), [number])
        return self.splat(number)

    def splat(self, scalar):
        """Return a vector with a scalar in every lane."""
        return splat(self.builder, scalar, self.lanes)

    def minus_mean(self, x, high, low, offset):
        """Return ``x - high - low`` with the mean's parts at an offset; float64 has no low part."""
        diff = self.builder.fsub(x, self.broadcast(high, offset))
        return self.builder.fsub(diff, self.broadcast(low, offset)) if self.itemsize == 4 else diff

    def as_doubles(self, value):
        """Return a vector converted to double precision."""
        wide = ir.VectorType(ir.DoubleType(), self.lanes)
        return value if value.type == wide else self.builder.fpext(value, wide)

    def store_as_doubles(self, value, base, offset):
        """Store a vector as doubles at an offset."""
        self.builder.store(self.as_doubles(value), base.at(self.builder, offset), align=8)

    def add_to_doubles(self, value, base, offset):
        """Add a vector to the doubles at an offset."""
        self._add(self.as_doubles(value), base.at(self.builder, offset))

    def _add(self, value, place):
        """Add a value to the number or vector of the same type that a pointer points to."""
        old = self.builder.load(place, align=8, typ=value.type)
        self.builder.store(self.builder.fadd(old, value), place, align=8)

    def shuffle(self, a, b, places):
        """Return the lanes of a and b that `places` lists; lanes of b count on from those of a."""
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places)
        return self.builder.shuffle_vector(a, b, mask)

    def add_sums_to_doubles(self, registers, base, offset):
        """Add the lane sums of four vectors to four consecutive doubles."""
        builder = self.builder
        if self.lanes < 4:
            places = [builder.add(offset, index(c)) for c in range(len(registers))]
            self.add_sums_apart(registers, [(base, place) for place in places])
            return
        total = self._four_sums(registers)
        self._add(total, base.at(builder, offset))

    def add_sums_apart(self, registers, places):
        """Add the lane sum of each vector to a double with its own base and offset.

        Four vectors at a time are summed together, which takes a third of the instructions.
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
                lane_sum = builder.extract_element(total, ir.Constant(ir.IntType(32), c))
                self._add(lane_sum, base.at(builder, offset))

    def add_sums_of_block(self, block, base, offset, ld):
        """Add the lane sums of rows of vectors to doubles whose rows lie `ld` apart."""
        builder = self.builder
        rows = [builder.add(offset, builder.mul(index(r), ld)) for r in range(len(block))]
        if all(len(registers) == 4 for registers in block):
            for begin, registers in zip(rows, block, strict=True):
                self.add_sums_to_doubles(registers, base, begin)
            return
        places = [
            (base, builder.add(begin, index(c)))
            for begin, registers in zip(rows, block, strict=True)
            for c in range(len(registers))
        ]
        self.add_sums_apart([register for row in block for register in row], places)

    def _four_sums(self, group):
        """Return the lane sums of four vectors, as a vector of four doubles."""
        builder, lanes = self.builder, self.lanes
        pairs = []
        for a, b in (group[:2], group[2:]):  # even lanes of the sum belong to a, odd ones to b
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
        """Add the lane sum of one vector to one double in memory."""
        function, args = self.intrinsic(
            f"llvm.vector.reduce.fadd.{self.suffix}",
            self.scalar,
            ir.Constant(self.scalar, 0.0),
            value,
        )
        lane_sum = self.builder.call(function, args, fastmath=("reassoc",))
        if self.itemsize == 4:
            lane_sum = self.builder.fpext(lane_sum, ir.DoubleType())
        self._add(lane_sum, base.at(self.builder, offset))


class Points(Vectors):
    """Vectors of points of an array (n_features, ld), for loops over these vectors.

    Without `places`, they are the first vectors of the array. With `places`, they begin at these
    places, and `mean` is subtracted: its high part, its low part and the offset of both.
    """

    def __init__(self, builder, data, ld, places=None, mean=None):
        super().__init__(builder, data.type)
        self.data = data
        self.ld = ld
        self.places = places
        self.mean = mean

    def at(self, t):
        """Return the offset of the first point of vector t."""
        return self.builder.mul(t, index(self.lanes))

    def row_from(self, row):
        """Return a function of step t and number r: vector t of feature ``row + r``."""
        builder = self.builder

        def points(t, r):
            feature = builder.add(row, index(r))
            begin = self.at(t) if self.places is None else self.places.load(builder, t)
            x = self.load(self.data, builder.add(builder.mul(feature, self.ld), begin))
            if self.mean is None:
                return x
            high, low, offset = self.mean
            return self.minus_mean(x, high, low, builder.add(offset, feature))

        return points

    def weighted(self, w, row):
        """Return the same as `row_from`, with the points multiplied by their weights `w`."""
        points = self.row_from(row)
        return lambda t, r: self.builder.fmul(points(t, r), self.load(w, self.at(t)))


def accumulate(vectors, widths, n_steps, left, right, add=None):
    """Emit ``acc[r][c] += left(t, r) * right(t, c)`` for t < n_steps; return the registers.

    `widths` is the number of accumulators of each row, so a block may be a triangle. If given,
    ``add(left, right, register)`` replaces the multiply-add and returns the new value of the
    register.
    """
    add = add or vectors.fma
    builder = vectors.builder
    before = builder.block
    head, body, done = (builder.append_basic_block(name) for name in ("head", "body", "done"))
    builder.branch(head)
    builder.position_at_end(head)
    step = builder.phi(INDEX)
    step.add_incoming(index(0), before)
    acc = [[builder.phi(vectors.type) for _ in range(width)] for width in widths]
    builder.cbranch(builder.icmp_signed("<", step, n_steps), body, done)
    builder.position_at_end(body)
    columns = [right(step, c) for c in range(max(widths))]
    for r, row in enumerate(acc):
        factor = left(step, r)
        for c, register in enumerate(row):
            register.add_incoming(vectors.zero, before)
            register.add_incoming(add(factor, columns[c], register), builder.block)
    step.add_incoming(builder.add(step, index(1)), builder.block)
    builder.branch(head)
    builder.position_at_end(done)
    return acc


def one_of(builder, number, numbers, emit):
    """Emit a switch that runs ``emit(n)`` for the n in `numbers` that equals `number` at run time.

    `number` must be one of `numbers`. With a switch one intrinsic serves blocks of every height,
    and its caller needs no chain of conditions.
    """
    if len(numbers) == 1:
        emit(numbers[0])
        return
    cases = [builder.append_basic_block(f"case.{n}") for n in numbers]
    done = builder.append_basic_block("cases.done")
    switch = builder.switch(number, cases[-1])
    for n, case in zip(numbers, cases, strict=True):
        if case is not cases[-1]:
            switch.add_case(index(n), case)
        builder.position_at_end(case)
        emit(n)
        builder.branch(done)
    builder.position_at_end(done)


def strip_places(builder, places, i):
    """Return the places of the vectors of a strip, from offset i of `places`."""
    return [places.load(builder, builder.add(i, index(c))) for c in range(STRIP_VECTORS)]


def transposed(builder, rows):
    """Return the vectors that hold the columns of the square matrix whose rows are `rows`."""
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
