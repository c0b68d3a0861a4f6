"""The plainest possible Gaussian mixtures, to compare the library with.

Every function is the textbook formula in plain NumPy and float64, with loops where the
formula has a sum over components. Nothing here is fast, clever or shared with the
library: covariances are always expanded to full matrices, densities come from
``slogdet`` and ``solve``, and covariances are averages of outer products about the
means. ``tests/sklearn/test_parity.py`` compares this module with scikit-learn, so that it can
stand in for scikit-learn where scikit-learn has no answer (sample weights, ICL).

Notation: X is (n_samples, n_features), resp is (n_samples, n_components), and the
covariances have the shape of their type: full (K, d, d), tied (d, d), diag (K, d),
spherical (K,).
"""

from typing import NamedTuple

import mpmath
import numpy as np
from scipy import stats
from scipy.special import digamma, gammaln

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")


class Parameters(NamedTuple):
    """Parameters of a mixture: weights (K,), means (K, d) and covariances."""

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray


class Run(NamedTuple):
    """The result of ``em``: last parameters, the trace and how the loop ended."""

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    log_likelihoods: np.ndarray
    n_iter: int
    converged: bool


def full_covariances(covariances, covariance_type, n_components, n_features):
    """Covariance matrices (K, d, d) of any covariance type."""
    covariances = np.asarray(covariances, dtype=np.float64)
    eye = np.eye(n_features)
    return np.array(
        [
            {
                "full": lambda k: covariances[k],
                "tied": lambda k: covariances,
                "diag": lambda k: np.diag(covariances[k]),
                "spherical": lambda k: covariances[k] * eye,
            }[covariance_type](k)
            for k in range(n_components)
        ]
    )


def precisions(covariances, covariance_type):
    """Inverse covariances in the shape of their type, as ``precisions_init`` wants them."""
    covariances = np.asarray(covariances, dtype=np.float64)
    if covariance_type in ("full", "tied"):
        return np.linalg.inv(covariances)
    return 1.0 / covariances


def squared_distances(X, means, covariances, covariance_type):
    """Squared Mahalanobis distance of every row from every component, (n, K)."""
    X = np.asarray(X, dtype=np.float64)
    means = np.asarray(means, dtype=np.float64)
    matrices = full_covariances(covariances, covariance_type, *means.shape)
    result = np.empty((len(X), len(means)))
    for k in range(len(means)):
        diff = X - means[k]
        result[:, k] = np.sum(diff * np.linalg.solve(matrices[k], diff.T).T, axis=1)
    return result


def log_densities(X, means, covariances, covariance_type):
    """Log density of every row under every component, without weights, (n, K)."""
    n_components, n_features = np.shape(means)
    matrices = full_covariances(covariances, covariance_type, n_components, n_features)
    log_dets = np.array([np.linalg.slogdet(matrix)[1] for matrix in matrices])
    maha2 = squared_distances(X, means, covariances, covariance_type)
    return -0.5 * (n_features * np.log(2.0 * np.pi) + log_dets + maha2)


def log_joint(X, weights, means, covariances, covariance_type):
    """Log of weight times density of every row under every component, (n, K)."""
    with np.errstate(divide="ignore"):  # the log of a weight of zero is -inf, and so meant
        log_weights = np.log(np.asarray(weights, dtype=np.float64))
    return log_densities(X, means, covariances, covariance_type) + log_weights


def score_samples(X, weights, means, covariances, covariance_type):
    """Log density of every row under the mixture, (n,)."""
    joint = log_joint(X, weights, means, covariances, covariance_type)
    return np.logaddexp.reduce(joint, axis=1)


def responsibilities(X, weights, means, covariances, covariance_type):
    """Posterior probability of every component for every row, (n, K)."""
    joint = log_joint(X, weights, means, covariances, covariance_type)
    return np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, None])


