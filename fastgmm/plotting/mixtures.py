"""Figures of a mixture in any number of dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from fastgmm.api import checks
from fastgmm.api.mixture import Mixture
from fastgmm.api.names import check_names, names_of, refuse_other_names
from fastgmm.plotting.panels import MixturePanels
from fastgmm.plotting.style import new_axes, set_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_CORNER_FEATURES = 6
_PANEL_INCHES = 1.8


def plot_mixture(
    mixture: Mixture,
    X: ArrayLike | None = None,
    ax: Axes | None = None,
    *,
    new: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    max_points: int = 5000,
) -> Axes:
    """Draw a mixture and, if given, the points it was fitted to.

    With one feature: a histogram of the points, the density of each component, the density of
    the mixture, and the points below the axis. With two features: the points, ellipses at 1, 2
    and 3 standard deviations, contours of the density, and the number of each component at its
    mean. With more features: a grid of panels, with single features on its diagonal and pairs of
    features below it.

    Parameters
    ----------
    mixture : Mixture
        The mixture to draw.
    X : array-like of shape (n_samples, n_features), optional
        Points. The colour of each is the average of the components' colours, weighted by its
        responsibilities. NaN or null stands for a missing value: a point that lacks one feature
        of a panel is a tick in the margin along the other one.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default the Axes of a new figure.
    new : array-like of shape (n_new, n_features), optional
        Further points, drawn as orange diamonds; in a margin if they lack a feature of the panel.
    names : sequence of str, optional
        Names of the features; by default `Mixture.feature_names`, or their numbers.
    max_points : int, default=5000
        Largest number of points to draw, taken at equal intervals from the rows of X. The
        histogram counts all rows.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes. The panels of a grid are its ``child_axes``.

    Raises
    ------
    ValueError, TypeError
        If X or `new` does not fit the mixture or its feature names or has infinite values, or
        `names` does not have one entry per feature.
    ImportError
        If matplotlib is not installed.
    """
    n_features = mixture.n_features
    points = None if X is None else checked_points(X, mixture)
    new = None if new is None else checked_points(new, mixture)
    names = _axis_labels(mixture, names)
    max_points = checks.check_integer(max_points, "max_points", 1)
    panels = MixturePanels(mixture, points, new, max_points)
    if n_features > 2:
        size = _PANEL_INCHES * min(n_features, _MAX_CORNER_FEATURES)
        ax = ax if ax is not None else new_axes(size, size)
        _draw_corner(ax, panels, names)
        return ax
    ax = ax if ax is not None else new_axes()
    if n_features == 1:
        panels.draw_feature(ax, 0)
        return set_frame(ax, names[0], "density")
    panels.draw_pair(ax, 0, 1)
    return set_frame(ax, names[0], names[1])


def checked_points(X: ArrayLike, mixture: Mixture) -> np.ndarray:
    """Return rows as an array, after a comparison with the mixture's features."""
    refuse_other_names(names_of(X), mixture.feature_names)
    return checks.check_points(X, mixture.n_features, gaps=True)


def _axis_labels(mixture: Mixture, names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the features: those given, those of the mixture, or numbers."""
    if names is not None:
        names = [str(name) for name in names]
    chosen = check_names(names, mixture.n_features, "names") or mixture.feature_names
    return chosen or tuple(f"feature {j}" for j in range(mixture.n_features))


def _draw_corner(ax: Axes, panels: MixturePanels, names: Sequence[str]) -> None:
    """Draw single features on the diagonal and pairs below it, in insets of an Axes."""
    n_shown = min(len(names), _MAX_CORNER_FEATURES)
    ax.set_axis_off()
    if len(names) > n_shown:
        ax.set_title(f"the first {n_shown} of {len(names)} features", fontsize=9, loc="right")
    side = 1.0 / n_shown
    for row in range(n_shown):
        for column in range(row + 1):
            bounds = (column * side, 1 - (row + 1) * side, 0.9 * side, 0.9 * side)
            panel = ax.inset_axes(bounds)
            if row == column:
                panels.draw_feature(panel, row)
            else:
                panels.draw_pair(panel, column, row)
            is_lowest, is_leftmost = row == n_shown - 1, column == 0 and row > 0
            x, y = names[column] if is_lowest else "", names[row] if is_leftmost else ""
            set_frame(panel, x, y)
            if not is_lowest:
                panel.set_xticklabels([])
            if not is_leftmost:
                panel.set_yticklabels([])
