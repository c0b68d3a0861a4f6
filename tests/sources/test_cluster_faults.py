"""Workers of Dask that come, die or lack memory, and clients that leave, in the middle of a fit.

The workers are processes without a nanny, which would start a dead one again, unless a test asks
for one.
"""

import subprocess
import sys
import warnings
from contextlib import ExitStack, contextmanager

import problems
import pytest

import fastgmm
from fastgmm.sources import cluster as cluster_source

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

pytestmark = [
    pytest.mark.filterwarnings("ignore::fastgmm.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*:pytest.PytestUnraisableExceptionWarning"),
]
OPTIONS = {"random_state": 0, "max_iter": 8, "tol": 0.0, "init_params": "kmeans"}
ROWS = da.from_array(problems.overlapping(4000, 3, 3).X, chunks=(700, 3))


@contextmanager
def scheduler():
    """Start a scheduler without workers; yield a client of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with (
            dask.config.set({"distributed.scheduler.allowed-failures": 0}),
            distributed.LocalCluster(n_workers=0, dashboard_address=":0") as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client


@contextmanager
def workers(client, count, *options):
    """Start processes that work for the scheduler of a client; end them at last."""
    command = [sys.executable, "-m", "distributed.cli.dask_worker", client.scheduler.address]
    command += ["--nthreads", "1", "--no-dashboard", *(options or ["--no-nanny"])]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    n_before = len(client.scheduler_info(n_workers=-1)["workers"])
    started = [subprocess.Popen(command, **quiet) for _ in range(count)]
    try:
        client.wait_for_workers(n_before + count, timeout=60)
        yield started
    finally:
        for worker in started:
            worker.terminate()
        for worker in started:
            try:
                worker.wait(10)
            except subprocess.TimeoutExpired:  # Dask's worker does not always end when asked to
                worker.kill()
                worker.wait(30)


@pytest.fixture(scope="module")
def cluster():
    """A client and two workers."""
    with scheduler() as client, workers(client, 2) as started:
        yield client, started


def test_workers_that_come_and_die_change_no_bit(cluster):
    client, (first, _) = cluster
    expected = fastgmm.fit(ROWS, 3, **OPTIONS)
    events = []

    def happen(iteration, _):
        if iteration == 2:
            stack.enter_context(workers(client, 1))
            events.append("one came")
        if iteration == 5:
            first.kill()
            events.append(first.wait(30))

    with ExitStack() as stack:
        assert fastgmm.fit(ROWS, 3, callback=happen, **OPTIONS) == expected
    assert events == ["one came", -9]


def test_a_client_that_disconnects(cluster):
    client, _ = cluster

    def leave(iteration, _):
        if iteration == 2:
            leaving.close()

    with (
        distributed.Client(client.scheduler.address) as leaving,
        leaving.as_current(),
        pytest.raises(fastgmm.ReadingError, match="the client lost its connection"),
    ):
        fastgmm.fit(ROWS, 3, callback=leave, **OPTIONS)


def test_a_client_that_disconnects_in_the_middle_of_a_watched_pass(cluster, monkeypatch):
    client, _ = cluster
    submit = cluster_source.ClusterSource._tree
    left = []

    def leave(source, add, futures):
        future = submit(source, add, futures)
        if source.n_passes == 3 and not left:
            leaving.close()
            left.append(True)
        return future

    monkeypatch.setattr(cluster_source.ClusterSource, "_tree", leave)
    with (
        distributed.Client(client.scheduler.address) as leaving,
        leaving.as_current(),
        pytest.raises(fastgmm.ReadingError, match="the client lost its connection"),
    ):
        fastgmm.fit(ROWS, 3, progress=True, **OPTIONS)
    assert left


def test_partitions_that_are_too_large_for_a_worker():
    large = da.concatenate([ROWS, da.ones((20_000_000, 3), chunks=-1)])  # 480 MB
    sentence = (
        r"died again and again while they loaded partitions [\d, ]+ of X; these may be too large"
    )
    with (
        scheduler() as client,
        workers(client, 1, "--nanny", "--memory-limit", "400MB"),
        pytest.raises(fastgmm.ReadingError, match=sentence),
    ):
        fastgmm.fit(large, 3, **OPTIONS)
