"""The start alone: a fit without iterations."""

from .common import clusters, fit_ours, fit_sklearn, median_ratio, seconds


class Start:
    params = (["kmeans", "k-means++"], [(200_000, 2, 3), (100_000, 10, 10), (50_000, 64, 32)])
    param_names = ("init_params", "rows, features, components")

    def setup(self, init_params, shape):
        self.X = clusters(*shape)
        self.options = {
            "n_components": shape[2],
            "init_params": init_params,
            "max_iter": 0,
            "random_state": 0,
        }
        fit_ours(self.X, **self.options)  # compiles

    def time_start(self, init_params, shape):
        fit_ours(self.X, **self.options)

    def peakmem_start(self, init_params, shape):
        fit_ours(self.X, **self.options)

    def track_speedup_over_sklearn(self, init_params, shape):
        return median_ratio(
            lambda: seconds(fit_sklearn, self.X, **self.options),
            lambda: seconds(fit_ours, self.X, **self.options),
        )

    track_speedup_over_sklearn.unit = "times"
