"""Figures, checked by what is drawn and by the pixels it becomes."""

import subprocess
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.patches import Ellipse

import fastgmm
from fastgmm.plotting import (
    Traces,
    animate_fit,
    plot_convergence,
    plot_mixture,
    plot_responsibilities,
    plot_selection,
)
from fastgmm.plotting.style import NEW, component_colors

ROOT = Path(__file__).parents[2]
TYPES = ["full", "tied", "diag", "spherical"]


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def faithful():
    return np.loadtxt(ROOT / "examples" / "old_faithful.csv", delimiter=",", skiprows=1)


@pytest.fixture(scope="module")
def mixture(faithful):
    return fastgmm.fit(faithful, 2, random_state=0)


@pytest.fixture(scope="module")
def selection(faithful):
    return fastgmm.select(faithful, range(1, 7), n_init=10, random_state=0)


def pixels(ax):
    """The figure as an image, (height, width, 3) from 0 to 1."""
    ax.figure.canvas.draw()
    return np.asarray(ax.figure.canvas.buffer_rgba())[:, :, :3] / 255.0


def where(image, color, tolerance=0.04):
    """Places (x, y), in pixels from the lower left, of a colour."""
    rows, columns = np.nonzero((np.abs(image - to_rgb(color)) < tolerance).all(axis=2))
    return np.column_stack([columns, len(image) - 1 - rows])


def points_of(ax):
    return [c for c in ax.collections if isinstance(c, PathCollection)]


