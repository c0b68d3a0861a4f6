"""The four covariance types: their shapes, their M-step and their factors.

One object per type, all of them in `COVARIANCE_TYPES`; nothing else asks which type it has.
Inside the library a full or tied covariance need only be right in its lower triangle, and its
factor is the lower-triangular inverse of its Cholesky factor, so that the Mahalanobis distance
is ``|factor @ (x - mean)|``.
"""

from contextlib import suppress

import numpy as np

from fastgmm.jit.threads import Workspaces, launch_if_long
from fastgmm.kernels.linalg import buffer_width, factorize_pass, stretch_pass
from fastgmm.kernels.tiles import DIAG, FULL, SPHERICAL, TIED, matrix_rows
from fastgmm.model.parameters import Parameters


def _factorize_matrices(covariances, n_threads):
    n_matrices, n, _ = covariances.shape
    factors, log_det = np.zeros((n_matrices, n, n)), np.empty(n_matrices)
    work, covariances = n_matrices * n**3, np.ascontiguousarray(covariances)
    width = buffer_width(n)
    buffers = Workspaces(lambda: (np.empty((width, width)), np.empty((width, width))))
    arrays = covariances, factors, log_det
    launch_if_long(factorize_pass, work, n_threads, n_matrices, buffers, *arrays)
    return factors, log_det


def _stretch_matrices(old, new, n_threads):
    n_matrices, n, _ = old.shape
    least, greatest = np.empty(n_matrices), np.empty(n_matrices)
    shape = 3, buffer_width(n), buffer_width(n)
    buffers = Workspaces(lambda: (*np.empty(shape), np.empty((2, n))))
    arrays = old, new, least, greatest
    launch_if_long(stretch_pass, n_matrices * n**3, n_threads, n_matrices, buffers, *arrays)
    return least, greatest


def _ratio(whole, part):
    """Return ``whole / part``; 1 where both are zero, infinite where the part is not positive."""
    whole, part = np.asarray(whole), np.asarray(part)
    positive = part > 0
    ratio = np.divide(whole, part, out=np.full_like(whole, np.inf), where=positive)
    return np.where(whole == 0, 1.0, ratio)


def _symmetric(lower):
    """Return the matrices whose lower triangles are given."""
    lower = np.tril(lower)
    return lower + np.swapaxes(np.tril(lower, -1), -1, -2)


def _positive_logs(variances, axis):
    """Return factors and log-determinants of positive variances, NaN for others."""
    positive = np.isfinite(variances) & (variances > 0)
    factors = 1.0 / np.sqrt(np.where(positive, variances, np.nan))
    return factors, np.log(factors).sum(axis=axis)


def weighted_mean(weights, values):
    """Return ``weights @ values``, what components have on average.

    Without the threads of BLAS, which would go on waiting on the cores of the next pass.
    """
    return np.einsum("k,kj->j", weights, values)


def _products(a, b):
    """Return ``a.T @ b``, without BLAS, either."""
    return np.einsum("ki,kj->ij", a, b)


def shifted(statistics, gaps):
    """Return S1 and S2, summed over components, about points that lie `gaps` off.

    One gap (n_features,) for all components, or one each. With v the gaps, sum r (x - v) = S1 -
    N v and sum r (x - v)(x - v)^T = S2 - S1 v^T - v S1^T + N v v^T. Of `second` (n_features,
    n_features) the lower triangle counts.
    """
    _, nk, first, second = statistics
    shift = nk[:, None] * gaps
    half = _products(first - 0.5 * shift, np.broadcast_to(gaps, first.shape))
    return first - shift, second - half - half.T


