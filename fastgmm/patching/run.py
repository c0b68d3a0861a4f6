"""``python -m fastgmm run``: run an unmodified program with scikit-learn patched.

The program finds what ``python program`` would give it: its arguments, a ``__main__`` module of
its own, its folder first on the path, and a traceback that begins with its own code. Nothing is
imported ahead of it; the patch waits until the program imports scikit-learn's mixtures.
"""

from __future__ import annotations

import importlib.machinery
import io
import os
import runpy
import sys
import types
import zipfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from types import TracebackType

from fastgmm.patching.patch import patch_on_import

_USAGE = """\
Usage: fastgmm run SCRIPT [ARGUMENTS]...
       fastgmm run -m MODULE [ARGUMENTS]...

  Run a Python program as python does, with fastgmm.GaussianMixture in the
  place of scikit-learn's. With FASTGMM_VERBOSE=1 in the environment it says
  which calls run accelerated and which fall back to scikit-learn.
"""


def run(arguments: Sequence[str]) -> int:
    """Run the program that the arguments name; return 2 if there is none, else 0.

    What the program raises passes through, `SystemExit` among it.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_USAGE, end="", file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    if find_spec("sklearn") is None:
        return _refuse('run needs scikit-learn; install with: pip install "fastgmm[sklearn]"')
    name, *rest = arguments
    if name == "-m":
        if not rest:
            return _refuse("-m needs the name of a module")
        patch_on_import()
        return _run_module(*rest)
    if name.startswith("-"):
        return _refuse(f"run has no option {name}; options of the program come after its name")
    if os.path.isdir(name) or zipfile.is_zipfile(name):
        patch_on_import()
        return _run_folder(name, *rest)
    return _run_script(name, *rest)


def _refuse(message: str) -> int:
    print(f"Error: {message}", file=sys.stderr)
    return 2


def _run_script(path: str, *arguments: str) -> int:
    place = os.path.join(os.getcwd(), path)
    try:
        with io.open_code(place) as file:
            source = file.read()
    except OSError as error:
        what = f"[Errno {error.errno}] {error.strerror}"
        print(f"{sys.orig_argv[0]}: can't open file {place!r}: {what}", file=sys.stderr)
        return 2
    patch_on_import()
    main = _new_main([path, *arguments], os.path.dirname(os.path.realpath(path)))
    main.__file__ = place
    main.__loader__ = importlib.machinery.SourceFileLoader("__main__", place)

    def program() -> None:
        exec(compile(source, place, "exec", dont_inherit=True), vars(main))

    return _watch(program)


def _run_module(module: str, *arguments: str) -> int:
    _new_main(["-m", *arguments], os.getcwd())
    # What the interpreter itself calls for -m; the public run_module would undo argv and
    # __main__ before threads and exit handlers of the program have ended.
    return _watch(lambda: runpy._run_module_as_main(module))  # type: ignore[attr-defined]


def _run_folder(path: str, *arguments: str) -> int:
    _new_main([path, *arguments], os.path.join(os.getcwd(), path))
    return _watch(lambda: runpy._run_module_as_main("__main__", alter_argv=False))  # type: ignore[attr-defined]


def _new_main(argv: list[str], folder: str) -> types.ModuleType:
    """Give the program its arguments, its folder and an empty ``__main__``."""
    main = types.ModuleType("__main__")
    vars(main)["__builtins__"] = sys.modules["builtins"]
    sys.modules["__main__"] = main
    sys.argv[:] = argv
    if not sys.flags.safe_path:
        sys.path[0] = folder
    return main


def _watch(program: Callable[[], object]) -> int:
    """Run the program; see that its traceback is told without us."""
    try:
        program()
    except SystemExit:
        raise
    except BaseException as error:
        _tell_from(_below_us(error.__traceback__))
        raise
    return 0


def _below_us(trace: TracebackType | None) -> TracebackType | None:
    while trace and trace.tb_frame.f_globals is globals():
        trace = trace.tb_next
    return trace


def _tell_from(trace: TracebackType | None) -> None:
    """Have the uncaught exception told with this traceback, by the program's own hook if any."""
    hook = sys.excepthook

    def tell(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
        sys.excepthook = hook
        hook(kind, error.with_traceback(trace), trace)

    sys.excepthook = tell
