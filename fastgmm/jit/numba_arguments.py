"""How kernels pass arguments: from one to another, and from Python.

Tuples
    Numba passes each number of a tuple as an argument of its own: 175 instructions take a
    `Workspace` apart for each call, and 175 put it together again. They were 70% of the text that
    LLVM reads. Named tuples are passed by a pointer instead, and a function reads the fields that
    it needs. 0.8 s for each covariance type; passes over two features became 1 to 3% faster.

Arguments from Python
    Numba writes 45 instructions for each array in a tuple that Python passes, most of them for
    errors, and a pass of EM has 80 arrays. Here one function reads any array, straight into the
    tuple, and errors are reported at the end: 0.4 s less for a pass of EM. It also refuses an array
    with gaps where a kernel expects none, which lets `numba_internals.direct` leave out Numba's own
    look at the types.

Both change Numba while it compiles, and only then: see `arguments_in_memory`.
"""

import importlib
from contextlib import contextmanager

from llvmlite import ir
from numba import types

try:
    from numba.core import cgutils
    from numba.core.base import BaseContext
    from numba.core.datamodel.packer import ArgPacker
    from numba.core.pythonapi import NativeValue, _unboxers
except Exception:
    ArgPacker = object

_OF_TUPLES = "noalias", "readonly", "nocapture"  # attributes of their pointers
_READER = "fastgmm_read_array"


def can_pass_in_memory():
    """Return whether Numba has what is needed here."""
    return ArgPacker is not object


@contextmanager
def arguments_in_memory():
    """Let Numba pass named tuples by pointers, and read those of Python's into memory, meanwhile.

    Raises KeyError if Numba reads arrays or tuples in another way than is known here.
    """
    if not can_pass_in_memory():
        yield
        return
    importlib.import_module("numba.core.boxing")  # it adds the functions below to the registry
    kinds = _unboxers.functions
    tuples, arrays = kinds[types.BaseTuple], kinds[types.Array]
    with pointed_tuples():
        kinds[types.NamedTuple] = _in_memory(_read_tuple, tuples)
        kinds[types.Array] = _in_memory(_read_array, arrays)
        try:
            yield
        finally:
            del kinds[types.NamedTuple]
            kinds[types.Array] = arrays


# --- between kernels


@contextmanager
def pointed_tuples():
    """Let Numba pass each named tuple by a pointer meanwhile."""
    before = BaseContext.get_arg_packer
    BaseContext.get_arg_packer = lambda self, kinds: _Packer(self.data_model_manager, kinds)
    try:
        yield
    finally:
        BaseContext.get_arg_packer = before


class _Packer(ArgPacker):
    """Numba's way of passing arguments, but with a pointer for each named tuple."""

    def __init__(self, models, types_of_arguments):
        super().__init__(_Models(models), types_of_arguments)

    def assign_names(self, args, names):
        """Name arguments, and tell LLVM that nobody writes to a tuple."""
        super().assign_names(args, names)
        for value, model in zip(self._unflattener.unflatten(args), self._dm_args, strict=True):
            if isinstance(model, _Pointed):
                for attribute in _OF_TUPLES:
                    set.add(value.attributes, attribute)  # llvmlite does not know all of them


class _Models:
    """Data models of arguments."""

    def __init__(self, models):
        self._models = models

    def lookup(self, type_):
        model = self._models.lookup(type_)
        return _Pointed(model) if isinstance(type_, types.NamedTuple) else model


class _Pointed:
    """Data model of a tuple that is passed by a pointer to it."""

    def __init__(self, model):
        self._type = model.get_value_type()

    def get_argument_type(self):
        return self._type.as_pointer()

    def as_argument(self, builder, value):
        pointer = getattr(value, "pointer", None)
        return cgutils.alloca_once_value(builder, value) if pointer is None else pointer

    def from_argument(self, builder, pointer):
        return loaded(builder, pointer)


def loaded(builder, pointer):
    """Return what lies at a pointer; it keeps the pointer."""
    value = builder.load(pointer)
    value.pointer = pointer
    return value


def field(builder, type_, value, name):
    """Return a field of a tuple in memory without the rest of it; None if it is not in memory."""
    pointer = getattr(value, "pointer", None)
    if pointer is None or name not in getattr(type_, "fields", ()):
        return None
    return loaded(builder, cgutils.gep_inbounds(builder, pointer, 0, type_.fields.index(name)))