def statistics(X, resp, centers, sample_weight=None):
    """Sums of the M-step about arbitrary centers (K, d): N (K,), S1 (K, d), S2 (K, d, d)."""
    X = np.asarray(X, dtype=np.float64)
    weighted = resp * row_weights(X, sample_weight)[:, None]
    n_components, n_features = centers.shape
    s1 = np.empty((n_components, n_features))
    s2 = np.empty((n_components, n_features, n_features))
    for k in range(n_components):
        diff = X - centers[k]
        s1[k] = weighted[:, k] @ diff
        s2[k] = (weighted[:, k, None] * diff).T @ diff
    return weighted.sum(axis=0), s1, s2


def covariances_about(X, resp, centers, covariance_type, reg_covar, sample_weight=None):
    """Weighted mean squared deviations about given centers, in the shape of the type."""
    nk, _, s2 = statistics(X, resp, centers, sample_weight)
    n_features = np.shape(X)[1]
    ridge = reg_covar * np.eye(n_features)
    if covariance_type == "tied":
        return s2.sum(axis=0) / nk.sum() + ridge
    full = s2 / nk[:, None, None] + ridge
    if covariance_type == "full":
        return full
    diag = np.array([np.diag(matrix) for matrix in full])
    return diag if covariance_type == "diag" else diag.mean(axis=1)


def m_step(X, resp, covariance_type, reg_covar=1e-6, sample_weight=None):
    """Weights, means and covariances that the responsibilities imply."""
    X = np.asarray(X, dtype=np.float64)
    weighted = resp * row_weights(X, sample_weight)[:, None]
    nk = weighted.sum(axis=0)
    means = np.array([weighted[:, k] @ X / nk[k] for k in range(len(nk))])
    covariances = covariances_about(X, resp, means, covariance_type, reg_covar, sample_weight)
    return Parameters(nk / nk.sum(), means, covariances)


def em(
    X,
    weights,
    means,
    covariances,
    covariance_type,
    *,
    sample_weight=None,
    tol=1e-3,
    reg_covar=1e-6,
    max_iter=100,
):
    """The whole EM loop, ended by scikit-learn's rule.

    The log-likelihood of an iteration is that of the parameters *before* its M-step, as
    a weighted mean over rows; the loop ends after the M-step of the first iteration that
    changed it by less than ``tol``.
    """
    w = row_weights(X, sample_weight)
    params = Parameters(*(np.array(a, dtype=np.float64) for a in (weights, means, covariances)))
    trace = []
    converged = False
    for _ in range(max_iter):
        trace.append(np.average(score_samples(X, *params, covariance_type), weights=w))
        resp = responsibilities(X, *params, covariance_type)
        params = m_step(X, resp, covariance_type, reg_covar, w)
        if len(trace) > 1 and abs(trace[-1] - trace[-2]) < tol:
            converged = True
            break
    return Run(*params, np.array(trace), len(trace), converged)


def conditional(x, mean, matrix):
    """A row with gaps (NaN) filled by conditional means, and their covariance (d, d).

    The textbook's formulas for one Gaussian: ``mean_m + S_mo S_oo^-1 (x_o - mean_o)`` and
    ``S_mm - S_mo S_oo^-1 S_om``, with zeros for observed features.
    """
    o = ~np.isnan(x)
    m = ~o
    slopes = np.linalg.solve(matrix[np.ix_(o, o)], matrix[np.ix_(o, m)]).T
    filled = np.where(o, x, 0.0)
    filled[m] = mean[m] + slopes @ (x - mean)[o]
    covariance = np.zeros_like(matrix)
    covariance[np.ix_(m, m)] = matrix[np.ix_(m, m)] - slopes @ matrix[np.ix_(o, m)]
    return filled, covariance


def incomplete_log_joint(X, weights, means, covariances, covariance_type):
    """Log of weight times density of the observed features of every row, (n, K)."""
    n_components, n_features = np.shape(means)
    matrices = full_covariances(covariances, covariance_type, n_components, n_features)
    result = np.empty((len(X), n_components))
    for i, x in enumerate(np.asarray(X, dtype=np.float64)):
        o = ~np.isnan(x)
        for k in range(n_components):
            gap, part = (x - means[k])[o], matrices[k][np.ix_(o, o)]
            maha2 = gap @ np.linalg.solve(part, gap)
            log_det = np.linalg.slogdet(part)[1]
            density = -0.5 * (o.sum() * np.log(2.0 * np.pi) + log_det + maha2)
            result[i, k] = np.log(weights[k]) + density
    return result


