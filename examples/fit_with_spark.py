"""EM over the partitions of a Spark data frame: only the statistics come back.

    python examples/fit_with_spark.py

Needs pyspark, pyarrow and Java 17.
"""

import os
import pickle
import sys

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

import fastgmm

os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # the workers' Python has fastgmm, too
spark = SparkSession.builder.master("local[2]").appName("mixture").getOrCreate()
draw = np.random.default_rng(0)
centers = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])
rows = draw.normal(size=(100_000, 2)) + centers[draw.integers(3, size=100_000)]
frame = spark.createDataFrame(pa.table({"a": rows[:, 0], "b": rows[:, 1]})).repartition(8).cache()


def one_pass(mixture):
    """Return the statistics of all rows under a mixture."""

    def of_partition(batches):
        total = fastgmm.Statistics.none()
        for batch in batches:
            X = np.column_stack([batch.column(name) for name in ("a", "b")])
            total = total + fastgmm.statistics(X, mixture, n_threads=1)
        yield pa.RecordBatch.from_pydict({"part": [pickle.dumps(total)]})

    parts = frame.mapInArrow(of_partition, "part binary").collect()
    return sum((pickle.loads(row.part) for row in parts), start=fastgmm.Statistics.none())


few = np.array(frame.sample(0.02, seed=0).collect())
mixture, before = fastgmm.fit(few, 3, random_state=0), -np.inf
for _ in range(100):
    mixture = mixture.updated(one_pass(mixture))
    if abs(mixture.log_likelihoods[-1] - before) < 1e-5:
        break
    before = mixture.log_likelihoods[-1]

print(f"log-likelihood a row {before:.4f}")
print(np.round(mixture.means[np.argsort(mixture.means @ [1.0, 2.0])], 2))
spark.stop()
