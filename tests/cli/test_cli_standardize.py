"""--standardize: fits of scaled columns, reported in the units of the table."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import adjusted_rand_score

import fastgmm

SCALE, OFFSET = np.array([1e-4, 1e3, 1.0]), np.array([1.0, -5e4, 0.0])


@pytest.fixture
def clusters():
    """Three clear clusters in small and in large units, and a column that does not vary."""
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1, 2], 60)
    X = rng.normal(size=(180, 3)) + np.array([[0, 0, 0], [9, 0, 0], [0, 9, 0]])[label]
    X[:, 2] = 0.0
    return X * SCALE + OFFSET, label


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_a_fit_is_reported_in_the_units_of_the_table(fgmm, clusters, kind):
    X, label = clusters
    X = X[:, :2]
    pl.DataFrame(X, schema=["a", "b"], orient="row").write_csv("d.csv")
    arguments = ("--components", 3, "--covariance", kind, "--standardize", "--out", "m.npz")
    code, out, err = fgmm("fit", "d.csv", *arguments, "--labels", "l.csv")
    assert (code, err) == (0, "")
    assert adjusted_rand_score(label, pl.read_csv("l.csv")["label"]) > 0.95
    deviation = X.std(axis=0)
    standardized = (X - X.mean(axis=0)) / deviation
    expected = fastgmm.fit(standardized, 3, covariance_type=kind, random_state=0)
    lost = len(X) * np.log(deviation).sum()
    found = dict(re.findall(r"^(log-likelihood|BIC) +(-?[\d.]+)", out, re.M))
    total = expected.score(standardized) * len(X) - lost
    np.testing.assert_allclose(float(found["log-likelihood"]), total, atol=2e-3)
    bic = expected.bic(standardized) + 2 * lost
    np.testing.assert_allclose(float(found["BIC"]), bic, atol=2e-3)
    mixture = fastgmm.load("m.npz").with_feature_names(None)
    assert mixture.covariance_type == ("diag" if kind == "spherical" else kind)
    np.testing.assert_allclose(mixture.means, expected.means * deviation + X.mean(axis=0))
    np.testing.assert_allclose(mixture.score(X.astype(float)) * len(X), total, rtol=1e-9)


def test_a_selection_is_reported_in_the_units_of_the_table(fgmm, clusters):
    X, _ = clusters
    pl.DataFrame(X, schema=["a", "b", "c"], orient="row").write_csv("d.csv")
    arguments = ("--columns", "a,b", "--components", "1:4", "--out", "m.npz", "--table", "t.csv")
    code, _, err = fgmm("select", "d.csv", *arguments, "--standardize")
    assert (code, err) == (0, "")
    table = pl.read_csv("t.csv")
    assert table.filter(pl.col("best"))["n_components"].to_list() == [3]
    mixture = fastgmm.load("m.npz").with_feature_names(None)
    best = table.filter(pl.col("best"))
    total = mixture.score(X[:, :2]) * len(X)
    np.testing.assert_allclose(best["log_likelihood"][0], total, rtol=1e-9)
    _, _, warned = fgmm("select", "d.csv", *arguments)
    assert "reg_covar is 1e-06 but the variance of feature 'a' is only" in warned


def test_a_column_that_does_not_vary_is_left_as_it_is(fgmm, clusters):
    X, _ = clusters
    pl.DataFrame(X, schema=["a", "b", "c"], orient="row").write_csv("d.csv")
    code, _, _ = fgmm("fit", "d.csv", "--components", 3, "--standardize", "--out", "m.npz")
    assert code == 0
    mixture = fastgmm.load(Path("m.npz"))
    np.testing.assert_array_equal(mixture.means[:, 2], 0.0)
