"""A table that is read into memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgmm.cli.inputs.base import Columns, Input, labels_and_proba
from fastgmm.cli.inputs.matching import check_count, check_set
from fastgmm.cli.output import note
from fastgmm.cli.standardizing import Units
from fastgmm.cli.tables.answers import for_each_row
from fastgmm.cli.tables.reading import read_table
from fastgmm.cli.tables.request import Request, Table
from fastgmm.cli.wording import listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastgmm import Mixture


class TableInput(Input):
    """The rows of a table in memory."""

    def __init__(self, path: Path, table: Table):
        self._path, self._table = path, table
        self.columns, self.names = table.columns, table.names
        self.sample_weight = table.weights

    @classmethod
    def read(cls, path: Path, request: Request) -> TableInput:
        """Read a file: see `read_table`."""
        return cls(path, read_table(path, request))

    @property
    def values(self) -> NDArray[Any]:
        """The rows (n_rows, n_columns)."""
        return self._table.values

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.values)

    @property
    def total_weight(self) -> float:
        """Sum of the weights of the rows that have any value."""
        known = ~np.isnan(self.values).all(axis=1)
        weights = self.sample_weight
        return float(np.count_nonzero(known) if weights is None else weights[known].sum())

    def points(self) -> NDArray[Any]:
        """Return all rows."""
        return self._table.values

    def units(self, standardize: bool) -> Units:
        """Return the units of the columns: see `Units.of`."""
        return Units.of(self.values, standardize, self.sample_weight)

    def standardized(self, units: Units) -> NDArray[Any]:
        """Return the rows in other units."""
        return units.standardized(self.values)

    def matched(self, mixture: Mixture) -> TableInput:
        """Return the columns in the order of the fit; say so where the file has others."""
        table, place = self._table, str(self._path)
        check_count(place, len(table.columns), mixture.n_features)
        fitted, names = mixture.feature_names, table.names
        if fitted is None or names is None or names == fitted == table.in_file:
            return self
        check_set(place, names, fitted)
        if tuple(name for name in table.in_file if name in fitted) != fitted:
            note(f"{place}: columns are matched by name, in the order of the fit: {listed(fitted)}")
        positions = [names.index(name) for name in fitted]
        values = table.values[:, positions]
        return TableInput(self._path, table._replace(values=values, columns=fitted))

    def answers(self, mixture: Mixture, proba: bool) -> Iterator[Columns]:
        """Yield one block with a row for each row of the file."""
        mixture = mixture.with_feature_names(None)
        labels = mixture.predict(self.values, missing="em")
        probabilities = mixture.predict_proba(self.values, missing="em") if proba else None
        yield for_each_row(self._table, labels_and_proba(labels, probabilities))

    def imputed(self, mixture: Mixture, seed: int | None) -> Iterator[Columns]:
        """Yield one block with a row for each row of the file."""
        mixture = mixture.with_feature_names(None)
        filled = (
            mixture.impute(self.values)
            if seed is None
            else mixture.sample_missing(self.values, seed)
        )
        yield for_each_row(self._table, dict(zip(self.columns, filled.T, strict=True)))
