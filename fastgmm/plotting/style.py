"""The look of all figures: colours, line styles, and the frame of an Axes.

The colours are those of Okabe and Ito, which colour-blind readers can distinguish. Their orange is
reserved for new points. Line styles, markers, hatches and the numbers at the means carry the same
information in black and white. Every style is chosen by the place of a component or covariance
type in its sequence, never by its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NEW = "#E69F00"  # new points
INK = "0.15"
MUTED = "0.65"  # lines in the background
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P")
HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "----")
_PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#8C6D1F")
_GRID_LINES = "0.88"
_AXIS_LINES = "0.4"
_SMALL = 8  # points, the size of tick labels


def require_matplotlib() -> None:
    """Raise an ImportError that names the extra to install if matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ImportError(
            'drawing needs matplotlib; install with: pip install "fastgmm[plot]"'
        ) from None


def component_colors(n_components: int) -> np.ndarray:
    """Return colours (n_components, 3); more than six are a scale of increasing lightness."""
    require_matplotlib()
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    if n_components <= len(_PALETTE):
        return np.array([to_rgb(color) for color in _PALETTE[:n_components]])
    return colormaps["viridis"](np.linspace(0.0, 0.92, n_components))[:, :3]


def nth(styles: tuple, place: int) -> Any:
    """Return the style at a place; after the last style the first one follows again."""
    return styles[place % len(styles)]


def new_axes(width: float = 5.6, height: float = 3.8) -> Axes:
    """Return the Axes of a new figure; width and height are in inches."""
    require_matplotlib()
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return ax


def set_frame(ax: Axes, x: str = "", y: str = "") -> Axes:
    """Give an Axes its spines, a faint grid and its labels, and remove its title."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(_AXIS_LINES)
    ax.tick_params(labelsize=_SMALL, color=_AXIS_LINES)
    ax.grid(color=_GRID_LINES, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel(x, fontsize=_SMALL + 1)
    ax.set_ylabel(y, fontsize=_SMALL + 1)
    ax.set_title("", loc="left")
    return ax


def add_legend(ax: Axes, **options: Any) -> None:
    """Add a legend without a frame."""
    ax.legend(frameon=False, fontsize=_SMALL, **options)


def add_number(ax: Axes, number: int, xy: tuple[float, float], color: Any) -> None:
    """Write the number of a component on a white disc, readable on any background."""
    disc = {"boxstyle": "circle,pad=0.2", "facecolor": "white", "edgecolor": color, "lw": 1.2}
    ax.text(
        *xy, str(number), fontsize=_SMALL, color=INK, ha="center", va="center", bbox=disc,
        zorder=6, clip_on=True,
    )  # fmt: skip
