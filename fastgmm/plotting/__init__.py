"""Pictures of mixtures, fits and selections, on matplotlib (``pip install "fastgmm[plot]"``).

Every function draws on the Axes it is given, or on one of a new figure, and returns it.
Colours can be told apart by colour-blind readers; the figures also read in black and white.
"""

from fastgmm.plotting.pictures import (
    Traces,
    animate_fit,
    plot_convergence,
    plot_mixture,
    plot_responsibilities,
    plot_selection,
)

__all__ = [
    "Traces",
    "animate_fit",
    "plot_convergence",
    "plot_mixture",
    "plot_responsibilities",
    "plot_selection",
]
