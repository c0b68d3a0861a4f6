"""Figures of a mixture, checked by what is drawn and by the pixels it becomes."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.patches import Ellipse

import fastgmm
from fastgmm.api.options import COVARIANCE_TYPES
from fastgmm.plotting import animate_fit, plot_mixture, plot_responsibilities
from fastgmm.plotting.style import NEW, component_colors


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


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_ellipses_are_those_of_the_covariances(faithful, covariance_type):
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


def test_points_have_the_colours_of_their_responsibilities(faithful, mixture):
    (points,) = points_of(plot_mixture(mixture, faithful))
    np.testing.assert_array_equal(points.get_offsets(), faithful)
    expected = mixture.predict_proba(faithful) @ component_colors(2)
    np.testing.assert_allclose(points.get_facecolors()[:, :3], expected, atol=1e-12)


def test_at_most_max_points_are_drawn(mixture):
    X, _ = mixture.sample(50_000, random_state=0)
    (points,) = points_of(plot_mixture(mixture, X, max_points=700))
    assert 600 < len(points.get_offsets()) <= 700


def test_incomplete_points_are_in_the_margins(faithful, mixture):
    """A tick in the margin below shows x alone, one on the left y alone; their colours stay."""
    X = faithful[:60].copy()
    X[:20, 1], X[20:50, 0], X[49] = np.nan, np.nan, np.nan
    ax = plot_mixture(mixture, X, new=[[3.0, np.nan]])
    inside, below, left, _, new = points_of(ax)
    np.testing.assert_array_equal(inside.get_offsets(), X[50:])
    proba = mixture.predict_proba(X, missing="em")
    (low_x, high_x), (low_y, high_y) = ax.get_xlim(), ax.get_ylim()
    parts = (below, 0, slice(20)), (left, 1, slice(20, 49))
    for marks, axis, rows in parts:
        offsets = marks.get_offsets()
        np.testing.assert_array_equal(offsets[:, axis], X[rows, axis])
        np.testing.assert_allclose(
            marks.get_edgecolors()[:, :3], proba[rows] @ component_colors(2), atol=1e-12
        )
        places = ax.transData.inverted().transform(marks.get_offset_transform().transform(offsets))
        np.testing.assert_allclose(places[:, axis], X[rows, axis])
        low, high = ((low_y, high_y), (low_x, high_x))[axis]
        outside = np.nanmin(X[:, 1 - axis])
        assert (low < places[:, 1 - axis]).all()
        assert (places[:, 1 - axis] < min(outside, low + 0.07 * (high - low))).all()
    place = new.get_offset_transform().transform(new.get_offsets())
    assert ax.transData.inverted().transform(place)[0, 0] == pytest.approx(3.0)


def test_a_feature_alone_and_a_grid_leave_out_what_is_missing():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    X[rng.random(X.shape) < 0.3] = np.nan
    mixture = fastgmm.fit(X, 1, missing="em")
    panel = plot_mixture(mixture, X).child_axes[2]  # feature 1 alone
    known = X[~np.isnan(X[:, 1]), 1]
    assert sum(bar.get_width() * bar.get_height() for bar in panel.patches) == pytest.approx(1.0)
    shown = np.ma.compressed(points_of(panel)[0].get_offsets()[:, 0])
    np.testing.assert_array_equal(shown, known)


def test_new_points_are_orange_where_they_are(faithful, mixture):
    new = np.array([[3.0, 62.0], [2.5, 90.0]])
    assert len(where(pixels(plot_mixture(mixture, faithful)), NEW)) == 0
    ax = plot_mixture(mixture, faithful, new=new)
    found = where(pixels(ax), NEW)
    expected = ax.transData.transform(new)
    gaps = np.linalg.norm(found[:, None] - expected[None], axis=2)
    assert gaps.min(axis=1).max() < 8  # nothing else is orange
    assert (gaps.min(axis=0) < 2).all()


def test_the_image_has_each_component_where_it_is(faithful, mixture):
    ax = plot_mixture(mixture, faithful)
    image = pixels(ax)
    for color, mean in zip(component_colors(2), mixture.means, strict=True):
        place = where(image, color).mean(axis=0)
        assert np.linalg.norm(place - ax.transData.transform(mean)) < 40  # of 560 x 380


def test_curves_of_one_feature_add_up(faithful):
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


def test_a_narrow_component_is_drawn_to_its_top():
    mixture = fastgmm.Mixture.from_parameters([0.5, 0.5], [0.0, 100.0], [[[1e-6]], [[100.0]]])
    ax = plot_mixture(mixture)
    top = max(line.get_ydata().max() for line in ax.lines)
    assert top == pytest.approx(0.5 / np.sqrt(2 * np.pi * 1e-6), rel=1e-3)


def test_a_corner_grid_shows_the_marginals():
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


def test_a_grid_shows_six_of_many_features_and_says_so():
    X = np.random.default_rng(0).normal(size=(100, 9))
    ax = plot_mixture(fastgmm.fit(X, 1, covariance_type="diag"), X)
    assert len(ax.child_axes) == 21
    assert ax.get_title(loc="right") == "the first 6 of 9 features"


def test_axes_that_are_given_are_used(mixture):
    _, ax = plt.subplots()
    assert plot_mixture(mixture, ax=ax) is ax
    assert mixture.plot(ax=ax) is ax


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"X": [[1.0]]}, "X has 1 features but the mixture has 2"),
        ({"new": [[1.0, 2.0, 3.0]]}, "X has 3 features"),
        ({"names": ["a"]}, "names has 1 entries but there are 2 features; pass one name"),
        ({"max_points": 0}, "max_points"),
    ],
)
def test_invalid_arguments_are_refused(mixture, options, message):
    with pytest.raises(ValueError, match=message):
        plot_mixture(mixture, **options)


@pytest.mark.parametrize("n_features", [1, 2, 3])
def test_a_type_of_ones_own_is_drawn(fifth_type, n_features):
    X = np.random.default_rng(0).normal(size=(200, n_features))
    images = []
    for covariance_type in (fifth_type, "diag"):
        mixture = fastgmm.fit(X, 2, covariance_type=covariance_type, random_state=0)
        assert mixture.covariance_type == covariance_type
        images.append(pixels(plot_mixture(mixture, X)))
    np.testing.assert_array_equal(*images)


class TestFeatureNames:
    """The names of a data frame's columns are the default labels of the axes."""

    @pytest.fixture
    def frame(self, faithful):
        return pytest.importorskip("pandas").DataFrame(faithful, columns=["eruption", "waiting"])

    @pytest.fixture
    def named(self, mixture):
        return mixture.with_feature_names(["eruption", "waiting"])

    def test_labels(self, named, frame):
        ax = named.plot(frame, new=frame[:2])
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("eruption", "waiting")
        ax = named.plot(names=["x", "y"])
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "y")

    def test_other_names_are_refused(self, named, frame):
        for options in ({"X": frame[["waiting", "eruption"]]}, {"new": frame[["waiting"]]}):
            with pytest.raises(ValueError, match="feature names"):
                plot_mixture(named, **options)

    def test_an_array_is_drawn_with_a_warning(self, named, faithful):
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            plot_mixture(named, faithful)

    def test_responsibilities(self, named, frame):
        plot_responsibilities(named, frame)
        with pytest.raises(ValueError, match="feature names"):
            plot_responsibilities(named, frame[["waiting", "eruption"]])

    def test_animations(self, frame, faithful):
        options = {"strip": True, "n_frames": 2, "random_state": 0}
        names = ["eruption", "waiting"]
        for X, further in ((frame, {}), (faithful, {"feature_names": names})):
            panel = animate_fit(X, 2, **options, **further).child_axes[0]
            assert [panel.get_xlabel(), panel.get_ylabel()] == names
