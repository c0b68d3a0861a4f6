"""What a run of EM writes down after each pass, so that it can go on where it was killed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Journal:
    """Keeps the state of a run; this class keeps nothing.

    A state is a dict of numbers, strings, None, arrays, `Parameters`, and lists and dicts of these.
    """

    @property
    def writes(self) -> bool:
        """Whether anything is kept."""
        return False

    def kept(self) -> Mapping[str, Any] | None:
        """Return the state from which the run goes on, None if it begins."""
        return None

    def keep(self, parameters: Any, objectives: Sequence[float], state: Mapping[str, Any]) -> None:
        """Keep the state of a run that has reached `parameters`, with its objectives so far."""


NO_JOURNAL = Journal()
