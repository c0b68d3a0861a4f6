"""Figures of the responsibilities of single rows."""

import numpy as np

from fastgmm.plotting import plot_responsibilities


def test_bars_are_the_probabilities(faithful, mixture):
    rows = [5, 0, 46]
    ax = plot_responsibilities(mixture, faithful, rows)
    widths = [[bar.get_width() for bar in group] for group in ax.containers]
    np.testing.assert_allclose(np.transpose(widths), mixture.predict_proba(faithful)[rows])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["5", "0", "46"]
    assert ax.yaxis_inverted()


def test_missing_values_have_no_influence(faithful, mixture):
    X = faithful[:5].copy()
    X[0, 1], X[1, 0], X[2] = np.nan, np.nan, np.nan
    ax = plot_responsibilities(mixture, X)
    widths = [[bar.get_width() for bar in group] for group in ax.containers]
    np.testing.assert_allclose(
        np.transpose(widths), mixture.predict_proba(X, missing="em"), atol=1e-15
    )


def test_the_first_rows_by_default(faithful, mixture):
    assert len(plot_responsibilities(mixture, faithful).containers[0]) == 20
