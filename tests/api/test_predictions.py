"""Answers for rows that are not in memory: one array, blocks, or a lazy array of Dask."""

import os

import numpy as np
import polars as pl
import problems
import pytest

import fastgmm
from fastgmm import ReadingError
from fastgmm.api import answers
from fastgmm.readers import base

PROBLEM = problems.overlapping(500, 3, 2)
X = PROBLEM.X
MIXTURE = fastgmm.Mixture.from_parameters(*PROBLEM.parameters)
NAMED = MIXTURE.with_feature_names(["a", "b", "c"])
FRAME = pl.DataFrame(X, schema=["a", "b", "c"], orient="row")
METHODS = ["predict", "predict_proba", "score_samples"]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(base, "BLOCK_BYTES", 111 * 24)


def halves():
    yield X[:200]
    yield X[200:].tolist()


@pytest.mark.parametrize("rows", [X, halves, lambda: iter([X])], ids=["array", "blocks", "once"])
def test_blocks_are_those_of_all_rows(rows):
    blocks = list(MIXTURE.predict_blocks(rows, proba=True, log_prob=True))
    assert len(blocks) == (1 if rows is X else 5)
    for name, array in zip(METHODS, map(np.concatenate, zip(*blocks, strict=True)), strict=True):
        np.testing.assert_array_equal(array, getattr(MIXTURE, name)(X))
        np.testing.assert_array_equal(getattr(MIXTURE, name)(rows), array)
    only = next(iter(MIXTURE.predict_blocks(rows)))
    assert only.proba is None
    assert only.log_prob is None


def test_one_pass_suffices():
    calls = []

    def rows():
        calls.append(1)
        yield X

    for _ in MIXTURE.predict_blocks(rows, proba=True):
        pass
    assert len(calls) == 2  # one of them to find the number of features


def test_missing_values():
    gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.3, np.nan, X)
    blocks = MIXTURE.predict_blocks(lambda: [gaps], proba=True, missing="em")
    resp = np.concatenate([block.proba for block in blocks])
    np.testing.assert_allclose(resp, MIXTURE.predict_proba(gaps, missing="em"), rtol=1e-12)


def test_columns_are_found_by_name():
    pytest.importorskip("pyarrow")
    frame = FRAME.with_columns(k=pl.lit("x")).select("k", "c", "a", "b")
    frame.write_parquet("d.parquet")
    for rows in ("d.parquet", frame.lazy()):
        np.testing.assert_array_equal(NAMED.predict(rows), MIXTURE.predict(X))
    assert NAMED.score("d.parquet") == pytest.approx(MIXTURE.score(X), rel=1e-13)
    with pytest.raises(ReadingError, match=r"column 'k' holds large_string, not numbers"):
        MIXTURE.predict("d.parquet")


def test_rows_that_are_refused(monkeypatch):
    bad = X.copy()
    bad[120, 1] = np.nan
    np.save("d.npy", bad)
    for name in METHODS:
        with pytest.raises(ReadingError, match=r"d\.npy, row 120, has a NaN or infinite value"):
            getattr(MIXTURE, name)("d.npy")
    with pytest.raises(ReadingError, match=r"X has no rows"):
        MIXTURE.predict(lambda: [X[:0]])
    with pytest.raises(ValueError, match="X has 2 features but the mixture has 3"):
        MIXTURE.predict_blocks(lambda: [X[:, :2]])
    np.save("d.npy", X)
    blocks = MIXTURE.predict_blocks("d.npy")
    next(blocks)
    os.truncate("d.npy", 5000)
    with pytest.raises(ReadingError, match=r"d\.npy has become shorter; start again"):
        list(blocks)
    monkeypatch.setattr(answers, "refuse_beyond_memory", _refuse_much)
    with pytest.raises(MemoryError, match="use predict_blocks"):
        MIXTURE.predict_proba(lambda: [X])


def _refuse_much(n_bytes, what, advice):
    if n_bytes > 8000:
        raise MemoryError(f"{what}; {advice}.")


def test_later_files_have_the_same_columns():
    pytest.importorskip("pyarrow")
    FRAME.write_parquet("0.parquet")
    FRAME.with_columns(d=pl.col("a")).write_parquet("1.parquet")
    with pytest.raises(ReadingError, match=r"1\.parquet has a column 'd' that other files do not"):
        fastgmm.fit("*.parquet", 2)
    np.testing.assert_array_equal(NAMED.predict("*.parquet"), np.tile(MIXTURE.predict(X), 2))


def of_no_use(*arguments, **options):
    raise AssertionError("computed")


def test_a_collection_of_dask_is_answered_lazily():
    da = pytest.importorskip("dask.array")
    dask = pytest.importorskip("dask")
    rows = da.from_array(X, chunks=(200, 2))
    for name in METHODS:
        expected = getattr(MIXTURE, name)(X)
        with dask.config.set(scheduler=of_no_use):
            answer = getattr(MIXTURE, name)(rows)
        assert answer.shape == expected.shape
        assert answer.dtype == expected.dtype
        assert answer.chunks[0] == (200, 200, 100)
        np.testing.assert_array_equal(answer.compute(scheduler="sync"), expected)
    few = rows[rows[:, 0] > rows[:, 0].max() - 1e-9]  # partitions without rows
    assert MIXTURE.predict(few).compute(scheduler="sync").shape == (1,)
    with pytest.raises(ValueError, match="X has 2 features but the mixture has 3"):
        MIXTURE.predict(rows[:, :2])
    bad = da.where(da.arange(500, chunks=200)[:, None] == 450, np.nan, rows)
    with pytest.raises(ReadingError, match=r"partition 2 of X: .* in row 50"):
        MIXTURE.predict(bad).compute(scheduler="sync")


def test_a_data_frame_of_dask_is_answered_lazily():
    dd = pytest.importorskip("dask.dataframe")
    frame = FRAME.to_pandas().assign(k="x")[["k", "c", "a", "b"]]
    answer = NAMED.predict_proba(dd.from_pandas(frame, npartitions=3))
    np.testing.assert_array_equal(answer.compute(scheduler="sync"), MIXTURE.predict_proba(X))
    with pytest.raises(ValueError, match="missing: 'c'"):
        NAMED.predict(dd.from_pandas(frame[["a", "b"]], npartitions=3))
