"""Figures of mixtures, fits and selections, drawn with matplotlib.

Install matplotlib with ``pip install "fastgmm[plot]"``; it is imported when the first figure is
drawn. Every function draws on the Axes it is given, or on the Axes of a new figure. It returns the
Axes, except that `animate_fit` returns an animation unless a strip is wanted. The colours suit
colour-blind readers, and line styles, markers and numbers repeat what the colours say for a print
in black and white.
"""

from fastgmm.plotting.animation import animate_fit
from fastgmm.plotting.convergence import Traces, plot_convergence
from fastgmm.plotting.mixtures import plot_mixture
from fastgmm.plotting.responsibilities import plot_responsibilities
from fastgmm.plotting.selection import plot_selection

__all__ = [
    "Traces",
    "animate_fit",
    "plot_convergence",
    "plot_mixture",
    "plot_responsibilities",
    "plot_selection",
]


def __dir__() -> list[str]:
    return list(__all__)
