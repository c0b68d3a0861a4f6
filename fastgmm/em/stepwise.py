"""Stepwise EM, for streams of rows that cannot be read twice.

The statistics of the E-step are replaced by a running mean of those of the batches seen so far,

    s_n = (1 - gamma_n) s_(n-1) + gamma_n s(batch),

each scaled to weight 1, and the M-step follows each batch (Cappe and Moulines 2009, "On-line
expectation-maximization algorithm for latent data models"; Liang and Klein 2009, "Online EM for
unsupervised models"). The mixture itself is all that has to be remembered: about its means the
running statistics are N = weights, S1 = 0, and the S2 of its covariances, which are those of rows
without any observed value. See `CovarianceType.complete`.
"""

from __future__ import annotations

import numpy as np

from fastgmm.model.base import Model
from fastgmm.model.parameters import Parameters
from fastgmm.sources.base import Source, Statistics, merge, scaled


def step_size(steps: float, share: float, decay: float, offset: float) -> float:
    """Return the weight of a batch beside all that was seen before.

    Parameters
    ----------
    steps : float
        Number of steps so far.
    share : float
        Number of steps that the batch counts as. Of several steps of size g the first batches keep
        ``(1 - g)^share``.
    decay, offset : float
        A step has size ``(steps + offset)^-decay``.
    """
    return float(-np.expm1(share * np.log1p(-((steps + offset) ** -decay))))


def stepwise(
    source: Source, model: Model, parameters: Parameters, gamma: float
) -> tuple[Parameters, float]:
    """Return the parameters after a batch, and its mean log-likelihood of a row before.

    `gamma` is the weight of the batch, from 0 to 1. A log-determinant is NaN if a covariance became
    singular.
    """
    batch = source.statistics(model, parameters, complete=True)
    before = _of_mixture(model, parameters)
    total_weight = float(source.total_weight)
    mean = merge([scaled(before, 1.0 - gamma), scaled(batch, gamma / total_weight)])
    return model.update(parameters, mean), batch.log_likelihood / total_weight


def _of_mixture(model: Model, parameters: Parameters) -> Statistics:
    """Return the statistics, for weight 1, from which the M-step makes the same parameters."""
    kind, (n_components, n_features) = model.covariance_type, parameters.means.shape
    covariances = parameters.covariances.copy()
    kind.add_to_diagonal(covariances, -model.reg_covar)
    nothing = np.empty(0, np.intp)
    s1, s2 = np.zeros((n_components, 0)), np.zeros(kind.shape(n_components, 0))
    unobserved = Statistics(0.0, parameters.weights, s1, s2)
    completed: Statistics = kind.complete(unobserved, covariances, nothing, n_features)
    return completed
