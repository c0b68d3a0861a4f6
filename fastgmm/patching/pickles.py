"""Pickles of scikit-learn's own classes and estimators, written while the patch is in force.

pickle refuses an object if the name of its class refers to another class, as under the patch.
These pickles therefore look the class up when they are read. They need no fastgmm: its class
leads to scikit-learn's only where it has taken the name.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any


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

    def __init__(self, kind: type, named: _Call) -> None:
        super().__init__(partial, object.__new__, named)
        self.kind = kind

    def __call__(self) -> Any:
        return object.__new__(self.kind)


def _named(kind: type) -> _Call:
    """Return the look-up of scikit-learn's class `kind`, whichever class has its name."""
    module = _Call(import_module, kind.__module__)
    found = _Call(getattr, module, kind.__name__)
    return _Call(getattr, found, "_stands_in_for", found)


def _reduce(model: Any) -> tuple:
    """Reduce an estimator of scikit-learn's class to a way to make an empty one and its state."""
    kind = type(model)
    return _New(kind, _named(kind)), (), model.__getstate__()


def _reduce_class(kind: type) -> str | tuple:
    """Reduce scikit-learn's class to a look-up, and another class of its metaclass to its name."""
    if copyreg.dispatch_table.get(kind) is _reduce:
        return _named(kind).__reduce__()
    return kind.__qualname__


def theirs() -> Any:
    """Return an empty `GaussianMixture` of scikit-learn, for pickles of version 0.1."""
    from fastgmm.sklearn import TheirGaussianMixture

    return TheirGaussianMixture.__new__(TheirGaussianMixture)
