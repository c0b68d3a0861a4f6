"""`statistics`: what one pass over rows tells EM, as an object that can be sent and added.

With it any engine that runs Python on parts of the data runs EM: each part returns its statistics,
they are added, and `Mixture.updated` is the M-step.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgmm.api import checks
from fastgmm.em.models import MaximumLikelihood
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.sources.base import Statistics as Sums
from fastgmm.sources.base import merge

if TYPE_CHECKING:
    from fastgmm.api.mixture import Mixture


class Statistics:
    """The sums over rows that EM needs, taken under one mixture.

    Those of several sets of rows are added with ``+``; ``sum(list, start=Statistics.none())`` adds
    a list. They can be pickled.

    Attributes
    ----------
    total_weight : float
        Sum of the weights of the rows; their number if they have none.
    log_likelihood : float
        Weighted sum of the rows' log-likelihoods, in nats.
    """

    def __init__(self, total_weight: float, sums: Sums | None, mixture: str):
        self.total_weight = total_weight
        self._sums = sums
        self._mixture = mixture

    @classmethod
    def none(cls) -> Statistics:
        """Return the statistics of no rows, under any mixture."""
        return cls(0.0, None, "")

    @property
    def log_likelihood(self) -> float:
        """Weighted sum of the rows' log-likelihoods, in nats."""
        return 0.0 if self._sums is None else self._sums.log_likelihood

    def __add__(self, other: Any) -> Statistics:
        """Return the statistics of the rows of both.

        Raises
        ------
        ValueError
            If they were taken under different mixtures.
        """
        if not isinstance(other, Statistics):
            return NotImplemented
        if self._sums is None or other._sums is None:
            return other if self._sums is None else self
        if self._mixture != other._mixture:
            raise ValueError(
                "the statistics were taken under different mixtures; send the new mixture to all"
                " parts before the next pass."
            )
        sums = merge([self._sums, other._sums])
        return Statistics(self.total_weight + other.total_weight, sums, self._mixture)

    def __repr__(self) -> str:
        return (
            f"Statistics(total_weight={self.total_weight:g},"
            f" log_likelihood={self.log_likelihood:.6g})"
        )


def statistics(
    X: Any,
    mixture: Mixture,
    *,
    sample_weight: Any = None,
    n_threads: int | None = None,
) -> Statistics:
    """Return the sums over rows that the next M-step needs: one pass of EM.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), or rows elsewhere
        The rows: see `fastgmm.fit`. An array without rows has no statistics to add.
    mixture : Mixture
        The mixture under which responsibilities are computed.
    sample_weight : array-like of shape (n_samples,) or str, optional
        Weights of the rows, or the name of their column.
    n_threads : int, optional
        Greatest number of threads.

    Returns
    -------
    Statistics
        To be added to those of other rows, and given to `Mixture.updated`.

    Raises
    ------
    TypeError, ValueError
        If the rows are not as described, or have other features than the mixture.

    Notes
    -----
    The sums are those of the E-step of Dempster, Laird and Rubin (1977): for each component the sum
    of the responsibilities, and the first and second moments about its mean.

    Examples
    --------
    >>> import numpy as np, fastgmm
    >>> X = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 50)])[:, None]
    >>> mixture = fastgmm.Mixture.from_parameters([0.5, 0.5], [[0.0], [8.0]], [[[1.0]], [[1.0]]])
    >>> parts = [fastgmm.statistics(part, mixture) for part in np.split(X, 4)]
    >>> total = sum(parts, start=fastgmm.Statistics.none())
    >>> mixture.updated(total).means.round(3)
    array([[ 0.],
           [10.]])
    """
    if isinstance(X, np.ndarray) and X.ndim == 2 and not len(X):
        checks.check_n_features(X.shape[1], mixture.n_features)
        return Statistics.none()
    source = mixture._source(X, sample_weight, n_threads)
    model = MaximumLikelihood(COVARIANCE_TYPES[mixture.covariance_type])
    sums = source.statistics(model, mixture._parameters, complete=True)
    return Statistics(float(source.total_weight), sums, digest(mixture))


def update(mixture: Mixture, total: Statistics, reg_covar: float) -> tuple[Any, float]:
    """Return the parameters of the M-step, and the objective before it.

    Raises
    ------
    ValueError
        If the statistics are of no rows or of another mixture, or a covariance becomes singular.
    """
    if total._sums is None:
        raise ValueError("the statistics are of no rows; add those of at least one part.")
    if total._mixture != digest(mixture):
        raise ValueError(
            "the statistics were taken under another mixture; take them under this one."
        )
    model = MaximumLikelihood(COVARIANCE_TYPES[mixture.covariance_type], reg_covar)
    parameters = model.update(mixture._parameters, total._sums)
    checks.refuse_indefinite(parameters.log_det, "covariances after the update")
    return parameters, total._sums.log_likelihood / total.total_weight


def digest(mixture: Mixture) -> str:
    """Return what tells the parameters of a mixture from all others."""
    digest = hashlib.sha256(mixture.covariance_type.encode())
    for array in (mixture.weights, mixture.means, mixture.covariances):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
