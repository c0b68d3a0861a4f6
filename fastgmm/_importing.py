"""An action that runs right after a module is imported, without importing it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class AfterImport(MetaPathFinder):
    """A finder that delegates to the other finders and calls `action` once the module is loaded.

    Parameters
    ----------
    name : str
        Full name of the module.
    action : callable
        Called without arguments, in the thread that imports the module.
    """

    def __init__(self, name: str, action: Callable[[], object]) -> None:
        self.name = name
        self.action = action

    @property
    def waits(self) -> bool:
        """Whether the module has still to be imported."""
        return self in sys.meta_path

    def start(self) -> None:
        """Call the action when the module is imported, at once if it already is."""
        if self.name in sys.modules:
            self.action()
        elif not self.waits:
            sys.meta_path.insert(0, self)

    def stop(self) -> None:
        """Wait no longer."""
        if self.waits:
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what the other finders find, with a loader that calls the action."""
        if name != self.name:
            return None
        spec = self._found_by_others(path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _ActingLoader(spec.loader, self)
        return spec

    def _found_by_others(
        self, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        for finder in list(sys.meta_path):
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(self.name, path, target)
                if spec is not None:
                    return spec
        return None


class _ActingLoader(Loader):
    """A loader that delegates to the module's own loader, then calls the action of a finder."""

    def __init__(self, loader: Loader, finder: AfterImport) -> None:
        self._loader = loader
        self._finder = finder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        if self._finder.waits:  # nobody stopped it meanwhile
            self._finder.stop()
            self._finder.action()
