"""scikit-learn's estimator on our kernels: what its checks of arguments cost."""

from statistics import median

import fastgmm

from . import common
from .common import clusters, offered, seconds


class SmallEstimator:
    """1000 x 4 rows, three components; 0.5 ms more than `fastgmm.fit` is the most allowed."""

    def setup(self):
        self.X = clusters(1000, 4, 3)
        self.model = offered("GaussianMixture", "fastgmm.sklearn")(3, random_state=0)
        self.model.fit(self.X)  # compiles

    def fit_function(self):
        fastgmm.fit(self.X, 3, random_state=0)

    def time_fit(self):
        self.model.fit(self.X)

    def track_overhead_of_the_estimator(self):
        """Median of what the one takes more than the other, in turns."""
        rounds = range(200 // common.shrink)
        return 1e3 * median(
            seconds(self.model.fit, self.X) - seconds(self.fit_function) for _ in rounds
        )

    track_overhead_of_the_estimator.unit = "ms"
