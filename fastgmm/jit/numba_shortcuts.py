"""Shorter ways through Numba's compiler for kernels, which need little of what it can do.

Numba spends most of the time on searching and bookkeeping, and LLVM on undoing what Numba writes
for functions that count references. When each covariance type had a pass of its own, the first one
took 8.5 seconds of a processor without these shortcuts and 6.4 with them, another one 4.8 and 3.9.
Where something private is missing, that shortcut is not taken.

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

Variables
    Numba keeps a variable that several blocks use in memory, loads it before each new value to
    count down references, and clears it after its last use. For a `Workspace`, which has 175
    numbers, each of these is 175 instructions, and SROA deletes them again. Here a variable that is
    set once stays in LLVM's registers, and none is cleared. 0.6 s for each covariance type.

Timers
    Numba's dispatcher adds two timers for each level of calls, and each timer hears of every call
    of LLVM by the levels below it. Helpers are compiled without.
"""

from collections import Counter, defaultdict
from contextlib import ExitStack, contextmanager

from llvmlite import ir
from numba import types

from fastgmm.jit.numba_arguments import arguments_in_memory, field

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
    from numba.core import sigutils
    from numba.core.compiler_lock import global_compiler_lock
except Exception:
    sigutils = None

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
            found = field(self.builder, type_, value, expr.attr)
            if found is not None:
                return found
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
        with kept_registries(), arguments_in_memory():
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
