"""Fuzz target: any bytes as a CSV file give a table of finite numbers or a `FileProblem`."""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fastgmm"]):
    from fastgmm.cli.errors import FileProblem
    from fastgmm.cli.tables import read_table
    from fastgmm.cli.text import one_line, printable

import numpy as np

FOLDER = Path(tempfile.mkdtemp())


def try_bytes(content: bytes) -> None:
    """The first byte chooses the kind of file and what is said of its header and columns."""
    choice, content = content[0] if content else 0, content[1:]
    path = FOLDER / ("table.tsv" if choice & 1 else "table.csv")
    path.write_bytes(content)
    header = (None, True, False, None)[choice >> 1 & 3]
    columns = "a" if choice & 8 else None
    try:
        table = read_table(path, columns, header)
    except FileProblem as problem:
        message = printable(one_line(problem.format_message()))
        assert message.isprintable(), message
        assert len(message) < 1000, message
        return
    assert table.values.size > 0
    assert np.isfinite(table.values).all()
    assert table.values.shape[1] == len(table.columns)


if __name__ == "__main__":
    atheris.Setup(sys.argv, try_bytes)
    atheris.Fuzz()
