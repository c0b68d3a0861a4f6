"""The fast path of compilation, which uses what is private of Numba and llvmlite.

Without it kernels are compiled by `fastgmm.jit.plain`, with Numba's public decorator: the results
are the same and the first fit takes longer to compile. That happens by itself where something named
here is missing or fails, and on a Numba newer than `NEWEST_TESTED`; the logger ``fastgmm`` says so.
The environment variable ``FASTGMM_NUMBA_INTERNALS`` overrides the choice by version: 1 takes the
fast path, 0 the plain one.

How kernels become machine code
    Numba optimises every function, makes machine code of it, and links it into its callers, where
    all of it is optimised once more at each level of calls. Nobody calls a helper from Python, so
    here a helper's code is only simplified and handed on. An entry point links all helpers below
    it, each once, and the whole is optimised and made machine code in one go. First fit in an
    empty cache, same hour, two cores of AMD's Zen 4: 20.4 s before, 13.6 so.

    Nothing is inlined by Numba (its ``inline="always"`` copies and types the callee's body anew in
    each caller). LLVM decides what to inline with everything in view: 1.2 s less, and a tenth
    faster at two features. Numba optimises once cheaply before the real optimisation, to find pairs
    of reference counts; kernels count no references, and leaving that out saves 0.4 s. The compiler
    makes much garbage and keeps most of it; collecting it took 1.4 s.

    What an entry point links is internal to its module. Numba counts functions from zero in each
    process and names machine code by that count, so two entry points cached by different processes
    may name different helpers alike, and a third process would call the first it loads for both.
    Helpers become internal only after optimisation: LLVM inlines a function with a single caller
    whatever its size, and doing so here costs 2 to 3 s of compilation per covariance type.

    What is kept on disk is machine code and the names that it defines. Numba adds the bitcode of
    the whole, two thirds of each file, to inline it elsewhere, and parses it at each load: 30 ms
    for a pass of EM.

    Typing and lowering take shorter ways: see `fastgmm.jit.numba_shortcuts`. Functions are
    simplified at -O1. Seconds of a processor for the passes of EM of all covariance types,
    inference and incomplete rows: 26.6 so; 27.4 at Numba's -O3; 27.9 by SROA, instruction combining
    and CFG simplification only.

    No loop is unrolled in the end. Kernels spell out the blocks that fill the registers, and for
    other loops unrolling changed nothing: iterations took 0.88 to 1.05 times as long without it,
    0.99 in the median of ten shapes. Unrolling adds 57% to the instructions. Without it a pass of
    EM compiles in 0.6 s less, of 6.5.

What is private, and what for
    ``numba.core.compiler.Compiler``, ``numba.core.codegen.JITCodeLibrary`` (its linking, its pass
    managers, its target machine, its final module), ``pipeline_class``: code as above.
    ``numba.core.caching.FunctionCache`` and ``NullCache``, ``CompileResult._rebuild``,
    ``numba.core.serialize.dumps``, ``dispatcher._cache``: files of machine code named by all kernel
    sources (`fastgmm.jit.cache`) and of wheels (`fastgmm.jit.shipped`). The options ``_nrt``,
    ``no_cfunc_wrapper``, ``no_cpython_wrapper``, ``targetdescr``, ``Flags``: kernels without
    reference counts and without wrappers that nobody calls. ``context.make_array``: the pointer in
    an array. llvmlite's set of attributes: attributes of functions that have a value.
    ``parallel._is_initialized``: whether asking Numba for its number of threads would start them.
    ``call_conv`` and ``overloads``: calls by address, and calls without a look at the types. Each
    has a fallback beside it.

How arguments are passed is in `fastgmm.jit.numba_arguments`.
"""

import functools
import gc
import os
import pickle
import re
from contextlib import contextmanager

import numba
from llvmlite import binding, ir

