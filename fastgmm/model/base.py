"""The interface of a model: what EM maximises, and over which parameters."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np

from fastgmm.model.covariance import CovarianceType


class Terms(NamedTuple):
    """The E-step of a mixture: what kernels and bounds need to know of each component.

    A row x belongs to component k with log-density ``log_norm_k - |factor_k (x - mean_k)|^2 / 2``
    and responsibility in proportion to ``exp(offset_k - |factor_k (x - mean_k)|^2 / 2)``.
    `weights`, `offsets` and `log_norm` are (n_components,), `means` (n_components, n_features);
    `covariances` and `factors` have the shape of the covariance type.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    factors: np.ndarray
    offsets: np.ndarray
    log_norm: np.ndarray


class Model(ABC):
    """What the M-step makes of statistics, what the E-step is given, and what must not fall.

    Its parameters are a `Parameters`, or a NamedTuple with the same first five fields.

    Attributes
    ----------
    covariance_type : CovarianceType
        What the components' covariances have in common.
    reg_covar : float
        What the M-step adds to the diagonals of the covariances.
    """

    covariance_type: CovarianceType
    reg_covar: float

    @abstractmethod
    def terms(self, parameters: Any) -> Terms:
        """Return the E-step under the parameters."""

    @abstractmethod
    def update(self, parameters: Any, statistics: Any, n_threads: int | None = 1) -> Any:
        """Return the parameters that the M-step makes of statistics taken under `parameters`."""

    @abstractmethod
    def objective(self, parameters: Any, statistics: Any, total_weight: float) -> float:
        """Return what EM never lowers, a row, from the statistics taken under `parameters`."""

    @abstractmethod
    def has_dwindled(self, old: Any, new: Any) -> bool:
        """Return whether a component has lost nearly all its weight or the spread of a feature.

        Responsibilities that the pass under the old parameters dropped as negligible may then
        matter, and the pass has to be repeated with nothing dropped.
        """
