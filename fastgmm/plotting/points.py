"""Points in a panel of two features, some of which lack one of the two (NaN).

A point that lacks one feature is a tick in the margin along the other: below the panel if it has x
only, on its left if it has y only. A point that lacks both is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastgmm.plotting.style import INK, MUTED, NEW

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Limits = tuple[float, float]

_MARGIN = 0.07  # of the width or height of the panel
_TICKS = ("|", "_")  # of points that have x only, and y only
_DIAMONDS: dict[str, Any] = {
    "s": 46, "marker": "D", "color": NEW, "edgecolors": INK, "linewidths": 1.0, "zorder": 7,
}  # fmt: skip


def draw_points(ax: Axes, xy: np.ndarray, colors: np.ndarray) -> None:
    """Draw points (n, 2) in their colours (n, 3)."""
    both = ~np.isnan(xy).any(axis=1)
    x, y = xy[both].T
    ax.scatter(x, y, s=9, c=colors[both], linewidths=0, alpha=0.75)
    for axis, tick in enumerate(_TICKS):
        rows = _have_only(xy, axis)
        _draw_in_margin(ax, xy[rows], axis, s=32, marker=tick, c=colors[rows], linewidths=0.9)


def mark_new(ax: Axes, xy: np.ndarray) -> None:
    """Draw new points (n, 2) as orange diamonds."""
    ax.scatter(*xy[~np.isnan(xy).any(axis=1)].T, **_DIAMONDS)
    for axis in (0, 1):
        _draw_in_margin(ax, xy[_have_only(xy, axis)], axis, **_DIAMONDS)


def set_limits(ax: Axes, limits: tuple[Limits, Limits], xy: np.ndarray) -> None:
    """Set the limits of both axes, and add the margins that points (n, 2) need."""
    for axis, (low, high) in enumerate(limits):
        if _have_only(xy, 1 - axis).any():
            border, low = low, high - (high - low) / (1.0 - _MARGIN)
            draw_line = ax.axhline if axis else ax.axvline
            draw_line(border, color=MUTED, linewidth=0.6)
        ax.set(**{"ylim" if axis else "xlim": (low, high)})


def _have_only(xy: np.ndarray, axis: int) -> np.ndarray:
    """Return a mask of the points that have a coordinate but lack the other."""
    return ~np.isnan(xy[:, axis]) & np.isnan(xy[:, 1 - axis])


def _draw_in_margin(ax: Axes, xy: np.ndarray, axis: int, **style: Any) -> None:
    """Draw points that have only the coordinate `axis`, in the margin along that axis."""
    if not len(xy):
        return
    shown = np.full(xy.shape, _MARGIN / 2)  # in shares of the panel
    shown[:, axis] = xy[:, axis]
    transform = ax.get_yaxis_transform() if axis else ax.get_xaxis_transform()
    ax.scatter(*shown.T, transform=transform, **style)
