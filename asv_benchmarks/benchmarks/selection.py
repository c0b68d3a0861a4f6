"""A grid of fits: `select` against the loop that scikit-learn's users write."""

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

import fastgmm

from .common import COVARIANCE_TYPES, clusters, median_ratio, offered, seconds

SETTINGS = {"tol": 1e-3, "max_iter": 100, "random_state": 0}


class Select:
    timeout = 300

    def setup(self):
        offered("select")
        self.X = clusters(20_000, 8, 5)
        self.counts = range(1, 6)
        fastgmm.select(self.X[:1000], self.counts, **SETTINGS)  # compiles

    def ours(self):
        return fastgmm.select(self.X, self.counts, **SETTINGS)

    def theirs(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            for covariance_type in COVARIANCE_TYPES:
                for n_components in self.counts:
                    estimator = GaussianMixture(n_components, covariance_type=covariance_type)
                    estimator.set_params(**SETTINGS).fit(self.X).bic(self.X)

    def time_select(self):
        self.ours()

    def track_speedup_over_sklearn(self):
        return median_ratio(lambda: seconds(self.theirs), lambda: seconds(self.ours), rounds=1)

    track_speedup_over_sklearn.unit = "times"
