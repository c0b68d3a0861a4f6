"""Variational Bayes: the posterior of a mixture's parameters, approximated by a product.

Given the weights pi, means mu and precisions Lambda, the rows have a Gaussian mixture. The
approximate posterior is a Dirichlet distribution (or process) of pi, times for each component

    mu | Lambda ~ Normal(m, (beta Lambda)^-1),   Lambda ~ Wishart(W, nu),

after Bishop, "Pattern Recognition and Machine Learning" (2006), section 10.2. As in scikit-learn
the matrix that is stored is ``Sigma = (nu W)^-1``, so U^T U = nu W is the mean of Lambda.

The E-step is that of a mixture with factors U and the offsets ``E[log pi] + log det U + g / 2``,

    g = d log(2 / nu) + sum_j digamma((nu - j) / 2) - d / beta - d log 2 pi,

with j from 0 to d - 1 (equations 10.46, 10.64 to 10.66). The M-step reads N, the mean and the
covariance S of each component's rows (10.58 to 10.63). So the kernels, and the bounds that let
them skip pairs, are those of maximum likelihood.

The lower bound takes no pass of its own. Its entropy ``-sum r log r`` is the sum of the rows' log
normalisers, which a pass returns as its log-likelihood, minus ``sum_k r_k (offset_k - distance_k^2
/ 2)``. The latter is ``sum_k N_k offset_k - tr(U_k S2_k U_k^T) / 2``.

Covariances of one matrix for all components, and of variances, are scikit-learn's: the first has
the average of the scatter matrices and of the degrees of freedom, and for variances the formulas
of the matrix are used with nu unchanged. The bound is then not exactly that of a Bayesian model.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import digamma, gammaln

from fastgmm.em.models import has_dwindled, row_estimates
from fastgmm.em.priors import Prior
from fastgmm.em.weight_priors import WeightPrior
from fastgmm.model.base import Model, Terms
from fastgmm.model.covariance import CovarianceType
from fastgmm.model.parameters import Parameters
from fastgmm.sources.base import Statistics

_LEAST_WEIGHT = 1e-300  # of the thresholds below which responsibilities are dropped
_LOG_2_PI = np.log(2.0 * np.pi)
_ONE = np.ones(1)


class Posterior(NamedTuple):
    """The parameters of the approximate posterior: the five fields of `Parameters`, and others.

    `weights` and `means` are posterior means and `covariances` the inverses of the mean
    precisions. `concentration` is what `WeightPrior.posterior` returns, `mean_precision`
    (n_components,) is beta, and `degrees_of_freedom`, nu, has one number per matrix:
    (n_components,) or (). The last two fields follow from the others: `offsets` (n_components,)
    are those of the E-step, and `log_norm` is the sum of the log normalisers of all factors of
    the posterior, without constants.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    factors: np.ndarray
    log_det: np.ndarray
    concentration: np.ndarray
    mean_precision: np.ndarray
    degrees_of_freedom: np.ndarray
    offsets: np.ndarray
    log_norm: float


