"""Priors of the mixing weights, and their posteriors given the number of rows of each component.

There are two: a Dirichlet distribution, and a Dirichlet process that is cut off after
n_components sticks (Blei and Jordan, "Variational inference for Dirichlet process mixtures",
2006, section 3). Both say how many rows they are worth by one number, the concentration.
"""

from abc import ABC, abstractmethod

import numpy as np
from scipy.special import betaln, digamma, gammaln


class WeightPrior(ABC):
    """The prior of the weights pi; `posterior` returns the parameters that the others take.

    Parameters
    ----------
    concentration : float
        Positive; with a small value few components keep rows.
    """

    def __init__(self, concentration: float) -> None:
        self.concentration = concentration

    @abstractmethod
    def posterior(self, nk: np.ndarray) -> np.ndarray:
        """Return the posterior's parameters (..., n_components) given numbers of rows."""

    @abstractmethod
    def mean(self, posterior: np.ndarray) -> np.ndarray:
        """Return E[pi] (n_components,), scaled to sum to one."""

    @abstractmethod
    def mean_log(self, posterior: np.ndarray) -> np.ndarray:
        """Return E[log pi] (n_components,)."""

    @abstractmethod
    def log_norm(self, posterior: np.ndarray) -> float:
        """Return the logarithm of the factor that makes the posterior's density sum to one."""

    @abstractmethod
    def excess(self, best: np.ndarray, posterior: np.ndarray) -> float:
        """Return what the bound has beside `log_norm` if the posterior is not the best one.

        It is ``(best - posterior) E[log x]``, summed over the variables x of the densities.
        """

    @abstractmethod
    def rows(self, posterior: np.ndarray) -> np.ndarray:
        """Return how many rows each component has (n_components,), with those of its prior."""


class Dirichlet(WeightPrior):
    """Symmetric Dirichlet distribution; its posterior has one number per component."""

    def posterior(self, nk):
        return self.concentration + nk

    def mean(self, posterior):
        return posterior / posterior.sum()

    def mean_log(self, posterior):
        return digamma(posterior) - digamma(posterior.sum())

    def log_norm(self, posterior):
        return float(gammaln(posterior.sum()) - gammaln(posterior).sum())

    def excess(self, best, posterior):
        return float(((best - posterior) * self.mean_log(posterior)).sum())

    def rows(self, posterior):
        return posterior


class DirichletProcess(WeightPrior):
    """Stick breaking: weight k is the fraction v_k of what the components before k left over.

    The fractions have beta distributions. The posterior is the array (2, n_components) of their
    parameters a and b. The last fraction is not fixed at one, as in scikit-learn; E[pi] is
    divided by its sum.
    """

    def posterior(self, nk):
        beta = np.empty((2, len(nk)))
        np.add(nk, 1.0, out=beta[0])
        beta[1, -1] = 0.0
        beta[1, :-1] = np.cumsum(nk[:0:-1])[::-1]  # rows of the components after k
        beta[1] += self.concentration
        return beta

    def mean(self, posterior):
        weights, left = posterior / posterior.sum(axis=0)
        weights[1:] *= np.cumprod(left[:-1])
        return weights / weights.sum()

    def mean_log(self, posterior):
        logs, left = digamma(posterior) - digamma(posterior.sum(axis=0))
        logs[1:] += np.cumsum(left[:-1])
        return logs

    def log_norm(self, posterior):
        return float(-betaln(*posterior).sum())

    def excess(self, best, posterior):
        logs = digamma(posterior) - digamma(posterior.sum(axis=0))
        return float(((best - posterior) * logs).sum())

    def rows(self, posterior):
        return posterior[0]


WEIGHT_PRIORS: dict[str, type[WeightPrior]] = {
    "dirichlet_process": DirichletProcess,
    "dirichlet_distribution": Dirichlet,
}
