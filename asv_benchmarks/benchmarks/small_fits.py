"""Small problems, where the calls around the kernels are what costs."""

from functools import cache

from .common import clusters, fit_ours, fit_sklearn, iteration_seconds, median_ratio, seconds


@cache  # asv calls setup before every sample
def prepare():
    """Return the rows and the options of a small fit, after that fit: it compiles."""
    X = clusters(900, 5, 4)
    options = {"n_components": 4, "init_params": "kmeans", "tol": 1e-3, "random_state": 0}
    fit_ours(X, **options)
    return X, options


class SmallFit:
    """A whole fit of 900 x 5 rows, four components, from a k-means start."""

    rounds, repeat, timeout = 2, (10, 30, 1.0), 300

    def setup(self):
        self.X, self.options = prepare()

    def time_20_fits(self):
        for _ in range(20):
            fit_ours(self.X, **self.options)

    def track_speedup_over_sklearn(self):
        return median_ratio(
            lambda: seconds(fit_sklearn, self.X, **self.options),
            lambda: seconds(fit_ours, self.X, **self.options),
            rounds=51,
        )

    track_speedup_over_sklearn.unit = "times"


class Overhead:
    """An iteration over next to no data: what it costs outside the kernels."""

    unit = "us"

    def setup(self):
        self.X = clusters(20, 2, 2)
        self.options = {"n_components": 2, "init_params": "kmeans", "random_state": 0}
        fit_ours(self.X, **self.options)  # compiles

    def track_overhead_of_an_iteration(self):
        return 1e6 * iteration_seconds(fit_ours, self.X, 2000, **self.options)
