"""Put `fastgmm.sklearn.GaussianMixture` in the place of scikit-learn's, and take it out again.

Every name of a loaded module that stands for scikit-learn's class is pointed at ours, the name
in the module that defines it among them, so that pickles of scikit-learn's models are read as
ours. What a program keeps elsewhere, in a list, a default argument or as a base class, stays
what it was, and so do estimators that were made before.
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
    """The patch that a call of `patch_sklearn` asked for, which leaving a ``with`` block ends."""

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
_wanted: set[Patch] = set()
_replaced: list[tuple[dict[str, Any], str]] = []


def patch_sklearn() -> Patch:
    """Make `sklearn.mixture.GaussianMixture` the accelerated one, wherever it is looked up.

    That includes modules which imported it before. Calling it again changes nothing more.

    Returns
    -------
    Patch
        A context manager: leaving its block undoes this call, and the patch itself if no other
        call stands.

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
        # Pickle refuses a class that its own name no longer stands for.
        copyreg.pickle(TheirGaussianMixture, _reduce)
        for names in _names_of_modules():
            for name, value in list(names.items()):
                if value is TheirGaussianMixture:
                    names[name] = GaussianMixture
                    _replaced.append((names, name))
        logger.info("sklearn.mixture.GaussianMixture is replaced in %d places", len(_replaced))
    return patch


def unpatch_sklearn() -> None:
    """Give back everything that `patch_sklearn` replaced, however often it was called."""
    with _lock:
        if _waiting in sys.meta_path:
            sys.meta_path.remove(_waiting)
        _wanted.clear()
        _restore()


def sklearn_is_patched() -> bool:
    """Say whether `patch_sklearn` is in force.

    Returns
    -------
    bool
        True from the first `patch_sklearn` to `unpatch_sklearn` or the end of the block.
    """
    return bool(_wanted) or _waiting in sys.meta_path


class _Waiting(MetaPathFinder):
    """Finds scikit-learn's mixtures as the other finders do, and patches them once loaded."""

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
    """Loads a module as its own loader does, then calls `patch_sklearn`."""

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
    """Call `patch_sklearn` when scikit-learn's mixtures are imported, at once if they are."""
    if _MIXTURES in sys.modules:
        patch_sklearn()
    elif _waiting not in sys.meta_path:
        sys.meta_path.insert(0, _waiting)


def _names_of_modules() -> list[dict[str, Any]]:
    """Return the global names of every loaded module that is not of this library."""
    return [
        vars(module)
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] != "fastgmm" and hasattr(module, "__dict__")
    ]


def _restore() -> None:
    if not _replaced:
        return
    from fastgmm.sklearn import GaussianMixture, TheirGaussianMixture

    for names, name in _replaced:
        if names.get(name) is GaussianMixture:  # the program may have put something else there
            names[name] = TheirGaussianMixture
    _replaced.clear()
    copyreg.dispatch_table.pop(TheirGaussianMixture, None)


def _reduce(model: TheirGaussianMixture) -> tuple:
    return _theirs, (), model.__getstate__()


def _theirs() -> TheirGaussianMixture:
    """Return an estimator of scikit-learn's class, for the state of a pickle."""
    from fastgmm.sklearn import TheirGaussianMixture

    return TheirGaussianMixture.__new__(TheirGaussianMixture)
