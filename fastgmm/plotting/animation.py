"""Animations of EM, and strips of their frames for print."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastgmm._errors import ConvergenceWarning
from fastgmm.api import checks
from fastgmm.api.fit import fit
from fastgmm.api.mixture import Mixture
from fastgmm.api.names import names_of
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.plotting.mixtures import plot_mixture
from fastgmm.plotting.style import new_axes

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.axes import Axes

_ANIMATION_FRAMES = 30
_STRIP_FRAMES = 6
_STRIP_COLUMNS = 3
_REPEAT_DELAY = 2000  # milliseconds
_START_OPTIONS = ("init_params", "weights_init", "means_init", "precisions_init")
_REFUSED_OPTIONS = {"n_init", "callback", "progress"}


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
    """Show how EM moves a mixture from its start to convergence.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or (n_samples,)
        Finite numbers; with ``missing="em"`` NaN or null stands for a missing value.
    n_components : int
        Number of components.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default the Axes of a new figure.
    strip : bool, default=False
        Draw the frames side by side, for print, instead of an animation.
    n_frames : int, optional
        Largest number of frames; by default 30, or 6 for a strip. Early iterations, which
        change the mixture most, get more of them.
    names : sequence of str, optional
        Names of the features; by default the column names of a data frame.
    interval : int, default=300
        Time between two frames, in milliseconds.
    **options
        Arguments of `fastgmm.fit`, except `n_init`, `callback` and `progress`. The default of
        `init_params` is "kmeans": a search leaves few iterations to show.

    Returns
    -------
    matplotlib.animation.FuncAnimation or matplotlib.axes.Axes
        The animation: ``save("fit.gif")`` writes it, and ``to_jshtml()`` shows it in a
        notebook. For a strip the Axes, whose ``child_axes`` are the frames.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid.
    ImportError
        If matplotlib is not installed.
    """
    gaps = checks.check_missing(options.get("missing", "error"))
    points = checks.check_points(X, gaps=gaps)
    given = options.pop("feature_names", None) or names_of(X)
    names = given if names is None else names
    default = _STRIP_FRAMES if strip else _ANIMATION_FRAMES
    n_frames = checks.check_integer(default if n_frames is None else n_frames, "n_frames", 2)
    steps = list(_steps(points, n_components, options))
    places = np.unique(np.round(np.geomspace(1, len(steps), n_frames)).astype(int)) - 1
    frames = [(int(place), steps[place]) for place in places]
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
        ax.set_title(_frame_title(frame[0]), fontsize=10, loc="left")
        return [ax]

    draw(frames[0])
    return FuncAnimation(figure, draw, frames=frames, interval=interval, repeat_delay=_REPEAT_DELAY)


def _frame_title(iteration: int) -> str:
    return f"iteration {iteration}" if iteration else "start"


def _draw_strip(
    ax: Axes | None,
    frames: list[tuple[int, Mixture]],
    points: np.ndarray,
    names: Sequence[str] | None,
) -> Axes:
    """Draw frames, each an iteration and its mixture, in rows of three insets."""
    columns = min(_STRIP_COLUMNS, len(frames))
    rows = -(-len(frames) // columns)
    ax = ax if ax is not None else new_axes(3.0 * columns, 2.5 * rows)
    ax.set_axis_off()
    for place, (iteration, mixture) in enumerate(frames):
        row, column = divmod(place, columns)
        bounds = (column / columns, 1 - (row + 1) / rows, 0.86 / columns, 0.78 / rows)
        panel = ax.inset_axes(bounds)
        plot_mixture(mixture, points, panel, names=names)
        panel.set_title(_frame_title(iteration), fontsize=9, loc="left")
        if place + columns < len(frames):  # there is a frame below
            panel.set_xlabel("")
        if column:
            panel.set_ylabel("")
    _share_limits(ax.child_axes[-len(frames) :])
    return ax


def _share_limits(panels: list[Any]) -> None:
    """Give all panels the limits that include those of each."""
    for limits in ("xlim", "ylim"):
        every = np.array([getattr(panel, f"get_{limits}")() for panel in panels])
        for panel in panels:
            panel.set(**{limits: (every[:, 0].min(), every[:, 1].max())})


def _steps(points: np.ndarray, n_components: int, options: dict[str, Any]) -> Iterator[Mixture]:
    """Yield the mixture at the start and after each iteration, until EM converges.

    Each step is a fit of one iteration that starts at the mixture before it.
    """
    options = dict(options)
    refused = _REFUSED_OPTIONS & options.keys()
    if refused:
        raise TypeError(
            f"animate_fit does not take {', '.join(sorted(refused))}: it shows one start; leave "
            "this out."
        )
    tol = options.pop("tol", 1e-3)
    options.setdefault("init_params", "kmeans")
    max_iter = checks.check_integer(options.pop("max_iter", 100), "max_iter", 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture = fit(points, n_components, max_iter=0, **options)
        yield mixture
        warnings.filterwarnings("ignore", "reg_covar is ", UserWarning)  # the start said it
        for name in _START_OPTIONS:
            options.pop(name, None)
        previous = -np.inf
        for _ in range(max_iter):
            mixture = fit(points, n_components, max_iter=1, tol=0.0, **options, **_restart(mixture))
            yield mixture
            if abs(mixture.log_likelihood - previous) < tol:
                return
            previous = mixture.log_likelihood


def _restart(mixture: Mixture) -> dict[str, Any]:
    """Return the arguments with which `fit` starts at a mixture."""
    kind = COVARIANCE_TYPES[mixture.covariance_type]
    return {
        "weights_init": mixture.weights,
        "means_init": mixture.means,
        "precisions_init": kind.precisions(mixture.precisions_cholesky),
    }
