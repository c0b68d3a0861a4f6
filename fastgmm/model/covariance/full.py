"""Full covariances: one matrix for each component."""

import numpy as np

from fastgmm.kernels import passes
from fastgmm.kernels.tiles import matrix_rows
from fastgmm.model.covariance import matrices
from fastgmm.model.covariance.base import CovarianceType


class Full(CovarianceType):
    """One covariance matrix per component: arrays (n_components, n_features, n_features)."""

    name = "full"
    kernels = passes.FULL
    worth_skipping = 0.65
    has_compiled_step = True
    has_coordinates = True
    most_wide = np.inf

    def shape(self, n_components, n_features):
        return n_components, n_features, n_features

    def n_parameters(self, n_components, n_features):
        return n_components * n_features * (n_features + 1) // 2

    def moment_shape(self, n_components, n_features, width):
        return n_components, matrix_rows(n_features), width

    def second_moments(self, raw, n_features):
        return raw[:, :n_features, :n_features]

    def from_moments(self, s2, nk, delta, divisor):
        covariances = s2 / divisor[:, None, None]
        covariances -= delta[:, :, None] * delta[:, None, :]
        return covariances

    def rows_per_matrix(self, nk):
        return nk

    def total_distance(self, factors, s2):
        return matrices.total_distance(factors, s2)

    def one(self, covariances):
        return covariances[0]

    def scale_from_matrix(self, matrix):
        return matrix

    def default_scale(self, covariance):
        return covariance

    def prior_power(self, degrees_of_freedom, n_features):
        return degrees_of_freedom + n_features + 1.0

    def about_center(self, weights, means, factors):
        return None, None

    def to_means(self, statistics, parameters):
        return statistics, 1.0

    def from_variances(self, variances):
        return variances[:, :, None] * np.eye(variances.shape[1])

    def from_precisions(self, precisions, n_components, n_features):
        return matrices.from_precisions(precisions)

    def variances(self, covariances, n_components, n_features):
        return covariances.diagonal(axis1=1, axis2=2)

    def matrices(self, covariances, n_components, n_features):
        return covariances

    def square_roots(self, covariances, n_features):
        return np.linalg.cholesky(covariances)

    def add_to_diagonal(self, covariances, values):
        diagonal = np.einsum("kjj->kj", covariances)
        diagonal += np.reshape(values, (-1, 1))

    def replace(self, covariances, k, variances):
        covariances[k] = np.diag(variances)

    def select(self, mask, old, new):
        return np.where(mask[:, None, None], old, new)

    def dilute(self, covariances, means, kept):
        # The mean of the component's own rows about the new mean: scikit-learn sums
        # r (x - new mean)(x - new mean)^T over these rows only.
        gap = (1.0 - kept)[:, None] * means
        outer = gap[:, :, None] * gap[:, None, :]
        return kept[:, None, None] * (matrices.symmetric(covariances) + outer)

    def factorize(self, covariances, n_components, n_features, n_threads=1):
        return matrices.factorize(covariances, n_threads)

    def pivots(self, factors, n_components, n_features):
        return np.einsum("kjj->kj", factors) ** -2.0

    def distances(self, factors, gaps):
        return matrices.lengths(factors, gaps)

    def stretch(self, old, new, n_components, n_features, n_threads):
        return matrices.stretch(old, new, n_threads)

    def cancellation(self, covariances, factors, n_components, n_features):
        deviations = np.sqrt(self.variances(covariances, n_components, n_features))
        return matrices.lengths(np.abs(factors), deviations)

    def inflation(self, covariances, factors, n_components, n_features):
        return matrices.inflation(covariances, factors)

    def kernel_factors(self, factors, n_components, about_center):
        return self.kernels, factors.reshape(n_components, -1)

    def marginal(self, covariances, features):
        return matrices.marginal(covariances, features)

    def conditional(self, covariances, gaps, observed, n_features):
        slopes, conditional = matrices.regression(covariances, observed)
        return np.einsum("kmo,...ko->...km", slopes, gaps), conditional

    def complete(self, statistics, covariances, observed, n_features):
        slopes, conditional = matrices.regression(covariances, observed)
        nk, s2 = statistics.nk, statistics.s2
        return statistics._replace(
            s1=matrices.completed_sums(statistics.s1, slopes, observed),
            s2=matrices.completed_moments(s2, slopes, conditional, nk, observed),
        )

    def of_components(self, covariances, n_components, n_features):
        return covariances

    def sum_of_components(self, s2):
        return s2

    def to_local(self, gaps, factors, origin):
        return np.einsum("kij,...kj->...ki", origin, gaps), matrices.to_local(factors, origin)

    def from_local(self, moves, shapes, origin):
        return matrices.solve(origin, moves), matrices.from_local(shapes, origin)

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
