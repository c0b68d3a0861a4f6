"""Diagonal covariances: one variance for each component and feature."""

import numpy as np

from fastgmm.kernels import passes
from fastgmm.model.covariance import variances as helpers
from fastgmm.model.covariance.base import CovarianceType
from fastgmm.model.sums import greatest_ratio, weighted_mean


class Diag(CovarianceType):
    """Independent features: arrays (n_components, n_features) of variances."""

    name = "diag"
    kernels = passes.DIAG
    worth_skipping = 0.5
    has_compiled_step = True
    has_coordinates = True

    def shape(self, n_components, n_features):
        return n_components, n_features

    def n_parameters(self, n_components, n_features):
        return n_components * n_features

    def moment_shape(self, n_components, n_features, width):
        return 1, n_components, width

    def second_moments(self, raw, n_features):
        return raw[0, :, :n_features]

    def from_moments(self, s2, nk, delta, divisor):
        return s2 / divisor[:, None] - delta * delta

    def rows_per_matrix(self, nk):
        return nk

    def total_distance(self, factors, s2):
        return helpers.total_distance(factors, s2)

    def one(self, covariances):
        return covariances[0]

    def scale_from_matrix(self, matrix):
        return np.diag(matrix)

    def default_scale(self, covariance):
        return np.full_like(covariance, covariance.mean())

    def prior_power(self, degrees_of_freedom, n_features):
        return degrees_of_freedom + 2.0

    def about_center(self, weights, means, factors):
        center = weighted_mean(weights, means)
        return center, (means - center) * factors

    def to_means(self, statistics, parameters):
        if not np.isfinite(statistics.s2).all():
            return statistics, np.inf
        gaps = parameters.means - weighted_mean(parameters.weights, parameters.means)
        squares, s1 = helpers.squares_about_means(statistics, gaps)
        s2 = statistics.s2 - squares
        return statistics._replace(s1=s1, s2=s2), greatest_ratio(statistics.s2, s2)

    def from_variances(self, variances):
        return variances.copy()

    def from_precisions(self, precisions, n_components, n_features):
        with np.errstate(divide="ignore"):
            covariances = 1.0 / precisions
        return covariances, *self.factorize(covariances, n_components, n_features)

    def variances(self, covariances, n_components, n_features):
        return covariances

    def matrices(self, covariances, n_components, n_features):
        return helpers.on_diagonals(covariances)

    def scaled(self, covariances, scale, n_components, n_features):
        return self.name, covariances * scale**2

    def square_roots(self, covariances, n_features):
        return helpers.on_diagonals(np.sqrt(covariances))

    def add_to_diagonal(self, covariances, values):
        covariances += np.reshape(values, (-1, 1))

    def replace(self, covariances, k, variances):
        covariances[k] = variances

    def select(self, mask, old, new):
        return np.where(mask[:, None], old, new)

    def dilute(self, covariances, means, kept):
        kept = kept[:, None]  # scikit-learn subtracts the squared new mean from E[x^2]
        return kept * (covariances + (1.0 - kept) * means * means)

    def factorize(self, covariances, n_components, n_features, n_threads=1):
        return helpers.factorize(covariances)

    def pivots(self, factors, n_components, n_features):
        return factors**-2.0

    def distances(self, factors, gaps):
        return np.linalg.norm(factors * gaps, axis=-1)

    def stretch(self, old, new, n_components, n_features, n_threads):
        ratio = old / new
        return ratio.min(axis=1), ratio.max(axis=1)

    def cancellation(self, covariances, factors, n_components, n_features):
        return np.ones(n_components)  # U_k x has one term per feature: nothing cancels

    def kernel_factors(self, factors, n_components, about_center):
        return self.kernels, factors

    def marginal(self, covariances, features):
        return covariances[:, features]

    def conditional(self, covariances, gaps, observed, n_features):
        missing = np.setdiff1d(np.arange(n_features), observed)
        return np.zeros((*gaps.shape[:-1], len(missing))), covariances[:, missing]

    def complete(self, statistics, covariances, observed, n_features):
        s1, s2 = np.zeros(covariances.shape), statistics.nk[:, None] * covariances
        s1[:, observed], s2[:, observed] = statistics.s1, statistics.s2
        return statistics._replace(s1=s1, s2=s2)

    def of_components(self, covariances, n_components, n_features):
        return covariances

    def sum_of_components(self, s2):
        return s2

    def to_local(self, gaps, factors, origin):
        return gaps * origin, np.sqrt(2.0) * np.log(factors / origin)

    def from_local(self, moves, shapes, origin):
        return moves / origin, (origin * np.exp(shapes / np.sqrt(2.0))) ** -2.0

    def asymmetry(self, matrices):
        return 0.0

    def are_factors(self, factors):
        return helpers.are_factors(factors)

    def factor_error(self, covariances, factors):
        return helpers.factor_error(covariances, factors)

    def public_covariances(self, covariances):
        return covariances

    def public_factors(self, factors):
        return factors

    def precisions(self, public_factors):
        return helpers.precisions(public_factors)
