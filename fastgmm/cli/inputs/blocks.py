"""Files that are read in blocks: they need not fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgmm.cli.errors import Failure, FileProblem, library_errors
from fastgmm.cli.inputs.base import Columns, Input, labels_and_proba
from fastgmm.cli.inputs.matching import check_count, check_set
from fastgmm.cli.standardizing import StandardizedReader, Units
from fastgmm.cli.tables.columns import Columns as ColumnsOfFile
from fastgmm.cli.tables.content import numbered_names
from fastgmm.cli.tables.request import Request
from fastgmm.readers.base import Reader, Text
from fastgmm.readers.paths import columns_of, files_of, open_paths
from fastgmm.sources.blocks import BlockSource
from fastgmm.sources.incomplete_parts import IncompleteBlocks
from fastgmm.sources.streaming import checked_blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastgmm import Mixture

_MARKS = {";": "semicolon", "\t": "tab", "|": "bar"}
_DRAWN = 10_000  # greatest number of points in a picture


class BlockInput(Input):
    """The rows of files that are read in blocks, anew for each pass.

    Parameters
    ----------
    reader : Reader
        The files.
    place : str
        What to call them in messages.
    gaps : bool
        Whether NaN stands for missing values.
    """

    def __init__(self, reader: Reader, place: str, gaps: bool):
        self._reader, self._place, self._gaps = reader, place, gaps
        self.names = reader.names
        self.columns = reader.names or tuple(numbered_names(reader.n_features))
        self._source: BlockSource | None = None

    @classmethod
    def open(cls, data: Sequence[Path], request: Request) -> BlockInput:
        """Open files: names, patterns and folders.

        Raises
        ------
        Failure
            If a file cannot be read, has a column that is not numeric, or an option does not apply.
        """
        _check_request(request)
        place = str(data[0]) if len(data) == 1 else f"{data[0]} and {len(data) - 1} more"
        with library_errors():
            files = files_of(data)
            text = Text(
                request.separator or ",", request.decimal or ".", request.header is not False
            )
            names = columns_of(files[0], text)
            _check_header(files[0], names, request)
            columns, weight = _chosen(files[0], names, request)
            return cls(open_paths(files, weight, columns, text), place, request.missing == "em")

    @property
    def values(self) -> BlockSource:
        """The source of the rows; the first call reads all of them."""
        if self._source is None:
            self._source = self._source_of(self._reader)
        return self._source

    def _source_of(self, reader: Reader) -> BlockSource:
        with library_errors():
            return (IncompleteBlocks if self._gaps else BlockSource)(reader)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.values.n_samples

    @property
    def total_weight(self) -> float:
        """Sum of the weights of the rows that have any value."""
        return self.values.total_weight

    def points(self) -> NDArray[Any]:
        """Return rows drawn at random."""
        sample = self.values.sample
        return sample[np.random.RandomState(0).permutation(len(sample))[:_DRAWN]]

    def units(self, standardize: bool) -> Units:
        """Return the units of the columns; this takes two passes."""
        if standardize and self._gaps:
            raise Failure(
                "--standardize cannot be used with --missing em for files that are read in blocks;"
                " leave it out, because --init auto finds clusters in any units"
            )
        if not standardize:
            return Units.original(len(self.columns), self.total_weight)
        with library_errors():
            return Units.of_source(self.values)

    def standardized(self, units: Units) -> BlockSource:
        """Return the source of the rows in other units."""
        if units.is_original:
            return self.values
        return self._source_of(StandardizedReader(self._reader, units))

    def matched(self, mixture: Mixture) -> BlockInput:
        """Return this input, whose columns were chosen by the names of the fit."""
        check_count(self._place, len(self.columns), mixture.n_features)
        if mixture.feature_names is not None and self.names is not None:
            check_set(self._place, self.names, mixture.feature_names)
        return self

    def answers(self, mixture: Mixture, proba: bool) -> Iterator[Columns]:
        """Yield a block of labels for each block of rows."""
        missing = "em" if self._gaps else "error"
        mixture = mixture.with_feature_names(self.names)
        with library_errors():
            for block in mixture.predict_blocks(self._reader, proba=proba, missing=missing):
                yield labels_and_proba(block.labels, block.proba)

    def imputed(self, mixture: Mixture, seed: int | None) -> Iterator[Columns]:
        """Yield a block of columns for each block of rows."""
        mixture = mixture.with_feature_names(None)
        random_state = np.random.RandomState(seed)
        with library_errors():
            for block in checked_blocks(self._reader, gaps=True):
                if seed is None:
                    filled = mixture.impute(block.values)
                else:
                    filled = mixture.sample_missing(block.values, random_state)
                yield dict(zip(self.columns, filled.T, strict=True))


def _check_request(request: Request) -> None:
    """Refuse options that files which are read in blocks do not have."""
    advice = {
        "--id": (request.id_column, "the output has the rows in the order of the files"),
        "--array": (request.array, "write the array to a .npy file of its own"),
        "--missing drop": (
            request.missing == "drop",
            "use --missing em, which uses the other values of such rows",
        ),
    }
    for option, (given, what_to_do) in advice.items():
        if given:
            raise Failure(
                f"{option} cannot be used with files that are read in blocks; {what_to_do}"
            )


def _check_header(file: Path, names: tuple[str, ...] | None, request: Request) -> None:
    """Refuse a text whose first line may be data, or has other separators."""
    mark = next((mark for mark in ";\t|" if names and len(names) == 1 and mark in names[0]), None)
    if mark and request.separator is None:
        raise FileProblem(
            f"{file}: files that are read in blocks have commas between their fields; give another"
            f" character with --separator, such as --separator {_MARKS[mark]}"
        )
    if names and request.header is None and all(map(_is_number, names)):
        raise FileProblem(
            f"{file}: the first line holds numbers; say with --header or --no-header whether it"
            " names the columns"
        )


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _chosen(
    file: Path, names: tuple[str, ...] | None, request: Request
) -> tuple[tuple[str, ...] | None, str | None]:
    """Return the names of the features and of the weights; None for all columns, or no weights."""
    given = {
        "--columns": request.columns,
        "--exclude": request.exclude,
        "--weights": request.weights,
    }
    if names is None:
        for option, text in given.items():
            if text is not None:
                raise Failure(
                    f"{option} cannot be used with {file}, because arrays that are read in blocks"
                    " have no columns to choose; write a table such as Parquet"
                )
        return None, None
    columns = ColumnsOfFile.of(file, names)
    picked = {
        option: columns.chosen(option, text) for option, text in given.items() if text is not None
    }
    weights = picked.pop("--weights", [])
    if len(weights) > 1:
        raise Failure(f"--weights names {len(weights)} columns; name one")
    weight = names[weights[0]] if weights else None
    if not picked and not request.fitted:
        return None, weight
    features = picked.get("--columns")
    if features is None:
        features = columns.named(request.fitted) if request.fitted else list(range(len(names)))
    elif request.fitted and {names[j] for j in features} == set(request.fitted):
        features = columns.named(request.fitted)  # in the order of the fit
    left_out = {*picked.get("--exclude", []), *weights}
    kept = tuple(names[j] for j in features if j not in left_out)
    if not kept:
        raise FileProblem(f"{file}: no column is left of {', '.join(names)}")
    return kept, weight
