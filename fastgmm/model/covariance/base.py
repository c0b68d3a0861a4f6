"""The interface of a covariance type: every formula that depends on the covariances' structure."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from fastgmm.kernels.passes import Kernels


class CovarianceType(ABC):
    """The structure of a mixture's covariances.

    A type is one object without state, registered in `COVARIANCE_TYPES`. Code outside its file
    never asks which type it has. Below, Sigma_k is the covariance of component k and U_k its
    factor: the lower-triangular inverse of the Cholesky factor of Sigma_k, so that
    ``U_k^T U_k = Sigma_k^-1`` and the Mahalanobis distance is ``|U_k (x - mean_k)|``. Arrays
    `covariances` and `factors` have the shape that `shape` returns. Only the lower triangles of
    covariance matrices and of S2 are valid, except in the results of the ``public_`` methods.

    Attributes
    ----------
    name : str
        The value of the public argument `covariance_type`.
    kernels : Kernels
        The compiled passes over rows.
    worth_skipping : float
        Fraction of live pairs of row and component, at most 1. Below it, skipping the other
        pairs saves more time than the bounds cost. The cheaper a pair, the smaller the fraction.
    scatter_is_constant : bool
        Whether S2, taken about one point for all components, is the same for all
        responsibilities. Passes then do not sum it.
    has_compiled_step : bool
        Whether the passes in `kernels` take the type's M-step as well, for several iterations in
        one launch. Factors and covariances must then be one row for each, of the same length.
    has_coordinates : bool
        Whether `to_local` and `from_local` are implemented. EM takes no quasi-Newton steps
        otherwise.
    most_wide : float
        Greatest number of components for which `fastgmm.sources.wide` runs the passes over rows
        of many features; 0 if it never does. Factors and S2 must then be lower triangles, one
        for each component.
    """

    name: ClassVar[str]
    kernels: ClassVar[Kernels]
    worth_skipping: ClassVar[float]
    scatter_is_constant: ClassVar[bool] = False
    has_compiled_step: ClassVar[bool] = False
    has_coordinates: ClassVar[bool] = False
    most_wide: ClassVar[float] = 0

    def __eq__(self, other: object) -> bool:
        """Return whether both are the same type: a copy made by pickle equals the original."""
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    def _lacks(self, what: str) -> NotImplementedError:
        """Return the error of a method that is needed for `what` only, and that a type may lack."""
        return NotImplementedError(f"the covariance type {self.name!r} does not support {what}")

    # Shapes and counts.

    @abstractmethod
    def shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        """Return the shape of covariances, factors and S2."""

    @abstractmethod
    def n_parameters(self, n_components: int, n_features: int) -> int:
        """Return the number of free parameters in the covariances."""

    # Between statistics and covariances.

    @abstractmethod
    def moment_shape(self, n_components: int, n_features: int, width: int) -> tuple[int, int, int]:
        """Return the shape of S2 in the kernels' buffers, with rows padded to `width` numbers."""

    @abstractmethod
    def second_moments(self, raw: np.ndarray, n_features: int) -> np.ndarray:
        """Return S2 in the shape of the covariances from the kernels' padded buffer `raw`."""

    @abstractmethod
    def from_moments(self, s2: Any, nk: Any, delta: Any, divisor: Any) -> np.ndarray:
        """Return the covariances ``S2_k / N_k - delta_k delta_k^T``, averaged as the type demands.

        ``delta_k = S1_k / N_k`` (n_components, n_features) is the new mean minus the point about
        which S2_k is taken. `nk` and `divisor` are (n_components,); `divisor` equals `nk`, or 1
        for components without rows.
        """

    @abstractmethod
    def about_center(self, weights: Any, means: Any, factors: Any) -> tuple[Any, Any]:
        """Return the point ``sum_k weight_k mean_k`` and ``U_k (mean_k - point)``.

        The kernels take the moments of all components about this point. The arrays are
        (n_features,) and (n_components, n_features); both are None if the kernels of the type
        take each component's moments about its own mean.
        """

    @abstractmethod
    def to_means(self, statistics: Any, parameters: Any) -> tuple[Any, float]:
        """Return statistics about the means, from those about the point of `about_center`.

        Also return the greatest ratio of a subtracted term to its difference: cancellation
        multiplies rounding errors by it. The ratio is infinite if S2 is not finite.
        """

    # Covariances.

    @abstractmethod
    def from_variances(self, variances: np.ndarray) -> np.ndarray:
        """Return the covariances ``diag(variances_k)``, or the type's average of them.

        `variances` is (n_components, n_features).
        """

    @abstractmethod
    def from_precisions(self, precisions: Any, n_components: int, n_features: int) -> tuple:
        """Return Sigma, U and log det U_k (n_components,), where ``precision_k = U_k^T U_k``.

        log det U_k is NaN if the precision is not positive definite.
        """

    @abstractmethod
    def variances(self, covariances: Any, n_components: int, n_features: int) -> np.ndarray:
        """Return the diagonals of all Sigma_k (n_components, n_features)."""

    @abstractmethod
    def matrices(self, covariances: Any, n_components: int, n_features: int) -> np.ndarray:
        """Return the matrices Sigma_k (n_components or 1, n_features, n_features).

        There is one matrix if all components have the same.
        """

    def reordered(self, array: np.ndarray, order: np.ndarray, n_features: int) -> np.ndarray:
        """Return covariances or factors of the components in another order."""
        n_components = len(order)
        fewer, more = self.shape(n_components, n_features), self.shape(n_components + 1, n_features)
        return array if fewer == more else array[order]

    def scaled(
        self, covariances: Any, scale: np.ndarray, n_components: int, n_features: int
    ) -> tuple[str, np.ndarray]:
        """Return the covariances of features multiplied by `scale`, and the name of their type.

        `scale` is (n_features,). The type is another one if this one cannot hold them.
        """
        matrices = self.matrices(covariances, n_components, n_features) * np.outer(scale, scale)
        return "full", np.repeat(matrices, n_components // len(matrices), axis=0)

    @abstractmethod
    def square_roots(self, covariances: Any, n_features: int) -> np.ndarray:
        """Return matrices A_k with ``A_k A_k^T = Sigma_k``, as many as `matrices` returns."""

    @abstractmethod
    def add_to_diagonal(self, covariances: np.ndarray, values: Any) -> None:
        """Add `values`, a number or an array (n_components,), to the diagonals of all Sigma_k.

        Covariances are modified in place. If all components have the same matrix, it gets the
        greatest value.
        """

    @abstractmethod
    def replace(self, covariances: np.ndarray, k: int, variances: np.ndarray) -> None:
        """Set Sigma_k to ``diag(variances)``, or to the type's average of it, in place."""

    @abstractmethod
    def select(self, mask: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
        """Return `old` covariances where `mask` (n_components,) is true and `new` ones elsewhere.

        If all components have the same matrix, it is the old one only where all are true.
        """

    @abstractmethod
    def dilute(self, covariances: Any, means: Any, kept: Any) -> np.ndarray:
        """Return the covariances of scikit-learn's M-step, which adds a small number to each N_k.

        `kept` (n_components,) is N_k divided by the increased N_k. The mean becomes
        ``kept_k mean_k``. How the covariance changes depends on scikit-learn's formula for the
        type, so each implementation states its own.
        """

    # Factors.

    @abstractmethod
    def factorize(
        self, covariances: Any, n_components: int, n_features: int, n_threads: int | None = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return U and log det U_k (n_components,), NaN if Sigma_k is not positive definite."""

    @abstractmethod
    def pivots(self, factors: Any, n_components: int, n_features: int) -> np.ndarray:
        """Return the squared pivots ``U_jj^-2`` (n_components, n_features) of all Sigma_k.

        Each is the variance of feature j given features 0 to j - 1.
        """

    @abstractmethod
    def distances(self, factors: np.ndarray, gaps: np.ndarray) -> np.ndarray:
        """Return ``|U_k gap|`` (..., n_components) for gaps (..., n_components, n_features)."""

    @abstractmethod
    def stretch(
        self, old: Any, new: Any, n_components: int, n_features: int, n_threads: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return lower and upper bounds (n_components,) of ``|old_k x| / |new_k x|`` for all x."""

    @abstractmethod
    def cancellation(
        self, covariances: Any, factors: Any, n_components: int, n_features: int
    ) -> np.ndarray:
        """Return the norm of ``|U_k| deviations_k`` (n_components,); 1 for diagonal matrices.

        ``|U_k|`` has the absolute values of the entries and ``deviations_k`` are the square roots
        of the variances. A distance can have a relative rounding error so many times larger than
        that of a sum in which nothing cancels.
        """

    def inflation(
        self, covariances: Any, factors: Any, n_components: int, n_features: int
    ) -> float:
        """Return the greatest variance inflation of a feature, over all components.

        It is a feature's variance divided by its variance given all others, so 1 if features are
        independent. Rounding that changes the variances by a relative eps changes log det Sigma_k
        by about eps times the inflation.
        """
        return 1.0

    @abstractmethod
    def kernel_factors(
        self, factors: np.ndarray, n_components: int, about_center: bool
    ) -> tuple[Kernels, np.ndarray]:
        """Return the passes to run, and U in their layout: one row per factor.

        `about_center` says whether they take moments about the point of `about_center`.
        """

    # Some features of all. `observed` and `features` are indices of features in increasing order.

    def marginal(self, covariances: Any, features: np.ndarray) -> np.ndarray:
        """Return the covariances of some features, in the shape of the type."""
        raise self._lacks("rows with missing values")

    def conditional(
        self, covariances: Any, gaps: np.ndarray, observed: np.ndarray, n_features: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return means and covariances of the missing features given the observed ones.

        `gaps` (..., n_components, n_observed) are the observed values minus the means. The means
        (..., n_components, n_missing) are relative, too: ``B_k gap_k`` with ``B_k = Sigma_mo
        Sigma_oo^-1``; the covariances ``C_k = Sigma_mm - B_k Sigma_om`` have the shape of the
        type.
        """
        raise self._lacks("rows with missing values")

    def complete(
        self, statistics: Any, covariances: Any, observed: np.ndarray, n_features: int
    ) -> Any:
        """Return the statistics of all features, from those of the observed ones of the rows.

        With B and C as in `conditional`, the expected S1 and S2 under `covariances` are
        ``S1_m = B S1_o``, ``S2_mo = B S2_oo`` and ``S2_mm = B S2_oo B^T + N C`` (Ghahramani and
        Jordan 1994).
        """
        raise self._lacks("rows with missing values")

    def of_components(self, covariances: Any, n_components: int, n_features: int) -> np.ndarray:
        """Return Sigma_k (n_components, n_features, n_features).

        If features are independent, return the variances (n_components, n_features).
        """
        raise self._lacks("rows with missing values")

    def sum_of_components(self, s2: np.ndarray) -> np.ndarray:
        """Return S2 from that of each component, in the form of `of_components`."""
        raise self._lacks("rows with missing values")

    # Coordinates, for quasi-Newton steps: a type need not have them.

    def to_local(self, gaps: Any, factors: Any, origin: Any) -> tuple[Any, Any]:
        """Return coordinates of means and factors relative to the factors `origin`.

        `gaps` (..., n_components, n_features) are the means minus those of the origin. Their
        coordinates, of the same shape, are ``origin_k gap_k``. The coordinates of the factors are
        (..., n_matrices, n_numbers): one row for each component, or one row in all if all
        components have the same matrix. Let P = U origin^-1. A row holds ``sqrt(2) log P_jj`` and
        the entries of P below its diagonal. Types with fewer free numbers leave out those that are
        fixed. All are zero at the origin, and the Fisher information of a Gaussian in them is the
        identity there.
        """
        raise self._lacks("quasi-Newton steps")

    def from_local(self, moves: Any, shapes: Any, origin: Any) -> tuple[Any, Any]:
        """Return gaps and covariances from the coordinates that `to_local` returns.

        The covariances are positive definite for all finite coordinates, up to rounding.
        """
        raise self._lacks("quasi-Newton steps")

    # For priors and variational Bayes: a type need not have these.

    def rows_per_matrix(self, nk: np.ndarray) -> np.ndarray:
        """Return the number of rows whose scatter a matrix holds: N_k (n_components,).

        If all components have the same matrix, it is the average of N_k, an array ().
        """
        raise self._lacks("priors")

    def total_distance(self, factors: np.ndarray, s2: np.ndarray) -> float:
        """Return ``sum_k tr(U_k S2_k U_k^T)``, the sum of all squared distances of rows."""
        raise self._lacks("priors")

    def one(self, covariances: np.ndarray) -> np.ndarray:
        """Return Sigma_0 of the public covariances, in the shape without an axis of components."""
        raise self._lacks("priors")

    def scale_from_matrix(self, matrix: np.ndarray) -> np.ndarray:
        """Return the scale of a prior in the form of `one`, from a matrix (n_features, n_features).

        The prior of a matrix is an inverse Wishart distribution. That of a variance is an inverse
        gamma distribution with half the degrees of freedom and half the scale.
        """
        raise self._lacks("priors")

    def default_scale(self, covariance: np.ndarray) -> np.ndarray:
        """Return the scale of a prior from the covariance of all rows in the form of `one`.

        It is that covariance, or for variances their mean (Fraley and Raftery 2007, section 3.2).
        """
        raise self._lacks("priors")

    def prior_power(self, degrees_of_freedom: float, n_features: int) -> float:
        """Return p such that the density of the prior of Sigma has the factor ``(det U)^p``."""
        raise self._lacks("priors")

    # Checks and public forms.

    @abstractmethod
    def asymmetry(self, matrices: np.ndarray) -> float:
        """Return the greatest ``|A - A^T|`` relative to the largest entry of A."""

    @abstractmethod
    def are_factors(self, factors: np.ndarray) -> bool:
        """Return whether every U_k is lower-triangular with a positive diagonal."""

    @abstractmethod
    def factor_error(self, covariances: np.ndarray, factors: np.ndarray) -> float:
        """Return the greatest entry of ``|U_k^-1 U_k^-T - Sigma_k|`` in units of the deviations."""

    @abstractmethod
    def public_covariances(self, covariances: np.ndarray) -> np.ndarray:
        """Return the covariances with both triangles filled in."""

    @abstractmethod
    def public_factors(self, factors: np.ndarray) -> np.ndarray:
        """Return U^T, scikit-learn's `precisions_cholesky_`. The method is its own inverse."""

    @abstractmethod
    def precisions(self, public_factors: np.ndarray) -> np.ndarray:
        """Return the inverse covariances ``U^T U`` from the result of `public_factors`."""
