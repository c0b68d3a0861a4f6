"""Collections of Dask, with workers that are real processes, and one of them is killed."""

import os
import signal
import warnings

import numpy as np
import problems
import pytest

import fastgmm

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

pytestmark = [
    pytest.mark.filterwarnings("ignore::fastgmm.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*:pytest.PytestUnraisableExceptionWarning"),
]
OPTIONS = {"random_state": 0, "max_iter": 12, "tol": 0.0, "init_params": "kmeans"}


@pytest.fixture(scope="module")
def client():
    """Two workers, each a process with one thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, dashboard_address=":0"
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client


@pytest.fixture
def X():
    return problems.overlapping(4000, 3, 3).X


def collection(X, rows=700):
    return da.from_array(X, chunks=(rows, 2))


def test_a_fit_is_that_in_memory(client, X):
    start = {"weights_init": np.full(3, 1 / 3), "means_init": X[:3]}
    start["precisions_init"] = np.broadcast_to(np.eye(3), (3, 3, 3))
    expected = fastgmm.fit(X, 3, **OPTIONS, **start)
    mixture = fastgmm.fit(collection(X), 3, **OPTIONS, **start)
    np.testing.assert_allclose(mixture.means, expected.means, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(mixture.log_likelihoods, expected.log_likelihoods, rtol=1e-12)
    np.testing.assert_allclose(mixture.score(collection(X)), expected.score(X), rtol=1e-12)
    np.testing.assert_array_equal(mixture.predict(collection(X)), expected.predict(X))


def test_a_killed_worker_changes_no_bit(client, X):
    expected = fastgmm.fit(collection(X), 3, **OPTIONS)
    assert expected.n_iter == 12
    killed = []

    def kill(iteration, _):
        if iteration == 4:
            worker = next(iter(client.run(os.getpid).values()))
            os.kill(worker, signal.SIGKILL)
            killed.append(worker)

    assert fastgmm.fit(collection(X), 3, callback=kill, **OPTIONS) == expected
    assert killed
    client.wait_for_workers(2, timeout=60)


def test_a_fit_that_was_killed_goes_on(client, X, tmp_path, monkeypatch, capsys):
    from fastgmm.api import progress

    class Killed(BaseException):
        pass

    def kill(iteration, _):
        if iteration == 5:
            raise Killed

    expected = fastgmm.fit(collection(X), 3, **OPTIONS)
    options = OPTIONS | {"checkpoint": tmp_path / "fit.npz"}
    with pytest.raises(Killed):
        fastgmm.fit(collection(X), 3, callback=kill, **options)
    monkeypatch.setattr(progress, "_LOG_SECONDS", 0.0)
    mixture = fastgmm.fit(collection(X), 3, progress=True, **options)
    assert mixture == expected
    assert mixture.n_passes == expected.n_passes + 1 == 14
    assert " 100% of a pass at " in capsys.readouterr().err


def test_the_number_of_workers_changes_no_bit(client, X):
    both = fastgmm.fit(collection(X), 3, **OPTIONS)
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as other,
        other.as_current(),
    ):
        assert fastgmm.fit(collection(X), 3, **OPTIONS) == both


def test_frames_weights_and_names(client, X):
    pd = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    weight = np.arange(4000) % 4
    expected = fastgmm.fit(frame, 2, sample_weight=weight, **OPTIONS)
    weighted = dd.from_pandas(frame.assign(w=weight), npartitions=3)
    mixture = fastgmm.fit(weighted, 2, sample_weight="w", **OPTIONS)
    assert mixture.feature_names == ("a", "b", "c")
    np.testing.assert_allclose(mixture.means, expected.means, rtol=1e-9)
    weights = da.from_array(weight, chunks=700)
    same = fastgmm.fit(collection(X), 2, sample_weight=weights, **OPTIONS)
    np.testing.assert_allclose(same.means, expected.means, rtol=1e-9)
    with pytest.raises(fastgmm.ReadingError, match="column 'k' of X holds"):
        fastgmm.fit(dd.from_pandas(frame.assign(k="x"), npartitions=2), 2)
    with pytest.raises(fastgmm.ReadingError, match="must be a collection of Dask with the 6 part"):
        fastgmm.fit(collection(X), 2, sample_weight=weight)


def with_gaps(X):
    """Return a copy with gaps, a row without any value, and a complete second partition."""
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    X[3] = np.nan
    X[700:1400] = np.nan_to_num(X[700:1400])
    return X


def assert_gaps_are_fitted(X, rows):
    """Compare fits, criteria and answers of a collection with those of its rows in memory."""
    start = {"weights_init": np.full(3, 1 / 3), "means_init": np.nan_to_num(X[:3])}
    start["precisions_init"] = np.broadcast_to(np.eye(3), (3, 3, 3))
    for weight in (None, np.arange(len(X)) % 3 + 1.0):
        options = {"missing": "em", "max_iter": 12, "tol": 0.0, **start}
        expected = fastgmm.fit(X, 3, sample_weight=weight, **options)
        weights = None if weight is None else da.from_array(weight, chunks=rows)
        mixture = fastgmm.fit(collection(X, rows), 3, sample_weight=weights, **options)
        np.testing.assert_allclose(mixture.means, expected.means, rtol=1e-10)
        np.testing.assert_allclose(mixture.log_likelihoods, expected.log_likelihoods, rtol=1e-12)
    bic = expected.bic(X, missing="em")
    np.testing.assert_allclose(expected.bic(collection(X, rows), missing="em"), bic, rtol=1e-12)
    labels = expected.predict(collection(X, rows), missing="em")
    np.testing.assert_array_equal(labels, expected.predict(X, missing="em"))
    found = fastgmm.fit(collection(X, rows), 3, missing="em", **OPTIONS)
    assert np.isfinite(found.log_likelihood)
    unknown = X.copy()
    unknown[:, 1] = np.nan
    with pytest.raises(ValueError, match="no value of feature 1 in any row"):
        fastgmm.fit(collection(unknown, rows), 2, missing="em")


def test_missing_values_on_a_cluster(client, X):
    assert_gaps_are_fitted(with_gaps(X), 700)
    pd = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame(with_gaps(X), columns=["a", "b", "c"]).astype("Float64")
    options = {"missing": "em", **OPTIONS}
    mixture = fastgmm.fit(dd.from_pandas(frame, npartitions=3), 2, **options)
    expected = fastgmm.fit(frame, 2, **options)
    np.testing.assert_allclose(mixture.means, expected.means, rtol=1e-6)
    with pytest.raises(fastgmm.ReadingError, match="or use them as they are with missing='em'"):
        fastgmm.fit(dd.from_pandas(frame, npartitions=3), 2)


def failing(block, block_info=None):
    if block_info[0]["chunk-location"][0] == 2:
        raise OSError("no such tape")
    return block


def test_partitions_that_fail_are_named(client, X):
    broken = collection(X).map_blocks(failing, dtype=float, meta=np.empty((0, 0)))
    with pytest.raises(
        fastgmm.ReadingError, match=r"partition 2 of X cannot be loaded: OSError: no"
    ):
        fastgmm.fit(broken, 2)
    X = X.copy()
    X[1500, 1] = np.nan
    with pytest.raises(fastgmm.ReadingError, match="partition 2 of X, row 100, has a NaN or inf"):
        fastgmm.fit(collection(X), 2)


def test_a_selection_on_a_cluster(client, X):
    options = {"covariance_type": ["diag"], "random_state": 0, "criterion": "held_out", "tol": 1e-3}
    ours = fastgmm.select(collection(X), [1, 3], n_folds=2, **options)
    theirs = fastgmm.select(X, [1, 3], n_folds=2, **options)
    assert ours.winner.name == theirs.winner.name
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.held_out, b.held_out, atol=0.02)


def test_without_a_client_partitions_are_computed_in_turn(X, monkeypatch):
    from fastgmm.api import collections

    monkeypatch.setattr(collections, "_current_client", lambda: None)
    mixture = fastgmm.fit(collection(X), 3, **OPTIONS)
    np.testing.assert_allclose(mixture.means, fastgmm.fit(X, 3, **OPTIONS).means, rtol=1e-9)
    assert_gaps_are_fitted(with_gaps(X), 700)
    broken = collection(X).map_blocks(failing, dtype=float, meta=np.empty((0, 0)))
    with pytest.raises(
        fastgmm.ReadingError, match=r"partition 2 of X cannot be loaded: OSError: no"
    ):
        fastgmm.fit(broken, 2)
