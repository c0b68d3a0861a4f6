"""Checks of callers' arguments: every error says which argument is wrong, why, and what to do."""

import numbers
import operator
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastgmm.api.names import column_names, is_frame
from fastgmm.api.objects import DROP, array_of
from fastgmm.api.objects import missing as missing_values
from fastgmm.api.options import MISSING
from fastgmm.model.covariance import CovarianceType

Seed = int | np.integer | np.random.RandomState | np.random.Generator | None

_BLOCK = 2**16  # rows searched for non-finite values at a time
_HEADROOM = 64.0  # factor kept free below overflow; squares of differences are 4 times as large
_WIDE = 10  # weights are not scaled while the largest is between 2**-10 and 2**10


class _Writable:
    """Presents a read-only array as writable.

    Numba compiles kernels a second time for read-only arrays. The kernels never write to X.
    """

    def __init__(self, array):
        self.owner = array
        self.__array_interface__ = {
            **array.__array_interface__,
            "data": (array.ctypes.data, False),
        }


def float_array(values: Any, name: str, gaps: bool = False, advice: str = DROP) -> np.ndarray:
    """Return `values` as an aligned C-contiguous array of float64, or float32 if they are so.

    An array that has this form already is not copied. If `gaps` is true, missing and masked values
    become NaN. Otherwise `advice` says what to do with them.
    """
    if np.ma.is_masked(values):
        if not gaps:
            raise ValueError(f"{name} has masked values; {advice}.")
        values = np.ma.filled(values.astype(np.promote_types(values.dtype, "f4")), np.nan)
    array = array_of(values, name, gaps, advice)
    dtype = np.float32 if array.dtype.kind == "f" and array.dtype.itemsize == 4 else np.float64
    return np.require(array, dtype, ["C", "A"])


def for_kernels(X: np.ndarray) -> np.ndarray:
    """Return a float64 or float32 array as kernels read it: C-contiguous, writable for Numba.

    An array that is C-contiguous and aligned is not copied.
    """
    X = np.require(X, requirements=["C", "A"])
    return X if X.flags.writeable else np.asarray(_Writable(X))


