"""Tied covariances: one matrix for all components."""

import numpy as np

from fastgmm.kernels import passes
from fastgmm.kernels.tiles import matrix_rows
from fastgmm.model.covariance import matrices
from fastgmm.model.covariance.base import CovarianceType
from fastgmm.model.sums import greatest_ratio, products, shifted, weighted_mean


class Tied(CovarianceType):
    """The same covariance matrix in all components: arrays (n_features, n_features)."""

    name = "tied"
    kernels = passes.TIED
    worth_skipping = 0.2  # most of the M-step is done once for all components
    has_compiled_step = True
    has_coordinates = True
    scatter_is_constant = True
    most_wide = 1  # with more, whitening all rows once is faster

    def shape(self, n_components, n_features):
        return n_features, n_features

    def n_parameters(self, n_components, n_features):
        return n_features * (n_features + 1) // 2

    def moment_shape(self, n_components, n_features, width):
        return 1, matrix_rows(n_features), width

    def second_moments(self, raw, n_features):
        return raw[0, :n_features, :n_features]

    def from_moments(self, s2, nk, delta, divisor):
        covariance = s2 - products(nk[:, None] * delta, delta)
        covariance /= nk.sum()
        return covariance

    def rows_per_matrix(self, nk):
        return nk.mean()

    def total_distance(self, factors, s2):
        return matrices.total_distance(factors, s2)

    def one(self, covariances):
        return covariances

    def scale_from_matrix(self, matrix):
        return matrix

    def default_scale(self, covariance):
        return covariance

    def prior_power(self, degrees_of_freedom, n_features):
        return degrees_of_freedom + n_features + 1.0

    def about_center(self, weights, means, factors):
        center = weighted_mean(weights, means)
        return center, products((means - center).T, factors.T)

    def to_means(self, statistics, parameters):
        if not np.isfinite(statistics.s2).all():
            return statistics, np.inf
        gaps = parameters.means - weighted_mean(parameters.weights, parameters.means)
        s1, s2 = shifted(statistics, gaps)
        ratio = greatest_ratio(np.diag(statistics.s2), np.diag(s2))
        return statistics._replace(s1=s1, s2=s2), ratio

    def from_variances(self, variances):
        return np.diag(variances.mean(axis=0))

    def from_precisions(self, precisions, n_components, n_features):
        covariances, factors, log_det = matrices.from_precisions(precisions[None])
        return covariances[0], factors[0], np.repeat(log_det, n_components)

    def variances(self, covariances, n_components, n_features):
        return np.broadcast_to(np.diag(covariances), (n_components, n_features))

    def matrices(self, covariances, n_components, n_features):
        return covariances[None]

    def scaled(self, covariances, scale, n_components, n_features):
        return self.name, covariances * np.outer(scale, scale)

    def square_roots(self, covariances, n_features):
        return np.linalg.cholesky(covariances)[None]

    def add_to_diagonal(self, covariances, values):
        diagonal = np.einsum("jj->j", covariances)
        diagonal += np.max(values)

    def replace(self, covariances, k, variances):
        covariances[:] = np.diag(variances)

    def select(self, mask, old, new):
        return old if mask.all() else new

    def dilute(self, covariances, means, kept):
        return covariances  # scikit-learn adds next to nothing to the sum of all N_k

    def factorize(self, covariances, n_components, n_features, n_threads=1):
        factors, log_det = matrices.factorize(covariances[None], 1)
        return factors[0], np.repeat(log_det, n_components)

    def pivots(self, factors, n_components, n_features):
        return np.broadcast_to(np.diag(factors) ** -2.0, (n_components, n_features))

    def distances(self, factors, gaps):
        return matrices.lengths(factors, gaps)

    def stretch(self, old, new, n_components, n_features, n_threads):
        least, greatest = matrices.stretch(old[None], new[None], 1)
        return np.repeat(least, n_components), np.repeat(greatest, n_components)

    def cancellation(self, covariances, factors, n_components, n_features):
        deviations = np.sqrt(self.variances(covariances, n_components, n_features))
        return matrices.lengths(np.abs(factors), deviations)

    def inflation(self, covariances, factors, n_components, n_features):
        return matrices.inflation(covariances, factors)

    def kernel_factors(self, factors, n_components, about_center):
        if about_center:
            return self.kernels, factors.reshape(1, -1)
        # Differences from a far mean lose digits if rows are whitened about one common point.
        return passes.FULL, np.tile(factors.reshape(1, -1), (n_components, 1))

    def marginal(self, covariances, features):
        return matrices.marginal(covariances[None], features)[0]

    def conditional(self, covariances, gaps, observed, n_features):
        slopes, conditional = matrices.regression(covariances[None], observed)
        return np.einsum("mo,...ko->...km", slopes[0], gaps), conditional[0]

    def complete(self, statistics, covariances, observed, n_features):
        slopes, conditional = matrices.regression(covariances[None], observed)
        total, s2 = statistics.nk.sum(keepdims=True), statistics.s2[None]
        return statistics._replace(
            s1=matrices.completed_sums(statistics.s1, slopes, observed),
            s2=matrices.completed_moments(s2, slopes, conditional, total, observed)[0],
        )

    def of_components(self, covariances, n_components, n_features):
        return np.broadcast_to(covariances, (n_components, n_features, n_features))

    def sum_of_components(self, s2):
        return s2.sum(axis=0)

    def to_local(self, gaps, factors, origin):
        shapes = matrices.to_local(factors[..., None, :, :], origin[None])
        return np.einsum("ij,...kj->...ki", origin, gaps), shapes

    def from_local(self, moves, shapes, origin):
        return matrices.solve(origin, moves), matrices.from_local(shapes, origin[None])[0]

    def asymmetry(self, matrices_):
        return matrices.asymmetry(matrices_)

    def are_factors(self, factors):
        return matrices.are_factors(factors)

    def factor_error(self, covariances, factors):
        return matrices.factor_error(covariances, factors)

    def public_covariances(self, covariances):
        return matrices.symmetric(covariances)

    def public_factors(self, factors):
        return matrices.transposed(factors)

    def precisions(self, public_factors):
        return matrices.precisions(public_factors)
