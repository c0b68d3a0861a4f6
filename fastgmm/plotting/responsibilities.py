"""Figures of the responsibilities of single rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from fastgmm.api.mixture import Mixture
from fastgmm.plotting.mixtures import checked_points
from fastgmm.plotting.style import (
    HATCHES,
    add_legend,
    component_colors,
    new_axes,
    nth,
    set_frame,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DEFAULT_ROWS = 20


def plot_responsibilities(
    mixture: Mixture,
    X: ArrayLike,
    rows: ArrayLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the responsibilities of the components for some rows, one bar per row.

    Parameters
    ----------
    mixture : Mixture
        A mixture.
    X : array-like of shape (n_samples, n_features)
        Rows; NaN or null stands for a missing value, which has no influence.
    rows : array-like of int, optional
        Indices of the rows to draw, from top to bottom; by default the first 20 rows.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default the Axes of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes. The parts of a bar are the components in order, and sum to 1.

    Raises
    ------
    ValueError, TypeError, IndexError
        If X does not fit the mixture, or X does not have one of the rows.
    ImportError
        If matplotlib is not installed.
    """
    points = checked_points(X, mixture)
    n_default = min(_DEFAULT_ROWS, len(points))
    chosen = np.arange(n_default) if rows is None else np.asarray(rows, np.intp)
    resp = mixture.with_feature_names(None).predict_proba(points[chosen], missing="em")
    ax = ax if ax is not None else new_axes(5.6, max(1.6, 0.8 + 0.22 * len(chosen)))
    places = np.arange(len(chosen))
    left = np.zeros(len(chosen))
    for k, color in enumerate(component_colors(mixture.n_components)):
        ax.barh(places, resp[:, k], left=left, color=color, height=0.78, edgecolor="white",
                hatch=nth(HATCHES, k), linewidth=0.0, label=f"component {k}")  # fmt: skip
        left += resp[:, k]
    ax.set_yticks(places, [str(row) for row in chosen])
    ax.set(xlim=(0, 1), ylim=(len(chosen) - 0.4, -0.6))
    set_frame(ax, "responsibility", "row")
    ax.grid(visible=False)
    add_legend(ax, loc="lower left", bbox_to_anchor=(0, 1), ncols=min(mixture.n_components, 6))
    return ax
