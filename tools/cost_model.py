"""How many seconds a pass of EM takes on a cluster: constants measured here, and a model.

    python tools/cost_model.py
    python tools/cost_model.py --rows 1e11 --workers 1000 --features 10 --components 10

It measures one worker's arithmetic, the reading of a file, a task of Dask, an addition and an
M-step. Then it compares the model with passes of one and of two workers here, and prints what it
says of the cluster that the options describe. Bandwidth and latency of the network are options,
because one machine cannot measure them. Needs fastgmm[dask]. It takes about a minute.
"""

from __future__ import annotations

import argparse
import logging
import math
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastgmm.em.models import MaximumLikelihood
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.model.parameters import Parameters
from fastgmm.readers.ahead import blocks_ahead
from fastgmm.readers.paths import open_paths
from fastgmm.sources.array import ArraySource
from fastgmm.sources.base import merge
from fastgmm.sources.cluster import FAN_IN

ROUNDS = 7
ROWS = 1_000_000
QUIET: dict[str, Any] = {"dashboard_address": ":0", "silence_logs": logging.CRITICAL}
SMALL = 128  # partitions of a few rows each, to time tasks


class Shape(NamedTuple):
    """A problem: rows, features, components."""

    rows: float
    features: int
    components: int

    def statistics_bytes(self) -> float:
        """Bytes of the statistics of a part: N, S1 and S2 of full covariances."""
        return 8.0 * self.components * (1 + self.features + self.features**2)

    def parameters_bytes(self) -> float:
        """Bytes of the parameters, with the factors of the covariances."""
        return 8.0 * self.components * (2 + self.features + 2 * self.features**2)


class Machine(NamedTuple):
    """Constants: seconds, and bytes a second."""

    row: float  # of one thread's pass over a row in memory, all components near it
    read: float  # bytes a second at which a cached .npy file is read ahead and added up
    task: float  # that the scheduler and the client need for a task
    start: float  # a pass over a few rows of one partition: client, scheduler and worker in turn
    add: float  # two statistics
    m_step: float


class Cluster(NamedTuple):
    """Workers with one thread each, partitions, and the network."""

    workers: int
    partitions: int
    bandwidth: float = 1e9  # bytes a second
    latency: float = 5e-4  # seconds


def cost(shape: Shape, machine: Machine, cluster: Cluster) -> dict[str, float]:
    """Return the parts of the seconds of a pass, by name; rows stay in the workers' memory.

    The arithmetic of the workers and the work of the scheduler go on at the same time, but tasks
    are not started before the client has sent them: so the parts are added.
    """
    rounds = math.ceil(cluster.partitions / cluster.workers)
    levels = tree(cluster.partitions)
    parameters = cluster.latency + shape.parameters_bytes() / cluster.bandwidth
    sums = cluster.latency + FAN_IN * shape.statistics_bytes() / cluster.bandwidth
    return {
        "arithmetic of the workers": rounds * shape.rows / cluster.partitions * machine.row,
        "start and end": machine.start,
        "tasks of the scheduler": n_tasks(cluster.partitions) * machine.task,
        "parameters to all workers": (1 + math.ceil(math.log2(cluster.workers))) * parameters,
        "tree of additions": len(levels) * (sums + (FAN_IN - 1) * machine.add),
        "M-step": machine.m_step,
    }


def tree(partitions: int) -> list[int]:
    """Return how many tasks each level of the tree of additions has."""
    levels = []
    while partitions > 1:
        partitions = math.ceil(partitions / FAN_IN)
        levels.append(partitions)
    return levels


def n_tasks(partitions: int) -> int:
    """Return the tasks of a pass: one for the parameters, one a partition, and the tree."""
    return 1 + partitions + sum(tree(partitions))


def median_time(call: Callable[[], object]) -> float:
    """Return the median of the seconds that calls take, after one that is not counted."""
    call()
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def problem(shape: Shape) -> tuple[np.ndarray, Parameters, MaximumLikelihood]:
    """Return rows that are near all components, parameters and a model."""
    n, (_, d, k) = min(int(shape.rows), ROWS), shape
    draw, kind = np.random.default_rng(0), COVARIANCE_TYPES["full"]
    covariances = np.tile(np.eye(d), (k, 1, 1))
    factors, log_det = kind.factorize(covariances, k, d)
    means = 0.1 * draw.normal(size=(k, d))
    parameters = Parameters(np.full(k, 1.0 / k), means, covariances, factors, log_det)
    return draw.normal(size=(n, d)), parameters, MaximumLikelihood(kind, 1e-6)


