"""Figures of a criterion over a grid of candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastgmm.api import checks
from fastgmm.api.options import CRITERIA
from fastgmm.api.selection import Candidate, Selection
from fastgmm.plotting.style import (
    INK,
    LINE_STYLES,
    MARKERS,
    add_legend,
    component_colors,
    new_axes,
    nth,
    set_frame,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_AXIS_LABELS = {
    "bic": "BIC (lower is better)",
    "aic": "AIC (lower is better)",
    "icl": "ICL (lower is better)",
    "held_out": "held-out log-likelihood per row (greater is better)",
}


def plot_selection(
    selection: Selection, ax: Axes | None = None, *, criterion: str | None = None
) -> Axes:
    """Draw a criterion against the number of components, one line per covariance type.

    Parameters
    ----------
    selection : Selection
        The result of `fastgmm.select`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default the Axes of a new figure.
    criterion : {"bic", "aic", "icl", "held_out"}, optional
        The criterion to draw; by default the criterion of `selection`.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes. A ring marks the best candidate, and crosses beside the lines mark spurious
        optima. The y axis shows the better half of the candidates; the legend says which
        covariance types lie outside it.

    Raises
    ------
    ValueError
        If the criterion is unknown, or no candidate has a value of it.
    ImportError
        If matplotlib is not installed.
    """
    criterion = selection.criterion if criterion is None else criterion
    checks.check_option(criterion, "criterion", CRITERIA)
    judged = Selection(selection.candidates, criterion)
    winner = judged.winner
    if winner is None:
        raise ValueError(
            f"selection has no sound candidate with a {criterion} to draw; choose another "
            "criterion or select again with it."
        )
    ax = ax if ax is not None else new_axes()
    limits = _limits(judged)
    groups: dict[str, list[Candidate]] = {}
    for candidate in judged:
        groups.setdefault(candidate.covariance_type, []).append(candidate)
    looks = enumerate(component_colors(len(groups)))
    for group, look in zip(groups.values(), looks, strict=True):
        _draw_type(ax, group, criterion, limits, look)
    ax.plot(winner.n_components, getattr(winner, criterion), marker="o", markersize=14, color=INK,
            linestyle="", markerfacecolor="none", label=f"best: {winner.name}")  # fmt: skip
    if any(candidate.spurious for candidate in judged):
        ax.plot([], [], linestyle="", marker="x", color=INK, label="spurious")
    ax.set_ylim(limits)
    ax.set_xticks(sorted({candidate.n_components for candidate in judged}))
    add_legend(ax)
    return set_frame(ax, "components", _AXIS_LABELS[criterion])


def _draw_type(
    ax: Axes,
    group: list[Candidate],
    criterion: str,
    limits: tuple[float, float],
    look: tuple[int, Any],
) -> None:
    """Draw the candidates of one covariance type; its look is its place and colour."""
    place, color = look
    low, high = limits
    counts = np.array([candidate.n_components for candidate in group])
    values = np.array([getattr(candidate, criterion) for candidate in group])
    sound = np.isfinite([candidate.loss(criterion) for candidate in group])
    visible = ((values >= low) & (values <= high))[sound].any()
    name = group[0].covariance_type
    ax.plot(counts[sound], values[sound], color=color, marker=nth(MARKERS, place),
            linestyle=nth(LINE_STYLES, place), markersize=5, linewidth=1.5,
            label=name if visible else f"{name} (off the scale)")  # fmt: skip
    ax.scatter(counts[~sound], values[~sound], color=color, marker="x", s=36, zorder=4)


def _limits(selection: Selection) -> tuple[float, float]:
    """Return limits that show the better half of the sound candidates.

    They extend towards better values to include spurious optima, but by no more than twice the
    span of the better half.
    """
    criterion = selection.criterion
    losses = np.array([candidate.loss(criterion) for candidate in selection])
    losses = losses[np.isfinite(losses)]
    best, span = losses.min(), 1.25 * (np.median(losses) - losses.min())
    span = span or max(1e-3 * abs(best), 1e-9)
    values = np.array([getattr(candidate, criterion) for candidate in selection])
    values = -values if criterion == "held_out" else values
    lowest = max(np.nanmin(values), best - 2.0 * span)
    low, high = lowest - 0.1 * span, best + span
    return (-high, -low) if criterion == "held_out" else (low, high)