def incomplete_m_step(X, params, covariance_type, reg_covar=1e-6, sample_weight=None):
    """Weights, means and covariances from rows with gaps, row by row.

    Ghahramani and Jordan (1994), section 3: the expected sums of rows and of their outer products.
    """
    w = row_weights(X, sample_weight)
    n_components, n_features = params.means.shape
    matrices = full_covariances(params.covariances, covariance_type, n_components, n_features)
    joint = incomplete_log_joint(X, *params, covariance_type)
    resp = np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, None]) * w[:, None]
    rows = [
        [conditional(x, params.means[k], matrices[k]) for x in np.asarray(X, dtype=np.float64)]
        for k in range(n_components)
    ]
    nk = resp.sum(axis=0)
    means = np.zeros((n_components, n_features))
    full = np.zeros((n_components, n_features, n_features))
    for k in range(n_components):
        for r, (x, _) in zip(resp[:, k], rows[k], strict=True):
            means[k] += r * x / nk[k]
        for r, (x, c) in zip(resp[:, k], rows[k], strict=True):
            full[k] += r * (np.outer(x - means[k], x - means[k]) + c) / nk[k]
    ridge = reg_covar * np.eye(n_features)
    if covariance_type == "tied":
        return Parameters(nk / nk.sum(), means, np.tensordot(nk / nk.sum(), full, 1) + ridge)
    full = full + ridge
    diag = np.array([np.diag(matrix) for matrix in full])
    covariances = {"full": full, "diag": diag, "spherical": diag.mean(axis=1)}[covariance_type]
    return Parameters(nk / nk.sum(), means, covariances)


def incomplete_em(X, params, covariance_type, n_iter, reg_covar=1e-6, sample_weight=None):
    """EM iterations on rows with gaps: the last parameters and the trace."""
    w = row_weights(X, sample_weight)
    trace = []
    for _ in range(n_iter):
        joint = incomplete_log_joint(X, *params, covariance_type)
        trace.append(np.average(np.logaddexp.reduce(joint, axis=1), weights=w))
        params = incomplete_m_step(X, params, covariance_type, reg_covar, w)
    return params, np.array(trace)


def n_parameters(covariance_type, n_components, n_features):
    """Number of free parameters."""
    covariance = {
        "full": n_components * n_features * (n_features + 1) // 2,
        "tied": n_features * (n_features + 1) // 2,
        "diag": n_components * n_features,
        "spherical": n_components,
    }[covariance_type]
    return covariance + n_components * n_features + n_components - 1


def bic(X, weights, means, covariances, covariance_type, sample_weight=None):
    """Bayesian information criterion; a row of weight w counts as w rows."""
    w = row_weights(X, sample_weight)
    free = n_parameters(covariance_type, *np.shape(means))
    total = np.sum(w * score_samples(X, weights, means, covariances, covariance_type))
    return -2.0 * total + free * np.log(w.sum())


def aic(X, weights, means, covariances, covariance_type, sample_weight=None):
    """Akaike information criterion; a row of weight w counts as w rows."""
    w = row_weights(X, sample_weight)
    free = n_parameters(covariance_type, *np.shape(means))
    total = np.sum(w * score_samples(X, weights, means, covariances, covariance_type))
    return -2.0 * total + 2.0 * free


def icl(X, weights, means, covariances, covariance_type, sample_weight=None):
    """Integrated completed likelihood: BIC plus twice the entropy of the memberships."""
    w = row_weights(X, sample_weight)
    resp = responsibilities(X, weights, means, covariances, covariance_type)
    safe = np.where(resp > 0.0, resp, 1.0)
    entropy = -np.sum(w[:, None] * safe * np.log(safe))
    return bic(X, weights, means, covariances, covariance_type, sample_weight) + 2.0 * entropy


