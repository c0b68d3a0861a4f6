"""The interface of a model: the parameters that EM estimates and the objective it maximises."""

import copy
from abc import ABC, abstractmethod
from typing import Any, NamedTuple, Self

import numpy as np

from fastgmm.model.covariance import CovarianceType


class Terms(NamedTuple):
    """The E-step of a mixture: all that kernels and bounds need to know about each component.

    The log-density of a row x in component k is ``log_norm_k - |factor_k (x - mean_k)|^2 / 2``.
    Its responsibility is proportional to ``exp(offset_k - |factor_k (x - mean_k)|^2 / 2)``, where
    ``offset_k = log weight_k + log_norm_k``. `weights`, `offsets` and `log_norm` are
    (n_components,), `means` (n_components, n_features); `covariances` and `factors` have the
    shape of the covariance type.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    factors: np.ndarray
    offsets: np.ndarray
    log_norm: np.ndarray


class Model(ABC):
    """The M-step, the E-step's terms, and the objective that must not fall.

    Parameters are a `Parameters`, or a NamedTuple that begins with the same five fields.

    Attributes
    ----------
    covariance_type : CovarianceType
        A value of `COVARIANCE_TYPES`.
    reg_covar : float
        The M-step adds this number to the diagonals of the covariances.
    has_compiled_step : bool
        Whether `update` and `objective` are those of maximum likelihood, so that compiled code
        may take several iterations at once: see `CovarianceType.has_compiled_step`.
    is_bounded : bool
        Whether the objective has an upper bound, because a prior keeps covariances from becoming
        singular. Then no component collapses and no optimum is spurious.
    fixed : Fixed or None
        The parts of the mixture that stay at the values of its start.
    """

    covariance_type: CovarianceType
    reg_covar: float
    has_compiled_step: bool = False
    is_bounded: bool = False
    fixed: Any = None

    def holding(self, fixed: Any) -> Self:
        """Return the model with parts that stay at the values of its start."""
        held = copy.copy(self)
        held.fixed = fixed
        held.has_compiled_step = self.has_compiled_step and fixed is None
        return held

    def from_start(self, parameters: Any) -> Self:
        """Return the model for a run from these parameters: fixed parts stay at their values."""
        return self if self.fixed is None else self.holding(self.fixed.at(parameters))

    @abstractmethod
    def terms(self, parameters: Any) -> Terms:
        """Return the terms of the E-step under the parameters."""

    @abstractmethod
    def update(self, parameters: Any, statistics: Any, n_threads: int | None = 1) -> Any:
        """Return the M-step's new parameters from the statistics taken under `parameters`.

        Of `parameters` only the means and covariances may be read: a start has no others.
        """

    @abstractmethod
    def objective(self, parameters: Any, statistics: Any, total_weight: float) -> float:
        """Return the objective per unit of row weight, from statistics taken under `parameters`.

        EM never lowers it.
        """

    def objective_of_step(self, old: Any, statistics: Any, new: Any, total_weight: float) -> float:
        """Return the objective of an EM step from `old` to `new`: that of `old` by default.

        A bound of the evidence is that of the responsibilities under the old parameters and of the
        new ones.
        """
        return self.objective(old, statistics, total_weight)

    @abstractmethod
    def has_dwindled(self, old: Any, new: Any) -> bool:
        """Return whether a component lost nearly all its weight, or its variance in a feature.

        Responsibilities that the pass under the old parameters dropped as negligible may then
        matter, so the pass is repeated with nothing dropped.
        """
