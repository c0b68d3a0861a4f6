"""Rows that are read in blocks: the same sums as in memory, and sentences where they fail."""

import os
from pathlib import Path

import numpy as np
import problems
import pytest

import fastgmm
from fastgmm._errors import ReadingError
from fastgmm.em.models import MaximumLikelihood
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.readers import base, memory
from fastgmm.readers.arrays import CallableReader, NpyReader, SliceReader
from fastgmm.readers.paths import open_paths
from fastgmm.sources.array import ArraySource
from fastgmm.sources.blocks import BlockSource
from fastgmm.sources.survey import Tally, survey

pytestmark = pytest.mark.filterwarnings("ignore::fastgmm.ConvergenceWarning")
TYPES = ["full", "tied", "diag", "spherical"]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(base, "BLOCK_BYTES", 2**14)


@pytest.fixture
def problem():
    return problems.overlapping(3000, 4, 3)


def of_array(X, weight=None, n_threads=None):
    """A source that yields an array, with weights if there are any, in unequal blocks."""

    def blocks():
        for part in np.split(np.arange(len(X)), [1, 7, 900, 2000]):
            yield X[part] if weight is None else (X[part], weight[part])

    return BlockSource(CallableReader(blocks), n_threads)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_statistics_are_those_of_all_rows(problem, dtype, kind, weighted):
    X = problem.X.astype(dtype)
    weight = np.random.default_rng(0).integers(0, 4, len(X)) * 0.5 if weighted else None
    start = {"init_params": "kmeans", "max_iter": 2, "tol": 0.0, "random_state": 0}
    mixture = fastgmm.fit(X, 3, covariance_type=kind, **start)
    model = MaximumLikelihood(COVARIANCE_TYPES[kind], 1e-6)
    blocks, array = of_array(X, weight), ArraySource(X, np.empty(0) if weight is None else weight)
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    for complete in (False, True):
        ours = blocks.statistics(model, mixture._parameters, complete)
        theirs = array.statistics(model, mixture._parameters, complete)
        for a, b in zip(ours, theirs, strict=True):
            if np.ndim(b) and np.shape(b)[-2:] == (4, 4):  # only lower triangles are valid
                a, b = np.tril(a), np.tril(b)
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())
    for name in ("total_weight", "n_weighted", "effective_rows", "n_samples"):
        np.testing.assert_allclose(getattr(blocks, name), getattr(array, name))


@pytest.mark.parametrize("kind", TYPES)
def test_fits_from_the_same_start_are_equal(problem, kind):
    X = problem.X
    np.save("d.npy", X)
    start = {"weights_init": np.full(3, 1 / 3), "means_init": X[:3]}
    shape = COVARIANCE_TYPES[kind].shape(3, 4)
    ones = np.ones(shape) if len(shape) < 2 or kind == "diag" else np.broadcast_to(np.eye(4), shape)
    options = {"covariance_type": kind, "precisions_init": ones, "max_iter": 20, "tol": 1e-4}
    expected = fastgmm.fit(X, 3, **options, **start)
    mixture = fastgmm.fit("d.npy", 3, **options, **start)
    assert mixture.n_iter == expected.n_iter
    np.testing.assert_allclose(mixture.means, expected.means, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(mixture.log_likelihoods, expected.log_likelihoods, rtol=1e-12)


def test_the_bits_are_the_same_for_any_number_of_threads(problem):
    np.save("d.npy", problem.X)
    one, two = (fastgmm.fit("d.npy", 3, random_state=0, n_threads=n) for n in (1, 2))
    assert one == two


def test_answers_are_those_of_all_rows(problem):
    X = problem.X
    np.save("d.npy", X)
    mixture = fastgmm.fit(X, 3, random_state=0)
    np.testing.assert_array_equal(mixture.predict("d.npy"), mixture.predict(X))
    np.testing.assert_array_equal(mixture.predict_proba("d.npy"), mixture.predict_proba(X))
    np.testing.assert_allclose(mixture.bic("d.npy"), mixture.bic(X), rtol=1e-13)
    with pytest.raises(ValueError, match="X has 4 features but the mixture has 2"):
        fastgmm.fit(X[:, :2], 1).score("d.npy")


def test_a_selection_over_a_file(problem):
    X = problem.X
    np.save("d.npy", X)
    options = {"covariance_type": ["full", "diag"], "random_state": 0}
    ours = fastgmm.select("d.npy", [2, 3], **options)
    theirs = fastgmm.select(X, [2, 3], **options)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.log_likelihood, b.log_likelihood, rtol=1e-4)
    held_out = fastgmm.select("d.npy", [1, 3], "full", criterion="held_out", random_state=0)
    assert held_out.best.n_components == 3


def test_the_sample_is_drawn_in_proportion_to_the_weights(monkeypatch):
    from fastgmm.sources import survey as module

    X = np.repeat(np.arange(4.0), 5000)[:, None]
    weight = np.repeat([0.0, 1.0, 2.0, 3.0], 5000)
    order = np.random.default_rng(0).permutation(len(X))
    monkeypatch.setattr(module, "_SAMPLE_BYTES", 3000 * 8)
    reader = CallableReader(lambda: [(X[order], weight[order])])
    found = survey(reader.blocks(), 1, np.dtype(float))
    counts = np.bincount(found.sample[:, 0].astype(int), minlength=4)
    assert counts.sum() == 3000
    assert found.sample_weight.size == 0
    np.testing.assert_allclose(counts / 3000, [0, 1 / 6, 2 / 6, 3 / 6], atol=0.05)
    assert (found.n_rows, found.n_weighted, found.total_weight) == (20000, 15000, 30000)


