"""Small problems, where the calls around the kernels are what costs."""

from .common import clusters, fit_ours, fit_sklearn, iteration_seconds, median_ratio, seconds


class SmallFit:
    params = ([150, 1000],)
    param_names = ("rows",)

    def setup(self, rows):
        self.X = clusters(rows, 4, 3)
        self.options = {"n_components": 3, "max_iter": 10, "random_state": 0}
        fit_ours(self.X, **self.options)  # compiles

    def time_10_fits(self, rows):
        for _ in range(10):
            fit_ours(self.X, **self.options)

    def track_speedup_over_sklearn(self, rows):
        return median_ratio(
            lambda: seconds(fit_sklearn, self.X, **self.options),
            lambda: seconds(fit_ours, self.X, **self.options),
            rounds=9,
        )

    track_speedup_over_sklearn.unit = "times"


class Overhead:
    """An iteration over next to no data: what it costs outside the kernels."""

    unit = "us"

    def setup(self):
        self.X = clusters(20, 2, 2)
        self.options = {"n_components": 2, "random_state": 0}
        fit_ours(self.X, **self.options)  # compiles

    def track_overhead_of_an_iteration(self):
        return 1e6 * iteration_seconds(fit_ours, self.X, 2000, **self.options)
