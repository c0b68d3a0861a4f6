"""Spherical covariances: one variance for each component."""

import numpy as np

from fastgmm.kernels import passes
from fastgmm.model.covariance import variances as helpers
from fastgmm.model.covariance.base import CovarianceType
from fastgmm.model.sums import greatest_ratio, weighted_mean


class Spherical(CovarianceType):
    """The same variance in every direction: arrays (n_components,)."""

    name = "spherical"
    kernels = passes.SPHERICAL
    worth_skipping = 0.4
    has_compiled_step = True
    has_coordinates = True

    def shape(self, n_components, n_features):
        return (n_components,)

    def n_parameters(self, n_components, n_features):
        return n_components

    def moment_shape(self, n_components, n_features, width):
        return 1, n_components, 1  # squared distances, summed over all features

    def second_moments(self, raw, n_features):
        return raw[0, :, 0]

    def from_moments(self, s2, nk, delta, divisor):
        return (s2 / divisor - (delta * delta).sum(axis=1)) / delta.shape[1]

    def rows_per_matrix(self, nk):
        return nk

    def total_distance(self, factors, s2):
        return helpers.total_distance(factors, s2)

    def one(self, covariances):
        return covariances[0]

    def scale_from_matrix(self, matrix):
        return np.diag(matrix).mean()

    def default_scale(self, covariance):
        return covariance

    def prior_power(self, degrees_of_freedom, n_features):
        return (degrees_of_freedom + 2.0) / n_features  # det U has a factor for each feature

    def about_center(self, weights, means, factors):
        center = weighted_mean(weights, means)
        return center, (means - center) * factors[:, None]

    def to_means(self, statistics, parameters):
        if not np.isfinite(statistics.s2).all():
            return statistics, np.inf
        gaps = parameters.means - weighted_mean(parameters.weights, parameters.means)
        squares, s1 = helpers.squares_about_means(statistics, gaps)
        s2 = statistics.s2 - squares.sum(axis=1)
        return statistics._replace(s1=s1, s2=s2), greatest_ratio(statistics.s2, s2)

    def from_variances(self, variances):
        return variances.mean(axis=1)

    def from_precisions(self, precisions, n_components, n_features):
        with np.errstate(divide="ignore"):
            covariances = 1.0 / precisions
        return covariances, *self.factorize(covariances, n_components, n_features)

    def variances(self, covariances, n_components, n_features):
        return np.broadcast_to(covariances[:, None], (n_components, n_features))

    def matrices(self, covariances, n_components, n_features):
        return helpers.on_diagonals(self.variances(covariances, n_components, n_features))

    def scaled(self, covariances, scale, n_components, n_features):
        return "diag", covariances[:, None] * scale**2

    def square_roots(self, covariances, n_features):
        return np.sqrt(covariances)[:, None, None] * np.eye(n_features)

    def add_to_diagonal(self, covariances, values):
        covariances += values

    def replace(self, covariances, k, variances):
        covariances[k] = variances.mean()

    def select(self, mask, old, new):
        return np.where(mask, old, new)

    def dilute(self, covariances, means, kept):
        kept = kept[:, None]  # scikit-learn averages the variances of its diagonal type
        return (kept * (covariances[:, None] + (1.0 - kept) * means * means)).mean(axis=1)

    def factorize(self, covariances, n_components, n_features, n_threads=1):
        factors, log_det = helpers.factorize(covariances[:, None])
        return factors[:, 0], n_features * log_det

    def pivots(self, factors, n_components, n_features):
        return np.broadcast_to(factors[:, None] ** -2.0, (n_components, n_features))

    def distances(self, factors, gaps):
        return np.linalg.norm(factors[:, None] * gaps, axis=-1)

    def stretch(self, old, new, n_components, n_features, n_threads):
        ratio = old / new
        return ratio, ratio

    def cancellation(self, covariances, factors, n_components, n_features):
        return np.ones(n_components)  # U_k x has one term per feature: nothing cancels

    def kernel_factors(self, factors, n_components, about_center):
        return self.kernels, factors[:, None]

    def marginal(self, covariances, features):
        return covariances

    def conditional(self, covariances, gaps, observed, n_features):
        return np.zeros((*gaps.shape[:-1], n_features - len(observed))), covariances

    def complete(self, statistics, covariances, observed, n_features):
        s1 = np.zeros((len(covariances), n_features))
        s1[:, observed] = statistics.s1
        n_missing = n_features - len(observed)
        s2 = statistics.s2 + statistics.nk * n_missing * covariances
        return statistics._replace(s1=s1, s2=s2)

    def of_components(self, covariances, n_components, n_features):
        return self.variances(covariances, n_components, n_features)

    def sum_of_components(self, s2):
        return s2.sum(axis=1)

    def to_local(self, gaps, factors, origin):
        shapes = np.sqrt(2.0 * gaps.shape[-1]) * np.log(factors / origin)
        return gaps * origin[:, None], shapes[..., None]

    def from_local(self, moves, shapes, origin):
        ratios = np.exp(shapes[..., 0] / np.sqrt(2.0 * moves.shape[-1]))
        return moves / origin[:, None], (origin * ratios) ** -2.0

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