def measured(shape: Shape) -> Machine:
    """Return the constants of this machine."""
    X, parameters, model = problem(shape)
    rows = ArraySource(X, n_threads=1)
    sums = rows.statistics(model, parameters)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "rows.npy")
        np.save(path, X)
        reader = open_paths(path)
        reading = median_time(
            lambda: sum(float(block.values.sum()) for block in blocks_ahead(reader))
        )
    start, task = dask_seconds(shape)
    return Machine(
        row=median_time(lambda: rows.statistics(model, parameters)) / len(X),
        read=X.nbytes / reading,
        task=task,
        start=start,
        add=median_time(lambda: merge([sums, sums])),
        m_step=median_time(lambda: model.update(parameters, sums)),
    )


def seconds_on_cluster(X: np.ndarray, n_parts: int, workers: int, shape: Shape) -> float:
    """Return the median seconds of a pass over partitions on processes of this machine."""
    import dask.array as da
    import distributed

    from fastgmm.api.collections import source_of

    _, parameters, model = problem(shape)
    with (
        distributed.LocalCluster(n_workers=workers, threads_per_worker=1, **QUIET) as cluster,
        distributed.Client(cluster),
    ):
        parts = da.from_array(X, chunks=(-(-len(X) // n_parts), X.shape[1]))
        source = source_of(parts)
        return median_time(lambda: source.statistics(model, parameters))


def dask_seconds(shape: Shape) -> tuple[float, float]:
    """Return the seconds of a pass that does next to nothing, and what a further task adds."""
    X = problem(shape._replace(rows=SMALL * 8))[0]
    start, whole = (seconds_on_cluster(X, n_parts, 1, shape) for n_parts in (1, SMALL))
    return start, (whole - start) / (n_tasks(SMALL) - n_tasks(1))


def report(shape: Shape, machine: Machine, cluster: Cluster) -> float:
    """Print the parts of a pass; return their sum."""
    parts = cost(shape, machine, cluster)
    for name, seconds in sorted(parts.items(), key=lambda part: -part[1]):
        print(f"  {name:28} {seconds:12.4g} s")
    total = sum(parts.values())
    print(f"  {'together':28} {total:12.4g} s")
    return total


def main() -> None:
    """Measure, check the model here, and print what it says of a cluster."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=float, default=1e11)
    parser.add_argument("--features", type=int, default=10)
    parser.add_argument("--components", type=int, default=10)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--partitions", type=int, help="one a worker by default")
    parser.add_argument("--bandwidth", type=float, default=1e9, help="bytes a second")
    parser.add_argument("--latency", type=float, default=5e-4, help="seconds")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    shape = Shape(options.rows, options.features, options.components)
    machine = measured(shape)
    print(f"constants for {shape.features} features and {shape.components} full components:")
    print(f"  row    {1e9 * machine.row:9.1f} ns   read {machine.read / 1e9:6.2f} GB/s")
    print(f"  task   {1e6 * machine.task:9.1f} us   add  {1e6 * machine.add:6.1f} us")
    print(f"  M-step {1e6 * machine.m_step:9.1f} us   start {1e3 * machine.start:5.1f} ms")
    X = problem(shape)[0]
    here = shape._replace(rows=len(X))
    for workers in (1, 2):
        said = sum(cost(here, machine, Cluster(workers, 2 * workers, latency=0.0)).values())
        took = seconds_on_cluster(X, 2 * workers, workers, shape)
        print(f"{workers} workers here, {len(X)} rows: {took:.4f} s, the model says {said:.4f} s")
    workers, partitions = options.workers, options.partitions or options.workers
    print(f"{shape.rows:.3g} rows in {partitions} partitions on {workers} workers:")
    report(shape, machine, Cluster(workers, partitions, options.bandwidth, options.latency))
    print(f"  memory of a worker {8e-9 * shape.rows * shape.features / workers:.3g} GB of rows")
    disk = 8.0 * shape.rows * shape.features / workers / machine.read
    print(f"  reading its rows again from a cached file {disk:.3g} s")


if __name__ == "__main__":
    main()
