"""The look of all figures: colours, line styles and the frame of an Axes.

The colours are those of Okabe and Ito, told apart by colour-blind readers; orange is kept for
new points. Line styles, markers and the numbers at the means say the same in black and white.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#8C6D1F")
NEW = "#E69F00"  # new points
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P")
HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "----")
INK = "0.15"
FAINT = "0.88"
_SMALL = 8


def require_matplotlib() -> None:
    """Say which extra to install where matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ImportError(
            'drawing needs matplotlib; install with: pip install "fastgmm[plot]"'
        ) from None


def component_colors(n_components: int) -> np.ndarray:
    """Return colours (n_components, 3), from a sequence of growing lightness if there are many."""
    require_matplotlib()
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    if n_components <= len(_PALETTE):
        return np.array([to_rgb(color) for color in _PALETTE[:n_components]])
    return colormaps["viridis"](np.linspace(0.0, 0.92, n_components))[:, :3]


def nth(values: tuple, place: int) -> Any:
    """Return an entry of a tuple that starts again at its end."""
    return values[place % len(values)]


def new_axes(width: float = 5.6, height: float = 3.8) -> Axes:
    """Return the Axes of a new figure, in inches."""
    require_matplotlib()
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return ax


def style(ax: Axes, x: str = "", y: str = "", title: str = "") -> Axes:
    """Give an Axes its frame, a faint grid and its labels."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("0.4")
    ax.tick_params(labelsize=_SMALL, color="0.4")
    ax.grid(color=FAINT, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel(x, fontsize=_SMALL + 1)
    ax.set_ylabel(y, fontsize=_SMALL + 1)
    ax.set_title(title, fontsize=_SMALL + 2, loc="left")
    return ax


def legend(ax: Axes, **options: Any) -> None:
    """Add a legend without a frame."""
    ax.legend(frameon=False, fontsize=_SMALL, **options)


def number(ax: Axes, text: str, xy: tuple[float, float], color: Any, **options: Any) -> None:
    """Write a number on a white disc, so that it can be read on any background."""
    disc = {"boxstyle": "circle,pad=0.2", "facecolor": "white", "edgecolor": color, "lw": 1.2}
    ax.text(
        *xy, text, fontsize=_SMALL, color=INK, ha="center", va="center", bbox=disc, zorder=6,
        clip_on=True, **options,
    )  # fmt: skip