from fastgmm._logging import logger
from fastgmm.jit import plain
from fastgmm.jit.cache import SOURCE_STAMP, CodeFiles
from fastgmm.jit.helpers import HELPERS
from fastgmm.jit.numba_arguments import can_pass_in_memory, pointed_tuples
from fastgmm.jit.numba_shortcuts import (
    kept_answers,
    kept_registries,
    no_registries,
    short_pipeline,
    shorten_helper,
)
from fastgmm.jit.plain import jit_enabled
from fastgmm.jit.registry import remember
from fastgmm.jit.shipped import FOLDER, shipped_target
from fastgmm.jit.turns import TURN

try:
    from llvmlite.binding import Linkage
    from numba.core.caching import FunctionCache, NullCache
    from numba.core.codegen import JITCodeLibrary
    from numba.core.compiler import Compiler, CompileResult, Flags
    from numba.core.serialize import dumps
except Exception as error:
    _missing = error
    FunctionCache = NullCache = JITCodeLibrary = Compiler = object
else:
    _missing = None

try:
    from numba.np.ufunc import parallel as _parallel
except Exception:
    _parallel = None

NEWEST_TESTED = (0, 68)

_OPTIONS = {
    "_nrt": False,  # kernels allocate nothing, so nothing need be counted: see `decorators`
    "no_cfunc_wrapper": True,  # nobody calls a kernel from C
}
_HELPER = {**_OPTIONS, "no_cpython_wrapper": True}  # nobody calls a helper from Python


# --- which path


def refusal(environment=os.environ, version=numba.__version__):
    """Return why the fast path is not to be taken, None where it is."""
    choice = environment.get("FASTGMM_NUMBA_INTERNALS", "")
    if choice == "0":
        return "FASTGMM_NUMBA_INTERNALS is 0"
    known = re.match(r"(\d+)\.(\d+)", version)
    if choice != "1" and not (known and tuple(map(int, known.groups())) <= NEWEST_TESTED):
        newest = ".".join(map(str, NEWEST_TESTED))
        return f"Numba {version} is newer than {newest}, the newest tested"
    return None


class _Path:
    """Which path is taken: the fast one as long as `refused` is None."""

    def __init__(self):
        self.refused = None
        reason = refusal()
        if reason is not None:
            self.give_up(reason)
        else:
            try:
                _check()
            except Exception as error:
                self.give_up(repr(error))

    def give_up(self, reason):
        """Take the plain path from now on, and say why; said once."""
        if self.refused is None:
            self.refused = reason
            logger.warning(
                "kernels are compiled by Numba's public decorator, which takes longer: %s", reason
            )


def _check():
    """Raise an error if something is missing, or an option is not known any more."""
    if _missing is not None:
        raise _missing
    for options in (_OPTIONS, _HELPER):
        with jit_enabled():
            dispatcher = numba.njit(**options, pipeline_class=HelperCompiler)(lambda: None)
        dispatcher.targetdescr.options.parse_as_flags(Flags(), dispatcher.targetoptions)


def enabled():
    """Return whether kernels are compiled on the fast path."""
    return PATH.refused is None


def linkable():
    """Return whether kernels can be called by their addresses: see `fastgmm.jit.linking`."""
    return enabled() and can_pass_in_memory()


# --- the compiler


class _NoSymbols:
    """Stands for the code generator where an address would be set in code that has none."""

    @staticmethod
    def set_env(name, environment):
        pass


class _Library(JITCodeLibrary):
    """Code of a kernel, whose functions are simplified one by one before all are optimised."""

    def _optimize_functions(self, ll_module):
        ll_module.data_layout = self._codegen._data_layout
        passes, builder = self._codegen._function_pass_manager(opt=1)
        for function in ll_module.functions:
            if not function.is_declaration:
                passes.run(function, builder)


class HelperLibrary(_Library):
    """A helper's code, to be linked into entry points; it has no machine code of its own."""

    codegen = _NoSymbols

    def finalize(self):
        """End additions, and leave the rest to entry points."""
        self._finalized = True

    def get_pointer_to_function(self, name):
        """Return 0: no such machine code."""
        return 0


