"""EM iterations from a given start: the kernels and little else."""

import numpy as np

from .common import (
    COVARIANCE_TYPES,
    clusters,
    fit_ours,
    fit_sklearn,
    iteration_seconds,
    median_ratio,
    seconds,
    start,
)


class Iterations:
    params = (COVARIANCE_TYPES, ["float64", "float32"])
    param_names = ("covariance_type", "dtype")

    def setup(self, covariance_type, dtype):
        self.X = clusters(20_000, 10, 10, dtype)
        self.options = start(self.X, 10, covariance_type)
        fit_ours(self.X, max_iter=1, **self.options)  # compiles

    def time_50_iterations(self, covariance_type, dtype):
        fit_ours(self.X, max_iter=50, **self.options)

    def track_speedup_over_sklearn(self, covariance_type, dtype):
        return median_ratio(
            lambda: iteration_seconds(fit_sklearn, self.X, 1, **self.options),
            lambda: iteration_seconds(fit_ours, self.X, 50, **self.options),
        )

    track_speedup_over_sklearn.unit = "times"


class ShareOfDgemm:
    """What full covariances ideally cost, over what the machine's BLAS does in that time.

    E- and M-step together take 2 n k d^2 operations where symmetry is used. Responsibilities
    that are zero cost nothing, so separated clusters may go beyond 100%.
    """

    params = (["separated", "overlapping"],)
    param_names = ("clusters",)
    unit = "%"

    def setup(self, kind):
        overlapping = kind == "overlapping"
        self.X = clusters(20_000, 64, 32, overlapping=overlapping)
        self.options = start(self.X, 32, overlapping=overlapping)
        fit_ours(self.X, max_iter=1, **self.options)  # compiles

    def track_share_of_dgemm(self, kind):
        size = 1000
        matrix = np.random.default_rng(0).random((size, size))
        operations_per_second = 2 * size**3 / min(seconds(np.dot, matrix, matrix) for _ in range(8))
        operations = 2 * 32 * self.X.size * self.X.shape[1]
        per_iteration = iteration_seconds(fit_ours, self.X, 10, **self.options)
        return 100 * operations / per_iteration / operations_per_second


class Scaling:
    """How time grows with rows and shrinks with threads."""

    unit = "times"

    def setup(self):
        self.X = clusters(1_000_000, 10, 10)
        self.options = start(self.X, 10)
        fit_ours(self.X, max_iter=1, **self.options)  # compiles

    def track_cost_of_a_row_at_a_million_over_a_tenth(self):
        tenth = self.X[: len(self.X) // 10]
        return median_ratio(
            lambda: iteration_seconds(fit_ours, self.X, 5, **self.options) / len(self.X),
            lambda: iteration_seconds(fit_ours, tenth, 50, **self.options) / len(tenth),
        )

    def track_speedup_of_two_threads(self):
        return median_ratio(
            lambda: iteration_seconds(fit_ours, self.X, 5, n_threads=1, **self.options),
            lambda: iteration_seconds(fit_ours, self.X, 5, n_threads=2, **self.options),
        )
