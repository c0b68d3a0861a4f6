"""Arguments of the kernels that describe a mixture, in the precision of the rows."""

from typing import Any

import numpy as np

from fastgmm.kernels.passes import Kernels
from fastgmm.kernels.tiles import NATS, row_width
from fastgmm.kernels.types import Operands
from fastgmm.model.base import Model, Terms
from fastgmm.model.covariance import CovarianceType
from fastgmm.sources.precision import needs_double

_EMPTY = np.empty(0)


def split(values, dtype, width=None):
    """Return two arrays of `dtype` whose sum is float64 `values`, with rows padded to `width`.

    For float64 both arrays are the values themselves, because kernels read only the high part.
    """
    values = np.atleast_2d(values)
    if dtype == values.dtype and width is None:
        return values, values
    rows, columns = values.shape
    high = np.zeros((rows, width or columns), dtype)
    high[:, :columns] = values
    if dtype == np.float64:
        return high, high
    low = np.zeros_like(high)
    low[:, :columns] = values - high[:, :columns]
    return high, low


def make_operands(kind: CovarianceType, terms: Terms, dtype: np.dtype) -> tuple[Kernels, Operands]:
    """Return the passes to run and their operands for a mixture."""
    weights, means, _, factors, offsets, _ = terms
    high, low = split(means, dtype, row_width(means.shape[1], dtype.itemsize))
    none = np.empty((1, 0), dtype)
    largest = np.finfo(dtype).max  # factors of a covariance close to zero may exceed it
    centers, center = (none, none), (none, none)
    point, whitened = kind.about_center(weights, means, factors)
    if point is not None:
        center = split(point, dtype)
        centers = split(np.clip(whitened, -largest, largest), dtype)
    about_center = whitened is not None and not loses_digits((whitened**2).max(), dtype)
    kernels, flat = kind.kernel_factors(factors, len(weights), about_center)
    if dtype != np.float64:
        flat = np.clip(flat, -largest, largest).astype(dtype)
    flat = np.require(flat, requirements=["C", "W"])  # kernels are compiled for no other kind
    negligible = weights * np.exp(-NATS[dtype.itemsize])
    return kernels, Operands(about_center, high, low, flat, offsets, negligible, *centers, *center)


def mean_operands(means: np.ndarray, dtype: np.dtype) -> Operands:
    """Return operands for sums about `means` under given labels or responsibilities."""
    none = np.empty((1, 0), dtype)
    high, low = split(means, dtype, row_width(means.shape[1], dtype.itemsize))
    return Operands(False, high, low, none, _EMPTY, np.zeros(len(means)), *(none,) * 4)


def loses_digits(ratio, dtype):
    """Return whether subtracting terms `ratio` times as large as the result loses too much.

    Moments about a common center are shifted to the means if the relative error stays below
    2e-13 for float64 and 1e-5 for float32. Components that are farther apart or narrower overlap
    little, so that moments about their own means are cheap.
    """
    return bool(ratio * np.finfo(dtype).eps > (2e-13 if dtype == np.float64 else 1e-5))


class Densities:
    """The operands of a mixture for inference, made once for each precision.

    Parameters
    ----------
    model : Model
        The model of the mixture.
    parameters : Parameters
        The parameters of the mixture.
    """

    def __init__(self, model: Model, parameters: Any) -> None:
        self.n_components = len(parameters.weights)
        self._model = model
        self._parameters = parameters
        self._operands: dict[np.dtype, tuple[Kernels, Operands]] = {}
        self._singles_suffice: bool | None = None

    @property
    def model(self) -> Model:
        """The model of the mixture."""
        return self._model

    @property
    def parameters(self) -> Any:
        """The parameters of the mixture."""
        return self._parameters

    def operands(self, dtype: np.dtype) -> tuple[Kernels, Operands]:
        """Return the passes to run and their operands for rows of `dtype`."""
        made = self._operands.get(dtype)
        if made is None:
            terms = self._model.terms(self._parameters)
            made = make_operands(self._model.covariance_type, terms, dtype)
            self._operands[dtype] = made
        return made

    def precision(self, dtype: np.dtype) -> np.dtype:
        """Return the precision in which rows of `dtype` are computed: see `needs_double`."""
        if dtype == np.float64:
            return dtype
        if self._singles_suffice is None:
            kind, parameters = self._model.covariance_type, self._parameters
            self._singles_suffice = not needs_double(kind, parameters, dtype)
        return dtype if self._singles_suffice else np.dtype(np.float64)

    def __reduce__(self) -> tuple:
        """Pickle the parameters only: operands are made again where needed."""
        return Densities, (self._model, self._parameters)
