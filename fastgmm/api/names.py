"""Names of features: those that a data frame carries, and whether they fit a mixture's.

Data frames are recognised by what they offer, so neither pandas, polars nor pyarrow is imported.
The rules for names that do not fit are those of scikit-learn.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from fastgmm.api.warn import warn_caller

Names = tuple[str, ...] | None

_SHOWN = 5  # names in an error
_FRAME_PROTOCOLS = ("__dataframe__", "__arrow_c_stream__", "__narwhals_dataframe__")


def is_frame(X: Any) -> bool:
    """Return whether X is a table with columns: of pandas, polars, pyarrow or a package like them.

    A pandas Series, a NumPy array and a list are not.
    """
    if not any(hasattr(type(X), protocol) for protocol in _FRAME_PROTOCOLS):
        return False
    return any(hasattr(X, name) for name in ("columns", "column_names", "__dataframe__"))


def column_names(X: Any) -> list[Any]:
    """Return the names of a data frame's columns, which need not be strings."""
    if hasattr(X, "column_names"):  # of pyarrow, where `columns` are the columns themselves
        names = X.column_names
    elif hasattr(X, "columns"):
        names = X.columns
    else:
        names = X.__dataframe__().column_names
    return list(names() if callable(names) else names)


def names_of(X: Any) -> Names:
    """Return the names of X's features; None if X has no names, or not all are strings."""
    if not is_frame(X):
        return None
    names = column_names(X)
    if not names or not all(isinstance(name, str) for name in names):
        return None
    return tuple(str(name) for name in names)


def check_names(names: Iterable[str] | None, n_features: int, argument: str) -> Names:
    """Return names that a caller gives as a tuple, one for each feature; None for None.

    Raises
    ------
    TypeError, ValueError
        If they are not strings, or not one for each feature.
    """
    if names is None:
        return None
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise TypeError(f"{argument} is {names!r}; pass a list of strings, one per feature.")
    given = tuple(names)
    for name in given:
        if not isinstance(name, str):
            raise TypeError(f"{argument} must hold strings but has {name!r}; pass str({name!r}).")
    if len(given) != n_features:
        raise ValueError(
            f"{argument} has {len(given)} entries but there are {n_features} features; pass one "
            "name per feature."
        )
    return tuple(str(name) for name in given)


def refuse_other_names(found: Names, fitted: Names) -> None:
    """Compare the names of rows with those of a mixture, as scikit-learn does.

    Raises
    ------
    ValueError
        If both have names, and these differ or are in another order.

    Warns
    -----
    UserWarning
        If only one of them has names.
    """
    if found == fitted:
        return
    if found is None:
        warn_caller(
            "X does not have valid feature names, but Mixture was fitted with feature names"
        )
    elif fitted is None:
        warn_caller("X has feature names, but Mixture was fitted without feature names")
    else:
        raise ValueError(_difference(found, fitted))


def _difference(found: tuple[str, ...], fitted: tuple[str, ...]) -> str:
    """Return the message for names that differ."""
    unexpected = list(Counter(found) - Counter(fitted))
    missing = list(Counter(fitted) - Counter(found))
    faults = []
    if unexpected:
        faults.append(f"unexpected: {_listed(unexpected)}")
    if missing:
        faults.append(f"missing: {_listed(missing)}")
    if not faults:
        faults.append(f"they must be in the same order: {_listed(fitted)}")
    return (
        f"X must have the feature names that the mixture was fitted with ({'; '.join(faults)}). "
        "Select the columns by name, for example X[list(mixture.feature_names)]."
    )


def _listed(names: Sequence[str]) -> str:
    """Return the first few names as text."""
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    return shown + (", ..." if len(names) > _SHOWN else "")