class Variational(Model):
    """The approximate posterior of a mixture under a prior; its objective is the lower bound.

    Parameters
    ----------
    covariance_type : CovarianceType
        A value of `COVARIANCE_TYPES`.
    reg_covar : float
        Number added to the diagonals of the rows' covariances, in squared units of the data.
    weight_prior : WeightPrior
        The prior of the weights.
    prior : Prior
        The prior of means and precisions.

    Notes
    -----
    Of the fixed parts, means may be those of some components. If weights are fixed, all are, and
    the concentrations stay. Covariances cannot be fixed.
    """

    is_bounded = True

    def __init__(
        self,
        covariance_type: CovarianceType,
        reg_covar: float,
        weight_prior: WeightPrior,
        prior: Prior,
    ) -> None:
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.weight_prior = weight_prior
        self.prior = prior

    def terms(self, parameters: Posterior) -> Terms:
        """Return the terms of the E-step: see the module's docstring.

        A responsibility counts as negligible relative to the rows of the component with those of
        its prior.
        """
        weights = np.maximum(parameters.weights, _LEAST_WEIGHT)
        log_norm = parameters.offsets - np.log(weights)
        return Terms(weights, *parameters[1:4], parameters.offsets, log_norm)

    def update(
        self, parameters: Posterior, statistics: Statistics, n_threads: int | None = 1
    ) -> Posterior:
        """Return the posterior given the responsibilities."""
        return self.posterior(*self.row_estimates(parameters, statistics), n_threads)

    def row_estimates(
        self, parameters: Posterior, statistics: Statistics
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the number, the mean and the covariance of the rows of each component."""
        return row_estimates(self, parameters, statistics)

    def posterior(
        self,
        nk: np.ndarray,
        means: np.ndarray,
        covariances: np.ndarray,
        n_threads: int | None = 1,
    ) -> Posterior:
        """Return the posterior given the number, mean and covariance of each component's rows.

        ``W^-1 = W_0^-1 + N S + N beta_0 / beta (mean - m_0)(mean - m_0)^T``. About a fixed mean m
        the last term is ``beta_0 (m - m_0)(m - m_0)^T``, and the bound has the same form.
        """
        prior, kind = self.prior, self.covariance_type
        beta = prior.mean_precision + nk
        new_means, pull = self._pulled(nk, beta, means)
        # S + beta_0 / beta (mean - m_0)(mean - m_0)^T, averaged as the type demands
        scatter = covariances - kind.from_moments(np.zeros_like(covariances), nk, pull, _ONE)
        rows = np.asarray(kind.rows_per_matrix(nk))
        nu = prior.degrees_of_freedom + rows
        axes = (1,) * (scatter.ndim - rows.ndim)
        sigma = prior.scale + rows.reshape(rows.shape + axes) * scatter
        sigma /= nu.reshape(rows.shape + axes)
        n_components, n_features = means.shape
        factors, log_det = kind.factorize(sigma, n_components, n_features, n_threads)
        best = concentration = self.weight_prior.posterior(nk)
        if self.fixed is not None and self.fixed.weights.any():
            concentration = self.fixed.values.concentration
        weights = self.weight_prior.mean(concentration)
        mixture = Parameters(weights, new_means, sigma, factors, log_det)
        new = make_posterior(self.weight_prior, mixture, concentration, beta, nu)
        if concentration is best:
            return new
        return new._replace(log_norm=new.log_norm - self.weight_prior.excess(best, concentration))

    def _pulled(self, nk, beta, means):
        """Return the posterior means, and the gaps to the prior's as the scatter counts them."""
        prior, fixed = self.prior, self.fixed
        if fixed is None:
            gaps = means - prior.mean
            pull = np.sqrt(prior.mean_precision / beta)[:, None] * gaps
            return prior.mean + (nk / beta)[:, None] * gaps, pull
        stays = fixed.means
        gaps = np.where(stays[:, None], fixed.values.means, means) - prior.mean
        rows_of_gap = np.where(stays, np.maximum(nk, _LEAST_WEIGHT), beta)
        pull = np.sqrt(prior.mean_precision / rows_of_gap)[:, None] * gaps
        moved = prior.mean + (nk / beta)[:, None] * gaps
        return np.where(stays[:, None], fixed.values.means, moved), pull

    def objective(
        self, parameters: Posterior, statistics: Statistics, total_weight: float
    ) -> float:
        """Return the lower bound after the M-step from `parameters`: see `objective_of_step`."""
        new = self.update(parameters, statistics)
        return self.objective_of_step(parameters, statistics, new, total_weight)

    def objective_of_step(
        self, old: Posterior, statistics: Statistics, new: Posterior, total_weight: float
    ) -> float:
        """Return the lower bound of the log evidence, without constants, as in scikit-learn.

        It is that of the responsibilities under `old` and of the posterior `new`, for all rows.
        """
        distances = self.covariance_type.total_distance(old.factors, statistics.s2)
        weighted = (statistics.nk * old.offsets).sum() - 0.5 * distances
        return float(statistics.log_likelihood - weighted - new.log_norm)

    def has_dwindled(self, old: Posterior, new: Posterior) -> bool:
        """Return whether the rows of a component and its prior fell to 1/1000 of the old value."""
        rows = np.minimum(new.mean_precision, self.weight_prior.rows(new.concentration))
        old_rows = old.weights * new.mean_precision.sum()
        return has_dwindled(self.covariance_type, old, new, old_rows, rows)


def make_posterior(
    weight_prior: WeightPrior,
    mixture: Parameters,
    concentration: np.ndarray,
    beta: np.ndarray,
    nu: np.ndarray,
) -> Posterior:
    """Return a posterior with the fields that follow from the others.

    ``log B(W, nu)``, the log normaliser of a Wishart distribution, is Bishop's equation B.79.
    """
    n_features = mixture.means.shape[1]
    halves = 0.5 * (nu - np.arange(n_features)[:, None])  # (nu - j) / 2
    log_two_over_nu = n_features * np.log(2.0 / nu)
    log_lambda = digamma(halves).sum(axis=0) + log_two_over_nu
    gaussian = log_lambda - n_features / beta - n_features * _LOG_2_PI
    offsets = weight_prior.mean_log(concentration) + mixture.log_det + 0.5 * gaussian
    wishart = nu * (mixture.log_det + 0.5 * log_two_over_nu) + gammaln(halves).sum(axis=0)
    log_norm = weight_prior.log_norm(concentration) - wishart.sum()
    log_norm += 0.5 * n_features * np.log(beta).sum()
    return Posterior(*mixture, concentration, beta, nu, offsets, float(log_norm))
