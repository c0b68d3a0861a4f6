"""Figures of a criterion over a grid of candidates."""

import numpy as np
import pytest
from matplotlib.collections import PathCollection

import fastgmm
from fastgmm.api.options import COVARIANCE_TYPES
from fastgmm.plotting import plot_selection


@pytest.mark.parametrize("criterion", ["bic", "aic", "icl"])
def test_lines_are_the_criterion(selection, criterion):
    ax = plot_selection(selection, criterion=criterion)
    lines = {line.get_label().split()[0]: line for line in ax.lines}
    for name in COVARIANCE_TYPES:
        sound = [c for c in selection if c.covariance_type == name and not c.spurious]
        np.testing.assert_array_equal(lines[name].get_xdata(), [c.n_components for c in sound])
        values = [getattr(c, criterion) for c in sound]
        np.testing.assert_array_equal(lines[name].get_ydata(), values)
    low, high = ax.get_ylim()
    best = fastgmm.Selection(selection.candidates, criterion).winner
    assert low < getattr(best, criterion) < high


def test_winner_and_spurious_optima_are_marked(selection):
    ax = selection.plot()
    (ring,) = (line for line in ax.lines if line.get_label() == "best: tied 3")
    assert ring.get_xdata() == [3]
    crosses = np.concatenate(
        [c.get_offsets() for c in ax.collections if isinstance(c, PathCollection)]
    )
    expected = [(c.n_components, c.bic) for c in selection if c.spurious]
    assert expected
    np.testing.assert_allclose(sorted(crosses.tolist()), sorted(expected))


def test_held_out_is_better_upwards(faithful):
    selection = fastgmm.select(faithful, [1, 2, 3], "full", "held_out", random_state=0)
    ax = plot_selection(selection)
    low, high = ax.get_ylim()
    assert low < selection.winner.held_out < high
    assert "greater is better" in ax.get_ylabel()


def test_one_candidate(faithful):
    plot_selection(fastgmm.select(faithful, 2, "full", random_state=0))


def test_invalid_arguments_are_refused(selection):
    with pytest.raises(ValueError, match="criterion must be one of"):
        plot_selection(selection, criterion="dic")
    with pytest.raises(ValueError, match="no sound candidate with a held_out to draw; choose"):
        plot_selection(selection, criterion="held_out")


def test_a_type_of_ones_own_has_a_line_of_its_own(faithful, fifth_type):
    types = [*COVARIANCE_TYPES, fifth_type]
    selection = fastgmm.select(faithful, [1, 2, 3], types, random_state=0)
    lines = {line.get_label().split()[0]: line for line in plot_selection(selection).lines}
    ours, diag = lines[fifth_type], lines["diag"]
    np.testing.assert_array_equal(ours.get_xydata(), diag.get_xydata())
    assert len({tuple(lines[name].get_color()) for name in types}) == 5
    assert len({lines[name].get_marker() for name in types}) == 5
