"""``fastgmm select``: its table, its winner, its files."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fastgmm

OLD_FAITHFUL = Path(__file__).parents[2] / "examples" / "old_faithful.csv"


def models(out):
    """Cells of the table of models, one list for each row."""
    return [line.split() for line in out.splitlines() if line.startswith((" full", " tied"))]


def test_select_marks_the_winner(fgmm):
    options = ("--components", "1:9", "--n-init", 5, "--init", "kmeans")
    code, out, err = fgmm("select", OLD_FAITHFUL, *options)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    (winner,) = (row for row in models(out) if row[-2:] == ["<-", "best"])
    assert winner[:2] == ["tied", "3"]
    assert float(winner[2]) == pytest.approx(-1126.32, abs=0.03)
    assert float(winner[3]) == pytest.approx(2314.31, abs=0.05)
    assert out.endswith("best by bic (lower is better): tied 3\n")
    assert len(models(out)) == 18
    (note,) = (line for line in out.splitlines() if line.startswith("diag 5: "))
    assert re.fullmatch(r"diag 5: spurious: component \d covariance at the floor", note)


def test_select_writes_what_it_found(fgmm, files):
    outputs = ("--out", "best.npz", "--table", "all.csv", "--plot", "bic.png")
    arguments = ("--components", "2,3", "--covariance", "tied, full", *outputs)
    code, out, _ = fgmm("select", OLD_FAITHFUL, *arguments)
    assert code == 0
    assert out.endswith("wrote best.npz\nwrote all.csv\nwrote bic.png\n")
    assert files() == ["all.csv", "best.npz", "bic.png"]
    best = fastgmm.load("best.npz")
    assert (best.covariance_type, best.n_components) == ("tied", 3)
    frame = pl.read_csv("all.csv")
    assert frame["covariance_type"].to_list() == ["tied", "tied", "full", "full"]
    assert frame["n_components"].to_list() == [2, 3, 2, 3]
    assert frame["best"].to_list() == [False, True, False, False]


SELECT_OPTIONS = {
    "--components": ("n_components", "2:3", [2, 3]),
    "--covariance": ("covariance_type", "diag,full", ["diag", "full"]),
    "--criterion": ("criterion", "held_out", "held_out"),
    "--folds": ("n_folds", 3, 3),
    "--n-init": ("n_init", 2, 2),
    "--reg-covar": ("reg_covar", 1e-3, 1e-3),
    "--prior": ("prior", "default", "default"),
    "--seed": ("random_state", 7, 7),
    "--threads": ("n_threads", 1, 1),
}


@pytest.mark.parametrize("option", SELECT_OPTIONS)
def test_select_passes_every_option_on(fgmm, monkeypatch, option):
    name, text, value = SELECT_OPTIONS[option]
    passed = []

    def spy(X, **arguments):
        passed.append(arguments)
        return original(X, **arguments)

    original = fastgmm.select
    monkeypatch.setattr(fastgmm, "select", spy)
    options = {"--components": "1:2", "--covariance": "tied", option: text}
    code, _, _ = fgmm("select", OLD_FAITHFUL, *(x for pair in options.items() for x in pair))
    assert code == 0
    assert passed[0][name] == value


def test_select_shows_held_out_rows_and_failures(fgmm):
    arguments = ("--components", "2,300", "--covariance", "full", "--criterion", "held_out")
    code, out, _ = fgmm("select", OLD_FAITHFUL, *arguments)
    assert code == 0
    assert "held out" in out
    assert "best by held_out (greater is better): full 2" in out
    assert "full 300: failed: X has 272 rows but n_components is 300" in out


def test_select_without_a_winner_says_so(fgmm, files):
    Path("data.csv").write_text("a\n" + "0\n1\n" * 10)
    arguments = ("--components", "2", "--covariance", "full", "--out", "best.npz")
    code, out, err = fgmm("select", "data.csv", *arguments)
    assert code == 2
    assert "full 2: spurious" in out
    assert err.startswith(
        "Error: no model can be chosen, because every fit failed or is spurious; try"
    )
    assert files() == ["data.csv"]


def test_an_interrupted_select_keeps_what_is_done(fgmm, monkeypatch, files):
    X = np.loadtxt(OLD_FAITHFUL, delimiter=",", skiprows=1)
    done = fastgmm.select(X, [2], "full", random_state=0)
    partial = fastgmm.Selection(done.candidates, "bic", interrupted=True)
    monkeypatch.setattr(fastgmm, "select", lambda *_, **__: partial)
    code, out, err = fgmm("select", OLD_FAITHFUL, "--out", "best.npz")
    assert (code, err) == (130, "Interrupted\n")
    assert "best by bic (lower is better): full 2" in out
    assert files() == ["best.npz"]


def test_warnings_are_sentences(fgmm):
    """Of units so small that reg_covar swamps the data."""
    frame = pl.read_csv(OLD_FAITHFUL)
    (frame * 1e-5).write_csv("small.csv")
    for command in (("fit", "--components", 2), ("select", "--components", "1:2")):
        code, _, err = fgmm(command[0], "small.csv", *command[1:])
        assert code == 0
        assert err.startswith("Warning: reg_covar is 1e-06 but the variance of feature ")
        assert err.count("\n") == 1
