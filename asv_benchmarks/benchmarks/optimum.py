"""The search for the right optimum: what it finds, and how many passes it takes."""

import numpy as np

import fastgmm
from fastgmm.em.accelerate import run_to_convergence
from fastgmm.em.collapse import CollapsePolicy
from fastgmm.em.loop import Settings, run_em
from fastgmm.em.models import MaximumLikelihood
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.search.start import Given, make_start
from fastgmm.search.starts import starting_parameters
from fastgmm.sources.array import ArraySource

CASES = ((2, 2), (2, 3), (5, 3), (30, 2))  # features, clusters


def cigars(n_features, n_clusters):
    """Long parallel clusters, turned at random, and their labels."""
    draw = np.random.default_rng([n_features, n_clusters])
    labels = draw.integers(0, n_clusters, 1000)
    X = draw.normal(size=(1000, n_features))
    X[:, 0] *= 40.0
    X[:, 1] += 7.0 * labels
    turn = np.linalg.qr(draw.normal(size=(n_features, n_features)))[0]
    return X @ turn, labels


class Cigars:
    timeout = 120

    def setup(self):
        self.data = [cigars(*case) for case in CASES]
        fastgmm.fit(self.data[0][0], 2, random_state=0)  # compiles

    def _found(self):
        """Whether each cluster has a component of its own, case by case."""
        for X, labels in self.data:
            n_clusters = labels.max() + 1
            predicted = fastgmm.fit(X, n_clusters, random_state=0).predict(X)
            table = np.histogram2d(labels, predicted, bins=n_clusters)[0]
            yield table.max(axis=1).sum() > 0.98 * len(X)

    def track_share_found(self):
        return float(np.mean(list(self._found())))

    track_share_found.unit = "share"


class Creeping:
    """Heavily overlapping clusters, at tol=1e-8."""

    timeout = 120

    def setup(self):
        draw = np.random.default_rng(0)
        labels = draw.choice(3, 1500, p=[0.02, 0.49, 0.49])
        means = draw.normal(size=(3, 2))
        self.X = means[labels] + draw.normal(size=(1500, 2))

    def _passes(self, run):
        source, random_state = ArraySource(self.X), np.random.RandomState(0)
        model = MaximumLikelihood(COVARIANCE_TYPES["full"], 1e-6)
        start = make_start(source, model, 3, random_state)
        parameters = starting_parameters(start, "kmeans", Given(), random_state)
        policy = CollapsePolicy("regularize", model, source, random_state)
        return run(source, model, parameters, Settings(1e-8, 5000), policy)

    def track_times_fewer_passes(self):
        plain = len(self._passes(run_em).objectives)
        return plain / self._passes(run_to_convergence).passes

    track_times_fewer_passes.unit = "times"