class Beliefs(NamedTuple):
    """A variational posterior of a mixture of K components in d dimensions.

    Attribute ``concentration`` holds Dirichlet parameters (K,) or beta parameters (2, K); beta
    (K,), means (K, d), nu (K,) and w_inverse (K, d, d) are Bishop's.
    """

    concentration: np.ndarray
    beta: np.ndarray
    means: np.ndarray
    nu: np.ndarray
    w_inverse: np.ndarray


def expected_log_weights(concentration):
    """E[log pi] (K,) under a Dirichlet distribution, or under broken sticks."""
    if concentration.ndim == 1:
        return digamma(concentration) - digamma(concentration.sum())
    a, b = concentration
    result = np.empty(len(a))
    for k in range(len(a)):
        result[k] = digamma(a[k]) - digamma(a[k] + b[k])
        for before in range(k):
            result[k] += digamma(b[before]) - digamma(a[before] + b[before])
    return result


def variational_log_joint(X, beliefs):
    """Bishop's log rho (10.46): E[log pi] + E[log N(x | mu, Lambda^-1)] for rows, (n, K)."""
    n_features = np.shape(X)[1]
    log_weights = expected_log_weights(beliefs.concentration)
    result = np.empty((len(X), len(beliefs.beta)))
    for k in range(len(beliefs.beta)):
        nu, w = beliefs.nu[k], np.linalg.inv(beliefs.w_inverse[k])
        log_lambda = sum(digamma((nu - j) / 2) for j in range(n_features))
        log_lambda += n_features * np.log(2) + np.linalg.slogdet(w)[1]
        diff = X - beliefs.means[k]
        maha2 = n_features / beliefs.beta[k] + nu * np.sum(diff * (diff @ w), axis=1)
        result[:, k] = log_weights[k] + 0.5 * (log_lambda - n_features * np.log(2 * np.pi) - maha2)
    return result


def variational_m_step(X, resp, prior, sample_weight=None):
    """The posterior of full covariances given responsibilities: Bishop's 10.58 to 10.63.

    ``prior`` is a ``Beliefs`` of one component whose concentration is a number, or an array
    (2, 1) whose second entry is the concentration of a Dirichlet process.
    """
    weighted = resp * row_weights(X, sample_weight)[:, None]
    nk = weighted.sum(axis=0)
    beta = prior.beta[0] + nk
    means = np.empty((len(nk), np.shape(X)[1]))
    w_inverse = np.empty((len(nk), *prior.w_inverse.shape[1:]))
    for k in range(len(nk)):
        means[k] = (prior.beta[0] * prior.means[0] + weighted[:, k] @ X) / beta[k]
        mean = weighted[:, k] @ X / nk[k]
        diff, gap = X - mean, mean - prior.means[0]
        w_inverse[k] = prior.w_inverse[0] + (weighted[:, k, None] * diff).T @ diff
        w_inverse[k] += prior.beta[0] * nk[k] / beta[k] * np.outer(gap, gap)
    if np.ndim(prior.concentration) == 0:
        concentration = prior.concentration + nk
    else:
        later = np.array([nk[k + 1 :].sum() for k in range(len(nk))])
        concentration = np.array([1.0 + nk, prior.concentration[1, 0] + later])
    return Beliefs(concentration, beta, means, prior.nu[0] + nk, w_inverse)


