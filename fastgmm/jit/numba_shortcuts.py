"""Shorter ways through Numba's compiler for kernels, which need little of what it can do.

Numba spends most of the time on searching and bookkeeping, and LLVM on undoing what Numba writes
for functions that count references. Seconds of a processor for a first pass of EM: 8.5 without
these shortcuts, 6.4 with all of them but two, registries and tuples; for a pass for another
covariance type 4.8 and 3.9. These two save another second. Where something private is missing, that
shortcut is not taken.

Literals
    Numba compiles a function anew for each literal argument: `products_of_tile` four times for
    diag. Helpers are compiled for the type of a literal instead; LLVM still sees constants.

Passes
    Numba rebuilds its analysis of a function after each of 27 passes. Half of these look for
    what no kernel has: closures, context managers, array expressions, ``literal_unroll``.

Signatures of calls
    Numba tries up to 60 templates for each ``a + b`` and each ``x[i]``, always in the same order.
    The first answer for some types is kept while an entry point is compiled.

Sizes
    llvmlite parses a module each time to find the size of a type. Sizes are kept as well.

Registries
    Numba looks for new declarations in all of its modules up to a thousand times for each entry
    point. Only the first search looks everywhere; the others take what was declared since. 0.3 s.
    Loading machine code needs no declarations at all: 0.24 s for each process.

Tuples
    Numba passes each number of a tuple as an argument of its own: 175 instructions take a
    `Workspace` apart for each call, and 175 put it together again. They were 70% of the text that
    LLVM reads. Named tuples are passed by a pointer instead, and a function reads the fields that
    it needs. 0.8 s for each covariance type; passes over two features became 1 to 3% faster.

Variables
    Numba keeps a variable that several blocks use in memory, loads it before each new value to
    count down references, and clears it after its last use. For a `Workspace`, which has 175
    numbers, each of these is 175 instructions, and SROA deletes them again. Here a variable that is
    set once stays in LLVM's registers, and none is cleared. 0.6 s for each covariance type.

Tuples from Python
    Numba writes 45 instructions for each array in a tuple that Python passes, most of them for
    errors, and a pass of EM has 80 arrays. Here one function reads any array, straight into the
    tuple, and errors are reported at the end: 0.4 s less for a pass of EM. It also finds arrays
    with gaps (`numba_internals.direct`).

Timers
    Numba's dispatcher adds two timers for each level of calls, and each timer hears of every call
    of LLVM by the levels below it. Helpers are compiled without.
"""

import importlib
from collections import Counter, defaultdict
from contextlib import ExitStack, contextmanager

from llvmlite import ir
from numba import types

try:
    from numba.core.compiler import DefaultPassBuilder
    from numba.core.compiler_machinery import PassManager, _pass_registry
except Exception:
    DefaultPassBuilder = None
    PassManager = object

try:
    from numba.core.analysis import compute_cfg_from_blocks, compute_use_defs, must_use_alloca
    from numba.core.ir import Assign
    from numba.core.lowering import Lower
    from numba.core.typed_passes import NativeLowering
except Exception:
    Lower = NativeLowering = object

try:
    from numba.core.base import BaseContext
    from numba.core.types.functions import BaseFunction
except Exception:
    BaseContext = BaseFunction = None

try:
    from numba.core import cgutils
    from numba.core.datamodel.packer import ArgPacker
    from numba.core.pythonapi import NativeValue
except Exception:
    ArgPacker = object

try:
    from numba.core import sigutils
    from numba.core.compiler_lock import global_compiler_lock
except Exception:
    sigutils = None

_READER = "fastgmm_read_array"
_OF_TUPLES = "noalias", "readonly", "nocapture"  # attributes of their pointers
_SUPERFLUOUS = {
    "DeadBranchPrune",
    "DumpParforDiagnostics",
    "FindLiterallyCalls",
    "InlineClosureLikes",
    "InlineInlinables",
    "InlineOverloads",
    "LiteralPropagationSubPipelinePass",
    "LiteralUnroll",
    "MakeFunctionToJitFunction",
    "NoPythonSupportedFeatureValidation",
    "NopythonRewrites",
    "RewriteDynamicRaises",
    "WithLifting",
}


# --- passes


