"""Warnings that point at the caller's line, however deep in this library they arise."""

import sys
import warnings


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Give a warning from the innermost frame outside this library."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals["__name__"].partition(".")[0] == "fastgmm":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
