"""Numbers from the objects that callers pass as arrays, and what to do with those that have none.

Packages other than NumPy are recognised by what their objects offer, so none is imported. NumPy
itself would read text as numbers in some arrays and dates as numbers in some data frames; here
both are refused in all.
"""

import datetime
import math
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastgmm.api.memory import readable
from fastgmm.api.names import column_names, is_frame

_TIMES = re.compile(r"date|time|duration|period|timestamp")  # types of columns begin so
_MISSING = ("NoneType", "NAType", "NaTType")
_ADVICE = {
    "text": "convert text to numbers with astype(float), or drop it",
    "dates or times": "convert them to numbers, for example to days since a date, or drop them",
    "complex numbers": "pass real numbers, for example the real part",
    "sequences": "pass one number per cell, in rows of the same length",
}


DROP = "drop such rows or fill them in"  # what to do with missing values


def array_of(values: Any, name: str, gaps: bool = False, advice: str = DROP) -> NDArray[Any]:
    """Return an array of integers, booleans or floats; one that is so already is not copied.

    If `gaps` is true, missing values become NaN. Otherwise `advice` says what to do with them.

    Raises
    ------
    TypeError, ValueError
        If `values` has something else, or is of a kind that NumPy cannot convert. The message
        begins with `name` and says which column or type is at fault, and what to pass.
    """
    if values is None:
        raise TypeError(f"{name} is None; pass an array of numbers.")
    if not isinstance(values, np.ndarray):
        _refuse_type(values, name)
    columns = list(map(repr, column_names(values))) if is_frame(values) else None
    if columns is not None:
        _refuse_columns(values, columns, name)
    array = _converted(values, name)
    if array.dtype.kind == "O":
        array = _numbers_of(array, name, columns, gaps, advice)
    if array.dtype.kind not in "fiub":
        raise _refusal_of_dtype(array.dtype, name)
    return array


def missing(name: str, count: int, column: str | None, row: int, advice: str = DROP) -> ValueError:
    """Return the error for values that are missing in a column, or in a one-dimensional array."""
    place = f"column {column} has" if column else "it has"
    return ValueError(
        f"{name} is incomplete: {place} {count} missing value{'s' if count > 1 else ''}, the first "
        f"in row {row}; {advice}."
    )


def _refuse_type(values: Any, name: str) -> None:
    """Raise TypeError for objects of which only a part, or another form, is an array."""
    for is_such, message in _REFUSED:
        if is_such(values):
            raise TypeError(f"{name} is {message(values, name)}.")


def has_type(package: str, *names: str) -> Callable[[Any], bool]:
    """Return a test for classes of a package, and for classes derived from them."""

    def is_such(values: Any) -> bool:
        return any(
            kind.__name__ in names and kind.__module__.partition(".")[0] == package
            for kind in type(values).__mro__
        )

    return is_such


def _is_sparse(values: Any) -> bool:
    return hasattr(values, "toarray") and hasattr(values, "nnz")


def _on_sparse(values: Any, name: str) -> str:
    n_bytes = math.prod(values.shape) * np.dtype(values.dtype).itemsize
    return f"sparse; pass {name}.toarray(), which takes {readable(n_bytes)}"


def _is_bfloat16(values: Any) -> bool:
    return str(getattr(values, "dtype", "")) == "torch.bfloat16"


_REFUSED: tuple[tuple[Callable[[Any], bool], Callable[[Any, str], str]], ...] = (
    (_is_sparse, _on_sparse),
    (_is_bfloat16, lambda _, x: f"a tensor of bfloat16, which NumPy lacks; pass {x}.float()"),
    (
        has_type("anndata", "AnnData"),
        lambda _, x: f"an AnnData object; pass {x}.X, or an entry of {x}.obsm such as 'X_pca'",
    ),
    (
        has_type("xarray", "Dataset"),
        lambda _, x: f"an xarray Dataset; pass {x}.to_dataframe(), or one of its arrays",
    ),
    (
        lambda values: isinstance(values, dict | set | frozenset),
        lambda values, _: f"a {type(values).__name__}; pass an array or a data frame of numbers",
    ),
    (
        lambda values: hasattr(values, "__next__"),
        lambda _, x: f"an iterator; pass a list or an array of numbers, for example list({x})",
    ),
)


def _refuse_columns(frame: Any, columns: list[str], name: str) -> None:
    """Raise TypeError for columns that NumPy would convert, although they hold no numbers."""
    types: Any = getattr(frame, "dtypes", None)
    if types is None:  # pyarrow
        types = getattr(getattr(frame, "schema", None), "types", ())
    for column, dtype in zip(columns, types, strict=False):
        text = str(dtype).lower()
        if _TIMES.match(text):
            raise _refusal(name, f"column {column} holds", "dates or times")
        if text.startswith("complex"):
            raise _refusal(name, f"column {column} holds", "complex numbers")


