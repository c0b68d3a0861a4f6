"""Tables that are read, and those that are refused in one sentence."""

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fastgmm.cli.errors import FileProblem
from fastgmm.cli.tables.reading import read_table
from fastgmm.cli.tables.request import Request

OLD_FAITHFUL = Path(__file__).parents[2] / "examples" / "old_faithful.csv"


def write_table(name):
    frame = pl.read_csv(OLD_FAITHFUL)
    match Path(name).suffix:
        case ".tsv":
            frame.write_csv(name, separator="\t")
        case ".parquet":
            frame.write_parquet(name)
        case ".npy":
            np.save(name, frame.to_numpy())
        case _:
            frame.write_csv(name)


@pytest.mark.parametrize("name", ["d.csv", "d.CSV", "d.tsv", "d.parquet", "d.npy"])
def test_formats_hold_the_same_table(name):
    write_table(name)
    values, columns, *_ = read_table(Path(name))
    np.testing.assert_array_equal(values, np.loadtxt(OLD_FAITHFUL, delimiter=",", skiprows=1))
    named = ("column_1", "column_2") if name.endswith(".npy") else ("eruptions", "waiting")
    assert columns == named


def test_columns_are_chosen_in_their_order(fgmm):
    table = read_table(OLD_FAITHFUL, Request(" waiting ,eruptions"))
    assert table.columns == ("waiting", "eruptions")
    np.testing.assert_array_equal(table.values[0], [79, 3.6])
    Path("quoted.csv").write_text('"x, y",z\n1,a\n2,b\n')
    assert read_table(Path("quoted.csv"), Request('"x, y"')).values.tolist() == [[1], [2]]
    code, out, _ = fgmm("fit", OLD_FAITHFUL, "--components", 2, "--columns", "waiting")
    assert code == 0
    assert "272 rows, 1 column; 2 full components" in out


@pytest.mark.parametrize("kind", ["f4", "i2", "u1", ">f8"])
def test_npy_keeps_its_type(kind):
    X = np.arange(6, dtype=kind).reshape(3, 2)
    np.save("d.npy", X)
    values = read_table(Path("d.npy")).values
    assert values.dtype == np.dtype(kind)
    np.testing.assert_array_equal(values, X)
    np.testing.assert_array_equal(read_table(Path("d.npy"), Request("column_2")).values, X[:, 1:])


def test_parquet_of_single_precision_stays_single():
    pl.DataFrame(
        {"a": [1.5, 2.5], "b": [1, 2]}, schema={"a": pl.Float32, "b": pl.Int8}
    ).write_parquet("d.parquet")
    assert read_table(Path("d.parquet"), Request("a")).values.dtype == np.float32
    assert read_table(Path("d.parquet")).values.dtype == np.float64


def test_files_made_by_hand_are_read():
    text = '\ufeff"a", b\r\n 1, +2.\r\n.5 ,1e3\r\n"-3",4\r\n\r\n\r\n'
    Path("d.csv").write_bytes(text.encode())
    values, columns, *_ = read_table(Path("d.csv"))
    assert columns == ("a", "b")
    assert values.tolist() == [[1, 2], [0.5, 1000], [-3, 4]]


def test_first_line_of_numbers_needs_an_option():
    path = Path("d.csv")
    path.write_text("1,2\n3,4\n")
    with pytest.raises(FileProblem, match=r"--no-header if they are data, or --header"):
        read_table(path)
    assert read_table(path, Request(header=False)).values.tolist() == [[1, 2], [3, 4]]
    assert read_table(path, Request(header=False)).columns == ("column_1", "column_2")
    assert read_table(path, Request(header=True)).values.tolist() == [[3, 4]]


