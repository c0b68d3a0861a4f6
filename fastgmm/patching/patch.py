"""Replace scikit-learn's mixtures by those of `fastgmm.sklearn`, and undo it.

The patch rebinds every global name of every loaded module that refers to a class of scikit-learn
in `fastgmm.sklearn.convert.ESTIMATORS`. This includes the name in the module that defines the
class, so that pickles of scikit-learn's models are loaded as our estimators. The patch does not
reach a class that a program holds elsewhere, in a list, a default argument or as a base class, nor
estimators that already exist.
These still pass `isinstance` with the patched name (`fastgmm.sklearn.standin`), and pickle
accepts them (`fastgmm.patching.pickles`).
"""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Any, Self

from fastgmm._importing import AfterImport
from fastgmm._logging import heed_environment, logger
from fastgmm.patching.pickles import allow_pickles, restore_pickles


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


_KNOW_BOTH = {"fastgmm", "skl2onnx"}  # packages that tell our classes from theirs

_lock = threading.RLock()
_wanted: set[Patch] = set()  # patches that have not ended
_replaced: list[tuple[dict[str, Any], str, type]] = []  # globals of a module, name, their class


def patch_sklearn() -> Patch:
    """Replace scikit-learn's mixtures by the accelerated estimators in all modules.

    These are `sklearn.mixture.GaussianMixture` and `sklearn.mixture.BayesianGaussianMixture`.
    Modules that imported a class before are patched, too. Further calls replace nothing more.

    Returns
    -------
    Patch
        A context manager. Leaving its block undoes this call; scikit-learn's classes are restored
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
    from fastgmm.sklearn.convert import ESTIMATORS

    with _lock:
        heed_environment()
        patch = Patch()
        _wanted.add(patch)
        for kind in ESTIMATORS:
            allow_pickles(kind)
        for names in _names_of_modules():
            for name, value in list(names.items()):
                for theirs, ours in ESTIMATORS.items():
                    if value is theirs:
                        names[name] = ours
                        _replaced.append((names, name, theirs))
        for theirs in ESTIMATORS:
            places = sum(kind is theirs for _, _, kind in _replaced)
            logger.info("sklearn.mixture.%s is replaced in %d places", theirs.__name__, places)
    return patch


def unpatch_sklearn() -> None:
    """Undo all calls of `patch_sklearn`: every replaced name refers to scikit-learn's class."""
    with _lock:
        _waiting.stop()
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
    return bool(_wanted) or _waiting.waits


_waiting = AfterImport("sklearn.mixture", patch_sklearn)


def patch_on_import() -> None:
    """Call `patch_sklearn` when `sklearn.mixture` is imported, at once if it already is."""
    _waiting.start()


def _names_of_modules() -> list[dict[str, Any]]:
    """Return the globals of every loaded module that may be patched."""
    return [
        vars(module)
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] not in _KNOW_BOTH and hasattr(module, "__dict__")
    ]


def _restore() -> None:
    """Point every replaced name at scikit-learn's class again."""
    if not _replaced:
        return
    from fastgmm.sklearn.convert import ESTIMATORS

    for names, name, theirs in _replaced:
        if names.get(name) is ESTIMATORS[theirs]:  # the program may have rebound it
            names[name] = theirs
    _replaced.clear()
    for kind in ESTIMATORS:
        restore_pickles(kind)