def _converted(values: Any, name: str) -> NDArray[Any]:
    """Return `values` as NumPy converts them."""
    try:
        return np.asarray(values)
    except Exception as error:  # of a foreign object, or of a list of rows
        if isinstance(values, list | tuple):
            raise ValueError(
                f"{name} cannot be read as an array of numbers: {_uneven(values) or error}; every "
                "row must have the same length."
            ) from error
        advice = f"pass a NumPy array, for example {name}.numpy()"
        if hasattr(values, "detach"):
            advice = f"pass {name}.detach().cpu()"
        raise TypeError(
            f"{name} is a {type(values).__name__} that NumPy cannot convert ({error}); {advice}."
        ) from error


def _uneven(rows: Sequence[Any]) -> str:
    """Return which row has another length than the first; empty if none has."""
    lengths = [len(row) if hasattr(row, "__len__") else 1 for row in rows]
    for row, length in enumerate(lengths):
        if length != lengths[0]:
            return f"row {row} has {length} values but row 0 has {lengths[0]}"
    return ""


def _numbers_of(
    array: NDArray[Any], name: str, columns: list[str] | None, gaps: bool, advice: str
) -> NDArray[Any]:
    """Return an array of Python objects in float64; see `array_of`.

    The types of a column's objects decide, because NumPy reads text and some dates as numbers.
    """
    if array.ndim == 0:
        raise TypeError(f"{name} must hold numbers but is {array.item()!r:.50}; pass an array.")
    table = array.reshape(len(array), -1)
    for j, objects in enumerate(table.T):
        label = columns[j] if columns else str(j) if table.shape[1] > 1 else None
        _refuse_objects(objects, name, label, gaps, advice)
    if gaps:
        missing_kinds = {kind for kind in set(map(type, array.flat)) if _kind_of(kind) == "missing"}
        lacks = np.array([type(value) in missing_kinds for value in array.flat], bool)
        array = np.where(lacks.reshape(array.shape), np.nan, array)
    with suppress(TypeError, ValueError, OverflowError):
        return array.astype(np.float64)
    raise TypeError(f"{name} must hold numbers; convert or drop columns of other kinds.")


def _refuse_objects(
    objects: NDArray[Any], name: str, column: str | None, allowed: bool, advice: str
) -> None:
    """Raise an error for a column of Python objects that has other things than numbers.

    Missing values are refused unless they are `allowed`.
    """
    kinds = set(map(type, objects))
    found = {_kind_of(kind) for kind in kinds}
    for what in _ADVICE:
        if what in found:
            raise _refusal(name, f"column {column} holds" if column else "holds", what)
    if "missing" in found and not allowed:
        gaps = [_kind_of(type(value)) == "missing" for value in objects]
        raise missing(name, sum(gaps), column, gaps.index(True), advice)


def _kind_of(kind: type) -> str:
    """Return what the objects of a class are, if they are not numbers."""
    if issubclass(kind, str | bytes):
        return "text"
    if kind.__name__ in _MISSING:  # before times, of which pandas' NaT is one
        return "missing"
    times = datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64
    if issubclass(kind, times) or kind.__name__ == "Period":
        return "dates or times"
    if issubclass(kind, complex | np.complexfloating):
        return "complex numbers"
    if issubclass(kind, list | tuple | np.ndarray):
        return "sequences"
    return "numbers"


def _refusal(name: str, place: str, what: str) -> TypeError:
    """Return the error for something that is no number; `place` ends in a verb."""
    return TypeError(f"{name} must hold numbers but {place} {what}; {_ADVICE[what]}.")


def _refusal_of_dtype(dtype: np.dtype[Any], name: str) -> TypeError:
    """Return the error for an array of a dtype that is not numeric."""
    if dtype.names is not None:
        fields = ", ".join(map(repr, dtype.names))
        return TypeError(
            f"{name} is a structured array with the fields {fields}; pass "
            f"numpy.lib.recfunctions.structured_to_unstructured({name})."
        )
    if dtype.kind == "c":
        return TypeError(f"{name} is complex; pass real numbers, for example {name}.real.")
    if dtype.kind in "USTMm":
        return _refusal(name, "holds", "dates or times" if dtype.kind in "Mm" else "text")
    return TypeError(
        f"{name} must hold numbers but has dtype {dtype}; convert it, for example with "
        "astype(float)."
    )
