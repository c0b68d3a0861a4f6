"""Data sets and starting parameters that several test modules share."""

from typing import NamedTuple

import numpy as np
from reference import m_step, precisions, responsibilities


class Problem(NamedTuple):
    """Data and a start: everything that ``fit`` needs to run without chance."""

    X: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    covariance_type: str

    @property
    def parameters(self):
        """Weights, means, covariances and their type, as ``from_parameters`` takes them."""
        return self.weights, self.means, self.covariances, self.covariance_type

    @property
    def start(self):
        """Keyword arguments of this start, the same for us and for scikit-learn."""
        return {
            "n_components": len(self.weights),
            "covariance_type": self.covariance_type,
            "weights_init": self.weights,
            "means_init": self.means,
            "precisions_init": precisions(self.covariances, self.covariance_type),
        }


def overlapping(n_samples, n_features, n_components, covariance_type="full", seed=0):
    """Correlated clusters that overlap, so that memberships are far from 0 and 1.

    The start is one M-step from random memberships that favour each row's own cluster:
    every component has its own weight, mean and covariance, so that no mix-up between
    components can pass unseen.
    """
    rng = np.random.default_rng([seed, n_samples, n_features, n_components])
    centers = 2.0 * rng.standard_normal((n_components, n_features)) / np.sqrt(n_features)
    labels = rng.integers(n_components, size=n_samples)
    noise = rng.standard_normal((n_samples, n_features))
    mixing = np.eye(n_features) + 0.3 * rng.standard_normal((n_features, n_features)) / np.sqrt(
        n_features
    )
    scale = np.linspace(0.7, 1.5, n_components)
    X = centers[labels] + scale[labels, None] * (noise @ mixing)
    resp = rng.random((n_samples, n_components)) + 2.0 * np.eye(n_components)[labels]
    resp /= resp.sum(axis=1, keepdims=True)
    weights, means, covariances = m_step(X, resp, covariance_type, reg_covar=0.01)
    return Problem(X, weights, means, covariances, covariance_type)


def separated(n_samples, n_features, n_components, covariance_type="full", seed=0):
    """Many clusters so far apart that nearly all memberships underflow.

    The start is the M-step of the true labels over a third of the rows, so that EM still
    has something to do.
    """
    rng = np.random.default_rng([seed, n_samples, n_features, n_components])
    centers = 40.0 * rng.permutation(n_components)[:, None] + rng.standard_normal(
        (n_components, n_features)
    )
    labels = np.arange(n_samples) % n_components
    scale = rng.uniform(0.5, 1.5, size=(n_components, n_features))
    X = centers[labels] + scale[labels] * rng.standard_normal((n_samples, n_features))
    third = n_samples // 3
    resp = np.eye(n_components)[labels[:third]]
    start = m_step(X[:third], resp, covariance_type, reg_covar=0.1)
    return Problem(X, *start, covariance_type)


def blobs(n_per_blob=60, n_features=2, n_components=4, seed=0, distance=25.0):
    """Round unit clusters, ``distance`` apart along a line and shuffled: (X, labels)."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n_components), n_per_blob)
    X = rng.standard_normal((len(labels), n_features))
    X[:, 0] += distance * labels
    order = rng.permutation(len(labels))
    return X[order], labels[order]


def separate_parameters(X, labels, covariance_type="full", reg_covar=1e-6):
    """Parameters that hard labels imply, sorted by label."""
    return m_step(X, np.eye(labels.max() + 1)[labels], covariance_type, reg_covar)


def improved(problem, reg_covar=1e-6):
    """The parameters after one plain EM step from the start of a problem."""
    resp = responsibilities(problem.X, *problem.parameters)
    return m_step(problem.X, resp, problem.covariance_type, reg_covar)
