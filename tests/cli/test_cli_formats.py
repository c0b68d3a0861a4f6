"""Every kind of file gives the same table, whatever packs it."""

import bz2
import gzip
import io
import lzma
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import zstandard

from fastgmm.cli.errors import FileProblem
from fastgmm.cli.tables.reading import read_table
from fastgmm.cli.tables.request import Request

ROWS = np.array([[1.5, 2.0], [3.0, 4.0], [-1.0, 0.25]])
FRAME = pl.DataFrame(ROWS, schema=["a", "b"], orient="row")
CSV = FRAME.write_csv().encode()


def zipped(content, name="folder/d.csv"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("__MACOSX/._d.csv", "junk")
        archive.writestr(name, content)
    return buffer.getvalue()


def written(method, **options):
    buffer = io.BytesIO()
    getattr(FRAME, method)(buffer, **options)
    return buffer.getvalue()


def records():
    buffer = io.BytesIO()
    np.save(buffer, np.array(list(map(tuple, ROWS)), dtype=[("a", ">f4"), ("b", "f8")]))
    return buffer.getvalue()


FILES = {
    "d.txt": CSV,
    "d.dat": CSV,
    "d": CSV,
    "d.csv.gz": gzip.compress(CSV),
    "d.csv.bz2": bz2.compress(CSV),
    "d.csv.xz": lzma.compress(CSV),
    "d.csv.zst": zstandard.compress(CSV[:9]) + zstandard.compress(CSV[9:]),
    "d.gz": gzip.compress(CSV),
    "d.zip": zipped(CSV),
    "inner.zip": zipped(written("write_parquet"), "d.parquet"),
    "d.parquet": written("write_parquet"),
    "d.parquet.gz": gzip.compress(written("write_parquet")),
    "parquet_without_ending": written("write_parquet"),
    "d.feather": written("write_ipc"),
    "d.arrow": written("write_ipc"),
    "stream.arrow": written("write_ipc_stream"),
    "d.xlsx": written("write_excel"),
    "workbook": written("write_excel"),
    "d.jsonl": written("write_ndjson"),
    "d.ndjson": written("write_ndjson"),
    "d.json": written("write_json"),
    "lines": written("write_ndjson"),
    "d.npy": records(),
}


@pytest.mark.parametrize("name", FILES)
def test_kinds_of_files(capsys, name):
    Path(name).write_bytes(FILES[name])
    table = read_table(Path(name))
    assert table.columns == ("a", "b")
    assert table.named
    np.testing.assert_array_equal(table.values, ROWS)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
@pytest.mark.parametrize("kind", ["d.csv.gz", "d.txt", "d.parquet"])
def test_the_standard_input(monkeypatch, name, kind):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(FILES[kind])))
    table = read_table(Path(name))
    assert table.columns == ("a", "b")
    np.testing.assert_array_equal(table.values, ROWS)


def test_a_zip_of_several_files_is_refused():
    with zipfile.ZipFile("d.zip", "w") as archive:
        archive.writestr("a.csv", CSV)
        archive.writestr("b.csv", CSV)
    with pytest.raises(FileProblem, match=r"holds 2: a\.csv, b\.csv; unpack it"):
        read_table(Path("d.zip"))


def test_arrays_of_an_npz_file():
    np.savez("one.npz", X=ROWS)
    np.testing.assert_array_equal(read_table(Path("one.npz")).values, ROWS)
    np.savez_compressed("two.npz", X=ROWS, y=np.arange(3))
    with pytest.raises(FileProblem, match=r"holds 2 arrays \(X, y\); choose one with --array"):
        read_table(Path("two.npz"))
    np.testing.assert_array_equal(read_table(Path("two.npz"), Request(array="X")).values, ROWS)
    with pytest.raises(FileProblem, match=r'no array "z"; it has X, y'):
        read_table(Path("two.npz"), Request(array="z"))


def test_sheets_of_a_workbook(capsys):
    with pd.ExcelWriter("d.xlsx") as writer:
        pd.DataFrame(ROWS, columns=["a", "b"]).to_excel(writer, sheet_name="first")
        pd.DataFrame({"c": [1, 2]}).to_excel(writer, sheet_name="other", index=False)
    table = read_table(Path("d.xlsx"))
    assert table.columns == ("a", "b")
    np.testing.assert_array_equal(table.values, ROWS)
    err = capsys.readouterr().err
    assert "the first sheet (first) is read; the others are other" in err
    assert 'the first column ("") numbers the rows and is left out' in err
    assert read_table(Path("d.xlsx"), Request(array="other")).values.tolist() == [[1], [2]]
    with pytest.raises(FileProblem, match='no sheet "none": first, other'):
        read_table(Path("d.xlsx"), Request(array="none"))


def test_numbers_that_a_workbook_keeps_as_text():
    pl.DataFrame({"a": ["1,5", "2"], "b": ["x", "3"]}).write_excel("d.xlsx")
    table = read_table(Path("d.xlsx"))
    assert table.columns == ("a",)
    assert table.values.tolist() == [[1.5], [2]]


def test_truth_values_are_numbers():
    np.save("d.npy", np.array([[True, False], [False, True]]))
    assert read_table(Path("d.npy")).values.tolist() == [[1, 0], [0, 1]]
    pl.DataFrame({"a": [True, False], "b": [0.5, 1.5]}).write_parquet("d.parquet")
    assert read_table(Path("d.parquet")).values.tolist() == [[1, 0.5], [0, 1.5]]
    Path("d.csv").write_text("a,b\nTRUE,1\nFALSE,2\n")
    assert read_table(Path("d.csv")).values.tolist() == [[1, 1], [0, 2]]


@pytest.mark.parametrize("kind", [pl.List(pl.Float32), pl.Array(pl.Float32, 2)], ids=str)
def test_lists_of_one_length_are_columns(kind):
    frame = pl.DataFrame(
        {"e": [[1.5, 2.0], [3.0, 4.0]], "x": [5.0, 6.0]}, schema_overrides={"e": kind}
    )
    frame.write_parquet("d.parquet")
    table = read_table(Path("d.parquet"))
    assert table.columns == ("e_1", "e_2", "x")
    assert table.values.tolist() == [[1.5, 2, 5], [3, 4, 6]]
    assert read_table(Path("d.parquet"), Request("e_1:e_2")).values.dtype == np.float32


def test_lists_of_several_lengths_are_refused():
    pl.DataFrame({"e": [[1.5, 2.0], [3.0]], "x": [5, 6]}).write_parquet("d.parquet")
    with pytest.raises(FileProblem, match="the lists of column e hold 1 to 2 numbers"):
        read_table(Path("d.parquet"))


def test_a_structured_array_with_text(capsys):
    rows = np.array([(1, b"x", 0.5), (2, b"y", 1.5)], dtype=[("a", "i2"), ("k", "S1"), ("b", "f4")])
    np.save("d.npy", rows)
    table = read_table(Path("d.npy"), Request(id_column="k"))
    assert table.columns == ("a", "b")
    assert table.values.tolist() == [[1, 0.5], [2, 1.5]]
    assert table.ids.to_list() == ["x", "y"]
