"""The class of the warning that EM did not converge."""

import sys

from fastgmm._errors import ConvergenceWarning


def convergence_warning() -> type[ConvergenceWarning]:
    """Return the class to warn with.

    It derives from scikit-learn's class of the same name, too, if the program has imported that:
    otherwise no filter and no handler can name it.
    """
    if "sklearn.exceptions" not in sys.modules:
        return ConvergenceWarning
    from fastgmm import _sklearn_warning

    return _sklearn_warning.ConvergenceWarning
