"""Readers yield the rows of files and other places in blocks, or say what is wrong and where."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fastgmm._errors import ReadingError
from fastgmm.readers import arrays, base
from fastgmm.readers.ahead import blocks_ahead
from fastgmm.readers.arrays import CallableReader, SliceReader
from fastgmm.readers.paths import files_of, open_paths

pa = pytest.importorskip("pyarrow")
ROWS = np.arange(60.0).reshape(20, 3) ** 2
FRAME = pl.DataFrame(ROWS, schema=["a", "b", "c"], orient="row")


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(base, "BLOCK_BYTES", 7 * 24)  # seven rows


def write(name, frame=FRAME):
    match name.rpartition(".")[2]:
        case "parquet":
            frame.write_parquet(name, row_group_size=11)
        case "arrow":
            frame.write_ipc(name)
        case "csv":
            frame.write_csv(name)
        case "npy":
            np.save(name, frame.to_numpy())
    return name


def rows_of(reader):
    blocks = list(reader.blocks())
    for block in blocks:
        assert block.values.dtype == reader.dtype
        assert block.values.flags.c_contiguous
    return np.concatenate([block.values for block in blocks])


@pytest.mark.parametrize("kind", ["parquet", "arrow", "csv", "npy"])
def test_files(kind):
    reader = open_paths(write(f"d.{kind}"))
    np.testing.assert_array_equal(rows_of(reader), ROWS)
    np.testing.assert_array_equal(rows_of(reader), ROWS)  # anew
    assert reader.names == (None if kind == "npy" else ("a", "b", "c"))
    assert max(len(block.values) for block in reader.blocks()) <= 20


def test_patterns_folders_and_lists():
    os.mkdir("parts")
    for i in range(3):
        write(f"parts/p{i}.parquet", FRAME[i * 5 : i * 5 + 5])
    write("more.csv", FRAME[15:])
    for paths in (["parts", "more.csv"], ["parts/*.parquet", "more.csv"], ["parts/p*", "more.*"]):
        np.testing.assert_array_equal(rows_of(open_paths(paths)), ROWS)
    assert [file.name for file in files_of("parts")] == ["p0.parquet", "p1.parquet", "p2.parquet"]


def test_columns_in_another_order_are_found_by_name():
    write("a.parquet", FRAME[:9])
    write("b.parquet", FRAME[9:].select("c", "a", "b"))
    np.testing.assert_array_equal(rows_of(open_paths(["a.parquet", "b.parquet"])), ROWS)


@pytest.mark.parametrize("kind", ["parquet", "arrow", "csv"])
def test_weights_are_a_column(kind):
    reader = open_paths(write(f"d.{kind}"), weight="b")
    assert reader.names == ("a", "c")
    weights = np.concatenate([block.weight for block in reader.blocks()])
    np.testing.assert_array_equal(weights, ROWS[:, 1])


def test_types_of_numbers():
    frame = pl.DataFrame({"a": [1, 2, None], "b": [True, False, True], "c": [0.5, 1.5, 2.5]})
    expected = [[1, 1, 0.5], [2, 0, 1.5], [np.nan, 1, 2.5]]
    for kind in ("parquet", "arrow"):
        np.testing.assert_array_equal(rows_of(open_paths(write(f"d.{kind}", frame))), expected)
    single = FRAME.cast(pl.Float32)
    assert open_paths(write("s.parquet", single)).dtype == np.float32
    assert open_paths(write("s.npy", single)).dtype == np.float32


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        ("none.csv", "there is no file none.csv, and no file matches it as a pattern"),
        ("*.feather", r"there is no file \*.feather"),
        ("folder", "the folder folder has no file that ends in .parquet"),
        ("d.txt", "d.txt: the name must end in .parquet"),
        ("empty.parquet", "empty.parquet is empty; remove it"),
        ("text.parquet", "text.parquet: column 'k' holds .*string, not numbers; leave it out"),
        ("cut.parquet", "cut.parquet cannot be read: "),
        ("cut.npy", "cut.npy is not a .npy file of numbers, or is damaged"),
        (["d.csv", "two.csv"], "two.csv has no column 'c'; it has a, b"),
        (["d.npy", "two.npy"], "two.npy has 2 columns but d.npy has 3"),
    ],
)
def test_files_that_are_refused(paths, reason):
    os.mkdir("folder")
    write("d.csv")
    write("d.npy")
    write("two.csv", FRAME.drop("c"))
    write("two.npy", FRAME.drop("c"))
    write("text.parquet", FRAME.with_columns(k=pl.lit("x")))
    for name in ("cut.parquet", "cut.npy"):
        Path(write(name)).write_bytes(Path(name).read_bytes()[:-30])
    Path("d.txt").write_text("a\n1\n")
    Path("empty.parquet").touch()
    with pytest.raises(ReadingError, match=reason):
        open_paths(paths)


def test_text_far_down_in_a_csv_file_is_told():
    text = "a,b\n" + "1,2\n" * 5 + "1,x\n"
    Path("d.csv").write_text(text)
    with pytest.raises(
        ReadingError, match=r"d\.csv: column 'b' holds string|d\.csv cannot be read"
    ):
        list(open_paths("d.csv").blocks())


def test_arrays_that_are_sliced():
    h5py = pytest.importorskip("h5py")
    with h5py.File("d.h5", "w") as file:
        file.create_dataset("x", data=ROWS, chunks=(4, 3))
        file.create_dataset("k", data=np.arange(20), chunks=True)
    with h5py.File("d.h5") as file:
        np.testing.assert_array_equal(rows_of(SliceReader(file["x"])), ROWS)
        sizes = [len(block.values) for block in SliceReader(file["x"]).blocks()]
        assert sizes == [4] * 5  # whole chunks
        assert SliceReader(file["k"]).n_features == 1


def test_a_function_that_yields_blocks():
    def blocks():
        yield ROWS[:3], np.ones(3)
        yield ROWS[3:].tolist(), np.arange(17)

    reader = CallableReader(blocks)
    np.testing.assert_array_equal(rows_of(reader), ROWS)
    weights = np.concatenate([block.weight for block in reader.blocks()])
    np.testing.assert_array_equal(weights, [1, 1, 1, *range(17)])
    assert [block.where(0) for block in reader.blocks()][:2] == [
        "block 0 of X(), row 0",
        "block 1 of X(), row 0",
    ]


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [
        ([], r"X\(\) yields no block of rows"),
        ([ROWS, ROWS[:, :2]], r"block 1 of X\(\) has 2 features but the first block has 3"),
        ([ROWS[None]], r"block 0 of X\(\) must be an array .* 3 dimensions of float64"),
        ([np.array([["x"]])], "real numbers, not of 2 dimensions of <U1"),
        ([(ROWS, np.ones(3))], r"has 20 rows but weights of shape \(3,\)"),
    ],
)
def test_blocks_that_are_refused(blocks, reason):
    with pytest.raises(ReadingError, match=reason):
        list(CallableReader(lambda: blocks).blocks())


def test_lazy_frames_and_datasets():
    dataset = pytest.importorskip("pyarrow.dataset")
    from fastgmm.readers.tables import DatasetReader, LazyFrameReader

    write("d.parquet")
    np.testing.assert_array_equal(rows_of(LazyFrameReader(FRAME.lazy())), ROWS)
    projected = FRAME.lazy().select("b", x=pl.col("a") + 1)
    np.testing.assert_array_equal(rows_of(LazyFrameReader(projected))[:, 1], ROWS[:, 0] + 1)
    reader = DatasetReader(dataset.dataset("d.parquet"), weight="a")
    np.testing.assert_array_equal(rows_of(reader), ROWS[:, 1:])


def test_reading_ahead_gives_the_same_blocks_and_errors():
    reader = open_paths(write("d.parquet"))
    np.testing.assert_array_equal(np.concatenate([b.values for b in blocks_ahead(reader)]), ROWS)

    def failing():
        yield ROWS
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(blocks_ahead(CallableReader(failing)))
    blocks = blocks_ahead(reader)
    next(blocks)
    blocks.close()  # the thread ends


def test_blocks_of_the_last_module_are_small():
    """The tests above replace the size of blocks."""
    assert arrays.rows_of_block(3) == 7