def kl_to_normal_wishart(beliefs, k, prior):
    """KL divergence of component k's Normal-Wishart distribution from the prior's."""
    d = beliefs.means.shape[1]
    w, nu = np.linalg.inv(beliefs.w_inverse[k]), beliefs.nu[k]
    log_lambda = sum(digamma((nu - j) / 2) for j in range(d)) + d * np.log(2)
    log_lambda += np.linalg.slogdet(w)[1]

    def log_norm(nu, w_inverse):  # log B(W, nu), Bishop's B.79
        return (
            nu / 2 * np.linalg.slogdet(w_inverse)[1]
            - nu * d / 2 * np.log(2)
            - d * (d - 1) / 4 * np.log(np.pi)
            - sum(gammaln((nu - j) / 2) for j in range(d))
        )

    gap = beliefs.means[k] - prior.means[0]
    normal = 0.5 * (
        d * np.log(beliefs.beta[k] / prior.beta[0])
        - d
        + d * prior.beta[0] / beliefs.beta[k]
        + prior.beta[0] * nu * gap @ w @ gap
    )
    own = log_norm(nu, beliefs.w_inverse[k]) + (nu - d - 1) / 2 * log_lambda - nu * d / 2
    priors = log_norm(prior.nu[0], prior.w_inverse[0]) + (prior.nu[0] - d - 1) / 2 * log_lambda
    return normal + own - priors + nu / 2 * np.trace(prior.w_inverse[0] @ w)


def evidence_bound(X, resp, beliefs, prior, sample_weight=None):
    """The evidence lower bound, term by term: Bishop's 10.70 with Dirichlet weights.

    Expected log joint of rows, plus the entropy of their responsibilities, minus the divergences
    of all posteriors from their priors.
    """
    w = row_weights(X, sample_weight)[:, None]
    safe = np.where(resp > 0.0, resp, 1.0)
    bound = np.sum(w * resp * (variational_log_joint(X, beliefs) - np.log(safe)))
    alpha, first = beliefs.concentration, np.full(len(beliefs.beta), prior.concentration)
    bound -= gammaln(alpha.sum()) - gammaln(alpha).sum()
    bound += gammaln(first.sum()) - gammaln(first).sum()
    bound -= np.sum((alpha - first) * (digamma(alpha) - digamma(alpha.sum())))
    return bound - sum(kl_to_normal_wishart(beliefs, k, prior) for k in range(len(beliefs.beta)))


class NormalWishart(NamedTuple):
    """Prior of a mean and a covariance: mean (d,), kappa, nu and a scale (d, d)."""

    mean: np.ndarray
    kappa: float
    nu: float
    scale: np.ndarray


def prior_scale(scale, covariance_type):
    """The scale of a prior as the covariance type takes it: matrix, variances or one number."""
    if covariance_type == "diag":
        return np.diag(scale)
    return np.diag(scale).mean() if covariance_type == "spherical" else scale


def map_m_step(X, resp, covariance_type, prior, concentration=1.0, sample_weight=None):
    """Fraley and Raftery (2007), tables 1 and 2: the mode of the posterior."""
    n_features, n_components = X.shape[1], resp.shape[1]
    weighted = resp * row_weights(X, sample_weight)[:, None]
    nk = weighted.sum(axis=0)
    centers = np.array([weighted[:, k] @ X / nk[k] for k in range(n_components)])
    means = (nk[:, None] * centers + prior.kappa * prior.mean) / (nk + prior.kappa)[:, None]
    scatter = statistics(X, resp, centers, sample_weight)[2]
    for k in range(n_components):
        gap = centers[k] - prior.mean
        scatter[k] += prior.kappa * nk[k] / (prior.kappa + nk[k]) * np.outer(gap, gap)
    scale, nu = prior_scale(prior.scale, covariance_type), prior.nu
    if covariance_type == "full":
        covariances = [(scale + scatter[k]) / (nu + n_features + 2 + nk[k]) for k in range(len(nk))]
    elif covariance_type == "tied":
        freedom = nu + n_features + 1 + n_components + nk.sum()
        covariances = (scale + scatter.sum(axis=0)) / freedom
    elif covariance_type == "diag":
        covariances = [(scale + np.diag(scatter[k])) / (nu + 3 + nk[k]) for k in range(len(nk))]
    else:
        covariances = [
            (scale + np.trace(scatter[k])) / (nu + (nk[k] + 1) * n_features + 2)
            for k in range(len(nk))
        ]
    rows = nk + concentration - 1
    return Parameters(rows / rows.sum(), means, np.array(covariances))


