"""Gaussian mixture models on compiled kernels.

`fit` fits a mixture to data and returns a `Mixture`; `select` chooses the number of components
and the covariance type; `load` reads a saved mixture. `GaussianMixture` and
`BayesianGaussianMixture` are scikit-learn's estimators on the same kernels, and `patch_sklearn`
replaces scikit-learn's own classes by them. The package is imported quickly: Numba is imported on
first use.
"""

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastgmm._errors import CollapseError, ConvergenceWarning, ModelFileError, ReadingError
from fastgmm._provided import provide

if TYPE_CHECKING:
    from fastgmm.api.fit import fit
    from fastgmm.api.mixture import Mixture, load
    from fastgmm.api.precompile import precompile
    from fastgmm.api.priors import Dirichlet, NormalInverseWishart
    from fastgmm.api.select import select
    from fastgmm.api.selection import Selection
    from fastgmm.api.statistics import Statistics, statistics
    from fastgmm.patching.patch import patch_sklearn, sklearn_is_patched, unpatch_sklearn
    from fastgmm.sklearn import BayesianGaussianMixture as BayesianGaussianMixture
    from fastgmm.sklearn import GaussianMixture as GaussianMixture

__version__ = "0.1.0"

_HOMES = {
    "BayesianGaussianMixture": "sklearn",
    "GaussianMixture": "sklearn",
    "Dirichlet": "api.priors",
    "fit": "api.fit",
    "load": "api.mixture",
    "Mixture": "api.mixture",
    "NormalInverseWishart": "api.priors",
    "patch_sklearn": "patching.patch",
    "precompile": "api.precompile",
    "select": "api.select",
    "Selection": "api.selection",
    "sklearn_is_patched": "patching.patch",
    "Statistics": "api.statistics",
    "statistics": "api.statistics",
    "unpatch_sklearn": "patching.patch",
}

# The estimators are not listed, so that a star import works without scikit-learn.
__all__ = [
    "CollapseError",
    "ConvergenceWarning",
    "Dirichlet",
    "Mixture",
    "ModelFileError",
    "NormalInverseWishart",
    "ReadingError",
    "Selection",
    "Statistics",
    "__version__",
    "fit",
    "load",
    "patch_sklearn",
    "precompile",
    "select",
    "sklearn_is_patched",
    "statistics",
    "unpatch_sklearn",
]


def _load(home: str, name: str) -> Any:
    return getattr(import_module(f"fastgmm.{home}"), name)


# What methods of `Mixture` and `Selection` call in packages above them.
provide("estimator_of", partial(_load, "sklearn.convert", "estimator_of"))
provide("parameters_of", partial(_load, "sklearn.convert", "parameters_of"))
provide("update", partial(_load, "api.statistics", "update"))
provide("plot_mixture", partial(_load, "plotting", "plot_mixture"))
provide("plot_selection", partial(_load, "plotting", "plot_selection"))


def __getattr__(name: str) -> object:
    if name == "sklearn":  # a module of its own, because it needs scikit-learn
        return import_module("fastgmm.sklearn")
    if name not in _HOMES:
        raise AttributeError(f"module 'fastgmm' has no attribute {name!r}")
    value = _load(_HOMES[name], name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_HOMES, "sklearn"})