def _all_below(library):
    """Return all libraries that one links, directly or not; each comes before those it links.

    The order matters: LLVM takes a function from a library only if what is linked already calls it.
    """
    seen, callees_first = set(), []

    def visit(one):
        for other in one._linking_libraries:
            if other not in seen:
                seen.add(other)
                visit(other)
                callees_first.append(other)

    visit(library)
    return callees_first[::-1]


class EntryLibrary(_Library):
    """The code of an entry point and of all helpers below it, optimised together."""

    def finalize(self):
        """Link, optimise, and make machine code."""
        self._linking_libraries = _all_below(self)
        super().finalize()

    def _optimize_final_module(self):
        options = binding.create_pipeline_tuning_options(speed_level=int(numba.config.OPT))
        options.loop_vectorization = bool(numba.config.LOOP_VECTORIZE)
        options.loop_unrolling = False
        builder = binding.create_pass_builder(self._codegen._tm, options)
        builder.getModulePassManager().run(self._final_module, builder)
        for function in self._final_module.functions:
            if function.linkage == Linkage.linkonce_odr:
                function.linkage = Linkage.internal

    def serialize_using_object_code(self):
        """Return what is kept of this code: machine code, and which symbols it defines.

        Numba keeps the whole module as bitcode, to inline it elsewhere; nobody does so here.
        """
        return self.name, "object", (self._get_compiled_object(), _outline(self._final_module))


def _outline(module):
    """Return bitcode that defines the symbols of a module which others see, all of them empty."""
    kinds = {
        "@{} = global i8 0": module.global_variables,
        "define void @{}() {{ ret void }}": module.functions,
    }
    hidden = Linkage.internal, Linkage.private
    lines = [
        line.format(f'"{symbol.name}"')
        for line, symbols in kinds.items()
        for symbol in symbols
        if not symbol.is_declaration and symbol.linkage not in hidden
    ]
    return binding.parse_assembly("\n".join(lines)).as_bitcode()


class LinkedLibrary(EntryLibrary):
    """The code of a linked kernel; it has no function for Python."""

    codegen = _NoSymbols


class HelperCompiler(Compiler):
    """Numba's compiler, with a library of the kind above."""

    library_class = HelperLibrary

    def __init__(self, *args, **options):
        with kept_registries():
            super().__init__(*args, **options)
        self.take_library()

    def take_library(self):
        """Let the compiler put its code into a library of the kind above."""
        library = self.library_class(self.state.targetctx.codegen(), "fastgmm")
        library.enable_object_caching()
        self.state.library = library

    def define_pipelines(self):
        """Return the passes that make the code."""
        short = short_pipeline(self.state)
        return [short] if short is not None else super().define_pipelines()


class EntryCompiler(HelperCompiler):
    """As `HelperCompiler`, for entry points: the helpers below are compiled on the way.

    Where that fails, for whatever reason, the same kernel is compiled on the plain path.
    """

    library_class = EntryLibrary

    def take_library(self):
        """As for a helper; `compile_extra` deals with failure."""
        try:
            super().take_library()
        except Exception as error:
            PATH.give_up(repr(error))

    def compile_extra(self, func):
        """Compile a function."""
        with _without_garbage_collection(), jit_enabled():
            if enabled():
                try:
                    with kept_answers():
                        return super().compile_extra(func)
                except Exception as error:
                    PATH.give_up(repr(error))
                except BaseException:
                    TURN.end()
                    raise
            TURN.end()
            return self.compile_plainly(func)

    def compile_plainly(self, func):
        """Compile a function on the plain path."""
        result = plain.overload(func, self.state.args)
        return result._replace(metadata=None)  # Numba notes the compilation's time there once


class LinkedCompiler(EntryCompiler):
    """As `EntryCompiler`, for linked kernels."""

    library_class = LinkedLibrary

    def compile_plainly(self, func):
        """Raise an error: there are no linked kernels on the plain path."""
        raise RuntimeError(f"{func.__qualname__} cannot be linked: {PATH.refused}")


@contextmanager
def _without_garbage_collection():
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


# --- the cache


