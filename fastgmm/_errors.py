"""The exceptions and warnings of the library."""


class ConvergenceWarning(UserWarning):
    """EM stopped at ``max_iter`` before the log-likelihood changed by less than ``tol``.

    Once a program has imported scikit-learn, filters and handlers that name
    `sklearn.exceptions.ConvergenceWarning` catch this warning, too.
    """


class CollapseError(ValueError):
    """A component's covariance became singular, and `on_collapse` does not repair it."""


class ModelFileError(ValueError):
    """A file is not a model saved by `Mixture.save`, or is damaged."""


class ReadingError(ValueError):
    """Rows in a file, or in another place outside memory, cannot be read, or have changed."""
