"""Which columns of a table are features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fastgmm.cli.errors import FileProblem
from fastgmm.cli.tables.columns import Columns, unique_names, what_is
from fastgmm.cli.tables.content import Content, Wrong
from fastgmm.cli.tables.request import Request
from fastgmm.cli.tables.row_numbers import counts_rows, numbers_rows
from fastgmm.cli.wording import listed, shortened

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Choice(NamedTuple):
    """The columns that are asked for, by their positions in the file."""

    features: list[int]
    id_column: int | None
    weights: int | None
    is_explicit: bool  # whether the user or a model names the features


class Features(NamedTuple):
    """Columns of numbers."""

    values: NDArray[Any]  # (n_rows, n_features), NaN where a value is missing
    names: tuple[str, ...]
    in_file: tuple[str, ...]  # the names of all columns that may be features, in the file's order


def choose(path: Path, content: Content, request: Request) -> Choice:
    """Return the columns to read: those that are asked for, or else all but what is left out."""
    columns = Columns.of(path, content.names)
    id_column = _single(columns, "--id", request.id_column)
    weights = _single(columns, "--weights", request.weights)
    if request.columns is not None:
        features = columns.chosen("--columns", request.columns)
    elif request.fitted and content.named:
        features = Columns.of(path, unique_names(content.names)).named(request.fitted)
    else:
        features = _without_index(content)
    excluded = (
        set() if request.exclude is None else set(columns.chosen("--exclude", request.exclude))
    )
    excluded |= {j for j in (id_column, weights) if j is not None}
    features = [j for j in features if j not in excluded]
    if not features:
        raise FileProblem(f"{path}: no column is left of {listed(content.names)}")
    is_explicit = request.columns is not None or bool(request.fitted and content.named)
    return Choice(features, id_column, weights, is_explicit)


def numeric_features(path: Path, content: Content, choice: Choice, strict: bool) -> Features:
    """Return the chosen columns that are features, and remark on those that are left out.

    Raises
    ------
    FileProblem
        If no column is numeric, or one that must be is not.
    """
    values, wrong, empty = content.numbers(choice.features)
    positions = [j for j in choice.features if j not in wrong]
    if wrong:
        _refuse_or_remark(path, content, wrong, positions, strict or choice.is_explicit)
    if not choice.is_explicit:
        values, positions = _without_empty(content, values, positions, empty)
        values, positions = _without_row_numbers(path, content, values, positions)
    names = unique_names(content.names)
    _say_renamed(content, names)
    left_out = content.index.union(wrong, empty, (choice.id_column, choice.weights))
    in_file = [name for j, name in enumerate(names) if j not in left_out]
    if positions and positions[0] != choice.features[0]:
        in_file = [name for name in in_file if name != names[choice.features[0]]]
    return Features(values, tuple(names[j] for j in positions), tuple(in_file))


def weights_of(path: Path, content: Content, position: int) -> NDArray[Any]:
    """Return the weights (n_rows,) in a column."""
    values, wrong, _ = content.numbers([position])
    if wrong:
        reason = wrong[position].reason
        raise FileProblem(
            f"{path}: the column of --weights, {shortened(content.names[position])}, is not numeric"
            f" ({reason}); name a column of numbers"
        )
    return values[:, 0]


def _single(columns: Columns, option: str, item: str | None) -> int | None:
    """Return the position of the only column that an option names."""
    if item is None:
        return None
    position, *others = columns.chosen(option, item)
    if others:
        raise FileProblem(f"{option} {shortened(item)} names {len(others) + 1} columns; name one")
    return position


def _without_index(content: Content) -> list[int]:
    """Leave out the index of a table, unless there is nothing else."""
    positions = [j for j in range(len(content.names)) if j not in content.index]
    if not positions or not content.index:
        return list(range(len(content.names)))
    names = listed([content.names[j] for j in sorted(content.index)])
    _say_left_out(content, f"{names} is the index of the table")
    return positions


def _refuse_or_remark(
    path: Path, content: Content, wrong: dict[int, Wrong], numeric: Sequence[int], refuse: bool
) -> None:
    """Refuse columns that are not numeric, or leave them out and say so.

    A column is always refused if it is clear how to read it.
    """
    advised = [j for j in wrong if wrong[j].advice]
    refused = list(wrong) if refuse or not numeric else advised
    subject = what_is([content.names[j] for j in refused or wrong])
    first = wrong[next(iter(refused or wrong))]
    if refused:
        advice = first.advice or _advice(content, numeric)
        raise FileProblem(f"{path}: {subject} not numeric ({first.reason}); {advice}")
    verb = subject.rpartition(" ")[2]
    content.remarks.append(f"{subject} not numeric ({first.reason}) and {verb} left out")


def _advice(content: Content, numeric: Sequence[int]) -> str:
    """Return what to do about columns that are not numeric; those at `numeric` are."""
    example = next((content.names[j] for j in numeric if content.names[j]), "")
    if example:
        return f"choose numeric columns with --columns, such as --columns {shortened(example)}"
    return "every column must hold numbers"


def _without_empty(
    content: Content, values: NDArray[Any], positions: list[int], empty: Sequence[int]
) -> tuple[NDArray[Any], list[int]]:
    """Leave out columns without any value, unless there is no other column."""
    places = [place for place, j in enumerate(positions) if j not in empty]
    if len(places) in (0, len(positions)):
        return values, positions
    subject = what_is([content.names[j] for j in empty])
    content.remarks.append(f"{subject} empty and {subject.rpartition(' ')[2]} left out")
    return values[:, places], [positions[place] for place in places]


def _without_row_numbers(
    path: Path, content: Content, values: NDArray[Any], positions: list[int]
) -> tuple[NDArray[Any], list[int]]:
    """Leave out a first column that numbers the rows; remark on one that may do so."""
    if positions[0] != 0 or len(content.names) < 2 or not content.named:
        return values, positions
    name = shortened(content.names[0] or '""')
    if numbers_rows(content.names[0], values[:, 0]):
        if len(positions) == 1:
            raise FileProblem(
                f"{path}: the only numeric column ({name}) numbers the rows; there is nothing to"
                " fit"
            )
        _say_left_out(content, f"the first column ({name}) numbers the rows")
        return values[:, 1:], positions[1:]
    if len(values) > 2 and counts_rows(values[:, 0]) and values[:, 0].min() in (0, 1):
        content.remarks.append(
            f"the first column ({name}) counts the rows but is used as a feature; leave it out with"
            " --exclude 1 unless it measures something"
        )
    return values, positions


def _say_renamed(content: Content, names: Sequence[str]) -> None:
    changed = [new for new, old in zip(names, content.names, strict=True) if old and new != old]
    if changed:
        content.remarks.append(
            f"some columns have equal names; the later ones are called {listed(changed)}"
        )


def _say_left_out(content: Content, what: str) -> None:
    content.remarks.append(f"{what} and is left out; name it with --columns to use it")
