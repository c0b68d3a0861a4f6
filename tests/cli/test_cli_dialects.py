"""Texts as people write them: separators, decimals, headers, comments, encodings."""

from pathlib import Path

import pytest

from fastgmm.cli.errors import FileProblem
from fastgmm.cli.tables.reading import read_table
from fastgmm.cli.tables.request import Request

# The text, the values, and what is said of it.
TEXTS = {
    "semicolons.csv": ("a;b\n1;2\n3;4\n", "fields are separated by semicolons"),
    "tabs.txt": ("a\tb\n1\t2\n3\t4\n", "fields are separated by tabs"),
    "bars.data": ("a|b\n1|2\n3|4\n", "fields are separated by vertical bars"),
    "blanks.dat": ("  a   b\n 1  2\n3\t 4 \n", "fields are separated by blanks"),
    "commas.tsv": ("a,b\n1,2\n3,4\n", "fields are separated by commas"),
    "promise.csv": ("sep=;\na;b\n1;2\n3;4\n", "fields are separated by semicolons"),
    "comments.csv": ("# by x, y, z\na,b\n# n\n1,2\n#\n3,4\n", ""),
    "percent.csv": ("% by x\n\na,b\n1,2\n3,4\n", ""),
    "blank_lines.csv": ("\n\na,b\n\n1,2\n  \n3,4\n\n\n", ""),
    "blank_tabs.tsv": ("a\tb\n1\t2\n\n3\t4\n", ""),
    "trailing.csv": ("a,b\n1,2,\n3,4,\n", 'column "" is empty and is left out'),
    "trailing_header.csv": ("a,b,\n1,2,\n3,4,\n", 'column "" is empty and is left out'),
    "units.csv": ("a,b\nmm,\n1,2\n3,4\n", "the line below the header holds units (mm, )"),
    "r.csv": ('"a","b"\n"x",1,2\n"y",3,4\n', 'column "" is not numeric (row 1 holds "x")'),
    "r.txt": ('"a" "b"\n"7" 1 2\n"8" 3 4\n', 'the first column ("") numbers the rows'),
    "quoted_blanks.txt": ('a k b\n1 "x y" 2\n3 "z" 4\n', "column k is not numeric"),
    "text.csv": ("k,a,b\nx;y,1,2\nz,3,4\n", 'column k is not numeric (row 1 holds "x;y")'),
    "empty.csv": ("a,e,b\n1,,2\n3,,4\n", "column e is empty and is left out"),
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_how_texts_are_written(capsys, name, line_end):
    text, said = TEXTS[name]
    Path(name).write_bytes(text.replace("\n", line_end).encode())
    table = read_table(Path(name))
    assert table.columns == ("a", "b")
    assert table.values.tolist() == [[1, 2], [3, 4]]
    err = capsys.readouterr().err
    assert said in err
    assert bool(said) == bool(err)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_encodings(encoding):
    Path("d.csv").write_bytes("größe,b\n1,2\n3,4\n".encode(encoding))
    table = read_table(Path("d.csv"))
    assert table.columns == ("größe", "b")
    assert table.values.tolist() == [[1, 2], [3, 4]]


DECIMALS = {
    "commas": ("a;b\n1,5;2\n3;-4,25\n", [[1.5, 2], [3, -4.25]], "and commas mark decimals"),
    "thousands": ('a,b\n"1,234.5",2\n"12,000",3\n', [[1234.5, 2], [12000, 3]], "part thousands"),
    "points": ("a;b\n1.234,5;2\n-2.000;3e1\n", [[1234.5, 2], [-2000, 30]], "mark decimals"),
    "tabs": ("a\tb\n,5\t2\n3,\t1,5e2\n", [[0.5, 2], [3, 150]], "tabs and commas mark decimals"),
}


@pytest.mark.parametrize("name", DECIMALS)
def test_decimals_and_thousands(capsys, name):
    text, values, said = DECIMALS[name]
    Path("d.csv").write_text(text)
    assert read_table(Path("d.csv")).values.tolist() == values
    assert said in capsys.readouterr().err


def test_options_say_how_a_text_is_written():
    Path("d.csv").write_text("a\n1,5\n2,5\n")
    assert read_table(Path("d.csv"), Request(decimal=",")).values.tolist() == [[1.5], [2.5]]
    Path("d.csv").write_text("a:b;c\n1:2;3\n3:4;5\n")
    table = read_table(Path("d.csv"), Request(separator=":"))
    assert table.columns == ("a",)
    Path("d.csv").write_text("a;b\n1.000;2\n3.000;4,5\n")
    values = read_table(Path("d.csv"), Request(decimal=".", columns="a")).values
    assert values.tolist() == [[1], [3]]


def test_the_separator_on_the_command_line(fgmm):
    Path("tabs.csv").write_text("a\tb\n1\t2\n3\t5\n4\t4\n")
    code, out, err = fgmm("fit", "tabs.csv", "--components", 1, "--separator", "tab")
    assert (code, err) == (0, "")
    assert "3 rows, 2 columns" in out
    code, _, err = fgmm("fit", "tabs.csv", "--components", 1, "--separator", "ab")
    assert code == 2
    assert "must be one character, or comma, semicolon, tab, bar or blank" in err


def test_a_first_line_that_may_be_data():
    path = Path("d.csv")
    path.write_text("5.1,3.5,setosa\n4.9,3.0,setosa\n")
    with pytest.raises(FileProblem, match=r"\(5\.1, 3\.5, setosa\) holds numbers and text as the"):
        read_table(path)
    assert read_table(path, Request(header=False)).values.tolist() == [[5.1, 3.5], [4.9, 3]]
    path.write_text("land,5,6\nx,1,2\ny,3,4\n")
    with pytest.raises(FileProblem, match="say --no-header if it is data"):
        read_table(path)
    assert read_table(path, Request(header=True)).columns == ("5", "6")


@pytest.mark.parametrize("header", ["land,1990,1995", '"","5","6"', '"1990","7","8"'])
def test_numbers_that_name_columns(header):
    """Years, and a first line that alone is in quotation marks."""
    Path("d.csv").write_text(f"{header}\nx,1,2\ny,3,4\n")
    assert read_table(Path("d.csv")).values.tolist() == [[1, 2], [3, 4]]


def test_a_row_of_missing_values_is_a_row():
    Path("d.csv").write_text("a,b\n1,2\n\n,\n3,\n4,5\n")
    table = read_table(Path("d.csv"), Request(missing="drop"))
    assert table.values.tolist() == [[1, 2], [4, 5]]
    assert table.kept.tolist() == [True, False, False, True]


def test_late_texts_are_found():
    """What the first lines do not show is seen, too: in row 400 a missing value, a thousand."""
    rows = [["1", "2"]] * 400
    rows[399] = ["NA", '"1,000"']
    Path("d.csv").write_text("a,b\n" + "\n".join(map(",".join, rows)) + "\n")
    table = read_table(Path("d.csv"), Request(missing="drop", columns="a,b"))
    assert len(table.values) == 399
    assert read_table(Path("d.csv"), Request(columns="b")).values[399] == 1000
