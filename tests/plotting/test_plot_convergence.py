"""Figures of the log-likelihood over the iterations."""

import numpy as np
import pytest

import fastgmm
from fastgmm.plotting import Traces, plot_convergence


def test_every_start_has_its_line(faithful):
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


def test_a_mixture_shows_its_best_start(mixture):
    ax = plot_convergence(mixture)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), mixture.log_likelihoods)


def test_nothing_to_draw_is_refused():
    unfitted = fastgmm.Mixture.from_parameters([1.0], [0.0], [[[1.0]]])
    with pytest.raises(ValueError, match="no iterations to draw"):
        plot_convergence(unfitted)
