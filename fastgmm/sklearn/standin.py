"""The metaclass by which our classes stand in for scikit-learn's in `isinstance`."""

from __future__ import annotations

from typing import Any

import sklearn.mixture

from fastgmm.sklearn.compat import TheirGaussianMixture


class StandIn(type(TheirGaussianMixture)):  # type: ignore[misc]
    """Metaclass of a class that takes over scikit-learn's instances along with its name.

    Attribute `_stands_in_for` of the class is scikit-learn's. While the name of the latter in
    `sklearn.mixture` refers to the class, every estimator of scikit-learn's class and of its
    subclasses is an instance of it. At other times the rules of Python hold.
    """

    _stands_in_for: type

    def __instancecheck__(cls, instance: Any) -> bool:
        if _stands_in(cls):
            return type.__instancecheck__(cls._stands_in_for, instance)
        return super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        if _stands_in(cls):
            # ABCMeta would ask the subclasses of scikit-learn's class, hence this one, again.
            return type.__subclasscheck__(cls._stands_in_for, subclass)
        return super().__subclasscheck__(subclass)


def _stands_in(cls: StandIn) -> bool:
    return vars(sklearn.mixture).get(cls._stands_in_for.__name__) is cls
