"""Errors that end a command with one sentence and exit code 2."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import click

from fastgmm.cli.wording import one_line

_OPTIONS = {  # how the library's advice reads on the command line
    "missing='em'": "--missing em",
    "choose the columns, or": "choose columns with --columns, or",
    "with polars.scan_parquet(...).select(...)": "with --exclude",
}


class Failure(click.ClickException):
    """An error that the user can correct; its message is one sentence."""


class FileProblem(Failure):
    """A file cannot be read or written."""


@contextmanager
def library_errors() -> Iterator[None]:
    """Turn the library's errors about its arguments into a `Failure`.

    Put only calls of the library inside: a ValueError or TypeError of the command line itself is
    a bug and keeps its traceback.
    """
    try:
        yield
    except (ValueError, TypeError, ImportError) as error:
        message = str(error)
        for advice, option in _OPTIONS.items():
            message = message.replace(advice, option)
        raise Failure(message) from error


@contextmanager
def library_warnings(ignored: type[Warning]) -> Iterator[None]:
    """Print the library's warnings as sentences, but those of a class that is ignored."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        if not issubclass(warning.category, ignored):
            click.echo(f"Warning: {one_line(str(warning.message))}", err=True)


@contextmanager
def system_errors() -> Iterator[None]:
    """Turn errors of the operating system and a lack of memory into a `Failure`."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise Failure(f"{where}{error.strerror or error}") from error
    except MemoryError as error:
        reason = str(error) or "there is not enough memory; use fewer rows or columns"
        raise Failure(reason) from error
