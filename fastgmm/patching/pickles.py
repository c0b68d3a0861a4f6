"""Pickles of scikit-learn's own class and its estimators, written while the patch is in force.

pickle refuses an object if the name of its class refers to another class, as under the patch.
These pickles therefore look the class up when they are read. They need no fastgmm: its class
leads to scikit-learn's only where it has taken the name.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture as TheirGaussianMixture


def allow_pickles(kind: type) -> None:
    """Let pickle and copy accept scikit-learn's class and its estimators."""
    copyreg.pickle(kind, _reduce)
    if type(kind) not in copyreg.dispatch_table:
        copyreg.pickle(type(kind), _reduce_class)


def restore_pickles(kind: type) -> None:
    """Undo `allow_pickles`."""
    copyreg.dispatch_table.pop(kind, None)
    if copyreg.dispatch_table.get(type(kind)) is _reduce_class:
        del copyreg.dispatch_table[type(kind)]


class _Call:
    """An object that a pickle holds as the call of a function."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.function = function
        self.arguments = arguments

    def __reduce__(self) -> tuple:
        return self.function, self.arguments


class _New(_Call):
    """A call that returns a function that makes an object; it can be made here, too."""

    def __call__(self) -> Any:
        return theirs()


_module = _Call(import_module, "sklearn.mixture._gaussian_mixture")
_named = _Call(getattr, _module, "GaussianMixture")
_class = _Call(getattr, _named, "_stands_in_for", _named)
_new = _New(partial, object.__new__, _class)


def _reduce(model: TheirGaussianMixture) -> tuple:
    """Reduce an estimator of scikit-learn's class to a way to make an empty one and its state."""
    return _new, (), model.__getstate__()


def _reduce_class(kind: type) -> str | tuple:
    """Reduce scikit-learn's class to a look-up, and another class of its metaclass to its name."""
    if copyreg.dispatch_table.get(kind) is _reduce:
        return _class.__reduce__()
    return kind.__qualname__


def theirs() -> TheirGaussianMixture:
    """Return an empty estimator of scikit-learn's class, to be filled from a pickle."""
    from fastgmm.sklearn import TheirGaussianMixture

    return TheirGaussianMixture.__new__(TheirGaussianMixture)
