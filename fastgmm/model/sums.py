"""Small sums over components, without BLAS.

BLAS wakes threads of its own. They spin for 20 to 70 ms on the cores that the next pass needs.
"""

import numpy as np


def weighted_mean(weights, values):
    """Return ``weights @ values`` (n_features,), the mean of values (n_components, n_features)."""
    return np.einsum("k,kj->j", weights, values)


def products(a, b):
    """Return ``a.T @ b`` of matrices with n_components rows."""
    return np.einsum("ki,kj->ij", a, b)


def shifted(statistics, gaps):
    """Return S1 of each component and S2 of all, about the old points plus `gaps`.

    `gaps` v is one vector (n_features,) or one per component (n_components, n_features).
    ``sum r (x - v) = S1 - N v`` (n_components, n_features), and the sum over components of
    ``sum r (x - v)(x - v)^T = S2 - S1 v^T - v S1^T + N v v^T`` is (n_features, n_features). Only
    the lower triangle of S2 is used and valid.
    """
    shift = statistics.nk[:, None] * gaps
    half = products(statistics.s1 - 0.5 * shift, np.broadcast_to(gaps, statistics.s1.shape))
    return statistics.s1 - shift, statistics.s2 - half - half.T


def greatest_ratio(terms, results):
    """Return the greatest ``terms / results``, where each result is a term minus another number.

    The subtraction multiplies the relative rounding error by this ratio. The ratio is 1 where
    both are zero and infinite where a result is not positive.
    """
    terms, results = np.asarray(terms), np.asarray(results)
    ratio = np.divide(terms, results, out=np.full_like(terms, np.inf), where=results > 0)
    return np.where(terms == 0, 1.0, ratio).max()
