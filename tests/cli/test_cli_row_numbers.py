"""Columns that number the rows are no features: left out, and said so."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from fastgmm.cli.errors import FileProblem
from fastgmm.cli.tables.reading import read_table
from fastgmm.cli.tables.request import Request

ROWS = np.array([[1.5, 2.0], [0.5, 4.0], [3.0, 1.0], [2.0, 7.0]])
FRAME = pd.DataFrame(ROWS, columns=["a", "b"])
NOTE = "Note: {}: the first column ({}) numbers the rows and is left out; name it with --columns"


@pytest.mark.parametrize(
    "index",
    [[0, 1, 2, 3], [1, 2, 3, 4], [3, 0, 2, 1], [10, 4, 77, 5], [1962.25, 1962.5, 1963.0, 1964.0]],
    ids=str,
)
def test_an_index_written_by_pandas_is_left_out(capsys, index):
    FRAME.set_index(pd.Index(index)).to_csv("d.csv")
    table = read_table(Path("d.csv"))
    assert table.columns == table.in_file == ("a", "b")
    np.testing.assert_array_equal(table.values, ROWS)
    assert capsys.readouterr().err.startswith(NOTE.format("d.csv", '""'))


@pytest.mark.parametrize("name", ["Unnamed: 0", "rownames"])
def test_an_index_that_was_written_twice(capsys, name):
    FRAME.rename_axis(name).to_csv("d.csv")
    assert read_table(Path("d.csv")).columns == ("a", "b")
    assert capsys.readouterr().err.startswith(NOTE.format("d.csv", name))
    FRAME.set_index(pd.Index([4, 9, 1, 2], name=name)).to_csv("d.csv")
    assert read_table(Path("d.csv")).columns == (name, "a", "b")


@pytest.mark.parametrize("first", [[1, 1, 2, 3], [0.5, 1.0, 3.0, 2.0]], ids=str)
def test_a_column_that_numbers_no_rows_stays(capsys, first):
    FRAME.set_index(pd.Index(first)).to_csv("d.csv")
    assert read_table(Path("d.csv")).values.shape == (4, 3)
    assert capsys.readouterr().err == ""


def test_row_numbers_alone_are_refused():
    pd.DataFrame({"k": ["x", "y", "x"]}).to_csv("d.csv")
    with pytest.raises(FileProblem, match=r'the only numeric column \(""\) numbers the rows'):
        read_table(Path("d.csv"))


def test_a_named_column_and_a_chosen_one_stay(capsys):
    FRAME.rename_axis("year").to_csv("d.csv")
    assert read_table(Path("d.csv")).columns == ("year", "a", "b")
    assert "the first column (year) counts the rows but is used" in capsys.readouterr().err
    assert read_table(Path("d.csv"), Request(exclude="1")).columns == ("a", "b")
    FRAME.to_csv("d.csv")
    assert read_table(Path("d.csv"), Request('"",a')).columns == ("", "a")
    assert capsys.readouterr().err == ""


def test_the_index_in_the_metadata_of_parquet(capsys):
    pandas = '{"index_columns": ["key"], "columns": []}'
    frame = pl.DataFrame({"a": ROWS[:, 0], "key": ["x", "y", "z", "u"], "b": ROWS[:, 1]})
    frame.write_parquet("d.parquet", metadata={"pandas": pandas})
    table = read_table(Path("d.parquet"))
    assert table.columns == ("a", "b")
    np.testing.assert_array_equal(table.values, ROWS)
    assert "key is the index of the table and is left out" in capsys.readouterr().err
    frame.rename({"key": "__index_level_0__"}).write_parquet("d.parquet")
    assert read_table(Path("d.parquet")).columns == ("a", "b")
    numbers = frame.with_columns(key=pl.Series([3, 1, 2, 0]))
    numbers.write_parquet("d.parquet", metadata={"pandas": pandas})
    assert read_table(Path("d.parquet"), Request("key,a")).columns == ("key", "a")


def test_a_fit_without_the_index_is_that_of_the_table(fgmm):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"])
    frame.loc[:29] += 5.0
    frame.to_csv("plain.csv", index=False)
    frame.to_csv("numbered.csv")
    _, expected, _ = fgmm("fit", "plain.csv", "--components", 2)
    code, out, err = fgmm("fit", "numbered.csv", "--components", 2, "--out", "m.npz")
    assert (code, out) == (0, expected + "wrote m.npz\n")
    assert err.count("\n") == 1
    _, labels, _ = fgmm("predict", "m.npz", "plain.csv")
    code, again, err = fgmm("predict", "m.npz", "numbered.csv")
    assert (code, again) == (0, labels)
