"""Animations of EM and strips of their frames."""

import numpy as np
import pytest
from matplotlib.patches import Ellipse

import fastgmm
from fastgmm.api.options import COVARIANCE_TYPES
from fastgmm.plotting import animate_fit


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_frames_are_the_iterations_of_fit(faithful, covariance_type):
    options = {"covariance_type": covariance_type, "init_params": "kmeans", "random_state": 0}
    mixture = fastgmm.fit(faithful, 3, **options)
    ax = animate_fit(faithful, 3, strip=True, n_frames=4, **options)
    titles = [panel.get_title(loc="left") for panel in ax.child_axes]
    assert titles[0] == "start"
    assert titles[-1] == f"iteration {mixture.n_iter}"
    ellipses = [patch for patch in ax.child_axes[-1].patches if isinstance(patch, Ellipse)]
    centers = [patch.center for patch in ellipses[::3]]
    np.testing.assert_allclose(centers, mixture.means, rtol=1e-6)
    assert len({panel.get_xlim() for panel in ax.child_axes}) == 1


def test_gaps_are_animated(faithful):
    X = faithful.copy()
    X[::5, 1] = np.nan
    options = {"missing": "em", "init_params": "kmeans", "random_state": 0}
    ax = animate_fit(X, 2, strip=True, n_frames=2, **options)
    ellipses = [patch for patch in ax.child_axes[-1].patches if isinstance(patch, Ellipse)]
    expected = fastgmm.fit(X, 2, **options).means
    np.testing.assert_allclose([patch.center for patch in ellipses[::3]], expected, rtol=1e-6)
    with pytest.raises(ValueError, match="missing='em'"):
        animate_fit(X, 2)


def test_an_animation_is_written(faithful, tmp_path):
    animation = animate_fit(faithful, 2, n_frames=3, random_state=0)
    animation.save(tmp_path / "fit.gif", writer="pillow")
    from PIL import Image

    with Image.open(tmp_path / "fit.gif") as image:
        assert image.n_frames == 3


def test_a_type_of_ones_own_is_animated(faithful, fifth_type):
    options = {"covariance_type": fifth_type, "random_state": 0, "init_params": "kmeans"}
    ax = animate_fit(faithful, 3, strip=True, n_frames=4, **options)
    last = ax.child_axes[-1]
    n_iter = fastgmm.fit(faithful, 3, **options).n_iter
    assert last.get_title(loc="left") == f"iteration {n_iter}"
    assert len([patch for patch in last.patches if isinstance(patch, Ellipse)]) == 9


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_init": 3}, TypeError, "does not take n_init: it shows one start; leave this out"),
        ({"max_iter": 2.5}, TypeError, "max_iter must be an integer but is 2.5"),
        ({"n_frames": 1}, ValueError, "n_frames must be an integer of at least 2 but is 1"),
    ],
)
def test_invalid_arguments_are_refused(faithful, options, error, message):
    with pytest.raises(error, match=message):
        animate_fit(faithful, 2, **options)