class _Shipped(NullCache):
    """The machine code of one function that comes with a wheel; nothing is added to it.

    `identity` says what the function is and captures.
    """

    def __init__(self, stem, identity):
        self._identity = numba.__version__, identity
        self._files = CodeFiles(FOLDER, stem, SOURCE_STAMP)

    def load_overload(self, sig, target_context):
        """Return the code for a signature, None where there is none to be had."""
        target = shipped_target(target_context.codegen().magic_tuple())
        key = sig, target, self._identity
        return _rebuilt(self._files.load(key) if target else None, target_context)


class _Loading:
    """Numba's target context, for code that may have no function for Python."""

    def __init__(self, context):
        self._context = context
        self.codegen = context.codegen
        self.typing_context = context.typing_context

    def get_executable(self, library, description, environment):
        """Return the function that Python calls, or one that takes no arguments."""
        if library.get_pointer_to_function(description.llvm_cpython_wrapper_name):
            return self._context.get_executable(library, description, environment)
        return object().__sizeof__  # Numba accepts nothing but a function written in C


def _rebuilt(content, target_context):
    """Return Numba's result of compiling from the content of a file; None if there is none."""
    if content is None or not enabled():
        return None
    try:
        result = CompileResult._rebuild(_Loading(target_context), *pickle.loads(content))
        return result._replace(target_context=target_context)
    except Exception as error:  # compiled anew
        logger.info("machine code on the disk cannot be loaded: %r", error)
        return None


class _Cache(FunctionCache):
    """Numba's cache of one function, in files of our own.

    Numba would pickle what is captured, and its kernels have other pickles in each process.
    """

    def __init__(self, py_func, stem, identity):
        super().__init__(py_func)
        self._identity = numba.__version__, identity
        self._files = CodeFiles(self._cache_path, stem, SOURCE_STAMP)
        self._shipped = _Shipped(stem, identity)

    def _index_key(self, sig, codegen):
        return sig, codegen.magic_tuple(), self._identity

    def _load_overload(self, sig, target_context):
        key = self._index_key(sig, target_context.codegen())
        found = self._made_here(key, target_context)
        return found or self._shipped.load_overload(sig, target_context)

    def _made_here(self, key, target_context):
        return _rebuilt(self._files.load(key), target_context)

    def _take_turn(self, sig, target_context):
        """Begin to compile; return the code if another process has just compiled it."""
        key = self._index_key(sig, target_context.codegen())
        self._impl.locator.ensure_cache_path()
        HELPERS.start()
        TURN.take(self._files.path(key))
        found = self._made_here(key, target_context)
        if found is not None:
            TURN.end()
        return found

    def _save_overload(self, sig, data):
        if enabled() and self._impl.check_cachable(data):
            self._impl.locator.ensure_cache_path()
            content = dumps(self._impl.reduce(data._replace(type_annotation="")))
            self._files.save(self._index_key(sig, data.codegen), content)

    def load_overload(self, sig, target_context):
        """Return the code that is kept for a signature, None where there is none to be had."""
        try:
            with no_registries():
                found = super().load_overload(sig, target_context)
            if found is None and enabled():
                return self._take_turn(sig, target_context)
            return found
        except Exception as error:
            logger.info("the cache of machine code cannot be used: %r", error)
            return None

    def save_overload(self, sig, data):
        """Keep the code for a signature where that is possible."""
        try:
            super().save_overload(sig, data)
        except OSError:  # a full disk, say: the code is there all the same
            pass
        except Exception as error:
            _warn_of_cache(repr(error))
        finally:
            TURN.end()


@functools.cache  # once for each reason
def _warn_of_cache(reason):
    logger.warning("machine code cannot be cached, and is made in every process: %s", reason)


# --- what the decorators call


def helper(function, options):
    """Compile a helper on the fast path."""
    with jit_enabled():
        dispatcher = numba.njit(**options, **_HELPER, pipeline_class=HelperCompiler)(function)
    shorten_helper(dispatcher)
    return remember(dispatcher, options, fast=True)


def entry(function, stem, identity, options):
    """Compile an entry point on the fast path; its machine code is kept in files of a stem."""
    with jit_enabled():
        dispatcher = numba.njit(**options, **_OPTIONS, pipeline_class=EntryCompiler)(function)
    return _kept(dispatcher, stem, identity, options)


