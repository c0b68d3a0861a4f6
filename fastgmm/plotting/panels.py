"""Panels that show a mixture over one or two of its features.

Values of points may be missing (NaN): see `fastgmm.plotting.points`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastgmm.api.mixture import Mixture
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.plotting.points import Limits, draw_points, mark_new, set_limits
from fastgmm.plotting.style import INK, LINE_STYLES, add_number, component_colors, nth

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GRID = 160  # points per side at which the density is computed for contours
_CURVE_POINTS = 400
_COMPONENT_POINTS = 81  # further points of a curve, per component
_SHOWN_DEVIATIONS = 3.2  # standard deviations around each mean that a panel includes
_LEVELS_BELOW_MAXIMUM = (12.0, 9.0, 6.5, 4.5, 3.0, 1.75, 0.75)  # nats, of the contours


class MixturePanels:
    """A mixture and its points, which draw themselves over any one or two features.

    `points` and `new` are arrays (n_samples, n_features), in which NaN is a missing value, or None.
    """

    def __init__(
        self,
        mixture: Mixture,
        points: np.ndarray | None,
        new: np.ndarray | None,
        max_points: int,
    ) -> None:
        self.mixture = mixture = mixture.with_feature_names(None)  # rows are arrays from here on
        self.points = points
        self.new = new
        self.colors = component_colors(mixture.n_components)
        self.shown = np.empty((0, mixture.n_features))
        self.point_colors = np.empty((0, 3))
        if points is not None:
            step = -(-len(points) // max_points)
            self.shown = points[::step]
            mixed = mixture.predict_proba(self.shown, missing="em") @ self.colors
            self.point_colors = np.clip(mixed, 0.0, 1.0)
        kind = COVARIANCE_TYPES[mixture.covariance_type]
        sizes = mixture.n_components, mixture.n_features
        self._matrices = kind.matrices(mixture.covariances, *sizes)

    def draw_feature(self, ax: Axes, j: int) -> None:
        """Draw the histogram of feature j and the densities over it."""
        marginal = self._marginal(j)
        low, high = self._limits(marginal, j, 0)
        if self.points is not None:
            _draw_histogram(ax, self.points[:, j])
        x = _curve_points(marginal, low, high)
        density = np.exp(marginal.score_samples(x))
        parts = density[:, None] * marginal.predict_proba(x)
        for k, part in enumerate(parts.T):
            color = self.colors[k]
            ax.plot(x, part, linewidth=1.6, zorder=3, color=color, linestyle=nth(LINE_STYLES, k))
            top = int(np.argmax(part))
            add_number(ax, k, (x[top], part[top]), color)
        ax.plot(x, density, color=INK, linewidth=1.1, zorder=2)
        ax.set_xlim(low, high)
        self._draw_points_below(ax, j, depth=0.06 * density.max())

    def draw_pair(self, ax: Axes, i: int, j: int) -> None:
        """Draw points, contours and ellipses over features i and j."""
        marginal = self._marginal(i, j)
        x_limits, y_limits = self._limits(marginal, i, 0), self._limits(marginal, j, 1)
        draw_points(ax, self.shown[:, [i, j]], self.point_colors)
        _draw_contours(ax, marginal, x_limits, y_limits)
        for k in np.flatnonzero(marginal.weights > 0).tolist():
            self._draw_ellipses(ax, marginal, k)
            add_number(ax, k, tuple(marginal.means[k]), self.colors[k])
        if self.new is not None:
            mark_new(ax, self.new[:, [i, j]])
        set_limits(ax, (x_limits, y_limits), self._all_points()[:, [i, j]])

    def _all_points(self) -> np.ndarray:
        """Return the points that panels show, the new ones included."""
        return self.shown if self.new is None else np.concatenate([self.shown, self.new])

    def _marginal(self, *features: int) -> Mixture:
        """Return the mixture over some of the features."""
        mixture, chosen = self.mixture, np.array(features)
        covariances = self._matrices[:, chosen[:, None], chosen]
        shape = mixture.n_components, len(chosen), len(chosen)
        return Mixture.from_parameters(
            mixture.weights, mixture.means[:, chosen], np.broadcast_to(covariances, shape)
        )

    def _limits(self, marginal: Mixture, j: int, place: int) -> Limits:
        """Return limits of feature j, at `place` in the marginal, for all points and components."""
        deviations = np.sqrt(marginal.covariances[:, place, place])
        means, weighted = marginal.means[:, place], marginal.weights > 0
        reach = _SHOWN_DEVIATIONS * deviations
        values = (means - reach)[weighted], (means + reach)[weighted], self._all_points()[:, j]
        together = np.concatenate(values)
        low, high = float(np.nanmin(together)), float(np.nanmax(together))
        pad = 0.02 * (high - low)
        return low - pad, high + pad

    def _draw_points_below(self, ax: Axes, j: int, depth: float) -> None:
        """Draw the points below the x axis; a random offset keeps equal values apart."""
        offset = np.random.default_rng(0).uniform(-1.7, -0.7, len(self.shown))
        ax.scatter(self.shown[:, j], depth * offset, s=7, c=self.point_colors, linewidths=0)
        if self.new is not None:
            known = self.new[~np.isnan(self.new[:, j]), j]
            mark_new(ax, np.column_stack([known, np.full(len(known), -1.2 * depth)]))
        if len(self.shown) or self.new is not None:
            ax.set_ylim(bottom=-2.2 * depth)

    def _draw_ellipses(self, ax: Axes, marginal: Mixture, k: int) -> None:
        """Draw component k at 1, 2 and 3 standard deviations."""
        from matplotlib.patches import Ellipse

        variances, axes = np.linalg.eigh(marginal.covariances[k])
        angle = np.degrees(np.arctan2(axes[1, 1], axes[0, 1]))
        short, long = 2.0 * np.sqrt(variances)
        for times in (1, 2, 3):
            ax.add_patch(
                Ellipse(
                    tuple(marginal.means[k]), times * long, times * short, angle=angle,
                    fill=False, zorder=4, edgecolor=self.colors[k],
                    linewidth=1.9 - 0.45 * times, linestyle=nth(LINE_STYLES, k),
                )
            )  # fmt: skip


def _curve_points(marginal: Mixture, low: float, high: float) -> np.ndarray:
    """Return where to compute densities of one feature: evenly, and closely at each mean.

    Without the points at the means the curve of a narrow component would miss its maximum.
    """
    deviations = np.sqrt(marginal.covariances[:, 0, 0])
    near = marginal.means + deviations[:, None] * np.linspace(-4, 4, _COMPONENT_POINTS)
    x = np.unique(np.concatenate([np.linspace(low, high, _CURVE_POINTS), near.ravel()]))
    return x[(x >= low) & (x <= high)]


def _draw_contours(ax: Axes, marginal: Mixture, x_limits: Limits, y_limits: Limits) -> None:
    """Draw contours of the log-density of a mixture of two features."""
    x, y = np.linspace(*x_limits, _GRID), np.linspace(*y_limits, _GRID)
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    log_density = marginal.score_samples(grid.reshape(-1, 2)).reshape(_GRID, _GRID)
    levels = log_density.max() - np.array(_LEVELS_BELOW_MAXIMUM)
    ax.contour(x, y, log_density, levels, colors="0.62", linewidths=0.6, linestyles="solid")


def _draw_histogram(ax: Axes, values: np.ndarray) -> None:
    """Draw the histogram of the values that are not missing."""
    known = values[~np.isnan(values)]
    if known.size:
        n_bins = min(60, max(10, round(2.0 * known.size**0.5)))
        ax.hist(known, n_bins, density=True, color="0.86", edgecolor="0.72", linewidth=0.5)
