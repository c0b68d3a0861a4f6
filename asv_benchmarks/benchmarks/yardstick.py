"""The yardstick: one EM iteration on ten kinds of data, in seconds and over scikit-learn's."""

from functools import cache

from .common import clusters, fit_ours, fit_sklearn, iteration_seconds, median_ratio, start

ROWS = {
    # name: samples, features, components, covariance type, dtype, overlapping, iterations timed
    "A 1000000x2 K=3 full": (1_000_000, 2, 3, "full", "float64", False, 20),
    "B 1000000x10 K=10 full": (1_000_000, 10, 10, "full", "float64", False, 5),
    "C 200000x16 K=16 full": (200_000, 16, 16, "full", "float64", False, 10),
    "D 100000x64 K=32 full": (100_000, 64, 32, "full", "float64", False, 5),
    "E 200000x64 K=64 diag": (200_000, 64, 64, "diag", "float64", False, 5),
    "F 200000x16 K=16 tied": (200_000, 16, 16, "tied", "float64", False, 10),
    "G 1000000x10 K=10 spherical": (1_000_000, 10, 10, "spherical", "float64", False, 5),
    "I 1000000x10 K=10 full float32": (1_000_000, 10, 10, "full", "float32", False, 5),
    "O 50000x64 K=32 full overlapping": (50_000, 64, 32, "full", "float64", True, 5),
    "P 200000x16 K=16 full overlapping": (200_000, 16, 16, "full", "float64", True, 5),
}


@cache
def prepare(row):
    """Return the rows, the start and the iterations to time, after a fit of that length."""
    n_samples, n_features, n_components, covariance_type, dtype, overlapping, timed = ROWS[row]
    X = clusters(n_samples, n_features, n_components, dtype, overlapping)
    options = start(X, n_components, covariance_type, overlapping)
    fit_ours(X, max_iter=1 + timed, **options)  # compiles all that the fits below run
    return X, options, timed


class Iteration:
    """One iteration: what a fit of several takes longer than a fit of one, over their number."""

    params = (list(ROWS),)
    param_names = ("row",)
    number, warmup_time, timeout = 1, 0, 300
    rounds, repeat = 2, (4, 8, 1.0)  # eight samples at least: asv's test needs seven

    def setup(self, row):
        self.X, self.options, self.timed = prepare(row)
        self.iterated = 0.0

    def timer(self):
        """Return the seconds of iterations so far: asv's clock for this class."""
        return self.iterated

    def time_iteration(self, row):
        taken = iteration_seconds(fit_ours, self.X, self.timed, **self.options)
        self.iterated += max(taken, 1e-9)

    def track_speedup_over_sklearn(self, row):
        """On a tenth of the rows: an iteration of scikit-learn takes up to ten seconds on all."""
        few = self.X[: max(len(self.X) // 10, 10 * self.options["n_components"])]
        return median_ratio(
            lambda: iteration_seconds(fit_sklearn, few, 2, **self.options),
            lambda: iteration_seconds(fit_ours, few, 4 * self.timed, **self.options),
        )

    track_speedup_over_sklearn.unit = "times"
