"""``fastgmm run``: run an unmodified program with scikit-learn's mixtures replaced.

The program runs as under ``python program``: it gets its arguments, a ``__main__`` module of its
own, and its folder as the first entry of the path, and its tracebacks begin with its own code.
Neither NumPy nor scikit-learn is imported before the program starts: the patch is applied when
the program imports `sklearn.mixture`.
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

  Run a Python program as "python SCRIPT" does, but with scikit-learn's
  GaussianMixture and BayesianGaussianMixture replaced by those of fastgmm.

  Set the environment variable FASTGMM_VERBOSE=1 to print which calls are
  accelerated and which fall back to scikit-learn.
"""


def run(arguments: Sequence[str]) -> int:
    """Run the program that the arguments name; return 0, or 2 if it cannot be found.

    Exceptions of the program pass through, including `SystemExit`.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_USAGE, end="", file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    if find_spec("sklearn") is None:
        return _refuse('run needs scikit-learn; install with: pip install "fastgmm[sklearn]"')
    name, *rest = arguments
    if name == "-m":
        if not rest:
            return _refuse("-m needs the name of a module: fastgmm run -m MODULE")
        patch_on_import()
        return _run_module(*rest)
    if name.startswith("-"):
        return _refuse(f"run has no option {name}; write options of the program after its name")
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

    return _execute(program)


def _run_module(module: str, *arguments: str) -> int:
    _new_main(["-m", *arguments], os.getcwd())
    # The interpreter itself calls this private function for -m. The public run_module restores
    # argv and __main__ before threads and exit handlers of the program have finished.
    return _execute(lambda: runpy._run_module_as_main(module))  # type: ignore[attr-defined]


def _run_folder(path: str, *arguments: str) -> int:
    _new_main([path, *arguments], os.path.join(os.getcwd(), path))
    return _execute(lambda: runpy._run_module_as_main("__main__", alter_argv=False))  # type: ignore[attr-defined]


def _new_main(argv: list[str], folder: str) -> types.ModuleType:
    """Set the arguments and the path of the program, and return its empty ``__main__``."""
    main = types.ModuleType("__main__")
    vars(main)["__builtins__"] = sys.modules["builtins"]
    sys.modules["__main__"] = main
    sys.argv[:] = argv
    if not sys.flags.safe_path:
        sys.path[0] = folder
    return main


def _execute(program: Callable[[], object]) -> int:
    """Run the program; if it fails, print its traceback without the frames of this module."""
    try:
        program()
    except SystemExit:
        raise
    except BaseException as error:
        _print_from(_program_frames(error.__traceback__))
        raise
    return 0


def _program_frames(trace: TracebackType | None) -> TracebackType | None:
    """Return the part of a traceback below the frames of this module."""
    while trace and trace.tb_frame.f_globals is globals():
        trace = trace.tb_next
    return trace


def _print_from(trace: TracebackType | None) -> None:
    """Print the uncaught exception with this traceback, by the program's own hook if it has one."""
    hook = sys.excepthook

    def print_exception(
        kind: type[BaseException], error: BaseException, _: TracebackType | None
    ) -> None:
        sys.excepthook = hook
        hook(kind, error.with_traceback(trace), trace)

    sys.excepthook = print_exception
