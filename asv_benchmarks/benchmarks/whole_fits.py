"""Whole fits as users call them, from a k-means start of the same seed."""

from .common import COVARIANCE_TYPES, clusters, fit_ours, fit_sklearn, median_ratio, seconds


class WholeFit:
    params = (COVARIANCE_TYPES,)
    param_names = ("covariance_type",)

    def setup(self, covariance_type):
        self.X = clusters(20_000, 10, 10)
        self.options = {
            "n_components": 10,
            "covariance_type": covariance_type,
            "max_iter": 10,
            "random_state": 0,
        }
        fit_ours(self.X, **self.options)  # compiles

    def time_fit(self, covariance_type):
        fit_ours(self.X, **self.options)

    def track_speedup_over_sklearn(self, covariance_type):
        return median_ratio(
            lambda: seconds(fit_sklearn, self.X, **self.options),
            lambda: seconds(fit_ours, self.X, **self.options),
            rounds=1,
        )

    track_speedup_over_sklearn.unit = "times"
