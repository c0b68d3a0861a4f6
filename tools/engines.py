"""The time of an EM iteration on several engines of this machine, from the same mixture.

    python tools/engines.py
    python tools/engines.py --rows 1e6 --spark-rows 1e5 --features 5 --components 4 --rounds 3

The engines are:

- this library in memory, in one process with two threads;
- this library on a Dask cluster of two processes with one thread each;
- this library in the tasks of Spark under local[2], as in examples/fit_with_spark.py;
- the GaussianMixture of Spark MLlib under local[2].

Engines whose packages are missing are left out: fastgmm[dask], and pyspark with Java 17. The
components are full and overlap. MLlib accepts no start and makes its own. Its iterations take the
same time from any start. The engines take turns in each round, and the median of the rounds is
printed. Rows are loaded before the first round.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import pickle
import shutil
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from typing import Any, NamedTuple

import numpy as np

import fastgmm

N_ITER = 5  # of a round, after one that is not counted
SPREAD = 1.0  # standard deviation of the means of the components, in those of a component
PART_ROWS = 1_000_000  # 80 MB with 10 features; chunks that Dask chooses have up to 128 MiB


class Shape(NamedTuple):
    rows: int
    features: int
    components: int


def part(number: int, shape: Shape) -> np.ndarray:
    """Return a part of the rows, the same every time."""
    centers = SPREAD * np.random.default_rng(0).normal(size=(shape.components, shape.features))
    draw = np.random.default_rng([1, number])
    n_rows = min(PART_ROWS, shape.rows - number * PART_ROWS)
    labels = draw.integers(shape.components, size=n_rows)
    return draw.normal(size=(n_rows, shape.features)) + centers[labels]


def n_parts(shape: Shape) -> int:
    return -(-shape.rows // PART_ROWS)


def all_rows(shape: Shape) -> np.ndarray:
    return np.concatenate([part(number, shape) for number in range(n_parts(shape))])


def start(shape: Shape) -> dict[str, np.ndarray]:
    """Return starting values: some rows, and unit covariances."""
    _, d, k = shape
    covariances = np.broadcast_to(np.eye(d), (k, d, d))
    means = part(0, shape)[:k]
    return {
        "weights_init": np.full(k, 1 / k),
        "means_init": means,
        "precisions_init": covariances,
    }


def seconds_of_fit(X: Any, shape: Shape, n_threads: int | None) -> float:
    """Return the seconds of an iteration of `fastgmm.fit`."""
    times: list[float] = []
    fastgmm.fit(
        X,
        shape.components,
        **start(shape),
        tol=0.0,
        max_iter=1 + N_ITER,
        n_threads=n_threads,
        callback=lambda *_: times.append(time.perf_counter()),
    )
    return (times[-1] - times[0]) / N_ITER


def in_memory(shape: Shape, stack: ExitStack) -> Callable[[], float]:
    X = all_rows(shape)
    return lambda: seconds_of_fit(X, shape, 2)


def on_dask(shape: Shape, stack: ExitStack) -> Callable[[], float]:
    import dask.array as da
    import distributed

    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL
    )
    stack.enter_context(cluster)
    stack.enter_context(distributed.Client(cluster))
    sizes = tuple(
        len(range(shape.rows)[i : i + PART_ROWS]) for i in range(0, shape.rows, PART_ROWS)
    )

    def block(block_info: Any = None) -> np.ndarray:
        return part(block_info[None]["chunk-location"][0], shape)

    X = da.map_blocks(block, chunks=(sizes, (shape.features,)), dtype=float).persist()
    distributed.wait(X)
    return lambda: seconds_of_fit(X, shape, None)


def spark_session(stack: ExitStack) -> Any:
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master("local[2]").config("spark.driver.memory", "4g")
    spark = builder.config("spark.ui.showConsoleProgress", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    stack.callback(spark.stop)
    return spark


def spark_frame(shape: Shape, stack: ExitStack) -> Any:
    """Return a data frame with the rows in columns c0, c1 and so on, one task for each part."""
    import pyarrow as pa

    names = [f"c{j}" for j in range(shape.features)]

    def load(batches: Any) -> Any:
        for batch in batches:
            for number in batch.column("id").to_pylist():
                columns = list(np.ascontiguousarray(part(number, shape).T))
                yield pa.RecordBatch.from_arrays([pa.array(c) for c in columns], names=names)

    numbers = spark_session(stack).range(0, n_parts(shape), 1, n_parts(shape))
    return numbers.mapInArrow(load, ", ".join(f"{name} double" for name in names))


def in_spark_tasks(shape: Shape, stack: ExitStack) -> Callable[[], float]:
    import pyarrow as pa

    frame = spark_frame(shape, stack).cache()
    frame.count()
    first = {**start(shape), "max_iter": 1, "tol": 0.0}
    mixture = fastgmm.fit(part(0, shape), shape.components, **first)

    def one_pass(mixture: fastgmm.Mixture) -> fastgmm.Statistics:
        def of_partition(batches: Any) -> Any:
            total = fastgmm.Statistics.none()
            for batch in batches:
                X = np.column_stack(batch.columns)
                total = total + fastgmm.statistics(X, mixture, n_threads=1)
            yield pa.RecordBatch.from_pydict({"part": [pickle.dumps(total)]})

        parts = frame.mapInArrow(of_partition, "part binary").collect()
        return sum((pickle.loads(row.part) for row in parts), start=fastgmm.Statistics.none())

    def seconds() -> float:
        now = mixture.updated(one_pass(mixture))
        begin = time.perf_counter()
        for _ in range(N_ITER):
            now = now.updated(one_pass(now))
        return (time.perf_counter() - begin) / N_ITER

    return seconds


def in_mllib(shape: Shape, stack: ExitStack) -> Callable[[], float]:
    from pyspark.ml.clustering import GaussianMixture
    from pyspark.ml.feature import VectorAssembler

    frame = spark_frame(shape, stack)
    assembler = VectorAssembler(inputCols=frame.columns, outputCol="features")
    vectors = assembler.transform(frame).select("features").cache()
    vectors.count()

    def seconds_of(n_iter: int) -> float:
        begin = time.perf_counter()
        GaussianMixture(k=shape.components, tol=0.0, maxIter=n_iter, seed=0).fit(vectors)
        return time.perf_counter() - begin

    # The fit also makes a start and sums up the result: both fits do so.
    return lambda: (seconds_of(1 + N_ITER) - seconds_of(1)) / N_ITER


def is_there(*modules: str) -> bool:
    return all(importlib.util.find_spec(module) is not None for module in modules)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=float, default=1e7)
    parser.add_argument("--spark-rows", type=float, default=1e6)
    parser.add_argument("--features", type=int, default=10)
    parser.add_argument("--components", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    shape = Shape(int(options.rows), options.features, options.components)
    small = shape._replace(rows=int(options.spark_rows))
    engines = [("in memory, two threads", in_memory, shape)]
    if is_there("dask", "distributed"):
        engines.append(("Dask, two processes", on_dask, shape))
    if is_there("pyspark", "pyarrow", "pandas") and shutil.which("java"):
        engines.append(("in memory, two threads", in_memory, small))
        engines.append(("in Spark's tasks, local[2]", in_spark_tasks, small))
        engines.append(("Spark MLlib, local[2]", in_mllib, small))
    with ExitStack() as stack:
        runs = [make(size, stack) for _, make, size in engines]
        seconds = [[run() for run in runs] for _ in range(1 + options.rounds)][1:]
    print(f"{shape.features} features, {shape.components} components, {options.rounds} rounds")
    print(f"{'engine':28} {'rows':>10} {'ms an iteration':>16} {'ns a row':>9} {'ratio':>6}")
    memory = {}  # seconds in memory, by the number of rows
    for (name, _, size), times in zip(engines, zip(*seconds, strict=True), strict=True):
        middle = median(times)
        memory.setdefault(size.rows, middle)
        print(
            f"{name:28} {size.rows:10} {1e3 * middle:16.1f} {1e9 * middle / size.rows:9.1f}"
            f" {middle / memory[size.rows]:6.2f}"
        )


if __name__ == "__main__":
    main()
