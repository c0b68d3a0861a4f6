"""The metaclass by which our class stands in for scikit-learn's in `isinstance`."""

from __future__ import annotations

from typing import Any

import sklearn.mixture

from fastgmm.sklearn.compat import TheirGaussianMixture


class StandIn(type(TheirGaussianMixture)):  # type: ignore[misc]
    """Metaclass of a class that takes over scikit-learn's instances along with its name.

    While `sklearn.mixture.GaussianMixture` refers to the class, every estimator of scikit-learn's
    class and of its subclasses is an instance of it. At other times the rules of Python hold.
    """

    def __instancecheck__(cls, instance: Any) -> bool:
        if _stands_in(cls):
            return type.__instancecheck__(TheirGaussianMixture, instance)
        return super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        if _stands_in(cls):
            # ABCMeta would ask the subclasses of scikit-learn's class, hence this one, again.
            return type.__subclasscheck__(TheirGaussianMixture, subclass)
        return super().__subclasscheck__(subclass)


def _stands_in(cls: type) -> bool:
    return vars(sklearn.mixture).get("GaussianMixture") is cls
