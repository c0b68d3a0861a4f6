"""The search for the right optimum: what it finds, and how many passes it takes."""

from functools import cache

import numpy as np

import fastgmm

from . import common
from .common import fit_ours, offered

CASES = ((2, 2), (2, 3), (5, 3), (30, 2))  # features, clusters
N_SEEDS = 5


@cache
def cigars(n_features, n_clusters, seed):
    """Long parallel clusters, turned at random, and their labels."""
    draw = np.random.default_rng([n_features, n_clusters, seed])
    labels = draw.integers(0, n_clusters, 1000)
    X = draw.normal(size=(1000, n_features))
    X[:, 0] *= 40.0
    X[:, 1] += 7.0 * labels
    turn = np.linalg.qr(draw.normal(size=(n_features, n_features)))[0]
    return X @ turn, labels


class Cigars:
    """Fits with the defaults to long parallel clusters, where k-means starts mislead EM."""

    timeout = 300

    def setup_cache(self):
        found, missed = [], []
        for n_features, n_clusters in CASES:
            for seed in range(max(1, N_SEEDS // common.shrink)):
                X, labels = cigars(n_features, n_clusters, seed)
                mixture = fastgmm.fit(X, n_clusters, random_state=0)
                table = np.histogram2d(labels, mixture.predict(X), bins=n_clusters)[0]
                found.append(table.max(axis=1).sum() > 0.98 * len(X))
                missed.append(max(0.0, from_truth(X, labels).score(X) - mixture.score(X)))
        return float(np.mean(found)), float(np.mean(missed))

    setup_cache.timeout = 300

    def track_share_found(self, measured):
        """Share of the sets in which each cluster has a component of its own."""
        return measured[0]

    track_share_found.unit = "share"

    def track_log_likelihood_missed(self, measured):
        """Nats a row below the fit that starts at the true clusters, on average."""
        return measured[1]

    track_log_likelihood_missed.unit = "nats"


def from_truth(X, labels):
    """Return the fit that starts at the means and covariances of the true clusters."""
    parts = [X[labels == k] for k in range(labels.max() + 1)]
    return fit_ours(
        X,
        tol=1e-3,
        n_components=len(parts),
        weights_init=[len(part) / len(X) for part in parts],
        means_init=[part.mean(axis=0) for part in parts],
        precisions_init=[np.linalg.inv(np.cov(part, rowvar=False)) for part in parts],
    )


class Creeping:
    """Heavily overlapping clusters, at tol=1e-8."""

    timeout = 120

    def setup(self):
        self.accelerated = offered("run_to_convergence", "fastgmm.em.accelerate")
        try:
            self.settings = offered("Settings", "fastgmm.em.loop")(1e-8, 5000)
        except TypeError:
            raise NotImplementedError("this commit has other settings") from None
        draw = np.random.default_rng(0)
        labels = draw.choice(3, 1500, p=[0.02, 0.49, 0.49])
        means = draw.normal(size=(3, 2))
        self.X = means[labels] + draw.normal(size=(1500, 2))

    def _passes(self, run):
        from fastgmm.em.collapse import CollapsePolicy
        from fastgmm.em.models import MaximumLikelihood
        from fastgmm.model.covariance import COVARIANCE_TYPES
        from fastgmm.search.start import Given, make_start
        from fastgmm.search.starts import starting_parameters
        from fastgmm.sources.array import ArraySource

        source, random_state = ArraySource(self.X), np.random.RandomState(0)
        model = MaximumLikelihood(COVARIANCE_TYPES["full"], 1e-6)
        start = make_start(source, model, 3, random_state)
        parameters = starting_parameters(start, "kmeans", Given(), random_state)
        policy = CollapsePolicy("regularize", model, source, random_state)
        return run(source, model, parameters, self.settings, policy)

    def track_times_fewer_passes(self):
        plain = len(self._passes(offered("run_em", "fastgmm.em.loop")).objectives)
        return plain / self._passes(self.accelerated).passes

    track_times_fewer_passes.unit = "times"