# --- from Python


def _in_memory(read, unbox):
    """Return Numba's way to read arguments with `read` in its place."""

    def unbox_in_memory(type_, value, c):
        if c.context.enable_nrt:  # arrays would be counted
            return unbox(type_, value, c)
        place = cgutils.alloca_once(c.builder, c.context.get_value_type(type_))
        failed = read(type_, value, place, c)
        with c.builder.if_then(failed, likely=False):
            c.pyapi.err_set_string("PyExc_TypeError", "an array is not laid out as expected")
        return NativeValue(loaded(c.builder, place), is_error=failed)

    return unbox_in_memory


def _read_tuple(type_, value, place, c):
    """Read a tuple of Python's into memory; return whether that failed."""
    size = c.pyapi.tuple_size(value)
    failed = c.builder.icmp_unsigned("!=", size, size.type(len(type_)))
    for i, kind in enumerate(type_):
        item, at = c.pyapi.tuple_getitem(value, i), cgutils.gep_inbounds(c.builder, place, 0, i)
        if isinstance(kind, types.NamedTuple):
            wrong = _read_tuple(kind, item, at, c)
        elif isinstance(kind, types.Array):
            wrong = _read_array(kind, item, at, c)
        else:
            native = c.unbox(kind, item)
            c.builder.store(native.value, at)
            wrong = native.is_error
        failed = c.builder.or_(failed, wrong)
    return failed


def _read_array(kind, value, place, c):
    """Read an array into memory; return whether that failed, or it is not laid out like `kind`."""
    integer = c.context.get_value_type(types.intp)
    size = c.context.get_abi_sizeof(c.context.get_data_type(kind.dtype))
    return c.builder.call(
        _reader(c, integer),
        [
            value,
            c.builder.bitcast(place, integer.as_pointer()),
            integer(kind.ndim),
            integer(size),
            cgutils.bool_t(kind.layout == "C"),
        ],
    )


def _reader(c, integer):
    """Return the function that reads any array; a module has it once, because it is long."""
    known = c.builder.module.globals.get(_READER)
    if known is not None:
        return known
    arguments = [c.pyapi.pyobj, integer.as_pointer(), integer, integer, cgutils.bool_t]
    kind = ir.FunctionType(cgutils.bool_t, arguments)
    function = ir.Function(c.builder.module, kind, _READER)
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    value, array, n_dimensions, size, is_contiguous = function.args
    api = c.context.get_python_api(builder)
    code = api.numba_array_adaptor(value, builder.bitcast(array, api.voidptr))
    n_items, item_size = (_number(builder, array, integer(k)) for k in (2, 3))
    failed = builder.or_(
        cgutils.is_not_null(builder, code), builder.icmp_unsigned("!=", item_size, size)
    )
    has_gaps = builder.and_(
        cgutils.is_not_null(builder, n_items), _has_gaps(builder, array, n_dimensions, size)
    )
    builder.ret(builder.or_(failed, builder.and_(is_contiguous, has_gaps)))
    return function


def _number(builder, array, place):
    """Return a number of Numba's description of an array.

    After five numbers about all of it come the length of each dimension, and then the strides.
    """
    return builder.load(builder.gep(array, [place]))


def _has_gaps(builder, array, n_dimensions, size):
    """Return whether the elements of an array, of some bytes each, do not lie side by side."""
    one, first = n_dimensions.type(1), n_dimensions.type(5)
    stride = cgutils.alloca_once_value(builder, size)
    gaps = cgutils.alloca_once_value(builder, cgutils.false_bit)
    with cgutils.for_range(builder, n_dimensions) as loop:
        last = builder.sub(builder.sub(n_dimensions, one), loop.index)
        place = builder.add(first, last)
        length = _number(builder, array, place)
        step = _number(builder, array, builder.add(place, n_dimensions))
        expected = builder.load(stride)
        gap = builder.and_(
            builder.icmp_signed("!=", step, expected), builder.icmp_signed(">", length, one)
        )
        builder.store(builder.or_(builder.load(gaps), gap), gaps)
        builder.store(builder.mul(expected, length), stride)
    return builder.load(gaps)
