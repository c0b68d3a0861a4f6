"""Rows that are read in blocks: a pass over a cached file against the pass over an array."""

from pathlib import Path

import numpy as np

import fastgmm

from .common import clusters, fit_ours, iteration_seconds, median_ratio, need, start

KINDS = ["npy", "parquet"]


def write(kind, X):
    """Write rows to a file in the current folder, which asv removes; return its name."""
    name = f"rows.{kind}"
    if kind == "npy":
        np.save(name, X)
        return name
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {f"c{j}": X[:, j] for j in range(X.shape[1])}
    pq.write_table(pa.table(columns), name, compression="none", use_dictionary=False)
    return name


class Blocks:
    params = (KINDS,)
    param_names = ("kind",)
    timeout = 300

    def setup(self, kind):
        need(method="predict_blocks")
        self.X = clusters(4_000_000, 10, 8)
        self.options = start(self.X, 8)
        self.name = write(kind, self.X)
        fit_ours(self.X[:5000], max_iter=1, **self.options)  # compiles

    def teardown(self, kind):
        Path(self.name).unlink()

    def time_fit(self, kind):
        fit_ours(self.name, max_iter=3, **self.options)

    def track_pass_over_memory(self, kind):
        """How many times as long as a pass over the array a pass over the file takes."""
        return median_ratio(
            lambda: iteration_seconds(fit_ours, self.name, 5, **self.options),
            lambda: iteration_seconds(fit_ours, self.X, 5, **self.options),
            rounds=5,
        )

    def time_predict_blocks(self, kind):
        mixture = fastgmm.Mixture.from_parameters(
            self.options["weights_init"],
            self.options["means_init"],
            np.linalg.inv(self.options["precisions_init"]),
            feature_names=[f"c{j}" for j in range(10)] if kind == "parquet" else None,
        )
        for _ in mixture.predict_blocks(self.name):
            pass