UNREADABLE = {
    "empty.csv": ("", "empty.csv is empty; it must hold at least one row"),
    "blank.csv": ("\n\n", "blank.csv cannot be read"),
    "header.csv": ("a,b\n", "header.csv holds no rows of data"),
    "missing.csv": (
        "a,b\n1,2\n3,\n,5\n",
        "the value of b in row 2 is missing; fill in missing values, leave out such rows with"
        " --missing drop, or use their other values with --missing em",
    ),
    "na.csv": ("a,b\n1,2\n3,4\nNA,5\n", "the value of a in row 3 is missing"),
    "nan.csv": ("a,b\n1,nan\n3,4\n", "the value of b in row 1 is missing"),
    "middle.csv": ("a\n1\n\n2\n", "the value of a in row 2 is missing"),
    "inf.csv": ("a,b\n1,2\n3,-inf\n", "the value of b in row 2 is infinite"),
    "decimals.csv": (
        "a;b\n" + "1;2\n" * 300 + "1,5;2\n",
        'column a is not numeric (row 301 holds "1,5"); if commas mark decimals, say --decimal ,',
    ),
    "all.csv": (
        "a\nx\n",
        'all.csv: column a is not numeric (row 1 holds "x"); every column must hold numbers',
    ),
    "uneven.csv": ("a,b\n1,2\n1,2,3\n", "line 3 has 3 fields instead of 2"),
    "one_decimal.csv": (
        "a\n1,5\n2,5\n",
        "its header has 1 field, its first row 2; if commas mark decimals, say --decimal ,",
    ),
    "junk.npy": ("junk", "junk.npy is not a .npy file of numbers, or is damaged"),
    "junk.parquet": ("junk", "junk.parquet cannot be read: "),
    "junk.xlsx": ("junk", "junk.xlsx cannot be read as a workbook"),
    "junk.feather": ("junk", "junk.feather cannot be read: "),
    "junk.npz": ("junk", "junk.npz is not a .npz file of numbers, or is damaged"),
    "junk.sav": ("\0\1", "junk.sav is no table that can be read; fastgmm reads text such as CSV"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable_data_is_refused(refused, name, files):
    text, reason = UNREADABLE[name]
    Path(name).write_text(text)
    message = refused("fit", name, "--components", 1, "--out", "model.npz")
    assert name in message
    assert reason in message
    assert files() == [name]


UNFIT_ARRAYS = {
    "three": (np.zeros((2, 2, 2)), "not 3 dimensions"),
    "complex": (np.zeros((4, 2), complex), "of complex128"),
    "text": (np.array(["a", "b"]), "real numbers"),
    "scalar": (np.float64(3), "not 0 dimensions"),
    "none": (np.zeros((0, 2)), "no rows"),
    "nan": (np.array([[1, 2], [3, np.nan]]), "the value of column_2 in row 2 is missing"),
}


@pytest.mark.parametrize("name", UNFIT_ARRAYS)
def test_unfit_arrays_are_refused(refused, name):
    X, reason = UNFIT_ARRAYS[name]
    np.save("d.npy", X)
    assert reason in refused("fit", "d.npy", "--components", 1)


def test_pickled_and_truncated_arrays_are_refused(refused):
    np.save("d.npy", np.array([None, 1], dtype=object), allow_pickle=True)
    assert "not a .npy file of numbers" in refused("fit", "d.npy", "--components", 1)
    np.save("d.npy", np.zeros((100, 2)))
    Path("d.npy").write_bytes(Path("d.npy").read_bytes()[:-8])
    assert "damaged" in refused("fit", "d.npy", "--components", 1)


def test_unfit_parquet_is_refused(refused):
    frame = pl.DataFrame({"a": [1, None], "b": ["x", "y"], "c": [None, date(2020, 1, 1)]})
    frame.write_parquet("d.parquet")
    message = refused("fit", "d.parquet", "--components", 1, "--strict")
    assert "columns b, c are not numeric (holds text)" in message
    message = refused("fit", "d.parquet", "--components", 1, "--columns", "a")
    assert "the value of a in row 2 is missing" in message