def linked(function, stem, identity, options):
    """Compile a linked kernel on the fast path, as an entry point that Python does not call."""
    with jit_enabled():
        dispatcher = numba.njit(**options, **_HELPER, pipeline_class=LinkedCompiler)(function)
    return _kept(dispatcher, stem, identity, options)


def _kept(dispatcher, stem, identity, options):
    function = dispatcher.py_func
    try:
        dispatcher._cache = _Cache(function, stem, identity)
    except RuntimeError:  # no writable directory
        dispatcher._cache = _Shipped(stem, identity)
    return remember(dispatcher, options, fast=True, entry=True)


# --- calls


@functools.cache
def direct(dispatcher, *dtypes):
    """Return a function that calls an entry point with arguments of always the same types.

    Numba looks at the types of all arrays again for each call: 18 us for a pass of EM, which has
    80. Here that is done once. `dtypes` tell apart what types there are. Machine code refuses an
    array of another item size, or with gaps; Numba then finds or makes code for it.
    """
    if not linkable():  # machine code of the plain path refuses nothing
        return dispatcher
    points = []

    def call(*arguments):
        if points:
            try:
                return points[0](*arguments)
            except TypeError:  # nothing has been computed yet
                return dispatcher(*arguments)
        result = dispatcher(*arguments)
        found = dispatcher.overloads.get(tuple(map(numba.typeof, arguments)))
        if found is not None and linkable():
            points.append(found.entry_point)
        return result

    return call


# --- linked kernels


def address_of(dispatcher, arguments):
    """Return the address of a linked kernel's machine code for arguments of these types.

    Whatever goes wrong is raised, after the plain path has been taken.
    """
    try:
        dispatcher.compile(arguments)
        result = dispatcher.overloads[arguments]
        address = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
        if not address:
            raise RuntimeError(f"{dispatcher.py_func.__qualname__} has no address")
    except Exception as error:
        PATH.give_up(repr(error))
        raise
    return address


def call_address(context, builder, signature, args):
    """Call the linked kernel whose address is the first argument; return its result."""
    types_of_arguments, convention = signature.args[1:], context.call_conv
    with pointed_tuples():
        kind = convention.get_function_type(signature.return_type, types_of_arguments)
        function = builder.inttoptr(args[0], kind.as_pointer())
        status, result = convention.call_function(
            builder, function, signature.return_type, types_of_arguments, args[1:]
        )
    with builder.if_then(status.is_error, likely=False):
        convention.return_status_propagate(builder, status)
    return result


# --- threads


def numba_threads_run():
    """Return whether Numba has started its own threads; True where that cannot be known."""
    return _parallel is None or getattr(_parallel, "_is_initialized", True)


# --- what intrinsics need


def data_of(context, builder, signature, args, position):
    """Return the pointer to the elements of the array argument at `position`.

    Without ``make_array``: Numba passes an array as a structure of seven members, of which the
    first that is a pointer and comes after two integers is this one, the fifth.
    """
    array_type, array = signature.args[position], args[position]
    try:
        return context.make_array(array_type)(context, builder, array).data
    except (AttributeError, TypeError):
        return builder.extract_value(array, 4)


@functools.cache
def _attributes_with_values():
    """Say whether llvmlite writes attributes with a value as LLVM reads them."""
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), []), "f")
    ir.IRBuilder(function.append_basic_block()).ret_void()
    try:
        set.add(function.attributes, '"key"="value"')
        binding.parse_assembly(str(module)).verify()
    except Exception as error:
        logger.warning("some kernels run slower: llvmlite takes no attribute: %r", error)
        return False
    return True


def add_attribute(builder, text):
    """Add a string attribute to the function that is being built, if that is possible.

    llvmlite's set of attributes knows none that has a value; its base class takes any. Such
    attributes make code faster and change no result.
    """
    if _attributes_with_values():
        set.add(builder.function.attributes, text)


PATH = _Path()