class _Full:
    name, kind, dense = "full", FULL, True
    scatter_is_constant = False  # S2 about one point, whatever the responsibilities

    def shape(self, n_components, n_features):
        return (n_components, n_features, n_features)

    def n_parameters(self, n_components, n_features):
        return n_components * n_features * (n_features + 1) // 2

    def moment_shape(self, n_components, n_features, width):
        """Return the shape of the second moments in the kernels; rows are padded to `width`."""
        return n_components, matrix_rows(n_features), width

    def second_moments(self, raw, n_features):
        """Return the second moments (one a component) cut from the kernels' padded array."""
        return raw[:, :n_features, :n_features]

    def center(self, second, nk, delta, share):
        """Return covariances from moments about points that lie `delta` off the new means."""
        return second / share[:, None, None] - delta[:, :, None] * delta[:, None, :]

    def add_to_diagonal(self, covariances, values):
        """Add `values`, a number or one a component, to the diagonals, in place."""
        diagonal = np.einsum("kjj->kj", covariances)
        diagonal += np.reshape(values, (-1, 1))

    def variances(self, covariances, n_components, n_features):
        """Return the variance of each feature in each component."""
        return covariances.diagonal(axis1=1, axis2=2)

    def pivots(self, factors, n_components, n_features):
        """Return what is left of each feature's variance given the features before it."""
        return np.einsum("kjj->kj", factors) ** -2.0

    def factorize(self, covariances, n_components, n_features, n_threads=1):
        return _factorize_matrices(covariances, n_threads)

    def stretch(self, old, new, n_components, n_features, n_threads):
        """Bound the ratio of distances under old factors to those under new ones.

        Return the least and the greatest ratio (n_components,) of ``|old x|`` to ``|new x|``.
        """
        return _stretch_matrices(old, new, n_threads)

    def distances(self, factors, gaps):
        """Return the lengths of `gaps` (..., n_components, n_features) in standard deviations."""
        return np.linalg.norm(np.einsum("...ij,...j->...i", factors, gaps), axis=-1)

    def cancellation(self, covariances, factors, n_components, n_features):
        """Return how many times larger than a distance the terms are that it is summed from."""
        deviations = np.sqrt(self.variances(covariances, n_components, n_features))
        return np.linalg.norm(np.einsum("...ij,...j->...i", np.abs(factors), deviations), axis=-1)

    def replace(self, covariances, k, variances):
        """Make one component axis-aligned with the given variances, in place."""
        covariances[k] = np.diag(variances)

    def about_center(self, weights, means, factors):
        """Return a point that moments can be taken about for all components, and the means
        about it in standard deviations; None where each component needs its own.
        """
        return None, None

    def select(self, mask, old, new):
        """Return old covariances where `mask` is set, new ones elsewhere."""
        return np.where(mask[:, None, None], old, new)

    def dilute(self, covariances, means, kept):
        """Return covariances about ``kept * means`` whose sums count for a share `kept`."""
        pull = (1.0 - kept)[:, None] * means
        outer = pull[:, :, None] * pull[:, None, :]
        return kept[:, None, None] * (_symmetric(covariances) + outer)

    def from_variances(self, variances):
        """Return axis-aligned covariances from variances (n_components, n_features)."""
        return variances[:, :, None] * np.eye(variances.shape[1])

    def from_precisions(self, precisions, n_components, n_features):
        """Return covariances, factors and log-determinants of the factors from precisions.

        ``precision = U^T U`` with U lower-triangular: the Cholesky factor of the matrix turned
        back to front, turned again and transposed. NaN where not positive definite.
        """
        matrices = precisions.reshape(-1, n_features, n_features)
        factors, log_det = (
            np.tile(np.eye(n_features), (len(matrices), 1, 1)),
            np.empty(len(matrices)),
        )
        for k, matrix in enumerate(matrices):
            log_det[k] = np.nan
            with suppress(np.linalg.LinAlgError):
                factors[k] = np.linalg.cholesky(matrix[::-1, ::-1])[::-1, ::-1].T
                log_det[k] = np.log(np.diag(factors[k])).sum()
        inverse = np.linalg.inv(factors)
        covariances = inverse @ np.swapaxes(inverse, 1, 2)
        shape = precisions.shape
        return (
            covariances.reshape(shape),
            factors.reshape(shape),
            np.broadcast_to(log_det, n_components).copy(),
        )

    def public_covariances(self, covariances):
        return _symmetric(covariances)

    def public_factors(self, factors):
        return np.ascontiguousarray(np.swapaxes(factors, -1, -2))

    def matrices(self, covariances, n_components, n_features):
        """Return full matrices (n_components, n_features, n_features), or one for all."""
        return np.reshape(covariances, (-1, n_features, n_features))

    def precisions(self, public_factors):
        """Return precisions in their public shape from `Mixture.precisions_cholesky`."""
        return public_factors @ np.swapaxes(public_factors, -1, -2)

    def kernel_factors(self, factors, n_components, common):
        """Return which kernel to use and the factors as it reads them: one component a row."""
        return self.kind, factors.reshape(len(factors), -1)

    def square_roots(self, covariances, n_features):
        """Return matrices A (n_components, n_features, n_features) with A A^T = covariance."""
        return np.linalg.cholesky(covariances)


