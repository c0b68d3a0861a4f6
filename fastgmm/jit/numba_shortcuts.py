"""Shorter ways through Numba's compiler for kernels, which need little of what it can do.

The code that comes out is the same. Typing and lowering the first pass of EM takes two thirds of
the time, a pass for another covariance type half: Numba spends most of it on searching and
bookkeeping, not on the kernels. Where something private is missing, that shortcut is not taken.

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

Timers
    Numba's dispatcher adds two timers for each level of calls, and each timer hears of every call
    of LLVM by the levels below it. Helpers are compiled without.
"""

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
        for name, _ in self.passes:
            one = _pass_registry.get(name).pass_inst
            for step in (one.run_initialization, one.run_pass, one.run_finalizer):
                step(state)


def short_pipeline(state):
    """Return the passes that kernels need; None where Numba's own are to be taken."""
    if DefaultPassBuilder is None:
        return None
    passes = DefaultPassBuilder.define_nopython_pipeline(state).passes
    return _Passes([one for one in passes if one[0].__name__ not in _SUPERFLUOUS])


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
