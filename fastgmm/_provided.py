"""Functions that upper packages provide to lower ones, so that imports point down only.

`Mixture.plot` draws with `fastgmm.plotting`, which itself imports `Mixture`. The package's own
``__init__`` knows both; it provides a loader here, and the method calls what is provided.
"""

from collections.abc import Callable
from typing import Any

_loaders: dict[str, Callable[[], Callable[..., Any]]] = {}


def provide(name: str, load: Callable[[], Callable[..., Any]]) -> None:
    """Make a function known by a name; ``load()`` imports it on first use."""
    _loaders[name] = load


def provided(name: str) -> Callable[..., Any]:
    """Return the function that was provided under a name."""
    return _loaders[name]()