class _Tied(_Full):
    name, kind, dense = "tied", TIED, True
    scatter_is_constant = True

    def shape(self, n_components, n_features):
        return (n_features, n_features)

    def n_parameters(self, n_components, n_features):
        return n_features * (n_features + 1) // 2

    def moment_shape(self, n_components, n_features, width):
        return 1, matrix_rows(n_features), width

    def second_moments(self, raw, n_features):
        return raw[0, :n_features, :n_features]

    def center(self, second, nk, delta, share):
        return (second - _products(nk[:, None] * delta, delta)) / nk.sum()

    def add_to_diagonal(self, covariances, values):
        diagonal = np.einsum("jj->j", covariances)
        diagonal += np.max(values)

    def variances(self, covariances, n_components, n_features):
        return np.broadcast_to(np.diag(covariances), (n_components, n_features))

    def pivots(self, factors, n_components, n_features):
        return np.broadcast_to(np.diag(factors) ** -2.0, (n_components, n_features))

    def factorize(self, covariances, n_components, n_features, n_threads=1):
        factors, log_det = _factorize_matrices(covariances[None], 1)
        return factors[0], np.repeat(log_det, n_components)

    def stretch(self, old, new, n_components, n_features, n_threads):
        least, greatest = _stretch_matrices(old[None], new[None], 1)
        return np.repeat(least, n_components), np.repeat(greatest, n_components)

    def replace(self, covariances, k, variances):
        covariances[:] = np.diag(variances)

    def select(self, mask, old, new):
        return old if mask.all() else new

    def dilute(self, covariances, means, kept):
        return covariances  # of which components without rows have no part

    def from_variances(self, variances):
        return np.diag(variances.mean(axis=0))

    def kernel_factors(self, factors, n_components, common):
        if common:
            return TIED, factors.reshape(1, -1)
        # Points whitened about a center lose the digits of components far from it.
        return FULL, np.tile(factors.reshape(1, -1), (n_components, 1))

    def square_roots(self, covariances, n_features):
        return np.linalg.cholesky(covariances)[None]

    def about_center(self, weights, means, factors):
        center = weighted_mean(weights, means)
        return center, _products((means - center).T, factors.T)

    def to_means(self, statistics, parameters):
        """As for diagonal covariances, with `shifted` moments."""
        if not np.isfinite(statistics.second).all():
            return statistics, np.inf
        gaps = parameters.means - weighted_mean(parameters.weights, parameters.means)
        first, second = shifted(statistics, gaps)
        moved = statistics._replace(first=first, second=second)
        return moved, _ratio(np.diag(statistics.second), np.diag(second)).max()


class _Diag(_Full):
    name, kind, dense = "diag", DIAG, False

    def shape(self, n_components, n_features):
        return (n_components, n_features)

    def n_parameters(self, n_components, n_features):
        return n_components * n_features

    def moment_shape(self, n_components, n_features, width):
        return 1, n_components, width

    def second_moments(self, raw, n_features):
        return raw[0, :, :n_features]

    def center(self, second, nk, delta, share):
        return second / share[:, None] - delta * delta

    def add_to_diagonal(self, covariances, values):
        covariances += np.reshape(values, (-1, 1))

    def variances(self, covariances, n_components, n_features):
        return covariances

    def pivots(self, factors, n_components, n_features):
        return factors**-2.0

    def factorize(self, covariances, n_components, n_features, n_threads=1):
        return _positive_logs(covariances, axis=1)

    def stretch(self, old, new, n_components, n_features, n_threads):
        ratio = self._columns(old) / self._columns(new)
        return ratio.min(axis=1), ratio.max(axis=1)

    def distances(self, factors, gaps):
        return np.linalg.norm(self._columns(factors) * gaps, axis=-1)

    def cancellation(self, covariances, factors, n_components, n_features):
        return np.ones(n_components)  # one term a feature: nothing cancels

    def replace(self, covariances, k, variances):
        covariances[k] = variances

    def select(self, mask, old, new):
        return np.where(mask[:, None], old, new)

    def dilute(self, covariances, means, kept):
        kept = kept[:, None]
        return kept * (covariances + (1.0 - kept) * means * means)

    def from_variances(self, variances):
        return variances.copy()

    def from_precisions(self, precisions, n_components, n_features):
        with np.errstate(divide="ignore"):
            covariances = 1.0 / precisions
        return covariances, *self.factorize(covariances, n_components, n_features)

    def public_covariances(self, covariances):
        return covariances

    def public_factors(self, factors):
        return factors

    def kernel_factors(self, factors, n_components, common):
        return self.kind, factors

    def square_roots(self, covariances, n_features):
        return np.sqrt(covariances)[:, :, None] * np.eye(n_features)

    def matrices(self, covariances, n_components, n_features):
        return self._columns(covariances)[:, :, None] * np.eye(n_features)

    def precisions(self, public_factors):
        return public_factors * public_factors

    def about_center(self, weights, means, factors):
        center = weighted_mean(weights, means)
        return center, (means - center) * self._columns(factors)

    def to_means(self, statistics, parameters):
        """Return statistics about the means from those about the center.

        With v the means about the center, sum r (x - v)^2 = S2 - 2 v S1 + N v^2. Also return
        how many times larger the terms of this sum are than the sum, at most.
        """
        if not np.isfinite(statistics.second).all():
            return statistics, np.inf
        gaps = parameters.means - weighted_mean(parameters.weights, parameters.means)
        shift = statistics.nk[:, None] * gaps
        moved = statistics._replace(
            first=statistics.first - shift,
            second=statistics.second - self._summed(gaps * (2.0 * statistics.first - shift)),
        )
        return moved, _ratio(statistics.second, moved.second).max()

    def _columns(self, factors):
        """Return the factors with a column a feature, or one for all."""
        return factors

    def _summed(self, squares):
        """Return squares (n_components, n_features) as the second moments sum them."""
        return squares


