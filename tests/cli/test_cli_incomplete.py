"""Rows with missing values on the command line: fits, labels, and values filled in."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fastgmm


@pytest.fixture
def table():
    """Write two clusters in three columns with gaps to d.csv; return the values."""
    rng = np.random.default_rng(0)
    centers = 12.0 * np.eye(3)[:2]
    X = centers[np.arange(200) % 2] + rng.standard_normal((200, 3))
    X[:, 2] = X[:, 0] + 0.1 * rng.standard_normal(200)
    X = np.where(rng.random(X.shape) < 0.15, np.nan, X.round(3))
    X[7] = np.nan
    frame = pl.DataFrame(X, schema=["a", "b", "c"]).fill_nan(None)
    frame.insert_column(0, pl.Series("name", [f"r{i}" for i in range(200)])).write_csv("d.csv")
    return X


@pytest.mark.parametrize("standardize", [False, True])
def test_a_fit_uses_incomplete_rows(fgmm, table, standardize):
    options = ["--components", 2, "--id", "name", "--missing", "em"]
    options += ["--standardize"] if standardize else []
    files = "--out", "m.npz", "--labels", "l.csv"
    code, out, err = fgmm("fit", "d.csv", *options, *files)
    assert code == 0
    assert "rows have a missing value\n" in err
    assert "200 rows, 3 columns" in out
    mixture = fastgmm.load("m.npz")
    unnamed = mixture.with_feature_names(None)
    expected = fastgmm.fit(table, 2, missing="em", random_state=0)
    np.testing.assert_allclose(mixture.means, expected.means, atol=0.01)
    bic = next(line.split()[1] for line in out.splitlines() if line.startswith("BIC"))
    # The rows of the file count, also the one without any value.
    assert float(bic) == pytest.approx(unnamed.bic(table, missing="em"), abs=0.02)
    score = unnamed.score(table, missing="em")
    assert mixture.log_likelihood == pytest.approx(score, abs=1e-3)
    labels = pl.read_csv("l.csv")
    assert labels["label"].null_count() == 0
    np.testing.assert_array_equal(labels["label"], unnamed.predict(table, missing="em"))
    code, out, _ = fgmm("predict", "m.npz", "d.csv", "--id", "name", "--missing", "em", "--proba")
    assert code == 0
    assert len(out.splitlines()) == 201


def test_impute(fgmm, table):
    fgmm("fit", "d.csv", "--components", 2, "--missing", "em", "--out", "m.npz")
    code, out, _ = fgmm("impute", "m.npz", "d.csv", "--id", "name", "--out", "filled.csv")
    assert (code, out) == (0, "")
    filled = pl.read_csv("filled.csv")
    assert filled.columns == ["name", "a", "b", "c"]
    unnamed = fastgmm.load("m.npz").with_feature_names(None)
    np.testing.assert_allclose(filled[["a", "b", "c"]].to_numpy(), unnamed.impute(table))
    code, out, _ = fgmm("impute", "m.npz", "d.csv", "--draw", "--seed", 3)
    assert code == 0
    assert out.startswith("a,b,c\n")
    drawn = np.array([line.split(",") for line in out.splitlines()[1:]], float)
    np.testing.assert_allclose(drawn, unnamed.sample_missing(table, 3))
    assert Path("filled.csv").exists()


@pytest.mark.parametrize("data", ["d.csv", "*.parquet"])
def test_a_plot_shows_the_gaps(fgmm, table, data, monkeypatch):
    """All rows are drawn as they are, from a table in memory and from files read in blocks."""
    pytest.importorskip("matplotlib")
    pl.read_csv("d.csv").drop("name").write_parquet("d.parquet")
    drawn = []
    plot = fastgmm.Mixture.plot
    keep = lambda self, X, **options: (drawn.append(X), plot(self, X, **options))[1]  # noqa: E731
    monkeypatch.setattr(fastgmm.Mixture, "plot", keep)
    options = "--components", 2, "--missing", "em", "--plot", "p.png"
    assert fgmm("fit", data, *options)[0] == 0
    known = table[~np.isnan(table).all(axis=1)]  # the source of blocks keeps no rows without values
    drawn = drawn[0][~np.isnan(drawn[0]).all(axis=1)]
    order = [np.lexsort(X.T) for X in (known, drawn)]
    np.testing.assert_array_equal(drawn[order[1]], known[order[0]])


def test_select_uses_incomplete_rows(fgmm, table):
    options = "--components", "1:3", "--covariance", "full", "--missing", "em"
    code, out, _ = fgmm("select", "d.csv", *options)
    assert code == 0
    assert "best by bic (lower is better): full 2" in out


def test_refusals(fgmm, refused):
    Path("d.csv").write_text("a,b\n1,\n3,inf\n")
    message = refused("fit", "d.csv", "--components", 1, "--missing", "em")
    assert "the value of b in row 2 is infinite" in message
    Path("d.csv").write_text("a,b\n1,\n3,\n")
    options = "--columns", "a,b", "--components", 1, "--missing", "em"
    code, _, err = fgmm("fit", "d.csv", *options)
    assert code == 2
    assert err.endswith("X has no value of feature 'b' in any row; leave this feature out.\n")
