"""What diagonal and spherical covariances do with variances."""

import numpy as np


def factorize(variances):
    """Return ``1 / sqrt(variance)`` and the sum of its logarithms over the last axis.

    NaN where a variance is not positive and finite.
    """
    positive = np.isfinite(variances) & (variances > 0)
    factors = 1.0 / np.sqrt(np.where(positive, variances, np.nan))
    return factors, np.log(factors).sum(axis=-1)


def factor_error(variances, factors):
    """Return the greatest ``|factor^2 variance - 1|``."""
    return np.abs(factors**2 * variances - 1.0).max()


def on_diagonals(variances):
    """Return diagonal matrices (n_components, n_features, n_features)."""
    return variances[:, :, None] * np.eye(variances.shape[1])


def squares_about_means(statistics, gaps):
    """Return ``N v^2 - 2 v S1`` (n_components, n_features): what S2 gains with its point.

    `gaps` v (n_components, n_features) are the new points from the old one: sum r (x - v)^2 =
    S2 - 2 v S1 + N v^2. Also S1 about the new points.
    """
    shift = statistics.nk[:, None] * gaps
    return gaps * (2.0 * statistics.s1 - shift), statistics.s1 - shift
