"""The start alone: a fit without iterations."""

from .common import clusters, fit_ours, fit_sklearn, median_ratio, seconds


class Start:
    params = (["kmeans", "k-means++"],)
    param_names = ("init_params",)

    def setup(self, init_params):
        self.X = clusters(100_000, 10, 10)
        self.options = {
            "n_components": 10,
            "init_params": init_params,
            "max_iter": 0,
            "random_state": 0,
        }
        fit_ours(self.X, **self.options)  # compiles

    def time_start(self, init_params):
        fit_ours(self.X, **self.options)

    def peakmem_start(self, init_params):
        fit_ours(self.X, **self.options)

    def track_speedup_over_sklearn(self, init_params):
        return median_ratio(
            lambda: seconds(fit_sklearn, self.X, **self.options),
            lambda: seconds(fit_ours, self.X, **self.options),
        )

    track_speedup_over_sklearn.unit = "times"
