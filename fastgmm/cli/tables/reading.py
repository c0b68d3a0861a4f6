"""A table of numbers from a file."""

from __future__ import annotations

from pathlib import Path

from fastgmm.cli.files import file_errors
from fastgmm.cli.output import note
from fastgmm.cli.tables.content import Content
from fastgmm.cli.tables.features import choose, numeric_features, weights_of
from fastgmm.cli.tables.opening import open_table
from fastgmm.cli.tables.request import Request, Table
from fastgmm.cli.tables.rows import usable_rows
from fastgmm.cli.tables.unpack import plain_file


def read_table(path: Path, request: Request = Request()) -> Table:  # noqa: B008, it is immutable
    """Read a table of numbers, and say on the standard error what was decided.

    Parameters
    ----------
    path : Path
        A file of any kind in `fastgmm.cli.tables.opening`, perhaps compressed; ``-`` is the
        standard input.
    request : Request
        How to read it.

    Returns
    -------
    Table
        At least one row and one column, all values finite; or NaN if `request.missing` is "em".

    Raises
    ------
    FileProblem
        If the file cannot be read, a column is missing, or a value is not a finite number.
    """
    with file_errors(path, "read"), plain_file(path) as source:
        content = open_table(source, request)
        table = _table(path, content, request)
    for remark in content.remarks:
        note(f"{path}: {remark}")
    return table


def _table(path: Path, content: Content, request: Request) -> Table:
    choice = choose(path, content, request)
    features = numeric_features(path, content, choice, request.strict)
    rows = usable_rows(path, content, features, request.missing)
    ids = None
    if choice.id_column is not None:
        ids = content.column(choice.id_column).alias(content.names[choice.id_column])
    weights = None
    if choice.weights is not None:
        weights = weights_of(path, content, choice.weights)
        weights = weights if rows.kept is None else weights[rows.kept]
    return Table(
        rows.values, features.names, features.in_file, content.named, rows.kept, ids, weights
    )
