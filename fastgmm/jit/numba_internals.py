"""How kernels become machine code: helpers are optimised once, in the module of their entry point.

Numba optimises every function, makes machine code of it, and links it into its callers, where all
of it is optimised once more at each level of calls. Nobody calls a helper from Python, so here a
helper's code is only simplified and handed on. An entry point links all helpers below it, each
once, and the whole is optimised and made machine code in one go. First fit in an empty cache,
same hour, two cores of AMD's Zen 4: 20.4 s before, 13.6 so.

Where nothing is written out by hand (Numba's ``inline="always"`` copies and types the callee's
body anew in each caller), LLVM decides what to inline with everything in view: 1.2 s less, and a
tenth faster at two features. A cheap round of optimisation before the real one, which Numba makes
to find pairs of reference counts, has nothing to find: 0.4 s less. Collecting garbage, of which a
compiler makes much and keeps it, took 1.4 s.

What an entry point links is its own, unseen from outside. Numba counts functions from zero in each
process and names machine code by that count, so two entry points cached by different processes may
name different helpers alike, and a third process would call the first it loads for both. That they
are its own is said last, because LLVM inlines more of what is called from one place only, which
took 2 to 3 s longer for each type of covariance.

Not kept: a pipeline without the passes that kernels do not need (0.1 s), helpers that are not even
simplified (1 s more).
"""

import gc
from contextlib import contextmanager

from llvmlite import binding
from llvmlite.binding import Linkage
from numba.core import cgutils, config
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler


class _NoSymbols:
    """Stands for the code generator where an address would be set in code that has none."""

    @staticmethod
    def set_env(name, environment):
        pass


class HelperLibrary(JITCodeLibrary):
    """A helper's code, to be linked into entry points; it has no machine code of its own."""

    codegen = _NoSymbols

    def finalize(self):
        """End additions, and leave the rest to entry points."""
        self._finalized = True

    def get_pointer_to_function(self, name):
        """Return 0: no such machine code."""
        return 0


def _all_below(library, found):
    """Add all libraries that one links, and those that they link, to the keys of `found`."""
    for other in library._linking_libraries:
        if other not in found:
            found[other] = True
            _all_below(other, found)


class EntryLibrary(JITCodeLibrary):
    """The code of an entry point and of all helpers below it, optimised together."""

    def finalize(self):
        """Link, optimise, and make machine code."""
        below = {}
        _all_below(self, below)
        self._linking_libraries = list(below)
        super().finalize()

    def _optimize_final_module(self):
        passes, builder = self._codegen._module_pass_manager()
        passes.run(self._final_module, builder)
        for function in self._final_module.functions:
            if function.linkage == Linkage.linkonce_odr:
                function.linkage = Linkage.internal


class HelperCompiler(Compiler):
    """Numba's compiler, with a library of the kind above."""

    library_class = HelperLibrary

    def __init__(self, typingctx, targetctx, library, *args):
        library = self.library_class(targetctx.codegen(), "fastgmm")
        library.enable_object_caching()
        super().__init__(typingctx, targetctx, library, *args)


@contextmanager
def jit_enabled():
    """Let Numba compile even with ``NUMBA_DISABLE_JIT``: its intrinsics are nothing in Python.

    Who sets that wants to step through code of their own.
    """
    disabled, config.DISABLE_JIT = config.DISABLE_JIT, 0
    try:
        yield
    finally:
        config.DISABLE_JIT = disabled


@contextmanager
def _without_garbage_collection():
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


class EntryCompiler(HelperCompiler):
    """As `HelperCompiler`, for entry points: the helpers below are compiled on the way."""

    library_class = EntryLibrary

    def compile_extra(self, func):
        """Compile a function."""
        with _without_garbage_collection(), jit_enabled():
            return super().compile_extra(func)


def target_features():
    """Return the features of the processor that Numba compiles for, separated by commas."""
    if config.CPU_FEATURES is not None:
        return config.CPU_FEATURES
    return binding.get_host_cpu_features().flatten()


def data_of(context, builder, signature, args, position):
    """Return the pointer to the elements of the array argument at `position`."""
    array_type = signature.args[position]
    return context.make_array(array_type)(context, builder, args[position]).data


def declared(builder, function_type, name):
    """Return the function of a name and type in the module that is being built."""
    return cgutils.get_or_insert_function(builder.module, function_type, name)


def for_range(builder, count):
    """Return a context manager that emits a loop over ``range(count)``; it yields `index`."""
    return cgutils.for_range(builder, count)


def add_attribute(builder, text):
    """Add a string attribute to the function that is being built.

    llvmlite's attribute set knows no string attributes; its base class takes any.
    """
    set.add(builder.function.attributes, text)
