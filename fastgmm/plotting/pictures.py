"""Pictures of mixtures, fits and selections, on matplotlib (``pip install "fastgmm[plot]"``).

Every function draws on the Axes it is given, or on one of a new figure, and returns it.
Colours can be told apart by colour-blind readers; the figures also read in black and white.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastgmm._errors import ConvergenceWarning
from fastgmm.api import checks
from fastgmm.api.fit import fit
from fastgmm.api.mixture import Mixture
from fastgmm.api.options import CRITERIA
from fastgmm.api.selection import Selection
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.plotting.style import (  # fmt: skip
    HATCHES,
    INK,
    LINE_STYLES,
    MARKERS,
    NEW,
    component_colors,
    legend,
    new_axes,
    nth,
    number,
    style,
)

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.axes import Axes

__all__ = [
    "Traces",
    "animate_fit",
    "plot_convergence",
    "plot_mixture",
    "plot_responsibilities",
    "plot_selection",
]

_MOST_POINTS = 5000
_GRID = 160  # places along each side at which densities are computed
_SIGMAS = (1, 2, 3)
_MOST_PAIRED = 6  # features of a corner grid
_AXIS_NAMES = {"bic": "BIC (lower is better)", "aic": "AIC (lower is better)",
               "icl": "ICL (lower is better)",
               "held_out": "held-out log-likelihood per row (greater is better)"}  # fmt: skip


class Traces:
    """A callback of `fit` that keeps the log-likelihoods of every start.

    Attributes
    ----------
    starts : list of list of float
        Mean log-likelihood of a row at each iteration, start by start.

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
        """Take in an iteration; the first of a start begins a new list."""
        if iteration == 1:
            self.starts.append([])
        self.starts[-1].append(log_likelihood)


def plot_mixture(
    mixture: Mixture,
    X: ArrayLike | None = None,
    ax: Axes | None = None,
    *,
    new: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    max_points: int = _MOST_POINTS,
) -> Axes:
    """Draw a mixture, with the points it was fitted to.

    One feature: histogram, the density of each component and their sum, and the points
    coloured by their responsibilities. Two: the points, ellipses at 1, 2 and 3 standard
    deviations, contours of the density and the numbered means. More: a corner grid, one feature
    on the diagonal and a pair below it.

    Parameters
    ----------
    mixture : Mixture
        What to draw.
    X : array-like of shape (n_samples, n_features), optional
        Its points. Each has the colours of the components mixed by its responsibilities.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.
    new : array-like of shape (n_new, n_features), optional
        Further points, marked by orange diamonds.
    names : sequence of str, optional
        Names of the features.
    max_points : int, default=5000
        Points drawn at most, evenly picked from the rows; the histogram counts them all.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes. A corner grid is made of its ``child_axes``.

    Raises
    ------
    ValueError, TypeError
        If X or `new` does not fit the mixture, or `names` has not one entry a feature.
    """
    points = None if X is None else checks.check_points(X, mixture.n_features)
    new = None if new is None else checks.check_points(new, mixture.n_features)
    names = _feature_names(names, mixture.n_features)
    max_points = checks.check_integer(max_points, "max_points", 1)
    drawing = _Drawing(mixture, points, new, max_points)
    if mixture.n_features <= 2:
        ax = ax if ax is not None else new_axes()
        if mixture.n_features == 1:
            drawing.draw_feature(ax, 0)
            return style(ax, names[0], "density")
        drawing.draw_pair(ax, 0, 1)
        return style(ax, *names)
    n_shown = min(mixture.n_features, _MOST_PAIRED)
    ax = ax if ax is not None else new_axes(1.8 * n_shown, 1.8 * n_shown)
    _draw_corner(ax, drawing, names[:n_shown], mixture.n_features)
    return ax


def _feature_names(names: Sequence[str] | None, n_features: int) -> list[str]:
    if names is None:
        return [f"feature {j}" for j in range(n_features)]
    if len(names) != n_features:
        raise ValueError(f"names has {len(names)} entries but there are {n_features} features.")
    return [str(name) for name in names]


