"""Fuzz target: any bytes as a file give a table of finite numbers or a `Failure`."""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fastgmm"]):
    from fastgmm.cli.errors import Failure
    from fastgmm.cli.tables.reading import read_table
    from fastgmm.cli.tables.request import Request
    from fastgmm.cli.wording import one_line, printable

import numpy as np

FOLDER = Path(tempfile.mkdtemp())


ENDINGS = (".csv", ".tsv", ".npy", ".npz", ".parquet", ".arrow", ".jsonl", ".xlsx", ".gz", "")
REQUESTS = (
    Request(),
    Request(header=True),
    Request(header=False, missing="drop"),
    Request("a", strict=True),
    Request(exclude="1", missing="drop"),
    Request(id_column="1", decimal=","),
    Request("1:2", separator=";"),
    Request(header=True, separator=" ", missing="drop"),
)


def try_bytes(content: bytes) -> None:
    """The first two bytes choose the kind of file and how it is read."""
    kind, how, content = (*content[:1], 0)[0], (*content[1:2], 0)[0], content[2:]
    path = FOLDER / f"table{ENDINGS[kind % len(ENDINGS)]}"
    request = REQUESTS[how % len(REQUESTS)]
    path.write_bytes(content)
    try:
        table = read_table(path, request)
    except Failure as problem:
        message = printable(one_line(problem.format_message()))
        assert message.isprintable(), message
        assert len(message) < 1000, message
        return
    assert table.values.size > 0
    assert table.kept is None or table.kept.sum() == len(table.values)
    assert np.isfinite(table.values).all()
    assert table.values.shape[1] == len(table.columns)


if __name__ == "__main__":
    atheris.Setup(sys.argv, try_bytes)
    atheris.Fuzz()
