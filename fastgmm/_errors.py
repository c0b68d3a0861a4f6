"""Every exception and warning class of the library."""


class ConvergenceWarning(UserWarning):
    """EM stopped at ``max_iter`` before the log-likelihood settled within ``tol``."""


class CollapseError(ValueError):
    """A component's covariance became singular and the chosen policy does not repair it."""


class ModelFileError(ValueError):
    """A file is not a model saved by fastgmm, or it is damaged."""
