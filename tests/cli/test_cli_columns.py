"""The choice of columns, the column of names of rows, and rows with missing values."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fastgmm.cli.errors import FileProblem
from fastgmm.cli.tables.columns import unique_names
from fastgmm.cli.tables.reading import read_table
from fastgmm.cli.tables.request import Request

CSV = 'a,b,"c, d",7,e:f\n1,2,3,4,5\n6,7,8,9,11\n'


@pytest.fixture
def path():
    path = Path("d.csv")
    path.write_text(CSV)
    return path


@pytest.mark.parametrize(
    ("columns", "first_row"),
    [
        ("a,b", [1, 2]),
        ("b,a", [2, 1]),
        ('"c, d",a', [3, 1]),
        ("2:4", [2, 3, 4]),
        ("a:b,5", [1, 2, 5]),
        ("7", [4]),
        ("e:f", [5]),
        ("b:e:f", [2, 3, 4, 5]),
        ("2:b", [2]),
    ],
)
def test_columns_are_names_numbers_and_ranges(path, columns, first_row):
    assert read_table(path, Request(columns)).values[0].tolist() == first_row


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (Request("a,1"), '--columns names "a" twice; name every column once'),
        (Request("a:b,b"), '--columns names "b" twice'),
        (Request("9"), 'd.csv has no column "9"; it has a, b, c, d, 7, e:f'),
        (Request("0"), 'no column "0"'),
        (Request("b:a"), "--columns b:a: a comes before b in the file"),
        (Request(exclude="z"), 'no column "z"'),
        (Request(exclude="1:5"), "no column is left of a, b, c, d, 7, e:f"),
        (Request("a", exclude="a"), "no column is left"),
        (Request(id_column="a:b"), "--id a:b names 2 columns; name one"),
    ],
)
def test_wrong_choices_are_refused(path, request_, reason):
    with pytest.raises(FileProblem, match=reason.replace("(", r"\(")):
        read_table(path, request_)


def test_excluded_columns(path):
    assert read_table(path, Request(exclude="a,4:5")).values[0].tolist() == [2, 3]
    assert read_table(path, Request("a:7", exclude="b")).values[0].tolist() == [1, 3, 4]
    assert read_table(path, Request(id_column="b")).values[0].tolist() == [1, 3, 4, 5]


def test_equal_names_are_told_apart(capsys):
    Path("d.csv").write_text("a,b,a\n1,2,3\n4,5,7\n")
    table = read_table(Path("d.csv"))
    assert table.columns == ("a", "b", "a_2")
    assert "some columns have equal names; the later ones are called a_2" in capsys.readouterr().err
    with pytest.raises(FileProblem, match=r'has 2 columns called "a"; choose by number: 1, 3'):
        read_table(Path("d.csv"), Request("a"))
    assert read_table(Path("d.csv"), Request("a_2")).values.tolist() == [[3], [7]]
    assert unique_names(["a", "a", "a_2", "", "", "a"]) == [
        "a",
        "a_3",
        "a_2",
        "column_4",
        "column_5",
        "a_4",
    ]


def test_columns_of_text_are_left_out_unless_strict(fgmm, refused):
    Path("d.csv").write_text("kind,a,b\nx,1,2\ny,3,4\nz,5,7\n")
    code, out, err = fgmm("fit", "d.csv", "--components", 1)
    assert (code, err) == (
        0,
        'Note: d.csv: column kind is not numeric (row 1 holds "x") and is left out\n',
    )
    assert "3 rows, 2 columns" in out
    message = refused("fit", "d.csv", "--components", 1, "--strict")
    assert message == (
        'd.csv: column kind is not numeric (row 1 holds "x"); choose numeric columns with'
        " --columns, such as --columns a"
    )
    assert "column kind is not numeric" in refused(
        "fit", "d.csv", "--components", 1, "--columns", "1:2"
    )


def test_misprints_are_pointed_out(capsys):
    Path("d.csv").write_text("a,b\n" + "1,2\n3,4\n" * 6 + "5,6x\n")
    assert read_table(Path("d.csv")).columns == ("a",)
    assert 'column b is not numeric (row 13 holds "6x" but 92.3% of the fields are numbers)' in (
        capsys.readouterr().err
    )


def test_the_names_of_rows_and_missing_values_in_labels(fgmm):
    rows = [f"r{i},{i % 2 * 9 + i / 50},{i % 7}" for i in range(40)]
    rows[3], rows[8] = "r3,,1", "r8,1,NA"
    Path("d.csv").write_text("name,a,b\n" + "\n".join(rows) + "\n")
    options = ("--components", 2, "--id", "name", "--missing", "drop")
    code, out, err = fgmm("fit", "d.csv", *options, "--out", "m.npz", "--labels", "l.csv")
    assert (code, err) == (0, "Note: d.csv: 2 of 40 rows have a missing value and are left out\n")
    assert "38 rows, 2 columns" in out
    labels = pl.read_csv("l.csv")
    assert labels.columns == ["name", "label"]
    assert labels["name"].to_list() == [f"r{i}" for i in range(40)]
    assert labels["label"].is_null().arg_true().to_list() == [3, 8]
    even = labels["label"][::2].drop_nulls().unique()
    assert len(even) == 1
    code, out, _ = fgmm("predict", "m.npz", "d.csv", *options[2:], "--proba")
    assert code == 0
    assert out.splitlines()[0] == "name,label,component_0,component_1"
    assert out.splitlines()[4] == "r3,,,"
    np.testing.assert_array_equal(
        [line.split(",")[1] for line in out.splitlines()[1:]],
        [line.split(",")[1] for line in Path("l.csv").read_text().splitlines()[1:]],
    )


def test_a_table_without_a_complete_row_is_refused(refused):
    Path("d.csv").write_text("a,b\n1,\n,2\n")
    message = refused("fit", "d.csv", "--components", 1, "--missing", "drop")
    assert "every row has a missing value; leave out columns with --exclude" in message
    assert "such as a, in which 1 of 2 values are missing" in message


def test_infinite_values_are_refused_whatever_is_missing(refused):
    Path("d.csv").write_text("a,b\n1,\n3,inf\n")
    message = refused("fit", "d.csv", "--components", 1, "--missing", "drop")
    assert "the value of b in row 2 is infinite" in message
