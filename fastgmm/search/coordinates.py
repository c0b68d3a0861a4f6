"""Coordinates of the rows that do not depend on the units or the stretching of the features.

Whitened coordinates have unit covariance. Invariant coordinates are whitened coordinates turned
to the eigenvectors of the fourth-moment scatter ``mean(|z|^2 z z^T)`` (Tyler, Critchley, Duembgen
and Oja 2009), and from there to the directions of extreme kurtosis by FastICA's fixed point
(Hyvarinen 1999). Directions that separate clusters of similar size come first, because there the
rows have a low kurtosis; directions with outliers or small clusters come last (Alfons, Archimbaud,
Nordhausen and Ruiz-Gazen 2024).

The eigenvectors alone find clusters in few features. With 3,000 rows of 30 features the factor
``|z|^2`` adds more noise than four clusters add signal: k-means on the first coordinate reached an
adjusted Rand index of 0.39, and 1.00 after the fixed point.
"""

from typing import NamedTuple

import numpy as np

_ROWS_OF_KURTOSIS = 1000, 4000  # least and most that serve to find its extremes
_WORK_OF_KURTOSIS = 4_000_000  # rows times squared features of a step
_KURTOSIS_STEPS = 15
_FLAT = 1e-10  # relative to the largest eigenvalue: the rows do not vary in this direction


class Coordinates(NamedTuple):
    """Coordinates of rows; `rank` is the number of directions in which the rows vary.

    `whitened` (n_rows, rank) has unit covariance. `halved` (n_rows, rank) has principal components
    divided by the root of their standard deviation, as mclust's ``hcUse = "SVD"``. `invariant`
    (n_rows, rank) has the directions of the least kurtosis first.
    """

    whitened: np.ndarray
    halved: np.ndarray
    invariant: np.ndarray


def moments(rows: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted mean (n_features,) and covariance of rows (n_rows, n_features)."""
    total = weight.sum()
    mean = np.einsum("i,ij->j", weight, rows) / total
    gaps = rows - mean
    return mean, np.einsum("ij,ik->jk", gaps * (weight / total)[:, None], gaps)


def make_coordinates(rows: np.ndarray, weight: np.ndarray) -> Coordinates:
    """Return the coordinates of rows (n_rows, n_features) in float64 with weights (n_rows,)."""
    center = rows[0]
    mean, covariance = moments(rows - center, weight)
    deviation = np.sqrt(np.diag(covariance))
    scale = np.where(deviation > 0, deviation, 1.0)
    values, axes = np.linalg.eigh(covariance / scale / scale[:, None])
    varies = values > _FLAT * max(values[-1], np.finfo(float).tiny)
    principal = ((rows - center - mean) / scale) @ axes[:, varies]
    whitened = principal / np.sqrt(values[varies])
    halved = principal / values[varies] ** 0.25
    return Coordinates(whitened, halved, whitened @ _turn(whitened, weight))


def _turn(whitened, weight):
    """Return the axes (rank, rank) of the invariant coordinates, the least kurtosis first."""
    n_rows, rank = whitened.shape
    least, most = _ROWS_OF_KURTOSIS
    step = -(-n_rows // max(least, min(most, _WORK_OF_KURTOSIS // max(rank, 1) ** 2)))
    rows, weight = whitened[::step], weight[::step] / weight[::step].sum()
    squares = np.einsum("ij,ij->i", rows, rows) * weight
    axes = np.linalg.eigh(np.einsum("ij,ik->jk", rows * squares[:, None], rows))[1]
    for _ in range(_KURTOSIS_STEPS if len(axes) > 1 else 0):
        values = np.einsum("ij,jk->ik", rows, axes)
        cubes = values * values * values * weight[:, None]
        kurtosis = np.einsum("ij,ij->j", cubes, values)
        order = np.argsort(kurtosis, kind="stable")
        axes = np.einsum("ij,ik->jk", rows, cubes) - 3.0 * axes
        axes = np.linalg.qr(axes[:, order])[0]
    values = rows @ axes
    kurtosis = np.einsum("i,ij->j", weight, np.square(values * values))
    return axes[:, np.argsort(kurtosis, kind="stable")]
