"""Words, names and fields as parts of a sentence on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

_MAX_LISTED = 8
_MAX_LETTERS = 60


def one_line(message: str) -> str:
    """Return a message without line breaks and repeated blanks."""
    return " ".join(message.split())


def printable(text: str) -> str:
    """Return text with escapes for all that could move the cursor or reverse the writing."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def plural(count: int, word: str) -> str:
    """Return a word, with an s unless the count is 1."""
    return word if count == 1 else f"{word}s"


def shortened(text: str) -> str:
    """Return a field or a name, cut to a length that fits in a sentence."""
    return text if len(text) <= _MAX_LETTERS else f"{text[:_MAX_LETTERS]}..."


def listed(names: Sequence[str]) -> str:
    """Return the first names, separated by commas, and how many more there are."""
    shown = ", ".join(map(shortened, names[:_MAX_LISTED]))
    hidden = len(names) - _MAX_LISTED
    return f"{shown} and {hidden} more" if hidden > 0 else shown
