"""The interface of the rows that a command reads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastgmm import Mixture
    from fastgmm.cli.standardizing import Units

Columns = Mapping[str, Any]  # arrays or series of equal length by their names


class Input(ABC):
    """Rows of numbers.

    Attributes
    ----------
    columns : tuple of str
        What to call the features.
    names : tuple of str or None
        The same, None if the file does not name its columns.
    sample_weight : ndarray of shape (n_rows,) or None
        Weights beside `values`; None if there are none, or `values` has them.
    """

    columns: tuple[str, ...]
    names: tuple[str, ...] | None
    sample_weight: NDArray[Any] | None = None

    @property
    @abstractmethod
    def values(self) -> Any:
        """What the library fits: an array or a source."""

    @property
    @abstractmethod
    def n_rows(self) -> int:
        """Number of rows."""

    @property
    @abstractmethod
    def total_weight(self) -> float:
        """Sum of the weights of the rows that have any value."""

    @abstractmethod
    def points(self) -> NDArray[Any]:
        """Return rows to draw, in which values may be missing."""

    @abstractmethod
    def units(self, standardize: bool) -> Units:
        """Return the units that standardise the columns, or those that change nothing."""

    @abstractmethod
    def standardized(self, units: Units) -> Any:
        """Return `values` in other units."""

    @abstractmethod
    def matched(self, mixture: Mixture) -> Input:
        """Return the columns in the order of a mixture's fit.

        Raises
        ------
        Failure
            If the mixture was fitted to other columns.
        """

    @abstractmethod
    def answers(self, mixture: Mixture, proba: bool) -> Iterator[Columns]:
        """Yield the labels and, if wanted, the probabilities of all rows, in blocks."""

    @abstractmethod
    def imputed(self, mixture: Mixture, seed: int | None) -> Iterator[Columns]:
        """Yield all columns with their missing values filled in, in blocks.

        They are drawn at random if there is a seed, otherwise they are expectations.
        """


def labels_and_proba(labels: NDArray[Any], proba: NDArray[Any] | None) -> dict[str, NDArray[Any]]:
    """Return the columns of an answer."""
    columns = {"label": labels}
    if proba is not None:
        columns |= {f"component_{k}": column for k, column in enumerate(proba.T)}
    return columns