class TestMixture:
    @pytest.mark.parametrize("covariance_type", TYPES)
    def test_ellipses_are_those_of_the_covariances(self, faithful, covariance_type):
        mixture = fastgmm.fit(faithful, 3, covariance_type=covariance_type, random_state=0)
        ax = plot_mixture(mixture, faithful)
        ellipses = [patch for patch in ax.patches if isinstance(patch, Ellipse)]
        assert len(ellipses) == 9
        matrices = {
            "full": mixture.covariances,
            "tied": np.tile(mixture.covariances, (3, 1, 1)),
        }.get(covariance_type)
        if matrices is None:
            variances = np.broadcast_to(mixture.covariances.reshape(3, -1), (3, 2))
            matrices = variances[:, :, None] * np.eye(2)
        for place, ellipse in enumerate(ellipses):
            k, times = place // 3, place % 3 + 1
            border = ellipse.get_patch_transform().transform(
                [(np.cos(t), np.sin(t)) for t in np.linspace(0, 6, 7)]
            )
            gaps = border - mixture.means[k]
            distances = np.einsum("ij,jl,il->i", gaps, np.linalg.inv(matrices[k]), gaps)
            np.testing.assert_allclose(distances, times**2, rtol=1e-9)

    def test_points_have_the_colours_of_their_responsibilities(self, faithful, mixture):
        (points,) = points_of(plot_mixture(mixture, faithful))
        np.testing.assert_array_equal(points.get_offsets(), faithful)
        expected = mixture.predict_proba(faithful) @ component_colors(2)
        np.testing.assert_allclose(points.get_facecolors()[:, :3], expected, atol=1e-12)

    def test_few_points_of_many_are_drawn(self, mixture):
        X, _ = mixture.sample(50_000, random_state=0)
        (points,) = points_of(plot_mixture(mixture, X, max_points=700))
        assert 600 < len(points.get_offsets()) <= 700

    def test_new_points_are_orange_where_they_are(self, faithful, mixture):
        new = np.array([[3.0, 62.0], [2.5, 90.0]])
        assert len(where(pixels(plot_mixture(mixture, faithful)), NEW)) == 0
        ax = plot_mixture(mixture, faithful, new=new)
        found = where(pixels(ax), NEW)
        expected = ax.transData.transform(new)
        gaps = np.linalg.norm(found[:, None] - expected[None], axis=2)
        assert gaps.min(axis=1).max() < 8  # nothing else is orange
        assert (gaps.min(axis=0) < 2).all()

    def test_the_image_has_each_component_where_it_is(self, faithful, mixture):
        ax = plot_mixture(mixture, faithful)
        image = pixels(ax)
        for color, mean in zip(component_colors(2), mixture.means, strict=True):
            place = where(image, color).mean(axis=0)
            assert np.linalg.norm(place - ax.transData.transform(mean)) < 40  # of 560 x 380

    def test_curves_of_one_feature_add_up(self, faithful):
        X = faithful[:, 1]
        mixture = fastgmm.fit(X, 2, random_state=0)
        ax = plot_mixture(mixture, X, names=["waiting"])
        *parts, whole = ax.lines
        x = whole.get_xdata()
        np.testing.assert_allclose(whole.get_ydata(), np.exp(mixture.score_samples(x)), rtol=1e-12)
        total = sum(part.get_ydata() for part in parts)
        np.testing.assert_allclose(total, whole.get_ydata(), rtol=1e-9)
        for part, weight in zip(parts, mixture.weights, strict=True):
            assert np.trapezoid(part.get_ydata(), x) == pytest.approx(weight, abs=2e-3)
        bars = sum(bar.get_width() * bar.get_height() for bar in ax.patches)
        assert bars == pytest.approx(1.0)
        assert ax.get_xlabel() == "waiting"

    def test_a_narrow_component_is_drawn_to_its_top(self):
        mixture = fastgmm.Mixture.from_parameters([0.5, 0.5], [0.0, 100.0], [[[1e-6]], [[100.0]]])
        ax = plot_mixture(mixture)
        top = max(line.get_ydata().max() for line in ax.lines)
        assert top == pytest.approx(0.5 / np.sqrt(2 * np.pi * 1e-6), rel=1e-3)

    def test_a_corner_grid_shows_the_marginals(self):
        draw = np.random.default_rng(0)
        X = draw.normal(size=(300, 4)) @ draw.normal(size=(4, 4))
        mixture = fastgmm.fit(X, 2, random_state=0)
        ax = plot_mixture(mixture, X, names=list("abcd"))
        assert len(ax.child_axes) == 10
        assert [panel.get_xlabel() for panel in ax.child_axes[6:]] == list("abcd")
        panel = ax.child_axes[4]  # features 1 and 2
        ellipse = next(patch for patch in panel.patches if isinstance(patch, Ellipse))
        part = mixture.covariances[0][1:3, 1:3]
        variances = np.linalg.eigvalsh(part)
        sizes = sorted([ellipse.width / 2, ellipse.height / 2])
        np.testing.assert_allclose(sizes, np.sqrt(variances), rtol=1e-9)
        np.testing.assert_allclose(ellipse.center, mixture.means[0, 1:3])

    def test_many_features_are_cut_and_said(self):
        X = np.random.default_rng(0).normal(size=(100, 9))
        ax = plot_mixture(fastgmm.fit(X, 1, covariance_type="diag"), X)
        assert len(ax.child_axes) == 21
        assert ax.get_title(loc="right") == "the first 6 of 9 features"

    def test_axes_that_are_given_are_used(self, mixture):
        _, ax = plt.subplots()
        assert plot_mixture(mixture, ax=ax) is ax
        assert mixture.plot(ax=ax) is ax

    def test_many_components_have_colours_of_their_own(self):
        colors = component_colors(20)
        gaps = np.abs(colors[:, None] - colors[None]).sum(axis=2) + np.eye(20)
        assert gaps.min() > 0.05

    def test_colours_differ_in_lightness_or_line(self):
        """A colour-blind reader sees at least two of the three cone signals."""
        colors = component_colors(6)
        for k in range(6):
            for other in range(k):
                assert np.abs(colors[k] - colors[other]).max() > 0.15

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"X": [[1.0]]}, "X has 1 features but the mixture has 2"),
            ({"new": [[1.0, 2.0, 3.0]]}, "X has 3 features"),
            ({"names": ["a"]}, "names has 1 entries but there are 2 features"),
            ({"max_points": 0}, "max_points"),
        ],
    )
    def test_slips_are_refused(self, mixture, options, message):
        with pytest.raises(ValueError, match=message):
            plot_mixture(mixture, **options)


class TestConvergence:
    def test_every_start_has_its_line(self, faithful):
        traces = Traces()
        options = {"n_init": 4, "random_state": 0, "callback": traces}
        mixture = fastgmm.fit(faithful, 4, **options)
        ax = plot_convergence(traces)
        assert len(traces.starts) == 4
        lines = [line for line in ax.lines if len(line.get_xdata()) > 1]
        assert sorted(len(line.get_xdata()) for line in lines) == sorted(map(len, traces.starts))
        (best,) = (line for line in lines if line.get_label() == "best of 4 starts")
        np.testing.assert_array_equal(best.get_ydata(), mixture.log_likelihoods)
        assert best.get_xdata()[0] == 1

    def test_a_mixture_shows_its_best_start(self, mixture):
        ax = plot_convergence(mixture)
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), mixture.log_likelihoods)

    def test_nothing_to_draw_is_refused(self):
        unfitted = fastgmm.Mixture.from_parameters([1.0], [0.0], [[[1.0]]])
        with pytest.raises(ValueError, match="no iterations to draw"):
            plot_convergence(unfitted)


