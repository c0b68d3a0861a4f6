"""Gaussian mixture models, fitted as fast as the machine allows.

`fit` fits a mixture to data and returns a `Mixture`; `load` reads one that was saved. Importing
the package is cheap: the compiler behind the kernels is imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from fastgmm._errors import CollapseError, ConvergenceWarning, ModelFileError

if TYPE_CHECKING:
    from fastgmm._fit import fit
    from fastgmm._mixture import Mixture, load
    from fastgmm._precompile import precompile
    from fastgmm._select import select
    from fastgmm._selection import Selection

__version__ = "0.1.0"

_HOMES = {
    "fit": "_fit",
    "load": "_mixture",
    "Mixture": "_mixture",
    "precompile": "_precompile",
    "select": "_select",
    "Selection": "_selection",
}

__all__ = [
    "CollapseError",
    "ConvergenceWarning",
    "Mixture",
    "ModelFileError",
    "Selection",
    "__version__",
    "fit",
    "load",
    "precompile",
    "select",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'fastgmm' has no attribute {name!r}")
    value = getattr(import_module(f"fastgmm.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