class _Passes(PassManager):
    """Numba's passes without superfluous ones, run one after the other."""

    def __init__(self, passes):
        super().__init__("fastgmm")
        self.passes = passes
        self.finalize()

    def run(self, state):
        """Run the passes."""
        for kind, _ in self.passes:
            one = _LOWERING if kind is NativeLowering else _pass_registry.get(kind).pass_inst
            for step in (one.run_initialization, one.run_pass, one.run_finalizer):
                step(state)


def short_pipeline(state):
    """Return the passes that kernels need; None where Numba's own are to be taken."""
    if DefaultPassBuilder is None or Lower is object:
        return None
    passes = DefaultPassBuilder.define_nopython_pipeline(state).passes
    return _Passes([one for one in passes if one[0].__name__ not in _SUPERFLUOUS])


# --- lowering


class _Lower(Lower):
    """Numba's lowering; variables stay in registers and are not cleared, tuples stay in memory."""

    def _find_singly_assigned_variable(self):
        """Find the variables that need no memory: set once, on every way to each of their uses."""
        blocks = self.func_ir.blocks
        n_assigned, assigned_in, used_in = Counter(), {}, defaultdict(set)
        for number, block in blocks.items():
            for statement in block.find_insts(Assign):
                n_assigned[statement.target.name] += 1
                assigned_in[statement.target.name] = number
        for number, names in compute_use_defs(blocks).usemap.items():
            for name in names:
                used_in[name].add(number)
        dominators = compute_cfg_from_blocks(blocks).dominators()
        self._singly_assigned_vars = {
            name
            for name, begin in assigned_in.items()
            if n_assigned[name] == 1
            and all(begin < use and begin in dominators[use] for use in used_in[name])
        } - must_use_alloca(blocks)
        self._blk_local_varmap = {}

    def storevar(self, value, name, argidx=None):
        """Set a variable."""
        if name in self._singly_assigned_vars:
            self._blk_local_varmap[name] = value
        else:
            self._alloca_var(name, self.typeof(name))
            self.builder.store(value, self.getvar(name))

    def lower_expr(self, resty, expr):
        """Take only the field that is asked for from a tuple in memory."""
        if expr.op == "getattr":
            type_, value = self.typeof(expr.value.name), self.loadvar(expr.value.name)
            pointer = getattr(value, "pointer", None)
            if pointer is not None and expr.attr in getattr(type_, "fields", ()):
                place = type_.fields.index(expr.attr)
                return _loaded(self.builder, cgutils.gep_inbounds(self.builder, pointer, 0, place))
        return super().lower_expr(resty, expr)

    def delvar(self, name):
        """Do nothing at the end of a variable's life."""


class _Lowering(NativeLowering):
    """Numba's pass for lowering, with the class above."""

    lowering_class = _Lower


_LOWERING = _Lowering()


# --- helpers


def shorten_helper(dispatcher):
    """Let a helper's dispatcher ignore literals and timers."""
    _ignore_literals(dispatcher)
    if sigutils is not None:
        dispatcher.compile = _compile_untimed(dispatcher)


def _ignore_literals(dispatcher):
    template = dispatcher.get_call_template

    def template_without_literals(args, kws):
        args = [types.unliteral(one) for one in args]
        return template(args, {name: types.unliteral(one) for name, one in kws.items()})

    dispatcher.get_call_template = template_without_literals


def _compile_untimed(dispatcher):
    """Return what replaces the method that compiles; helpers are never cached."""

    def compile_untimed(signature):
        args, return_type = sigutils.normalize_signature(signature)
        known = dispatcher.overloads.get(tuple(args))
        if known is None:
            with global_compiler_lock, dispatcher._compiling_counter:
                known = dispatcher._compiler.compile(args, return_type)
                dispatcher.add_overload(known)
        return known.entry_point

    return compile_untimed


# --- answers that are kept


@contextmanager
def kept_answers():
    """Let Numba keep signatures of calls and sizes of types meanwhile.

    The caller holds Numba's lock: nobody else compiles.
    """
    with ExitStack() as changes:
        if BaseContext is not None:
            _replace(changes, BaseFunction, "get_call_type", _kept_call_type)
            _replace(changes, BaseContext, "get_abi_sizeof", _kept_size)
        with kept_registries(), pointed_tuples(), arguments_from_python():
            yield


