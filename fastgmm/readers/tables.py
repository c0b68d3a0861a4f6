"""Readers of tables with pyarrow and polars, which stream them in batches of rows."""

from __future__ import annotations

import csv
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fastgmm._errors import ReadingError
from fastgmm.readers.base import Block, Reader, Text, file_fingerprint, rows_of_block

_EMPTY = np.empty(0)
_BUFFERS = 2**23  # bytes of the columns of a Parquet file that are read at a time
_LEAST_BUFFER = 2**15  # bytes of one of these columns
_TEXT_BLOCK = 2**22  # bytes of text that are parsed at a time
_LONGEST = 200  # letters of a library's message
_NUMERIC = ("int", "uint", "float", "half", "double", "bool", "decimal", "null")  # of pyarrow


class TableReader(Reader):
    """Rows of a table, read in batches by a library.

    The attribute `all_names` has the names of all columns.

    Parameters
    ----------
    place : str
        What to call the table in messages.
    types : dict of str to object
        The columns and their types, in the order of the table.
    weight : str, optional
        The column that holds the weights of the rows.
    columns : sequence of str, optional
        The columns that are features; all but the weights by default.
    """

    def __init__(
        self,
        place: str,
        types: dict[str, Any],
        weight: str | None = None,
        columns: Sequence[str] | None = None,
    ):
        self._place, self._weight = place, weight
        self.all_names = tuple(types)
        for name in (*(columns or ()), *((weight,) if weight else ())):
            if name not in types:
                known = ", ".join(map(str, types))
                raise ReadingError(f"{place} has no column {name!r}; it has {known}.")
        names = [name for name in types if name != weight] if columns is None else list(columns)
        for name in [*names, *((weight,) if weight else ())]:
            if not _is_numeric(types[name]):
                raise ReadingError(
                    f"{place}: column {name!r} holds {types[name]}, not numbers; leave it out, for"
                    " example with polars.scan_parquet(...).select(...)."
                )
        if not names:
            raise ReadingError(f"{place} has no column of features.")
        self.names = tuple(names)
        self.n_features = len(names)
        single = all(str(types[name]).lower() in ("float", "float32") for name in names)
        self.dtype = np.dtype(np.float32 if single else np.float64)

    @abstractmethod
    def _batches(self, columns: list[str], n_rows: int) -> Iterator[Any]:
        """Yield batches of about `n_rows` rows with the given columns."""

    def blocks(self) -> Iterator[Block]:
        """Yield the batches as arrays."""
        assert self.names is not None
        columns = [*self.names, *((self._weight,) if self._weight else ())]
        first = 0
        batches = self._batches(columns, rows_of_block(self.n_features))
        while True:
            with reading_errors(f"{self._place}, rows from {first}," if first else self._place):
                batch = next(batches, None)
                if batch is None:
                    return
                block = self._block(batch, first)
            first += len(block.values)
            yield block

    def _block(self, batch: Any, first: int) -> Block:
        assert self.names is not None
        values = np.empty((len(batch), self.n_features), self.dtype)
        for j, name in enumerate(self.names):
            values[:, j] = _numbers(batch, name)
        weight = _EMPTY
        if self._weight:
            weight = np.array(_numbers(batch, self._weight), np.float64)
        return Block(values, weight, self._place, first)


@contextmanager
def reading_errors(place: str) -> Iterator[None]:
    """Turn a library's error into one that says what cannot be read."""
    try:
        yield
    except (ReadingError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split()).rstrip(".")
        reason = reason if len(reason) <= _LONGEST else f"{reason[:_LONGEST]}..."
        raise ReadingError(
            f"{place} cannot be read: {reason}; write the file again, or leave it out."
        ) from error


class _FileReader(TableReader):
    """A table in a file."""

    def __init__(
        self,
        path: Path,
        weight: str | None = None,
        columns: Sequence[str] | None = None,
        text: Text = Text(),  # noqa: B008
    ):
        self._path, self._text = path, text
        super().__init__(str(path), self.types_of(path, text), weight, columns)

    @classmethod
    def types_of(cls, path: Path, text: Text) -> dict[str, Any]:
        """Return the columns of a file and their types, in its order.

        Raises
        ------
        ReadingError
            If the file is empty or cannot be read, or two columns have the same name.
        """
        with reading_errors(str(path)):
            if path.stat().st_size == 0:
                raise ReadingError(f"{path} is empty; remove it, or write its rows.")
            with cls._open(path, text) as file:
                schema = cls._schema(file)
        twice = [name for name, count in Counter(schema.names).items() if count > 1]
        if twice:
            raise ReadingError(
                f"{path} has several columns {twice[0]!r}; give every column its own name."
            )
        return dict(zip(schema.names, schema.types, strict=True))

    @staticmethod
    @abstractmethod
    def _open(path: Path, text: Text) -> Any:
        """Return the file, opened by pyarrow."""

    @staticmethod
    def _schema(file: Any) -> Any:
        return file.schema

    def fingerprint(self) -> dict[str, tuple[int, ...]]:
        """Return the size and the time of the file."""
        return file_fingerprint(self._path)