def _refuse_non_finite(X: np.ndarray, given: object, advice: str) -> None:
    """Raise ValueError with the number of the first row of X that is not finite.

    If `given`, from which X was made, is a data frame, its column is named too. `advice` says what
    to do with NaN.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(X.sum()):
            return
    for begin in range(0, len(X), _BLOCK):
        finite = np.isfinite(X[begin : begin + _BLOCK]).all(axis=1)
        if not finite.all():
            row = begin + int(np.argmin(finite))
            j = int(np.argmin(np.isfinite(X[row])))
            if is_frame(given) and np.isnan(X[row, j]):
                count = int(np.isnan(X[:, j]).sum())
                raise missing_values("X", count, repr(column_names(given)[j]), row, advice)
            raise ValueError(
                f"X has a NaN or infinite value in row {row}; "
                f"{advice if np.isnan(X[row, j]) else DROP}."
            )


def _refuse_infinite(X: np.ndarray) -> None:
    """Raise ValueError with the number of the first row of X that has an infinite value."""
    for begin in range(0, len(X), _BLOCK):
        infinite = np.isinf(X[begin : begin + _BLOCK])
        if infinite.any():
            row = begin + int(np.argmax(infinite.any(axis=1)))
            raise ValueError(
                f"X has an infinite value in row {row}; only NaN stands for a missing value, so "
                "drop such rows or replace the value by NaN."
            )


def check_missing(missing: str) -> bool:
    """Return whether rows may have missing values, from the argument `missing`."""
    return check_option(missing, "missing", MISSING) == "em"


def check_points(
    X: ArrayLike, n_features: int | None = None, gaps: bool | None = None
) -> np.ndarray:
    """Return X as a C-contiguous (n_samples, n_features) float64 or float32 array.

    A one-dimensional X is one feature. An array that has this form already is not copied. If `gaps`
    is true, missing values are allowed and become NaN. If it is false, the caller has an argument
    `missing` that allows them; None if it has not.

    Raises
    ------
    TypeError, ValueError
        If X does not hold finite real numbers, has another number of dimensions or of features,
        or is empty.
    """
    advice = DROP if gaps is None else f"{DROP}, or use them as they are with missing='em'"
    given, X = X, float_array(X, "X", bool(gaps), advice)
    if X.ndim == 1:
        X = X[:, None]
    if X.ndim != 2:
        raise ValueError(
            f"X must have 2 dimensions (rows, features) but has {X.ndim}; reshape it to one row "
            "per observation."
        )
    if X.shape[0] == 0 or X.shape[1] == 0:
        raise ValueError(f"X has shape {X.shape}; at least one row and one feature are needed.")
    check_n_features(X.shape[1], n_features)
    if gaps:
        _refuse_infinite(X)
    else:
        _refuse_non_finite(X, given, advice)
    return for_kernels(X)


def check_n_features(found: int, n_features: int | None) -> None:
    """Raise ValueError if rows do not have as many features as a mixture; None allows any."""
    if n_features is not None and found != n_features:
        raise ValueError(
            f"X has {found} features but the mixture has {n_features}; pass the features it was "
            "fitted on."
        )


def check_sample_weight(sample_weight: ArrayLike | None, n_samples: int) -> np.ndarray:
    """Return the weights (n_samples,) as float64, or an empty array if there are none.

    Raises
    ------
    TypeError, ValueError
        If there is not one finite weight of at least 0 for each row, all are 0, or their sum
        overflows.
    """
    if sample_weight is None:
        return np.empty(0)
    weight = float_array(sample_weight, "sample_weight").astype(np.float64, copy=False)
    if weight.shape != (n_samples,):
        raise ValueError(
            f"sample_weight has shape {weight.shape} but X has {n_samples} rows; pass one weight "
            "per row."
        )
    if not np.isfinite(weight).all() or (weight < 0).any():
        row = int(np.argmin(np.isfinite(weight) & (weight >= 0)))
        raise ValueError(
            f"sample_weight must be finite and not negative but is {weight[row]} in row {row}; "
            "use 0 to leave a row out."
        )
    if not weight.any():
        raise ValueError("sample_weight is zero for every row; at least one must be positive.")
    with np.errstate(over="ignore"):
        if not np.isfinite(weight.sum()):
            raise ValueError("sample_weight has an infinite sum; divide it by its largest value.")
    return weight if weight.flags.writeable else weight.copy()


def refuse_overflow(X: np.ndarray) -> None:
    """Raise ValueError if sums of squares of X, or of differences in it, could overflow."""
    values = X.reshape(-1)
    with np.errstate(over="ignore"):
        squares = np.einsum("i,i->", values, values)  # BLAS would start threads of its own
        if np.isnan(squares):  # of missing values
            blocks = (values[i : i + _BLOCK] for i in range(0, len(values), _BLOCK))
            squares = sum(np.square(block[~np.isnan(block)]).sum() for block in blocks)
    if not squares < np.finfo(X.dtype).max / _HEADROOM:
        single = "convert it to float64 or " if X.dtype == np.float32 else ""
        raise ValueError(
            f"X has values too large to square and add in {X.dtype}; {single}scale it, for "
            "example to unit variance."
        )


def balance(sample_weight: np.ndarray) -> np.ndarray:
    """Return weights scaled so that sums and products do not overflow in any precision.

    The scale is a power of two, so no digit changes. A weight below 1e-308 of the greatest may
    become 0.
    """
    exponent = np.frexp(sample_weight.max(initial=0.0))[1]
    return sample_weight if abs(exponent) <= _WIDE else np.ldexp(sample_weight, -exponent)


def check_integer(value: int, name: str, least: int) -> int:
    """Return `value` as an int of at least `least`."""
    try:
        integer = operator.index(value)
    except TypeError:
        raise TypeError(
            f"{name} must be an integer but is {value!r}; pass {least} or more."
        ) from None
    if isinstance(value, bool) or integer < least:
        raise ValueError(f"{name} must be an integer of at least {least} but is {value!r}.")
    return integer


def check_threads(n_threads: int | None) -> int | None:
    """Return `n_threads` as an int of at least 1, or None for Numba's own setting."""
    return None if n_threads is None else check_integer(n_threads, "n_threads", 1)


def check_non_negative(value: object, name: str) -> float:
    """Return `value` as a finite float of at least zero."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number but is {value!r}; pass 0 or more.")
    number = float(value)
    if not 0 <= number < np.inf:
        raise ValueError(f"{name} must be finite and not negative but is {value!r}.")
    return number


def check_value(value: object, feature: object) -> float:
    """Return the value of a feature as a finite float."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"the value of feature {feature!r} must be a number but is {value!r}.")
    if not np.isfinite(float(value)):
        raise ValueError(
            f"the value of feature {feature!r} must be finite but is {value!r}; leave the feature "
            "out if it is missing."
        )
    return float(value)


