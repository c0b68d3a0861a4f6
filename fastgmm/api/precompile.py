"""`precompile`: fill the cache of machine code before the first fit has to."""

import numpy as np

from fastgmm.api.fit import fit
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.sources.array import ArraySource

_LABEL_LIMITS = (3, 256, 65_536)  # clusters from which labels take one, two and four bytes


def precompile() -> None:
    """Compile every kernel, for all covariance types, in float64 and float32.

    The machine code is kept in Numba's cache directory, so that the first fit of later processes
    starts at once. This takes up to a minute; if the cache is filled already, about a second.
    """
    draw = np.random.default_rng(0)
    for dtype in (np.float64, np.float32):
        X = draw.normal(size=(100, 3)).astype(dtype)
        _compile_kmeans(X)
        for name in COVARIANCE_TYPES:
            mixture = fit(X, 3, covariance_type=name, init_params="kmeans", tol=1e3, random_state=0)
            mixture.predict_proba(X)
    gaps = np.where(draw.random((100, 3)) < 0.2, np.nan, draw.normal(size=(100, 3)))
    mixture = fit(gaps, 3, tol=1e3, random_state=0, missing="em")
    mixture.sample_missing(gaps, random_state=0)
    for kind in COVARIANCE_TYPES.values():
        covariances = kind.from_variances(np.ones((3, 2)))
        factors, _ = kind.factorize(covariances, 3, 2)
        kind.stretch(factors, factors, 3, 2, n_threads=1)


def _compile_kmeans(X: np.ndarray) -> None:
    """Compile the passes of k-means, for every size of labels."""
    source = ArraySource(X)
    for n_clusters in _LABEL_LIMITS:
        centers = np.resize(X, (n_clusters, X.shape[1])).astype(np.float64)
        centers[1] = centers[0]  # ties, for the pass that decides them
        drift = np.append(np.zeros(n_clusters), np.inf)
        source.assignment(n_clusters, centers[0]).update(centers, drift)
    source.nearest(centers[:3])