class ParquetReader(_FileReader):
    """A Parquet file. Batches are decoded one by one, whatever the size of the row groups."""

    @staticmethod
    def _open(path: Path, text: Text, n_columns: int = 1) -> Any:
        import pyarrow.parquet as pq

        size = max(_LEAST_BUFFER, _BUFFERS // n_columns)
        return pq.ParquetFile(path, buffer_size=size, pre_buffer=False, memory_map=False)

    @staticmethod
    def _schema(file: Any) -> Any:
        return file.schema_arrow

    def _batches(self, columns: list[str], n_rows: int) -> Iterator[Any]:
        with self._open(self._path, self._text, len(columns)) as file:
            yield from file.iter_batches(n_rows, columns=columns, use_threads=False)


class ArrowReader(_FileReader):
    """An Arrow file, which a Feather file is, too."""

    @staticmethod
    def _open(path: Path, text: Text) -> Any:
        import pyarrow as pa

        return pa.ipc.open_file(pa.memory_map(str(path)))

    def _batches(self, columns: list[str], n_rows: int) -> Iterator[Any]:
        file = self._open(self._path, self._text)
        for i in range(file.num_record_batches):
            batch = file.get_batch(i).select(columns)
            for first in range(0, len(batch), n_rows):
                yield batch.slice(first, n_rows)


class CsvReader(_FileReader):
    """A CSV file with a line of names and then numbers."""

    @staticmethod
    def _open(path: Path, text: Text, **options: Any) -> Any:
        import pyarrow.csv as pc

        return pc.open_csv(
            path,
            read_options=pc.ReadOptions(
                use_threads=False,
                block_size=_TEXT_BLOCK,
                column_names=None if text.header else _numbered(path, text),
            ),
            parse_options=pc.ParseOptions(delimiter=text.separator),
            convert_options=pc.ConvertOptions(decimal_point=text.decimal, **options),
        )

    def _batches(self, columns: list[str], n_rows: int) -> Iterator[Any]:
        options = {"include_columns": columns, "column_types": dict.fromkeys(columns, "float64")}
        with self._open(self._path, self._text, **options) as file:
            for batch in file:
                for first in range(0, len(batch), n_rows):
                    yield batch.slice(first, n_rows)


def _numbered(path: Path, text: Text) -> list[str]:
    """Return the names of the columns of a file without a line of names."""
    with path.open(encoding="utf-8", newline="") as file:
        first = next(csv.reader(file, delimiter=text.separator), [])
    return [f"column_{number + 1}" for number in range(len(first))]


FILE_READERS: dict[str, type[_FileReader]] = {
    "parquet": ParquetReader,
    "arrow": ArrowReader,
    "csv": CsvReader,
}


class DatasetReader(TableReader):
    """A dataset of pyarrow, in the order of its fragments."""

    def __init__(
        self, dataset: Any, weight: str | None = None, columns: Sequence[str] | None = None
    ):
        self._dataset = dataset
        schema = dataset.schema
        types = dict(zip(schema.names, schema.types, strict=True))
        super().__init__("the dataset", types, weight, columns)

    def _batches(self, columns: list[str], n_rows: int) -> Iterator[Any]:
        yield from self._dataset.to_batches(
            columns=columns, batch_size=n_rows, batch_readahead=2, fragment_readahead=1
        )


class LazyFrameReader(TableReader):
    """A lazy frame of polars, which runs its query once for each pass."""

    def __init__(self, frame: Any, weight: str | None = None, columns: Sequence[str] | None = None):
        self._frame = frame
        self._place = "the LazyFrame"
        with reading_errors(self._place):
            types = dict(frame.collect_schema())
        super().__init__(self._place, types, weight, columns)

    def _batches(self, columns: list[str], n_rows: int) -> Iterator[Any]:
        yield from self._frame.select(columns).collect_batches(
            chunk_size=n_rows, maintain_order=True
        )


def _is_numeric(kind: Any) -> bool:
    """Return whether a type of pyarrow or polars is one of numbers or truth values."""
    if hasattr(kind, "is_numeric"):
        return bool(kind.is_numeric() or str(kind) == "Boolean")
    return str(kind).startswith(_NUMERIC)


def _numbers(batch: Any, name: str) -> Any:
    """Return a column of a batch as numbers, NaN where a value is missing."""
    column = batch[name]
    if hasattr(column, "null_count") and not callable(column.null_count):  # pyarrow
        if str(column.type).startswith(("bool", "decimal", "null")):
            column = column.cast("float64")
        return column.to_numpy(zero_copy_only=False)
    return column.cast(float).to_numpy() if column.null_count() else column.to_numpy()
