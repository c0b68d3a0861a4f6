"""The choice of columns: names, numbers and ranges, separated by commas."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fastgmm.cli.errors import FileProblem
from fastgmm.cli.wording import listed, shortened


class Columns(NamedTuple):
    """The columns of a file, which items of an option are looked up in."""

    path: Path
    names: Sequence[str]
    by_name: dict[str, list[int]]

    @classmethod
    def of(cls, path: Path, names: Sequence[str]) -> Columns:
        """Return the columns of a file."""
        by_name = {name: [position] for position, name in enumerate(unique_names(names))}
        for position, name in enumerate(names):
            if by_name.get(name) != [position]:
                by_name.setdefault(name, []).append(position)
        return cls(path, names, by_name)

    def chosen(self, option: str, text: str) -> list[int]:
        """Return the positions that an option names, in its order."""
        items = _split(option, text)
        if not items:
            raise FileProblem(f"{option} names no column; list names, separated by commas")
        positions: dict[int, str] = {}
        for item in items:
            for position in self._positions(option, item):
                if position in positions:
                    name = shortened(self.names[position])
                    raise FileProblem(f'{option} names "{name}" twice; name every column once')
                positions[position] = item
        return list(positions)

    def named(self, names: Sequence[str]) -> list[int]:
        """Return the positions of names, which are no numbers and no ranges."""
        missing = [name for name in names if name not in self.by_name]
        if missing:
            raise self._none(missing[0])
        return [self._one(name) for name in names]

    def _positions(self, option: str, item: str) -> Sequence[int]:
        position = self._position(item)
        if position is not None:
            return [position]
        for first, last in _halves(item):
            ends = self._position(first), self._position(last)
            if ends[0] is not None and ends[1] is not None:
                if ends[0] > ends[1]:
                    raise FileProblem(f"{option} {item}: {last} comes before {first} in the file")
                return range(ends[0], ends[1] + 1)
        raise self._none(item)

    def _position(self, item: str) -> int | None:
        """Return the position of a name, or else of a number from 1; None if there is none."""
        if item in self.by_name:
            return self._one(item)
        is_number = item.isascii() and item.isdigit() and len(item) < 10
        return int(item) - 1 if is_number and 1 <= int(item) <= len(self.names) else None

    def _one(self, name: str) -> int:
        position, *others = self.by_name[name]
        if others:
            numbers = ", ".join(str(j + 1) for j in self.by_name[name])
            raise FileProblem(
                f'{self.path} has {len(others) + 1} columns called "{shortened(name)}"; choose by'
                f" number: {numbers}"
            )
        return position

    def _none(self, item: str) -> FileProblem:
        return FileProblem(
            f'{self.path} has no column "{shortened(item)}"; it has {listed(self.names)}'
        )


def unique_names(names: Sequence[str]) -> list[str]:
    """Return names that all differ: of equal ones the second is called ``a_2``, and so on.

    A column without a name, but the first, is called by its number, such as ``column_3``.
    """
    unique: list[str] = []
    taken = set(names)
    seen: dict[str, int] = {}
    for position, name in enumerate(names):
        new, count = name, seen.get(name, 0) + 1
        if not name and position:
            new = f"column_{position + 1}"
        elif count > 1:
            while (new := f"{name}_{count}") in taken:
                count += 1
            taken.add(new)
        seen[name] = count
        unique.append(new)
    return unique


def what_is(names: Sequence[str]) -> str:
    """Return columns as the subject of a sentence: "column a is"."""
    names = [name or '""' for name in names]
    if len(names) == 1:
        return f"column {shortened(names[0])} is"
    return f"columns {listed(names)} are"


def _split(option: str, text: str) -> list[str]:
    """Return items that are separated by commas and quoted as in a CSV file."""
    try:
        items = next(csv.reader([text], skipinitialspace=True), [])
    except csv.Error as error:
        raise FileProblem(f"{option} {shortened(text)} cannot be read: {error}") from error
    return [item.strip() for item in items]


def _halves(item: str) -> Iterator[tuple[str, str]]:
    """Yield what is before and after each colon."""
    for place, letter in enumerate(item):
        if letter == ":":
            yield item[:place].strip(), item[place + 1 :].strip()