class TestSelection:
    @pytest.mark.parametrize("criterion", ["bic", "aic", "icl"])
    def test_lines_are_the_criterion(self, selection, criterion):
        ax = plot_selection(selection, criterion=criterion)
        lines = {line.get_label().split()[0]: line for line in ax.lines}
        for name in TYPES:
            sound = [c for c in selection if c.covariance_type == name and not c.spurious]
            np.testing.assert_array_equal(lines[name].get_xdata(), [c.n_components for c in sound])
            values = [getattr(c, criterion) for c in sound]
            np.testing.assert_array_equal(lines[name].get_ydata(), values)
        low, high = ax.get_ylim()
        best = fastgmm.Selection(selection.candidates, criterion).winner
        assert low < getattr(best, criterion) < high

    def test_winner_and_spurious_optima_are_marked(self, selection):
        ax = selection.plot()
        (ring,) = (line for line in ax.lines if line.get_label() == "best: tied 3")
        assert ring.get_xdata() == [3]
        crosses = np.concatenate([c.get_offsets() for c in points_of(ax)])
        expected = [(c.n_components, c.bic) for c in selection if c.spurious]
        assert expected
        np.testing.assert_allclose(sorted(crosses.tolist()), sorted(expected))

    def test_held_out_is_better_upwards(self, faithful):
        selection = fastgmm.select(faithful, [1, 2, 3], "full", "held_out", random_state=0)
        ax = plot_selection(selection)
        low, high = ax.get_ylim()
        assert low < selection.winner.held_out < high
        assert "greater is better" in ax.get_ylabel()

    def test_one_candidate(self, faithful):
        plot_selection(fastgmm.select(faithful, 2, "full", random_state=0))

    def test_slips_are_refused(self, selection):
        with pytest.raises(ValueError, match="criterion must be one of"):
            plot_selection(selection, criterion="dic")
        with pytest.raises(ValueError, match="no sound candidate with a held_out"):
            plot_selection(selection, criterion="held_out")


class TestResponsibilities:
    def test_bars_are_the_probabilities(self, faithful, mixture):
        rows = [5, 0, 46]
        ax = plot_responsibilities(mixture, faithful, rows)
        widths = [[bar.get_width() for bar in group] for group in ax.containers]
        np.testing.assert_allclose(np.transpose(widths), mixture.predict_proba(faithful)[rows])
        assert [label.get_text() for label in ax.get_yticklabels()] == ["5", "0", "46"]
        assert ax.yaxis_inverted()

    def test_the_first_rows_by_default(self, faithful, mixture):
        assert len(plot_responsibilities(mixture, faithful).containers[0]) == 20


class TestAnimation:
    @pytest.mark.parametrize("covariance_type", TYPES)
    def test_frames_are_the_iterations_of_fit(self, faithful, covariance_type):
        options = {"covariance_type": covariance_type, "random_state": 0}
        mixture = fastgmm.fit(faithful, 3, **options)
        ax = animate_fit(faithful, 3, strip=True, n_frames=4, **options)
        titles = [panel.get_title(loc="left") for panel in ax.child_axes]
        assert titles[0] == "start"
        assert titles[-1] == f"iteration {mixture.n_iter}"
        ellipses = [patch for patch in ax.child_axes[-1].patches if isinstance(patch, Ellipse)]
        centers = [patch.center for patch in ellipses[::3]]
        np.testing.assert_allclose(centers, mixture.means, rtol=1e-6)
        assert len({panel.get_xlim() for panel in ax.child_axes}) == 1

    def test_an_animation_is_written(self, faithful, tmp_path):
        animation = animate_fit(faithful, 2, n_frames=3, random_state=0)
        animation.save(tmp_path / "fit.gif", writer="pillow")
        from PIL import Image

        with Image.open(tmp_path / "fit.gif") as image:
            assert image.n_frames == 3

    def test_slips_are_refused(self, faithful):
        with pytest.raises(TypeError, match="does not take n_init"):
            animate_fit(faithful, 2, n_init=3)


def test_matplotlib_is_imported_on_first_drawing_only():
    code = "import sys, fastgmm, fastgmm.plotting; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0


def test_without_matplotlib_the_extra_is_named(mixture, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "fastgmm\[plot\]"'):
        plot_mixture(mixture)