def can_point():
    """Return whether named tuples can be passed by pointers."""
    return BaseContext is not None and ArgPacker is not object


@contextmanager
def pointed_tuples():
    """Let Numba pass each named tuple by a pointer meanwhile."""
    with ExitStack() as changes:
        if can_point():
            _replace(changes, BaseContext, "get_arg_packer", _packer_of_tuples)
        yield


def kept_registries():
    """Let Numba search all of its modules for new declarations once, not more, meanwhile."""
    return _searching(_kept_refresh)


def no_registries():
    """Let Numba search for no declarations meanwhile."""
    return _searching(lambda refresh: lambda self: None)


@contextmanager
def _searching(change):
    with ExitStack() as changes:
        if BaseContext is not None:
            _replace(changes, BaseContext, "refresh", change)
        yield


def _replace(changes, owner, name, change):
    """Replace a method by what `change` makes of it, until `changes` end."""
    method = vars(owner)[name]
    changes.callback(setattr, owner, name, method)
    setattr(owner, name, change(method))


def _kept_call_type(get_call_type):
    kept = {}

    def kept_call_type(self, context, args, kws):
        key = self.key, tuple(args)
        try:
            found = None if kws else kept.get(key)
        except TypeError:  # something unhashable
            return get_call_type(self, context, args, kws)
        if found is None:
            signature = get_call_type(self, context, args, kws)
            if not kws:
                kept[key] = signature, self.get_impl_key(signature)
            return signature
        signature, implementation = found
        self._impl_keys[signature.args] = implementation
        return signature

    return kept_call_type


def _kept_size(get_abi_sizeof):
    kept = {}

    def kept_size(self, type_):
        if isinstance(type_, ir.IdentifiedStructType):  # its name does not tell what it holds
            return get_abi_sizeof(self, type_)
        key = str(type_)
        if key not in kept:
            kept[key] = get_abi_sizeof(self, type_)
        return kept[key]

    return kept_size


def _kept_refresh(refresh):
    searched = []

    def kept_refresh(self):
        registries = self._registries  # copies of a context share them
        if any(registries is one for one in searched):
            for registry in list(registries):
                self.install_registry(registry)
        else:
            searched.append(registries)
            refresh(self)

    return kept_refresh


# --- arguments


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
        return _loaded(builder, pointer)


def _loaded(builder, pointer):
    """Return what lies at a pointer; it keeps the pointer."""
    value = builder.load(pointer)
    value.pointer = pointer
    return value


def _packer_of_tuples(get_arg_packer):
    return lambda self, types_of_arguments: _Packer(self.data_model_manager, types_of_arguments)


# --- arguments from Python


@contextmanager
def arguments_from_python():
    """Let Numba read arrays and named tuples that Python passes straight into memory meanwhile."""
    kinds = _ways_to_read() if can_point() else {}
    tuples, arrays = kinds.get(types.BaseTuple), kinds.get(types.Array)
    if tuples is None or arrays is None:
        yield
        return
    kinds[types.NamedTuple] = _in_memory(_read_tuple, tuples)
    kinds[types.Array] = _in_memory(_read_array, arrays)
    try:
        yield
    finally:
        del kinds[types.NamedTuple]
        kinds[types.Array] = arrays


def _ways_to_read():
    """Return how Numba reads arguments of each type; it imports that when it first compiles."""
    try:
        importlib.import_module("numba.core.boxing")
        return importlib.import_module("numba.core.pythonapi")._unboxers.functions
    except Exception:
        return {}


def _in_memory(read, unbox):
    """Return Numba's way to read arguments with `read` in its place."""

    def unbox_in_memory(type_, value, c):
        if c.context.enable_nrt:  # arrays would be counted
            return unbox(type_, value, c)
        place = cgutils.alloca_once(c.builder, c.context.get_value_type(type_))
        failed = read(type_, value, place, c)
        with c.builder.if_then(failed, likely=False):
            c.pyapi.err_set_string("PyExc_TypeError", "an array is not laid out as expected")
        return NativeValue(_loaded(c.builder, place), is_error=failed)

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
