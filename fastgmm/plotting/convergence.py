"""Figures of the log-likelihood over the iterations of EM."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from fastgmm.api.mixture import Mixture
from fastgmm.plotting.style import MUTED, add_legend, component_colors, new_axes, set_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Traces:
    """A callback for `fastgmm.fit` that records the log-likelihoods of every start.

    Attributes
    ----------
    starts : list of list of float
        One list per start: the mean log-likelihood per row after each iteration, in nats.

    Examples
    --------
    >>> import numpy as np, fastgmm
    >>> from fastgmm.plotting import Traces
    >>> traces = Traces()
    >>> mixture = fastgmm.fit(np.arange(20.0), 2, n_init=3, random_state=0, callback=traces)
    >>> len(traces.starts)
    3
    """

    def __init__(self) -> None:
        self.starts: list[list[float]] = []

    def __call__(self, iteration: int, log_likelihood: float) -> None:
        """Record an iteration; iteration 1 opens the list of the next start."""
        if iteration == 1:
            self.starts.append([])
        self.starts[-1].append(log_likelihood)


def plot_convergence(fits: Mixture | Traces | Iterable[ArrayLike], ax: Axes | None = None) -> Axes:
    """Draw the log-likelihood after each iteration, one line per start.

    Parameters
    ----------
    fits : Mixture, Traces or iterable of array-like
        A fitted mixture, which holds the log-likelihoods of its best start; a `Traces` object
        that was the callback of a fit and holds those of all starts; or one sequence of
        log-likelihoods per start.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default the Axes of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes. The best start is blue, the others are grey. The y axis may begin above the
        first two iterations.

    Raises
    ------
    ValueError
        If `fits` holds no iterations.
    ImportError
        If matplotlib is not installed.
    """
    starts = _log_likelihoods(fits)
    ax = ax if ax is not None else new_axes()
    best = int(np.argmax([trace[-1] for trace in starts]))
    for place, trace in enumerate(starts):
        if place != best:
            ax.plot(np.arange(1, len(trace) + 1), trace, color=MUTED, linewidth=1.0)
            ax.plot(len(trace), trace[-1], color=MUTED, marker=".", markersize=7)
    color = component_colors(1)[0]
    trace = starts[best]
    label = f"best of {len(starts)} starts" if len(starts) > 1 else f"ends at {trace[-1]:.6g}"
    ax.plot(np.arange(1, len(trace) + 1), trace, color=color, linewidth=1.8, label=label)
    ax.plot(len(trace), trace[-1], marker="o", markersize=7, color=color, markerfacecolor="white")
    _set_scales(ax, starts, float(trace[-1]))
    add_legend(ax, loc="lower right")
    return set_frame(ax, "iteration", "log-likelihood per row (nats)")


def _log_likelihoods(fits: Mixture | Traces | Iterable[ArrayLike]) -> list[np.ndarray]:
    """Return one array of log-likelihoods per start that has any."""
    if isinstance(fits, Mixture):
        fits = [fits.log_likelihoods]
    elif isinstance(fits, Traces):
        fits = fits.starts
    starts = [trace for trace in (np.asarray(trace, float) for trace in fits) if trace.size]
    if not starts:
        raise ValueError("fits has no iterations to draw; pass a mixture that was fitted.")
    return starts


def _set_scales(ax: Axes, starts: list[np.ndarray], high: float) -> None:
    """Begin the y axis at the third iteration of the worst start, and tick whole iterations.

    The first iterations from a random start gain so much that on a scale that includes them the
    later ones cannot be distinguished.
    """
    from matplotlib.ticker import MaxNLocator

    low = min(trace[min(2, len(trace) - 1)] for trace in starts)
    if low < high:
        pad = 0.1 * (high - low)
        ax.set_ylim(low - pad, high + pad)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