class _Spherical(_Diag):
    name, kind, dense = "spherical", SPHERICAL, False

    def shape(self, n_components, n_features):
        return (n_components,)

    def n_parameters(self, n_components, n_features):
        return n_components

    def moment_shape(self, n_components, n_features, width):
        return 1, n_components, 1  # of squared distances: one sum for all features

    def second_moments(self, raw, n_features):
        return raw[0, :, 0]

    def center(self, second, nk, delta, share):
        return (second / share - (delta * delta).sum(axis=1)) / delta.shape[1]

    def add_to_diagonal(self, covariances, values):
        covariances += values

    def variances(self, covariances, n_components, n_features):
        return np.broadcast_to(covariances[:, None], (n_components, n_features))

    def pivots(self, factors, n_components, n_features):
        return np.broadcast_to(factors[:, None] ** -2.0, (n_components, n_features))

    def factorize(self, covariances, n_components, n_features, n_threads=1):
        factors, log_det = _positive_logs(covariances[:, None], axis=1)
        return factors[:, 0], n_features * log_det

    def replace(self, covariances, k, variances):
        covariances[k] = variances.mean()

    def select(self, mask, old, new):
        return np.where(mask, old, new)

    def dilute(self, covariances, means, kept):
        return super().dilute(covariances[:, None], means, kept).mean(axis=1)

    def from_variances(self, variances):
        return variances.mean(axis=1)

    def kernel_factors(self, factors, n_components, common):
        return self.kind, factors[:, None]

    def _columns(self, factors):
        return factors[:, None]

    def _summed(self, squares):
        return squares.sum(axis=1)

    def square_roots(self, covariances, n_features):
        return np.sqrt(covariances)[:, None, None] * np.eye(n_features)


CovarianceType = _Full  # from which the others derive
COVARIANCE_TYPES: dict[str, CovarianceType] = {
    t.name: t for t in (_Full(), _Tied(), _Diag(), _Spherical())
}


def m_step(
    covariance_type: CovarianceType,
    parameters: Parameters,
    statistics: tuple,
    reg_covar: float,
    n_threads: int = 1,
) -> Parameters:
    """Return the parameters that maximise the expected log-likelihood.

    Parameters
    ----------
    covariance_type : CovarianceType
        A value of `COVARIANCE_TYPES`.
    parameters : Parameters
        The mixture under which `statistics` were taken.
    statistics : Statistics
        Sums about the means of `parameters`.
    reg_covar : float
        Added to the diagonals of the covariances.
    n_threads : int
        Threads for factorising many large covariances.

    Notes
    -----
    With S1 and S2 the first and second moments about the old means and N the sum of
    responsibilities, the mean moves by d = S1 / N and the covariance is S2 / N - d d^T, in
    which nothing cancels once EM settles. A component that no row belongs to keeps its mean
    and covariance, with weight zero.
    """
    _, nk, first, second = statistics
    starved = ~(nk > 0)
    share = np.where(starved, 1.0, nk)
    delta = first / share[:, None]
    covariances = covariance_type.center(second, nk, delta, share)
    covariance_type.add_to_diagonal(covariances, reg_covar)
    if starved.any():
        covariances = covariance_type.select(starved, parameters.covariances, covariances)
    means = parameters.means + delta
    n_components, n_features = means.shape
    factors, log_det = covariance_type.factorize(covariances, n_components, n_features, n_threads)
    return Parameters(nk / nk.sum(), means, covariances, factors, log_det)


def marginal_variance(
    covariance_type: CovarianceType, parameters: Parameters, reg_covar: float
) -> np.ndarray:
    """Return the variance (n_features,) of each feature under the whole mixture, without floor."""
    weights, means, covariances, _, _ = parameters
    within = covariance_type.variances(covariances, *means.shape) - reg_covar
    gaps = means - weighted_mean(weights, means)
    return weighted_mean(weights, np.maximum(within, 0.0) + gaps * gaps)