def log_prior(weights, means, covariances, covariance_type, prior, concentration=1.0):
    """Log-density of the prior: scipy's, with all constants."""
    n_components, n_features = means.shape
    matrices = full_covariances(covariances, covariance_type, n_components, n_features)
    scale, nu = prior_scale(prior.scale, covariance_type), prior.nu
    total = stats.dirichlet(np.full(n_components, concentration)).logpdf(weights)
    for k in range(n_components):
        total += stats.multivariate_normal(prior.mean, matrices[k] / prior.kappa).logpdf(means[k])
    if covariance_type in ("diag", "spherical"):
        return total + stats.invgamma(nu / 2, scale=scale / 2).logpdf(covariances).sum()
    for matrix in matrices[: 1 if covariance_type == "tied" else n_components]:
        total += stats.invwishart(nu, scale).logpdf(matrix)
    return total


def adapt(X, weights, means, covariances, covariance_type, relevance, what):
    """Reynolds, Quatieri and Dunn (2000), equations 11 to 14, about the means of the result."""
    resp = responsibilities(X, weights, means, covariances, covariance_type)
    n_components, n_features = means.shape
    nk = resp.sum(axis=0)
    alpha = nk / (nk + relevance)
    matrices = full_covariances(covariances, covariance_type, n_components, n_features)
    new = means.copy()
    second = np.empty_like(matrices)
    for k in range(n_components):
        if "means" in what:
            new[k] = alpha[k] * (resp[:, k] @ X / nk[k]) + (1 - alpha[k]) * means[k]
        own = (resp[:, k, None] * (X - new[k])).T @ (X - new[k]) / nk[k]
        gap = means[k] - new[k]
        second[k] = alpha[k] * own + (1 - alpha[k]) * (matrices[k] + np.outer(gap, gap))
    if "weights" in what:
        weights = alpha * nk / len(X) + (1 - alpha) * weights
        weights = weights / weights.sum()
    if "covariances" in what:
        diagonals = np.array([np.diag(matrix) for matrix in second])
        covariances = {
            "full": second,
            "tied": np.average(second, axis=0, weights=nk + relevance),
            "diag": diagonals,
            "spherical": diagonals.mean(axis=1),
        }[covariance_type]
    return Parameters(weights, new, covariances)


def row_weights(X, sample_weight=None):
    """Weights of the rows as float64, ones where none are given."""
    if sample_weight is None:
        return np.ones(len(X))
    return np.asarray(sample_weight, dtype=np.float64)


def exact_covariance(X, digits=50):
    """Mean and covariance matrix of the rows as rational arithmetic has it, to `digits`.

    A float is a ratio of integers, so mpmath takes every number of X as it is.
    """
    with mpmath.workdps(digits):
        rows = [[mpmath.mpf(float(value)) for value in row] for row in X]
        n, d = len(rows), len(rows[0])
        means = [mpmath.fsum(row[j] for row in rows) / n for j in range(d)]
        gaps = [[row[j] - means[j] for j in range(d)] for row in rows]
        covariance = [
            [mpmath.fsum(gap[j] * gap[l] for gap in gaps) / n for l in range(d)] for j in range(d)
        ]
        return np.array(means, dtype=float), np.array(covariance, dtype=float)


def exact_log_density(x, mean, covariance, digits=50):
    """Log density of one row under one Gaussian, and its squared distance, to `digits`."""
    with mpmath.workdps(digits):
        matrix = mpmath.matrix([[mpmath.mpf(float(v)) for v in row] for row in covariance])
        gap = mpmath.matrix(
            [mpmath.mpf(float(a)) - mpmath.mpf(float(b)) for a, b in zip(x, mean, strict=True)]
        )
        root = mpmath.cholesky(matrix)
        white = mpmath.lu_solve(root, gap)
        maha2 = mpmath.fsum(v * v for v in white)
        log_det = 2 * mpmath.fsum(mpmath.log(root[j, j]) for j in range(len(mean)))
        density = -(len(mean) * mpmath.log(2 * mpmath.pi) + log_det + maha2) / 2
        return float(density), float(maha2)
