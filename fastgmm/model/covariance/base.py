"""The interface of a covariance type: every formula that depends on what components share."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from fastgmm.kernels.passes import Kernels


class CovarianceType(ABC):
    """What the covariances of a mixture have in common.

    A type is one object, registered in `COVARIANCE_TYPES`; nothing outside its file depends on
    which type it is. Below, Sigma_k is the covariance of component k and U_k its factor: the
    lower-triangular inverse of the Cholesky factor of Sigma_k, so that
    ``U_k^T U_k = Sigma_k^-1`` and the Mahalanobis distance is ``|U_k (x - mean_k)|``. Arrays
    `covariances` and `factors` have the shape that `shape` returns. Of a matrix only the lower
    triangle need be right, except in what the ``public_`` methods return.

    Attributes
    ----------
    name : str
        What callers pass as `covariance_type`.
    kernels : Kernels
        The compiled passes over rows.
    worth_skipping : float
        Greatest share of live pairs at which skipping the others pays. The cheaper a pair is to
        compute, the smaller the share.
    scatter_is_constant : bool
        Whether S2 about one point for all components is the same for all responsibilities, so
        that passes need not sum it.
    """

    name: ClassVar[str]
    kernels: ClassVar[Kernels]
    worth_skipping: ClassVar[float]
    scatter_is_constant: ClassVar[bool] = False

    # Shapes and counts.

    @abstractmethod
    def shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        """Return the shape of covariances, factors and second moments."""

    @abstractmethod
    def n_parameters(self, n_components: int, n_features: int) -> int:
        """Return the number of free parameters in the covariances."""

    # Between statistics and covariances.

    @abstractmethod
    def moment_shape(self, n_components: int, n_features: int, width: int) -> tuple[int, int, int]:
        """Return the shape of S2 in the kernels' buffers, whose rows are padded to `width`."""

    @abstractmethod
    def second_moments(self, raw: np.ndarray, n_features: int) -> np.ndarray:
        """Return S2 in the shape of the covariances, cut from the kernels' padded buffer."""

    @abstractmethod
    def from_moments(self, s2: Any, nk: Any, delta: Any, divisor: Any) -> np.ndarray:
        """Return ``S2_k / N_k - delta_k delta_k^T``, pooled as the type shares covariances.

        S2 is taken about points from which the new means lie `delta` (n_components, n_features)
        away; `divisor` (n_components,) is `nk`, and 1 for components without rows.
        """

    @abstractmethod
    def about_center(self, weights: Any, means: Any, factors: Any) -> tuple[Any, Any]:
        """Return one point about which kernels can take all components' moments.

        Also ``U_k (mean_k - point)`` (n_components, n_features). Both are None where each
        component needs moments about its own mean.
        """

    @abstractmethod
    def to_means(self, statistics: Any, parameters: Any) -> tuple[Any, float]:
        """Return statistics about the means, from those about the point of `about_center`.

        Also the greatest ratio of a term of this sum to the sum: what cancellation costs.
        """

    # Covariances.

    @abstractmethod
    def from_variances(self, variances: np.ndarray) -> np.ndarray:
        """Return axis-aligned covariances from variances (n_components, n_features)."""

    @abstractmethod
    def from_precisions(self, precisions: Any, n_components: int, n_features: int) -> tuple:
        """Return Sigma, U and log det U from ``precision = U^T U``; NaN where not definite."""

    @abstractmethod
    def variances(self, covariances: Any, n_components: int, n_features: int) -> np.ndarray:
        """Return the diagonals of the Sigma_k (n_components, n_features)."""

    @abstractmethod
    def matrices(self, covariances: Any, n_components: int, n_features: int) -> np.ndarray:
        """Return the Sigma_k as matrices, one a component, or a single one that all share."""

    @abstractmethod
    def square_roots(self, covariances: Any, n_features: int) -> np.ndarray:
        """Return matrices A_k with ``A_k A_k^T = Sigma_k``, one a component or a single one."""

    @abstractmethod
    def add_to_diagonal(self, covariances: np.ndarray, values: Any) -> None:
        """Add `values`, a number or one a component, to the diagonals of the Sigma_k, in place."""

    @abstractmethod
    def replace(self, covariances: np.ndarray, k: int, variances: np.ndarray) -> None:
        """Set Sigma_k to ``diag(variances)``, or to the nearest that the type has, in place."""

    @abstractmethod
    def select(self, mask: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
        """Return old covariances of the components in `mask` (n_components,), new ones of others."""

    @abstractmethod
    def dilute(self, covariances: Any, means: Any, kept: Any) -> np.ndarray:
        """Return Sigma_k about ``kept_k mean_k`` after rows at the origin join each component.

        `kept` (n_components,) is the part of a component's weight that its own rows have.
        """

    # Factors.

    @abstractmethod
    def factorize(
        self, covariances: Any, n_components: int, n_features: int, n_threads: int | None = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return U and log det U_k (n_components,), NaN where Sigma_k is not definite."""

    @abstractmethod
    def pivots(self, factors: Any, n_components: int, n_features: int) -> np.ndarray:
        """Return ``U_jj^-2`` (n_components, n_features): feature j's variance given those before."""

    @abstractmethod
    def distances(self, factors: np.ndarray, gaps: np.ndarray) -> np.ndarray:
        """Return ``|U_k gap|`` of gaps (..., n_components, n_features)."""

    @abstractmethod
    def stretch(
        self, old: Any, new: Any, n_components: int, n_features: int, n_threads: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return bounds (n_components,) of ``|old_k x| / |new_k x|`` over all x: least, greatest."""

    @abstractmethod
    def cancellation(
        self, covariances: Any, factors: Any, n_components: int, n_features: int
    ) -> np.ndarray:
        """Return the norm of ``|U_k| deviations_k`` (n_components,).

        This is how many times larger than a distance the terms are that it is summed from.
        """

    @abstractmethod
    def kernel_factors(
        self, factors: np.ndarray, n_components: int, about_center: bool
    ) -> tuple[Kernels, np.ndarray]:
        """Return the passes to run and U as they read it: one component a row."""

    # Checks and public forms.

    @abstractmethod
    def asymmetry(self, matrices: np.ndarray) -> float:
        """Return the greatest ``|A - A^T|`` relative to the largest entry of A."""

    @abstractmethod
    def are_factors(self, factors: np.ndarray) -> bool:
        """Return whether every U_k is lower-triangular with a positive diagonal."""

    @abstractmethod
    def factor_error(self, covariances: np.ndarray, factors: np.ndarray) -> float:
        """Return the greatest entry of ``U_k^-1 U_k^-T - Sigma_k`` on the scale of deviations."""

    @abstractmethod
    def public_covariances(self, covariances: np.ndarray) -> np.ndarray:
        """Return covariances with both triangles right."""

    @abstractmethod
    def public_factors(self, factors: np.ndarray) -> np.ndarray:
        """Return the transposed U, as scikit-learn's `precisions_cholesky_`; its own inverse."""

    @abstractmethod
    def precisions(self, public_factors: np.ndarray) -> np.ndarray:
        """Return the inverse covariances from what `public_factors` returns."""