def test_a_sum_of_tallies_can_be_taken_twice(problem):
    # A worker that lost a sum of tallies makes it again from tallies that are still there.
    X = problem.X
    parts = []
    for number, rows in enumerate(np.split(X, [1000])):
        tally = Tally(X.shape[1], X.dtype, number, gaps=True)
        tally.add(rows, np.empty(0))
        parts.append(tally)
    once, twice = (parts[0].with_later(parts[1]).result() for _ in range(2))
    assert once.n_rows == twice.n_rows == len(X)
    assert parts[0].result().n_rows == 1000
    np.testing.assert_array_equal(once.sample, twice.sample)


def test_a_small_source_is_its_own_sample(problem):
    weight = np.arange(3000.0)
    sample = of_array(problem.X, weight).in_memory(np.random.RandomState(0))
    kept = np.arange(2999)  # the first row has no weight
    np.testing.assert_array_equal(sample.rows(kept), problem.X[1:])
    np.testing.assert_array_equal(sample.weights(kept), weight[1:])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.nan, r"d\.npy, row 1234, has a NaN or infinite value; drop such rows"),
        (-np.inf, r"d\.npy, row 1234, has a NaN or infinite value"),
        (1e160, r"d\.npy, row 1234, has a value as large as 1e\+160"),
    ],
)
def test_values_that_are_refused_are_located(problem, value, reason):
    X = problem.X.copy()
    X[1234, 2] = value
    np.save("d.npy", X)
    with pytest.raises(ReadingError, match=reason):
        fastgmm.fit("d.npy", 2)


@pytest.mark.parametrize("value", [np.nan, -1.0, np.inf])
def test_weights_that_are_refused_are_located(problem, value):
    weight = np.ones(3000)
    weight[8] = value
    with pytest.raises(ReadingError, match=r"block 2 of X\(\), row 1, has the weight"):
        of_array(problem.X, weight)


def test_no_rows_and_no_weight_are_refused(problem):
    with pytest.raises(ReadingError, match="X has no rows"):
        BlockSource(CallableReader(lambda: [problem.X[:0]]))
    with pytest.raises(ReadingError, match="all rows have weight zero"):
        of_array(problem.X, np.zeros(3000))


def test_a_file_that_changes_between_passes_is_refused(problem):
    np.save("d.npy", problem.X)

    def touch(iteration, _):
        os.utime("d.npy", ns=(1, 10**18 + iteration))

    with pytest.raises(
        ReadingError, match=r"d\.npy has changed since it was first read; start again"
    ):
        fastgmm.fit("d.npy", 3, random_state=0, callback=touch, tol=0.0)


def test_a_function_that_yields_other_rows_is_refused(problem):
    calls = []

    def blocks():
        calls.append(1)
        yield problem.X[: 3000 - (len(calls) > 3)]

    with pytest.raises(ReadingError, match="X had 3000 rows in the first pass and has 2999 now"):
        fastgmm.fit(blocks, 3, random_state=0)


def test_names_are_kept_and_weights_may_be_a_column(problem):
    pl = pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    frame = pl.DataFrame(problem.X, schema=["a", "b", "c", "d"], orient="row")
    frame.with_columns(w=pl.Series(np.arange(3000) % 3)).write_parquet("d.parquet")
    mixture = fastgmm.fit("d.parquet", 2, sample_weight="w", random_state=0)
    assert mixture.feature_names == ("a", "b", "c", "d")
    expected = fastgmm.fit(problem.X, 2, sample_weight=np.arange(3000) % 3, random_state=0)
    np.testing.assert_allclose(mixture.means, expected.means, rtol=1e-9)
    lazy = pl.scan_parquet("d.parquet").select("a", "b", "c", "d")
    np.testing.assert_array_equal(mixture.predict(lazy), mixture.predict(frame))
    with pytest.raises(TypeError, match="sample_weight must be the name of a column"):
        fastgmm.fit("d.parquet", 2, sample_weight=np.ones(3000))


def test_large_files_of_numpy_are_read_in_blocks(problem, monkeypatch):
    from fastgmm.api import readers

    np.save("d.npy", problem.X)
    mapped = np.load("d.npy", mmap_mode="r")
    assert readers.reader_of(mapped) is None
    monkeypatch.setattr(readers, "memory_of_machine", lambda: 1e4)
    assert isinstance(readers.reader_of(mapped), SliceReader)
    assert Path("d.npy").stat().st_size > 1e4 / 2
    assert len(list(open_paths("d.npy").blocks())) > 1


def test_files_larger_than_memory_give_up_pages_that_were_used(problem, monkeypatch):
    np.save("d.npy", problem.X)
    once = fastgmm.fit("d.npy", 3, random_state=0)
    given_up = []
    plain = NpyReader._give_up
    monkeypatch.setattr(
        NpyReader, "_give_up", lambda self, *rows: given_up.append(rows) or plain(self, *rows)
    )
    monkeypatch.setattr(memory, "memory_of_machine", lambda: 1e4)
    reader = open_paths("d.npy")
    firsts = [block.first for block in reader.blocks()]
    assert len(firsts) > 4
    assert [first for first, _ in given_up] == firsts[:-2]
    assert all(last - first == firsts[1] for first, last in given_up)
    source = BlockSource(reader)
    parameters = once._parameters
    model = MaximumLikelihood(COVARIANCE_TYPES["full"], 1e-6)
    expected = ArraySource(problem.X).statistics(model, parameters)
    np.testing.assert_allclose(source.statistics(model, parameters).s2, expected.s2, rtol=1e-12)
