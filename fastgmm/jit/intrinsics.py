"""What micro-kernels are written with: intrinsics, their types, and LLVM's instructions.

Pointers
    LLVM's pointers are opaque: a pointer does not know what it points to. llvmlite still builds
    typed pointers beside opaque ones and will remove the typed ones; 0.46 to 0.50 accept the
    forms below with both kinds, and later releases will need them::

        pointer = pointer_of(context, builder, signature, args, position)  # always opaque
        scalar = element_type(signature, position)  # e.g. ir.DoubleType()
        place = builder.gep(pointer, [offset], source_etype=scalar)
        value = builder.load(place, align=8, typ=scalar)
        vector = builder.load(place, align=8, typ=ir.VectorType(scalar, 8))
        builder.store(vector, place, align=8)

    ``gep`` counts in elements of `source_etype` and returns an opaque pointer again, so vectors
    are loaded and stored through the same pointers as scalars, without a ``bitcast``. A function
    that takes a pointer declares it as ``ir.PointerType()``. Do not write ``type.pointee``,
    ``as_pointer()`` or ``PointerType(scalar)``: they make or need typed pointers. A typed pointer
    must not be stored through, because llvmlite compares what it points to with the value.
"""

from contextlib import contextmanager
from typing import NamedTuple

from llvmlite import binding, ir
from numba import config, types
from numba.extending import intrinsic

from fastgmm.jit.numba_internals import add_attribute, data_of

__all__ = [
    "add_attribute",
    "data_of",
    "declared",
    "element_type",
    "for_range",
    "intrinsic",
    "ir",
    "pointer_of",
    "types",
    "vector_registers",
]

_BOX = ir.LiteralStructType([ir.PointerType()])


def element_type(signature, position):
    """Return LLVM's type of the elements of the array argument at `position`."""
    dtype = signature.args[position].dtype
    if isinstance(dtype, types.Float):
        return {32: ir.FloatType(), 64: ir.DoubleType()}[dtype.bitwidth]
    if isinstance(dtype, types.Integer):
        return ir.IntType(dtype.bitwidth)
    raise TypeError(f"no LLVM type is known for elements of type {dtype}")


def pointer_of(context, builder, signature, args, position):
    """Return an opaque pointer to the first element of the array argument at `position`.

    Reading the pointer out of a structure that holds an opaque one removes its type; LLVM
    deletes both instructions.
    """
    pointer = data_of(context, builder, signature, args, position)
    if pointer.type.is_opaque:
        return pointer
    box = builder.insert_value(ir.Constant(_BOX, ir.Undefined), pointer, 0)
    return builder.extract_value(box, 0)


def vector_registers():
    """Return the bytes of a vector register, and the number of them, where Numba's code runs."""
    features = config.CPU_FEATURES
    if features is None:
        features = binding.get_host_cpu_features().flatten()
    return registers_of(binding.get_process_triple(), features)


def registers_of(triple, features):
    """Return the bytes of a vector register, and the number of them, of a processor.

    `triple` is LLVM's name of the machine; `features` are those of the processor, separated by
    commas. The scalable vectors of some Arm processors are not used.
    """
    known = features.split(",")
    if triple.startswith(("aarch64", "arm64")):
        return 16, 32
    if "+avx512f" in known:
        return 64, 32
    return 32 if "+avx" in known else 16, 16


def declared(builder, function_type, name):
    """Return the function of a name and type in the module that is being built."""
    known = builder.module.globals.get(name)
    return known if known is not None else ir.Function(builder.module, function_type, name)


class Loop(NamedTuple):
    """What the body of a loop may use."""

    index: ir.Value


@contextmanager
def for_range(builder, count):
    """Emit a loop over ``range(count)`` around what is emitted meanwhile; yield a `Loop`."""
    before = builder.basic_block
    head, body, end = (
        builder.append_basic_block(f"for.{name}") for name in ("cond", "body", "end")
    )
    builder.branch(head)
    builder.position_at_end(head)
    index = builder.phi(count.type, name="loop.index")
    builder.cbranch(builder.icmp_signed("<", index, count), body, end)
    builder.position_at_end(body)
    yield Loop(index)
    index.add_incoming(ir.Constant(count.type, 0), before)
    more = builder.add(index, ir.Constant(count.type, 1), flags=["nsw"])
    index.add_incoming(more, builder.basic_block)
    builder.branch(head)
    builder.position_at_end(end)
