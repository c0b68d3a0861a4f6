"""Parts of a mixture that stay at the values of its start."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from fastgmm.model.covariance import CovarianceType
from fastgmm.model.parameters import Parameters


class Fixed(NamedTuple):
    """Masks (n_components,) of the weights, means and covariances that stay, and their values.

    `values` are the parameters of the start. If all components have the same covariance, it stays
    only if all are marked.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    values: Parameters | None = None

    @property
    def masks(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The three masks."""
        return self.weights, self.means, self.covariances

    def at(self, values: Parameters) -> Self:
        """Return the same parts with the values of a start."""
        return self._replace(values=values)

    def hold(self, kind: CovarianceType, parameters: Parameters) -> Parameters:
        """Return the parameters with the fixed values in place.

        The other weights share what the fixed ones leave, in proportion. The fixed means are in
        place already, because the covariances were computed about them.
        """
        values = self.values
        assert values is not None
        weights, means, covariances, factors, log_det = parameters
        return Parameters(
            self._weights(weights, values.weights),
            np.where(self.means[:, None], values.means, means),
            kind.select(self.covariances, values.covariances, covariances),
            kind.select(self.covariances, values.factors, factors),
            np.where(self.covariances, values.log_det, log_det),
        )

    def _weights(self, weights, values):
        """Return the weights (n_components,) with the fixed ones in place."""
        free = ~self.weights
        total = weights[free].sum()
        if free.all():
            return weights
        if not total > 0:
            return values
        return np.where(free, weights * (values[free].sum() / total), values)