class _Drawing:
    """A mixture and its points, to be drawn over any one or two of the features."""

    def __init__(
        self,
        mixture: Mixture,
        points: np.ndarray | None,
        new: np.ndarray | None,
        max_points: int,
    ) -> None:
        self.mixture = mixture
        self.points = points
        self.new = new
        self.colors = component_colors(mixture.n_components)
        self.shown = np.empty((0, mixture.n_features))
        if points is not None:
            step = -(-len(points) // max_points)
            self.shown = points[::step]
        self.mixed = np.empty((0, 3))
        if len(self.shown):
            self.mixed = np.clip(mixture.predict_proba(self.shown) @ self.colors, 0.0, 1.0)

    def _marginal(self, *features: int) -> Mixture:
        """Return the mixture of some of the features."""
        mixture, chosen = self.mixture, np.array(features)
        kind = COVARIANCE_TYPES[mixture.covariance_type]
        roots = kind.square_roots(mixture.covariances, mixture.n_features)[:, chosen]
        covariances = roots @ np.swapaxes(roots, 1, 2)
        shape = mixture.n_components, len(chosen), len(chosen)
        return Mixture.from_parameters(
            mixture.weights, mixture.means[:, chosen], np.broadcast_to(covariances, shape)
        )

    def _limits(self, marginal: Mixture, j: int, place: int) -> tuple[float, float]:
        """Return what to show of feature j: all points, and three standard deviations."""
        deviations = np.sqrt(marginal.covariances[:, place, place])
        means, held = marginal.means[:, place], marginal.weights > 0
        values = [(means - 3.2 * deviations)[held], (means + 3.2 * deviations)[held]]
        values += [rows[:, j] for rows in (self.shown, self.new) if rows is not None]
        together = np.concatenate(values)
        pad = 0.02 * np.ptp(together)
        return float(together.min() - pad), float(together.max() + pad)

    def draw_feature(self, ax: Axes, j: int) -> None:
        """Draw the densities over feature j."""
        marginal = self._marginal(j)
        low, high = self._limits(marginal, j, 0)
        # Where components are narrow the curves need points of their own.
        deviations = np.sqrt(marginal.covariances[:, 0, 0])
        near = marginal.means + deviations[:, None] * np.linspace(-4, 4, 81)
        x = np.unique(np.concatenate([np.linspace(low, high, 400), near.ravel()]))
        x = x[(x >= low) & (x <= high)]
        density = np.exp(marginal.score_samples(x))
        if self.points is not None:
            n_bins = min(60, max(10, round(2.0 * len(self.points) ** 0.5)))
            ax.hist(self.points[:, j], n_bins, density=True, color="0.86", edgecolor="0.72",
                    linewidth=0.5)  # fmt: skip
        parts = density[:, None] * marginal.predict_proba(x)
        for k, part in enumerate(parts.T):
            style_of_line = {"color": self.colors[k], "linestyle": nth(LINE_STYLES, k)}
            ax.plot(x, part, linewidth=1.6, zorder=3, **style_of_line)
            top = int(np.argmax(part))
            number(ax, str(k), (x[top], part[top]), self.colors[k])
        ax.plot(x, density, color=INK, linewidth=1.1, zorder=2)
        ax.set_xlim(low, high)
        self._draw_rug(ax, j, density.max())

    def _draw_rug(self, ax: Axes, j: int, top: float) -> None:
        """Draw the points under the axis, spread a little."""
        depth = 0.06 * top
        spread = np.random.default_rng(0).uniform(-1.7, -0.7, len(self.shown))
        ax.scatter(self.shown[:, j], depth * spread, s=7, c=self.mixed, linewidths=0)
        if self.new is not None:
            self._mark_new(ax, self.new[:, j], np.full(len(self.new), -1.2 * depth))
        if len(self.shown) or self.new is not None:
            ax.set_ylim(bottom=-2.2 * depth)

    def draw_pair(self, ax: Axes, i: int, j: int) -> None:
        """Draw points, contours and ellipses over features i and j."""
        marginal = self._marginal(i, j)
        x_limits, y_limits = self._limits(marginal, i, 0), self._limits(marginal, j, 1)
        ax.scatter(self.shown[:, i], self.shown[:, j], s=9, c=self.mixed, linewidths=0, alpha=0.75)
        self._draw_contours(ax, marginal, x_limits, y_limits)
        for k in np.flatnonzero(marginal.weights > 0).tolist():
            self._draw_ellipses(ax, marginal.means[k], marginal.covariances[k], k)
            number(ax, str(k), tuple(marginal.means[k]), self.colors[k])
        if self.new is not None:
            self._mark_new(ax, self.new[:, i], self.new[:, j])
        ax.set(xlim=x_limits, ylim=y_limits)

    def _draw_contours(self, ax: Axes, marginal: Mixture, x_limits: Any, y_limits: Any) -> None:
        x, y = (np.linspace(low, high, _GRID) for low, high in (x_limits, y_limits))
        places = np.stack(np.meshgrid(x, y), axis=-1)
        log_density = marginal.score_samples(places.reshape(-1, 2)).reshape(_GRID, _GRID)
        levels = log_density.max() - np.array([12.0, 9.0, 6.5, 4.5, 3.0, 1.75, 0.75])
        ax.contour(x, y, log_density, levels, colors="0.62", linewidths=0.6, linestyles="solid")

    def _draw_ellipses(self, ax: Axes, mean: Any, covariance: np.ndarray, k: int) -> None:
        from matplotlib.patches import Ellipse

        variances, axes = np.linalg.eigh(covariance)
        angle = np.degrees(np.arctan2(axes[1, 1], axes[0, 1]))
        short, long = 2.0 * np.sqrt(variances)
        for times in _SIGMAS:
            ax.add_patch(
                Ellipse(
                    mean, times * long, times * short, angle=angle, fill=False, zorder=4,
                    edgecolor=self.colors[k], linewidth=1.9 - 0.45 * times,
                    linestyle=nth(LINE_STYLES, k),
                )
            )  # fmt: skip

    def _mark_new(self, ax: Axes, x: np.ndarray, y: np.ndarray) -> None:
        ax.scatter(x, y, s=46, marker="D", color=NEW, edgecolors=INK, linewidths=1.0, zorder=7)


def _draw_corner(ax: Axes, drawing: _Drawing, names: Sequence[str], n_features: int) -> None:
    """Draw one feature on the diagonal and a pair below it, in insets of an Axes."""
    size = len(names)
    ax.set_axis_off()
    if n_features > size:
        ax.set_title(f"the first {size} of {n_features} features", fontsize=9, loc="right")
    cell = 1.0 / size
    for row in range(size):
        for column in range(row + 1):
            bounds = (column * cell, 1 - (row + 1) * cell, 0.9 * cell, 0.9 * cell)
            panel = ax.inset_axes(bounds)
            if row == column:
                drawing.draw_feature(panel, row)
            else:
                drawing.draw_pair(panel, column, row)
            style(panel, names[column] if row == size - 1 else "", "")
            if column == 0 and row > 0:
                panel.set_ylabel(names[row], fontsize=9)
            if row < size - 1:
                panel.set_xticklabels([])
            if column > 0 or row == 0:
                panel.set_yticklabels([])


def plot_convergence(fits: Mixture | Traces | Iterable[ArrayLike], ax: Axes | None = None) -> Axes:
    """Draw the log-likelihood of each iteration, a line a start.

    Parameters
    ----------
    fits : Mixture, Traces or iterable of array-like
        A mixture, which remembers its best start; a `Traces` that was the callback of a fit,
        for all starts; or log-likelihoods of some starts.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes; the best start is drawn in colour, the others in grey. The first two
        iterations may lie below its frame.

    Raises
    ------
    ValueError
        If there are no iterations to draw.
    """
    if isinstance(fits, Mixture):
        fits = [fits.log_likelihoods]
    elif isinstance(fits, Traces):
        fits = fits.starts
    starts = [trace for trace in (np.asarray(trace, float) for trace in fits) if trace.size]
    if not starts:
        raise ValueError("fits has no iterations to draw; pass a mixture that was fitted.")
    from matplotlib.ticker import MaxNLocator

    ax = ax if ax is not None else new_axes()
    best = int(np.argmax([trace[-1] for trace in starts]))
    for place, trace in enumerate(starts):
        if place != best:
            ax.plot(np.arange(1, len(trace) + 1), trace, color="0.65", linewidth=1.0)
            ax.plot(len(trace), trace[-1], color="0.65", marker=".", markersize=7)
    color = component_colors(1)[0]
    trace = starts[best]
    label = f"best of {len(starts)} starts" if len(starts) > 1 else f"ends at {trace[-1]:.6g}"
    ax.plot(np.arange(1, len(trace) + 1), trace, color=color, linewidth=1.8, label=label)
    ax.plot(len(trace), trace[-1], marker="o", markersize=7, color=color, markerfacecolor="white")
    # A start on single rows climbs so far in its first steps that nothing else could be seen.
    low = min(trace[min(2, len(trace) - 1)] for trace in starts)
    if low < trace[-1]:
        ax.set_ylim(low - 0.1 * (trace[-1] - low), trace[-1] + 0.1 * (trace[-1] - low))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(ax, loc="lower right")
    return style(ax, "iteration", "log-likelihood per row (nats)")


def plot_selection(
    selection: Selection, ax: Axes | None = None, *, criterion: str | None = None
) -> Axes:
    """Draw a criterion against the number of components, a line a covariance type.

    Parameters
    ----------
    selection : Selection
        What `fastgmm.select` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.
    criterion : {"bic", "aic", "icl", "held_out"}, optional
        What to draw; by default what was chosen by.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes. The winner is ringed; spurious optima are crosses off the lines. The scale is
        that of the better half of the candidates, and the legend names a type that is off it.

    Raises
    ------
    ValueError
        If the criterion is unknown, or no candidate has it.
    """
    criterion = selection.criterion if criterion is None else criterion
    checks.check_option(criterion, "criterion", CRITERIA)
    judged = Selection(selection.candidates, criterion)
    winner = judged.winner
    if winner is None:
        raise ValueError(f"selection has no sound candidate with a {criterion} to draw.")
    ax = ax if ax is not None else new_axes()
    low, high = _interesting(judged, criterion)
    types = list(dict.fromkeys(candidate.covariance_type for candidate in selection))
    for place, (name, color) in enumerate(zip(types, component_colors(len(types)), strict=True)):
        group = [c for c in selection if c.covariance_type == name]
        counts = np.array([candidate.n_components for candidate in group])
        values = np.array([getattr(candidate, criterion) for candidate in group])
        sound = np.isfinite([candidate.loss(criterion) for candidate in group])
        seen = ((values >= low) & (values <= high))[sound].any()
        ax.plot(counts[sound], values[sound], color=color, marker=nth(MARKERS, place),
                linestyle=nth(LINE_STYLES, place), markersize=5, linewidth=1.5,
                label=name if seen else f"{name} (off the scale)")  # fmt: skip
        ax.scatter(counts[~sound], values[~sound], color=color, marker="x", s=36, zorder=4)
    best = float(getattr(winner, criterion))
    ax.plot(winner.n_components, best, marker="o", markersize=14, color=INK, linestyle="",
            markerfacecolor="none", label=f"best: {winner.name}")  # fmt: skip
    if any(candidate.spurious for candidate in selection):
        ax.plot([], [], linestyle="", marker="x", color=INK, label="spurious")
    ax.set_ylim(low, high)
    ax.set_xticks(sorted({candidate.n_components for candidate in selection}))
    legend(ax)
    return style(ax, "components", _AXIS_NAMES[criterion])


def _interesting(selection: Selection, criterion: str) -> tuple[float, float]:
    """Return limits that show the better half of the candidates, and spurious ones of theirs."""
    losses = np.array([candidate.loss(criterion) for candidate in selection])
    losses = losses[np.isfinite(losses)]
    best, span = losses.min(), 1.25 * (np.median(losses) - losses.min())
    span = span or max(1e-3 * abs(best), 1e-9)
    values = np.array([getattr(candidate, criterion) for candidate in selection])
    values = -values if criterion == "held_out" else values
    lowest = max(np.nanmin(values), best - 2.0 * span)
    low, high = lowest - 0.1 * span, best + span
    return (-high, -low) if criterion == "held_out" else (low, high)


def plot_responsibilities(
    mixture: Mixture,
    X: ArrayLike,
    rows: ArrayLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the probabilities of the components for some rows, a bar a row.

    Parameters
    ----------
    mixture : Mixture
        Whose components.
    X : array-like of shape (n_samples, n_features)
        Finite numbers.
    rows : array-like of int, optional
        Which rows of X, in the order to draw them; by default the first 20.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes.

    Raises
    ------
    ValueError, TypeError, IndexError
        If X does not fit the mixture, or a row is not there.
    """
    points = checks.check_points(X, mixture.n_features)
    chosen = np.arange(min(20, len(points))) if rows is None else np.asarray(rows, np.intp)
    resp = mixture.predict_proba(points[chosen])
    ax = ax if ax is not None else new_axes(5.6, max(1.6, 0.8 + 0.22 * len(chosen)))
    places = np.arange(len(chosen))
    before = np.zeros(len(chosen))
    for k, color in enumerate(component_colors(mixture.n_components)):
        ax.barh(places, resp[:, k], left=before, color=color, height=0.78, edgecolor="white",
                hatch=nth(HATCHES, k), linewidth=0.0, label=f"component {k}")  # fmt: skip
        before += resp[:, k]
    ax.set_yticks(places, [str(row) for row in chosen])
    ax.set(xlim=(0, 1), ylim=(len(chosen) - 0.4, -0.6))
    style(ax, "responsibility", "row")
    ax.grid(visible=False)
    legend(ax, loc="lower left", bbox_to_anchor=(0, 1), ncols=min(mixture.n_components, 6))
    return ax


def animate_fit(
    X: ArrayLike,
    n_components: int,
    ax: Axes | None = None,
    *,
    strip: bool = False,
    n_frames: int | None = None,
    names: Sequence[str] | None = None,
    interval: int = 300,
    **options: Any,
) -> FuncAnimation | Axes:
    """Show how EM moves a mixture from its start to its end.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or (n_samples,)
        Finite numbers.
    n_components : int
        Number of components.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.
    strip : bool, default=False
        Draw frames side by side, for print, in place of an animation.
    n_frames : int, optional
        Frames at most, closer together where EM moves fast: by default 30, or 6 of a strip.
    names : sequence of str, optional
        Names of the features.
    interval : int, default=300
        Time between frames, in milliseconds.
    **options
        Arguments of `fit`, for one start.

    Returns
    -------
    matplotlib.animation.FuncAnimation or matplotlib.axes.Axes
        The animation, which ``save("fit.gif")`` writes and notebooks show by
        ``to_jshtml()``; or the Axes whose ``child_axes`` are the strip.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described.
    """
    points = checks.check_points(X)
    default = 6 if strip else 30
    n_frames = checks.check_integer(default if n_frames is None else n_frames, "n_frames", 2)
    steps = list(_steps(points, n_components, options))
    picked = np.unique(np.round(np.geomspace(1, len(steps), n_frames)).astype(int)) - 1
    frames = [(int(place), steps[place]) for place in picked]
    if strip:
        return _draw_strip(ax, frames, points, names)
    from matplotlib.animation import FuncAnimation

    ax = ax if ax is not None else new_axes()
    figure = ax.get_figure(root=True)
    assert figure is not None

    def draw(frame: tuple[int, Mixture]) -> list[Axes]:
        ax.clear()
        for child in list(ax.child_axes):
            child.remove()
        plot_mixture(frame[1], points, ax, names=names)
        ax.set_title(_frame_title(*frame), fontsize=10, loc="left")
        return [ax]

    draw(frames[0])
    return FuncAnimation(figure, draw, frames=frames, interval=interval, repeat_delay=2000)


def _frame_title(iteration: int, mixture: Mixture) -> str:
    return f"iteration {iteration}" if iteration else "start"


def _draw_strip(
    ax: Axes | None,
    frames: list[tuple[int, Mixture]],
    points: np.ndarray,
    names: Sequence[str] | None,
) -> Axes:
    """Draw frames in rows of three insets."""
    columns = min(3, len(frames))
    rows = -(-len(frames) // columns)
    ax = ax if ax is not None else new_axes(3.0 * columns, 2.5 * rows)
    ax.set_axis_off()
    panels: list[Axes] = []
    for place, frame in enumerate(frames):
        row, column = divmod(place, columns)
        bounds = (column / columns, 1 - (row + 1) / rows, 0.86 / columns, 0.78 / rows)
        panel = ax.inset_axes(bounds)
        plot_mixture(frame[1], points, panel, names=names)
        panel.set_title(_frame_title(*frame), fontsize=9, loc="left")
        if row < rows - 1 and place + columns < len(frames):
            panel.set_xlabel("")
        if column:
            panel.set_ylabel("")
        panels.append(panel)
    for limits in ("xlim", "ylim"):
        every = np.array([getattr(panel, f"get_{limits}")() for panel in panels])
        for panel in panels:
            panel.set(**{limits: (every[:, 0].min(), every[:, 1].max())})
    return ax


def _steps(points: np.ndarray, n_components: int, options: dict[str, Any]) -> Iterator[Mixture]:
    """Yield the mixture at the start and after each iteration, until EM converges."""
    options = dict(options)
    refused = {"n_init", "callback", "progress"} & options.keys()
    if refused:
        raise TypeError(
            f"animate_fit does not take {', '.join(sorted(refused))}: it shows one fit."
        )
    tol, max_iter = options.pop("tol", 1e-3), options.pop("max_iter", 100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture = fit(points, n_components, max_iter=0, **options)
        yield mixture
        for key in ("init_params", "weights_init", "means_init", "precisions_init"):
            options.pop(key, None)
        previous = -np.inf
        for iteration in count(1):
            if iteration > max_iter:
                return
            mixture = fit(points, n_components, max_iter=1, tol=0.0, **options, **_restart(mixture))
            yield mixture
            if abs(mixture.log_likelihood - previous) < tol:
                return
            previous = mixture.log_likelihood


def _restart(mixture: Mixture) -> dict[str, Any]:
    """Return the arguments by which a fit goes on from a mixture."""
    root = mixture.precisions_cholesky
    dense = COVARIANCE_TYPES[mixture.covariance_type].dense
    precisions = root @ np.swapaxes(root, -1, -2) if dense else root * root
    return {
        "weights_init": mixture.weights,
        "means_init": mixture.means,
        "precisions_init": precisions,
    }
