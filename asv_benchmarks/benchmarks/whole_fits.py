"""Whole fits as users call them: until convergence, the start included."""

from functools import cache

import numpy as np
from sklearn.datasets import load_sample_image

from . import common
from .common import clusters, fit_ours, fit_sklearn, median_ratio, seconds

SHAPES = {"60000x8 K=6": (60_000, 8, 6), "20000x30 K=12": (20_000, 30, 12)}
PIXELS = "100000x3 K=8 pixels"


@cache
def pixels(n_samples):
    """Colours of a photograph, with noise of one level (n_samples, 3)."""
    colors = load_sample_image("china.jpg").reshape(-1, 3)
    draw = np.random.default_rng(0)
    rows = colors[draw.choice(len(colors), n_samples // common.shrink, replace=False)]
    return rows + draw.standard_normal(rows.shape)


@cache  # asv calls setup before every sample
def prepare(rows):
    """Return the rows and the options of a fit, after that fit: it compiles."""
    X = pixels(100_000) if rows == PIXELS else clusters(*SHAPES[rows])
    n_components = 8 if rows == PIXELS else SHAPES[rows][-1]
    options = {"n_components": n_components, "init_params": "kmeans", "tol": 1e-3}
    fit_ours(X, random_state=0, **options)
    return X, options | {"random_state": 0}


@cache
def prepare_default():
    X, options = clusters(20_000, 10, 10), {"n_components": 10, "tol": 1e-3, "random_state": 0}
    fit_ours(X, **options)
    return X, options


class WholeFit:
    """From the k-means start of the same seed, so that both sides take the same iterations."""

    params = ([*SHAPES, PIXELS],)
    param_names = ("rows",)
    rounds, repeat, timeout = 2, (5, 15, 1.0), 300

    def setup(self, rows):
        self.X, self.options = prepare(rows)

    def time_fit(self, rows):
        fit_ours(self.X, **self.options)

    def track_speedup_over_sklearn(self, rows):
        return median_ratio(
            lambda: seconds(fit_sklearn, self.X, **self.options),
            lambda: seconds(fit_ours, self.X, **self.options),
        )

    track_speedup_over_sklearn.unit = "times"


class DefaultFit:
    """With no option but the seed: what the search for a good optimum costs shows here."""

    rounds, repeat, timeout = 2, (5, 15, 1.0), 300

    def setup(self):
        self.X, self.options = prepare_default()

    def time_fit(self):
        fit_ours(self.X, **self.options)
