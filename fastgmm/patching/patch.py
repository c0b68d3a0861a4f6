"""Replace scikit-learn's GaussianMixture by `fastgmm.sklearn.GaussianMixture`, and undo it.

The patch rebinds every global name of every loaded module that refers to scikit-learn's class.
This includes the name in the module that defines the class, so that pickles of scikit-learn's
models are loaded as our estimators. The patch does not reach a class that a program holds
elsewhere, in a list, a default argument or as a base class, nor estimators that already exist.
"""

from __future__ import annotations

import copyreg
import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from fastgmm._logging import heed_environment, logger

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture as TheirGaussianMixture


class Patch:
    """The patch of one call of `patch_sklearn`; leaving its ``with`` block ends it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with _lock:
            _wanted.discard(self)
            if not _wanted:
                _restore()


_lock = threading.RLock()
_wanted: set[Patch] = set()  # patches that have not ended
_replaced: list[tuple[dict[str, Any], str]] = []  # globals of a module, and the name in them


def patch_sklearn() -> Patch:
    """Replace `sklearn.mixture.GaussianMixture` by the accelerated estimator in all modules.

    Modules that imported the class before are patched, too. Further calls replace nothing more.

    Returns
    -------
    Patch
        A context manager. Leaving its block undoes this call; scikit-learn's class is restored
        when no other call is in force.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.

    Examples
    --------
    >>> import fastgmm
    >>> with fastgmm.patch_sklearn():
    ...     from sklearn.mixture import GaussianMixture
    >>> GaussianMixture.__module__
    'fastgmm.sklearn'
    """
    from fastgmm.sklearn import GaussianMixture, TheirGaussianMixture

    with _lock:
        heed_environment()
        patch = Patch()
        _wanted.add(patch)
        # pickle refuses an object if the name of its class refers to another class.
        copyreg.pickle(TheirGaussianMixture, _reduce)
        for names in _names_of_modules():
            for name, value in list(names.items()):
                if value is TheirGaussianMixture:
                    names[name] = GaussianMixture
                    _replaced.append((names, name))
        logger.info("sklearn.mixture.GaussianMixture is replaced in %d places", len(_replaced))
    return patch


def unpatch_sklearn() -> None:
    """Undo all calls of `patch_sklearn`: every replaced name refers to scikit-learn's class."""
    with _lock:
        if _waiting in sys.meta_path:
            sys.meta_path.remove(_waiting)
        _wanted.clear()
        _restore()


def sklearn_is_patched() -> bool:
    """Return whether `patch_sklearn` is in force.

    Returns
    -------
    bool
        True from the first call of `patch_sklearn` to `unpatch_sklearn`, or to the end of the
        last ``with`` block.
    """
    return bool(_wanted) or _waiting in sys.meta_path


class _Waiting(MetaPathFinder):
    """A finder that delegates to the other finders and patches `sklearn.mixture` once loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != _MIXTURES:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _PatchingLoader(spec.loader)
        return spec


class _PatchingLoader(Loader):
    """A loader that delegates to the module's own loader, then calls `patch_sklearn`."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        patch_sklearn()


_MIXTURES = "sklearn.mixture"
_waiting = _Waiting()


def patch_on_import() -> None:
    """Call `patch_sklearn` when `sklearn.mixture` is imported, at once if it already is."""
    if _MIXTURES in sys.modules:
        patch_sklearn()
    elif _waiting not in sys.meta_path:
        sys.meta_path.insert(0, _waiting)


def _names_of_modules() -> list[dict[str, Any]]:
    """Return the globals of every loaded module outside this library."""
    return [
        vars(module)
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] != "fastgmm" and hasattr(module, "__dict__")
    ]


def _restore() -> None:
    """Point every replaced name at scikit-learn's class again."""
    if not _replaced:
        return
    from fastgmm.sklearn import GaussianMixture, TheirGaussianMixture

    for names, name in _replaced:
        if names.get(name) is GaussianMixture:  # the program may have rebound it
            names[name] = TheirGaussianMixture
    _replaced.clear()
    copyreg.dispatch_table.pop(TheirGaussianMixture, None)


def _reduce(model: TheirGaussianMixture) -> tuple:
    """Reduce an estimator of scikit-learn's class to `_theirs` and its state."""
    return _theirs, (), model.__getstate__()


def _theirs() -> TheirGaussianMixture:
    """Return an empty estimator of scikit-learn's class, to be filled from a pickle."""
    from fastgmm.sklearn import TheirGaussianMixture

    return TheirGaussianMixture.__new__(TheirGaussianMixture)