def check_option(value: str, name: str, options: Collection[str]) -> str:
    """Return `value` if it is one of `options`."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name} must be one of {', '.join(options)} but is {value!r}.")
    return value


class _NoEntropy(np.random.bit_generator.ISeedSequence):
    """A first state for a generator that is seeded at once; NumPy's own takes 60 us to make."""

    def generate_state(self, n_words: int, dtype: DTypeLike = np.uint32) -> np.ndarray:
        """Return zeros."""
        return np.zeros(n_words, dtype)


_NO_ENTROPY: Any = _NoEntropy()  # NumPy's annotations know its own class only


def check_random_state(random_state: Seed) -> np.random.RandomState:
    """Return a `numpy.random.RandomState` for a seed, a RandomState, a Generator or None.

    For a Generator the result draws from the Generator's own bit generator, so later draws from
    the Generator give other numbers.
    """
    if isinstance(random_state, np.random.RandomState):
        return random_state
    if isinstance(random_state, np.random.Generator):
        return np.random.RandomState(random_state.bit_generator)
    if random_state is None:
        return np.random.RandomState()
    if isinstance(random_state, int | np.integer) and 0 <= random_state < 2**32:
        seeded = np.random.RandomState(np.random.MT19937(_NO_ENTROPY))
        seeded.seed(int(random_state))
        return seeded
    raise ValueError(
        "random_state must be None, an integer from 0 to 2**32 - 1, a numpy RandomState or a "
        f"Generator but is {random_state!r}."
    )


def _shaped(values: ArrayLike, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return a float64 copy of finite values that have the given shape."""
    array = np.array(float_array(values, name), np.float64)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape} but must have shape {shape}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has a NaN or infinite value; pass finite numbers.")
    return array


def check_weights(weights: ArrayLike, n_components: int, name: str = "weights_init") -> np.ndarray:
    """Return component weights (n_components,) that are not negative and sum to 1."""
    weights = _shaped(weights, name, (n_components,))
    if weights.size == 0:
        raise ValueError(f"{name} is empty; a mixture has at least one component.")
    if (weights < 0).any():
        k = int(np.argmax(weights < 0))
        raise ValueError(f"{name} must not be negative but is {weights[k]} for component {k}.")
    total = weights.sum()
    if abs(total - 1) > 1e-6:
        raise ValueError(f"{name} must sum to 1 but sums to {total:.6g}; divide it by its sum.")
    return weights / total


def check_means(
    means: ArrayLike, n_components: int, n_features: int, name: str = "means_init"
) -> np.ndarray:
    """Return means (n_components, n_features); one feature may be given as (n_components,)."""
    means = float_array(means, name)
    if means.ndim == 1 and n_features == 1:
        means = means[:, None]
    if n_features == 0:
        raise ValueError(f"{name} has no features; a mixture has at least one.")
    return _shaped(means, name, (n_components, n_features))


def check_matrices(
    matrices: ArrayLike,
    covariance_type: CovarianceType,
    n_components: int,
    n_features: int,
    name: str,
) -> np.ndarray:
    """Return symmetric covariances or precisions shaped by the covariance type."""
    matrices = _shaped(matrices, name, covariance_type.shape(n_components, n_features))
    if covariance_type.asymmetry(matrices) > 1e-6:
        raise ValueError(f"{name} must be symmetric; average it with its transpose.")
    return matrices


def per_feature(values: ArrayLike, n_features: int, name: str) -> np.ndarray:
    """Return finite numbers (n_features,) as float64, from one for each feature or one for all."""
    array = float_array(values, name).astype(np.float64)
    if array.shape not in ((), (n_features,)):
        raise ValueError(
            f"{name} has shape {array.shape}; pass one number, or one for each of the"
            f" {n_features} features."
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite but holds {array[~np.isfinite(array)][0]}.")
    return np.broadcast_to(array, n_features)


def refuse_indefinite(log_det: np.ndarray, name: str) -> None:
    """Raise ValueError if a log-determinant is NaN: its matrix is not positive definite."""
    if np.isnan(log_det).any():
        k = int(np.argmax(np.isnan(log_det)))
        raise ValueError(
            f"{name} must be positive definite but is not for component {k}; add a small value "
            "to its diagonal."
        )
