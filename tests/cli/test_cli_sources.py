"""Files beyond memory on the command line: patterns, folders and lists, read in blocks."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fastgmm
from fastgmm.cli.inputs import choice
from fastgmm.readers import base
from fastgmm.readers.tables import ParquetReader

pytest.importorskip("pyarrow")
ROWS = np.random.default_rng(0).permutation(
    np.concatenate([np.random.default_rng(k).normal(8 * k, 1, (150, 2)) for k in (0, 1)])
)
FRAME = pl.DataFrame(ROWS, schema=["a", "b"], orient="row").with_columns(w=pl.Series([1, 2] * 150))
FIT = ("--components", 2, "--init", "kmeans")


@pytest.fixture(autouse=True)
def parts(in_empty_folder, monkeypatch):
    """Three files of 100 rows in `p`, of which blocks hold 37."""
    monkeypatch.setattr(base, "BLOCK_BYTES", 37 * 16)
    os.mkdir("p")
    for i in range(3):
        part(i).write_parquet(f"p/{i}.parquet", row_group_size=40)


def part(i):
    return FRAME[100 * i : 100 * i + 100]


@pytest.fixture
def model():
    fastgmm.fit(FRAME[["a", "b"]], 2, random_state=0).save("m.npz")
    return fastgmm.load("m.npz")


def test_a_fit_prints_what_that_of_one_table_does(fgmm):
    FRAME.write_parquet("all.parquet")
    names = [f"p/{i}.parquet" for i in range(3)]
    for options in (("--exclude", "w"), ("--weights", "w", "--standardize"), ("--columns", "a:b")):
        expected = fgmm("fit", "all.parquet", *FIT, *options)
        assert expected[0] == 0
        for data in (["p/*.parquet"], ["p"], names):
            assert fgmm("fit", *data, *FIT, *options) == expected


def test_weights_count_rows(fgmm):
    FRAME.write_csv("all.csv")
    FRAME[np.repeat(np.arange(300), FRAME["w"])].drop("w").write_csv("rows.csv")
    _, weighted, _ = fgmm("fit", "all.csv", *FIT, "--weights", "w")
    _, repeated, _ = fgmm("fit", "rows.csv", *FIT)
    figures = [text.partition("log-likelihood")[2] for text in (weighted, repeated)]
    assert figures[0] == figures[1]


def test_a_large_file_is_read_in_blocks(fgmm, monkeypatch):
    part(0).write_csv("d.csv")
    seen = []
    monkeypatch.setattr(choice, "memory_of_machine", lambda: seen.append(1) or 1000.0)
    fitted = fgmm("fit", "d.csv", *FIT, "--missing", "drop")
    assert fitted[0] == 2
    assert "--missing drop cannot be used with files that are read in blocks" in fitted[2]
    assert seen


@pytest.mark.parametrize("proba", [False, True])
def test_answers_of_all_kinds(fgmm, model, proba):
    options = ["--proba"] if proba else []
    for suffix in ("csv", "parquet", "npy"):
        assert fgmm("predict", "m.npz", "p", *options, "--out", f"l.{suffix}") == (0, "", "")
    X = FRAME[["a", "b"]]
    resp = model.predict_proba(X)
    for frame in (pl.read_csv("l.csv"), pl.read_parquet("l.parquet")):
        assert frame.columns == ["label", "component_0", "component_1"][: 3 if proba else 1]
        np.testing.assert_array_equal(frame["label"], model.predict(X))
        if proba:
            np.testing.assert_allclose(frame[:, 1:].to_numpy(), resp, rtol=1e-15)
    array = np.load("l.npy")
    np.testing.assert_array_equal(array, resp if proba else model.predict(X))
    code, out, _ = fgmm("predict", "m.npz", "p", *options)
    assert (code, out) == (0, Path("l.csv").read_text())


def test_a_table_in_memory_has_the_same_kinds(fgmm, model):
    FRAME.write_parquet("all.parquet")
    fgmm("predict", "m.npz", "all.parquet", "--out", "l.npy")
    np.testing.assert_array_equal(np.load("l.npy"), model.predict(FRAME[["a", "b"]]))
    FRAME.with_columns(a=pl.when(pl.col("w") == 1).then(pl.col("a"))).write_parquet("gaps.parquet")
    arguments = ("gaps.parquet", "--missing", "drop", "--out")
    fgmm("predict", "m.npz", *arguments, "l.npy")
    assert (np.load("l.npy")[1::2] == -1).all()
    fgmm("predict", "m.npz", *arguments, "l.parquet")
    assert pl.read_parquet("l.parquet")["label"].null_count() == 150


def test_text_has_the_marks_that_options_give(fgmm, model, refused):
    os.mkdir("t")
    for i in range(3):
        part(i).write_csv(f"t/{i}.csv", include_header=False, separator=";")
    assert "give another character with --separator, such as --separator semicolon" in refused(
        "predict", "m.npz", "t"
    )
    message = refused("fit", "t", *FIT, "--separator", "semicolon")
    assert "t/0.csv: the first line holds numbers; say with --header or --no-header" in message
    options = ("--separator", ";", "--no-header", "--exclude", 3, "--out", "n.npz")
    assert fgmm("fit", "t", *FIT, *options)[0] == 0
    assert fastgmm.load("n.npz").feature_names == ("column_1", "column_2")


def test_missing_values(fgmm, model):
    gaps = FRAME.with_columns(b=pl.when(pl.col("w") == 1).then(pl.col("b")))
    os.mkdir("g")
    gaps[:120].write_parquet("g/0.parquet")
    gaps[120:].write_csv("g/1.csv")
    assert fgmm("fit", "g", *FIT, "--exclude", "w", "--missing", "em")[0] == 0
    assert fgmm("impute", "m.npz", "g", "--out", "i.npy") == (0, "", "")
    X = gaps[["a", "b"]].to_numpy()
    unnamed = model.with_feature_names(None)
    np.testing.assert_allclose(np.load("i.npy"), unnamed.impute(X), rtol=1e-12)
    fgmm("predict", "m.npz", "g", "--missing", "em", "--out", "l.npy")
    np.testing.assert_array_equal(np.load("l.npy"), unnamed.predict(X, missing="em"))


def test_select(fgmm):
    code, out, _ = fgmm("select", "p", "--exclude", "w", "--components", "1:2", "--out", "s.npz")
    assert code == 0
    assert "best by bic" in out
    assert fastgmm.load("s.npz").n_components == 2


def broken(kind):
    """Write a second file in which something is wrong."""
    second, path = part(1), Path("bad/1.parquet")
    os.mkdir("bad")
    part(0).write_parquet("bad/0.parquet")
    match kind:
        case "nan":
            second = second.with_columns(b=pl.when(pl.int_range(100) == 57).then(np.nan))
        case "infinite":
            second = second.with_columns(
                b=1 / pl.when(pl.int_range(100) == 57).then(0.0).otherwise(1)
            )
        case "text":
            second = second.with_columns(b=pl.lit("x"))
        case "fewer":
            second = second.drop("b")
    second.write_parquet(path)
    match kind:
        case "cut":
            path.write_bytes(path.read_bytes()[:-40])
        case "empty":
            path.write_bytes(b"")
        case "cut text":
            path.unlink()
            Path("bad/1.csv").write_text(second.write_csv()[:-14])


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("nan", "bad/1.parquet, row 0, has a NaN or infinite value; drop such rows or correct"),
        ("infinite", "bad/1.parquet, row 57, has a NaN or infinite value"),
        ("text", "bad/1.parquet: column 'b' holds large_string, not numbers; leave it out"),
        ("fewer", "bad/1.parquet has no column 'b'; it has a, w"),
        ("cut", "bad/1.parquet cannot be read: Parquet magic bytes not found"),
        ("empty", "bad/1.parquet is empty; remove it, or write its rows"),
        ("cut text", "bad/1.csv cannot be read: CSV parse error: Row #101: Expected 3 columns"),
    ],
)
def test_files_that_are_refused_leave_nothing(refused, files, model, kind, reason):
    broken(kind)
    before = files()
    for arguments in (
        ("predict", "m.npz", "bad", "--out", "l.parquet"),
        ("fit", "bad", *FIT, "--exclude", "w", "--out", "n.npz"),
    ):
        assert reason in refused(*arguments)
        assert files() == before


def test_other_refusals(refused, model, files, monkeypatch):
    part(0).with_columns(k=pl.lit("x")).write_parquet("p/3.parquet")
    message = refused("fit", "p", *FIT)
    assert message.startswith("p/3.parquet has a column 'k' that other files do not have; choose")
    os.rename("p/3.parquet", "0.parquet")
    message = refused("fit", "0.parquet", "p", *FIT)
    assert "column 'k' holds large_string, not numbers; leave it out, for example with" in message
    assert message.endswith("--exclude.")
    assert "no file matches it as a pattern" in refused("predict", "m.npz", "q/*.parquet")
    assert "--out p/0.parquet is the same file" in refused(
        "predict", "m.npz", "p", "--out", "p/0.parquet"
    )
    np.save("x.npy", ROWS)
    assert "--columns cannot be used with x.npy" in refused(
        "fit", "x.npy", "p", *FIT, "--columns", 1
    )
    before = files()

    def interrupted(self, *arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(ParquetReader, "_batches", interrupted)
    code = fastgmm.__main__.main(["predict", "m.npz", "p", "--out", "l.parquet"])
    assert code == 130
    assert files() == before


PEAK = """
import sys
import fastgmm.__main__

def predict(name):
    arguments = ["predict", "m.npz", name, "--proba", "--out", "l.parquet"]
    assert fastgmm.__main__.main(arguments) == 0
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024

before = predict("p")
print(predict(sys.argv[1]) - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux only tells the peak")
def test_predict_needs_little_memory(model):
    """As an array the rows take 192 MiB. They are one row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    column = pa.array(np.resize(ROWS, 12 * 2**20))
    os.mkdir("large")
    rows = pa.table([column, column], ["a", "b"])
    pq.write_table(rows, "large/0.parquet", row_group_size=len(rows), compression="none")
    run = [sys.executable, "-c", PEAK, "large"]
    path = {**os.environ, "PYTHONPATH": str(Path(fastgmm.__file__).parents[1])}
    done = subprocess.run(run, capture_output=True, text=True, check=False, env=path)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 180
    assert pq.ParquetFile("l.parquet").metadata.num_rows == len(rows)
