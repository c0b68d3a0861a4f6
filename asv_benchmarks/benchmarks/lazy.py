"""What the lazy E-step leaves out: bounds carried from one iteration to the next say what."""

from functools import cache

import numpy as np
from sklearn.datasets import load_sample_image

from . import common
from .common import clusters, fit_ours, offered

ITERATIONS = 20


@cache
def patches(n_samples):
    """8 x 8 patches of a photograph in grey, with noise of one level of grey."""
    gray = load_sample_image("china.jpg").mean(axis=2)
    windows = np.lib.stride_tricks.sliding_window_view(gray, (8, 8))[::2, ::2].reshape(-1, 64)
    draw = np.random.default_rng(0)
    rows = windows[draw.choice(len(windows), n_samples // common.shrink, replace=False)]
    return rows + draw.standard_normal(rows.shape)


class Skipping:
    """Runs from a k-means start, on clusters that stand apart and on a photograph."""

    params = (["clusters", "patches"], [16, 48])
    param_names = ("data", "n_components")

    def setup(self, data, n_components):
        self.skipping = offered("Skipping", "fastgmm.sources.skipping")
        self.X = clusters(20_000, 64, n_components) if data == "clusters" else patches(20_000)
        self.options = {"n_components": n_components, "reg_covar": 1e-3, "random_state": 0}
        fit_ours(self.X, max_iter=1, **self.options)  # compiles

    def time_20_iterations(self, data, n_components):
        fit_ours(self.X, max_iter=ITERATIONS, **self.options)

    def track_fraction_skipped(self, data, n_components):
        """Share of the pairs of a point and a component that are not computed, on average."""
        skipped = []
        decide = self.skipping.decide

        def record(skipping, computed, live):
            skipped.append(1.0 - computed)
            decide(skipping, computed, live)

        self.skipping.decide = record
        try:
            fit_ours(self.X, max_iter=ITERATIONS, **self.options)
        finally:
            self.skipping.decide = decide
        return max(0.0, sum(skipped) / len(skipped))  # points past the last one are computed, too
