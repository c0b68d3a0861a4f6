"""Functions of variances, for the diagonal and the spherical type."""

import numpy as np


def factorize(variances):
    """Return ``U = 1 / sqrt(variance)`` and the sum of log U over the last axis.

    Both are NaN where a variance is not positive and finite.
    """
    positive = np.isfinite(variances) & (variances > 0)
    factors = 1.0 / np.sqrt(np.where(positive, variances, np.nan))
    return factors, np.log(factors).sum(axis=-1)


def are_factors(factors):
    """Return whether all factors are positive."""
    return bool((factors > 0).all())


def precisions(factors):
    """Return the inverse variances."""
    return factors * factors


def factor_error(variances, factors):
    """Return the greatest ``|factor^2 variance - 1|``."""
    return np.abs(factors**2 * variances - 1.0).max()


def on_diagonals(variances):
    """Return diagonal matrices (n_components, n_features, n_features) with these variances."""
    return variances[:, :, None] * np.eye(variances.shape[1])


def squares_about_means(statistics, gaps):
    """Return ``2 v S1 - N v^2`` and ``S1 - N v`` (n_components, n_features).

    `gaps` v (n_components, n_features) point from the old center to the means. About the means
    the squares sum to ``S2 - (2 v S1 - N v^2)``, and the differences to ``S1 - N v``.
    """
    shift = statistics.nk[:, None] * gaps
    return gaps * (2.0 * statistics.s1 - shift), statistics.s1 - shift


def total_distance(factors, s2):
    """Return ``sum_k tr(U_k S2_k U_k^T)`` for diagonal U_k."""
    return float((factors * factors * s2).sum())
