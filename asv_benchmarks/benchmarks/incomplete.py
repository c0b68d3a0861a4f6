"""Rows with missing values: iterations beside those on complete rows, and conditional means."""

from functools import cache

import numpy as np

from .common import clusters, fit_ours, iteration_seconds, median_ratio, need, seconds, start

CASES = {
    # name: (n_samples, n_features, share of values that are missing)
    "many_rows_a_pattern": (200_000, 10, 0.1),
    "all_patterns_distinct": (20_000, 30, 0.5),
}
N_COMPONENTS = 10
ITERATIONS = 5


@cache
def with_gaps(case):
    """Return the complete rows of a case, and a copy with gaps at random."""
    n_samples, n_features, share = CASES[case]
    X = clusters(n_samples, n_features, N_COMPONENTS)
    gaps = np.random.default_rng(2).random(X.shape) < share
    return X, np.where(gaps, np.nan, X)


class Incomplete:
    """Fits of rows with gaps from a given start."""

    params = (["many_rows_a_pattern", "all_patterns_distinct"],)
    param_names = ("case",)

    def setup(self, case):
        need(option="missing")
        self.X, self.gaps = with_gaps(case)
        self.options = start(self.X, N_COMPONENTS) | {"reg_covar": 1e-3, "random_state": 0}
        fit_ours(self.gaps, max_iter=1, missing="em", **self.options)  # compiles
        fit_ours(self.X, max_iter=1, **self.options)

    def time_5_iterations(self, case):
        fit_ours(self.gaps, max_iter=ITERATIONS, missing="em", **self.options)

    def peakmem_5_iterations(self, case):
        fit_ours(self.gaps, max_iter=ITERATIONS, missing="em", **self.options)

    def track_iteration_over_complete(self, case):
        """Time of an iteration on rows with gaps, over that of one on the complete rows."""
        options = self.options | {"missing": "em"}
        return median_ratio(
            lambda: iteration_seconds(fit_ours, self.gaps, ITERATIONS, **options),
            lambda: iteration_seconds(fit_ours, self.X, 4 * ITERATIONS, **options),
        )


class Imputation:
    """Conditional means of 100,000 rows that lack the same three features."""

    def setup(self):
        need(method="impute")
        X = clusters(100_000, 8, 5)
        self.mixture = fit_ours(X, n_components=5, max_iter=5, random_state=0)
        self.gaps = X.copy()
        self.gaps[:, :3] = np.nan
        self.mixture.impute(self.gaps[:10])  # compiles

    def time_conditional_mean(self):
        self.mixture.conditional_mean(self.gaps)

    def track_row_by_row_over_all_at_once(self):
        """Time of `condition` for one row, over a row's share of `conditional_mean`."""
        few = self.gaps[:: max(1, len(self.gaps) // 1000)]

        def by_row():
            for row in few:
                self.mixture.condition({j: row[j] for j in range(3, 8)})

        once = seconds(self.mixture.conditional_mean, self.gaps) * len(few) / len(self.gaps)
        return seconds(by_row) / once
