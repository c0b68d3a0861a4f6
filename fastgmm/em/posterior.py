"""Maximum a posteriori: the mode of the posterior under priors of the parameters.

The prior of a mean and its covariance is normal-inverse-Wishart (Fraley and Raftery, "Bayesian
regularization for normal mixture estimation and model-based clustering", 2007, section 3),

    mean | Sigma ~ Normal(m, Sigma / kappa),   Sigma ~ inverse Wishart(nu, Lambda),

and inverse gamma with nu / 2 and Lambda / 2 in place of Wishart for variances. That of the weights
is a symmetric Dirichlet distribution with the concentration alpha. The E-step is that of maximum
likelihood. The M-step is, with N, the mean x and the scatter W of a component's rows,

    weight = (N + alpha - 1) / (n + K (alpha - 1)),   mean = (N x + kappa m) / (N + kappa),
    Sigma = (Lambda + W + c (x - m)(x - m)^T) / (p + 1 + N),   c = kappa N / (N + kappa).

p is `CovarianceType.prior_power`: nu + d + 1 for a matrix. One matrix for all components has the
sums over components of W, of the terms with c and of 1 + N (table 2 there). About a mean that is
fixed c is kappa. The objective is the log-posterior without constants.
"""

import numpy as np

from fastgmm.em.models import has_dwindled, mixture_terms, new_parameters, row_estimates
from fastgmm.em.priors import Prior
from fastgmm.model.base import Model, Terms
from fastgmm.model.covariance import CovarianceType
from fastgmm.model.parameters import Parameters
from fastgmm.sources.base import Statistics


class MaximumPosterior(Model):
    """Maximum a posteriori under a prior of means and covariances, of weights, or both.

    Parameters
    ----------
    covariance_type : CovarianceType
        A value of `COVARIANCE_TYPES`.
    reg_covar : float
        Number added to the diagonal of the scale, in squared units of the data. The posterior is
        then that of the greater scale, so it does not fall. Without a prior of covariances, it is
        added to these, as in maximum likelihood.
    prior : Prior or None
        The prior of means and covariances.
    concentration : float, default=1.0
        Concentration of the Dirichlet distribution, at least 1: each component has so many rows
        more, less 1.
    fills_space : bool, default=False
        Whether the scale is divided by ``n_components^(2 / n_features)``: the components then fill
        the volume of one component with that scale.
    """

    def __init__(
        self,
        covariance_type: CovarianceType,
        reg_covar: float,
        prior: Prior | None,
        concentration: float = 1.0,
        fills_space: bool = False,
    ) -> None:
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar if prior is None else 0.0
        self.is_bounded = prior is not None
        self.prior = prior
        self.concentration = concentration
        self._ridge = reg_covar
        self._fills_space = fills_space

    def prior_of(self, n_components: int) -> Prior | None:
        """Return the prior of each component's mean and covariance, if there is one."""
        if self.prior is None:
            return None
        volume = n_components ** (2.0 / len(self.prior.mean)) if self._fills_space else 1.0
        ridge = np.eye(len(self.prior.mean)) * self._ridge
        scale = self.prior.scale / volume + self.covariance_type.scale_from_matrix(ridge)
        return self.prior._replace(scale=scale)

    def terms(self, parameters: Parameters) -> Terms:
        """Return the terms of the mixture: see `mixture_terms`."""
        return mixture_terms(parameters)

    def update(
        self, parameters: Parameters, statistics: Statistics, n_threads: int | None = 1
    ) -> Parameters:
        """Return the mode of the posterior given the responsibilities."""
        nk, means, covariances = row_estimates(self, parameters, statistics)
        prior = self.prior_of(len(nk))
        if prior is not None:
            means, covariances = self._with_prior(prior, nk, means, covariances)
        rows = nk + (self.concentration - 1.0)
        return new_parameters(self, rows / rows.sum(), means, covariances, n_threads)

    def _with_prior(self, prior, nk, means, covariances):
        """Return means and covariances from those of the rows and the prior."""
        kind, (n_components, n_features) = self.covariance_type, means.shape
        kept = nk / (prior.mean_precision + nk)  # of the gap between the rows' mean and the prior's
        rows_of_gap = prior.mean_precision * kept
        if self.fixed is not None:
            kept = np.where(self.fixed.means, 1.0, kept)
            rows_of_gap = np.where(self.fixed.means, prior.mean_precision, rows_of_gap)
        gaps = means - prior.mean
        one = np.ones(n_components)
        scale = np.broadcast_to(prior.scale, kind.shape(n_components, n_features))
        pull = np.sqrt(rows_of_gap)[:, None] * gaps
        # Lambda + c (x - m)(x - m)^T, averaged as the type demands
        added = kind.from_moments(scale, one, np.zeros_like(gaps), one)
        added = added - kind.from_moments(np.zeros_like(added), one, pull, one)
        rows = np.asarray(kind.rows_per_matrix(nk))
        power = kind.prior_power(prior.degrees_of_freedom, n_features) * rows.size / n_components
        axes = (1,) * (covariances.ndim - rows.ndim)
        sigma = added + rows.reshape(rows.shape + axes) * covariances
        sigma /= (power + 1.0 + rows).reshape(rows.shape + axes)
        return prior.mean + kept[:, None] * gaps, sigma

    def objective(
        self, parameters: Parameters, statistics: Statistics, total_weight: float
    ) -> float:
        """Return the log-posterior, without constants, per unit of row weight."""
        return (statistics.log_likelihood + self.log_prior(parameters)) / total_weight

    def log_prior(self, parameters: Parameters) -> float:
        """Return the logarithm of the prior's density, without constants."""
        weights, means, _, factors, log_det = parameters
        result = 0.0
        if self.concentration > 1.0:
            result += (self.concentration - 1.0) * np.log(weights).sum()
        prior, kind = self.prior_of(len(weights)), self.covariance_type
        if prior is not None:
            n_components, n_features = means.shape
            n_matrices = np.size(kind.rows_per_matrix(weights))
            power = kind.prior_power(prior.degrees_of_freedom, n_features)
            power *= n_matrices / n_components
            scale = np.broadcast_to(prior.scale, kind.shape(n_components, n_features))
            distances = kind.distances(factors, means - prior.mean)
            result += (power + 1.0) * log_det.sum()
            result -= 0.5 * kind.total_distance(factors, scale)
            result -= 0.5 * prior.mean_precision * np.square(distances).sum()
        return float(result)

    def has_dwindled(self, old: Parameters, new: Parameters) -> bool:
        """Return whether a weight, or weight times variance, fell below 1/1000 of the old value."""
        return has_dwindled(self.covariance_type, old, new, old.weights, new.weights)
