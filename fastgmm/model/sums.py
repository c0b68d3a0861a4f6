"""Small sums over components, without BLAS.

BLAS would wake its own threads, which spin for 20 to 70 ms on the cores that the next pass needs.
"""

import numpy as np


def weighted_mean(weights, values):
    """Return ``weights @ values`` (n_features,): the mean over components."""
    return np.einsum("k,kj->j", weights, values)


def products(a, b):
    """Return ``a.T @ b``."""
    return np.einsum("ki,kj->ij", a, b)


def shifted(statistics, gaps):
    """Return S1 and S2, summed over components, about points that lie `gaps` off.

    One gap (n_features,) for all components, or one each (n_components, n_features). With v the
    gaps, ``sum r (x - v) = S1 - N v`` and ``sum r (x - v)(x - v)^T = S2 - S1 v^T - v S1^T + N v
    v^T``. Only the lower triangle of `s2` (n_features, n_features) is used.
    """
    shift = statistics.nk[:, None] * gaps
    half = products(statistics.s1 - 0.5 * shift, np.broadcast_to(gaps, statistics.s1.shape))
    return statistics.s1 - shift, statistics.s2 - half - half.T


def greatest_ratio(terms, results):
    """Return the greatest ``terms / results``: how many digits their subtraction can cost.

    1 where both are zero; infinite where a result is not positive.
    """
    terms, results = np.asarray(terms), np.asarray(results)
    ratio = np.divide(terms, results, out=np.full_like(terms, np.inf), where=results > 0)
    return np.where(terms == 0, 1.0, ratio).max()
