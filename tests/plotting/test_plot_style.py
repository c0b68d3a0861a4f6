"""Colours that can be told apart."""

import numpy as np

from fastgmm.plotting.style import component_colors


def test_many_components_have_colours_of_their_own():
    colors = component_colors(20)
    gaps = np.abs(colors[:, None] - colors[None]).sum(axis=2) + np.eye(20)
    assert gaps.min() > 0.05


def test_colours_differ_in_lightness_or_line():
    """A colour-blind reader sees at least two of the three cone signals."""
    colors = component_colors(6)
    for k in range(6):
        for other in range(k):
            assert np.abs(colors[k] - colors[other]).max() > 0.15
