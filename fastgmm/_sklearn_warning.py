"""The warning of a program that has imported scikit-learn; importing this module imports it."""

from sklearn.exceptions import ConvergenceWarning as TheirConvergenceWarning

from fastgmm import _errors


class ConvergenceWarning(_errors.ConvergenceWarning, TheirConvergenceWarning):  # type: ignore[misc]
    """`fastgmm.ConvergenceWarning` for filters and handlers that name scikit-learn's class."""
