"""``fastgmm fit``: what it prints, passes on and draws."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import fastgmm

OLD_FAITHFUL = Path(__file__).parents[2] / "examples" / "old_faithful.csv"


def rows(out):
    """Cells of the printed table, one list for each component."""
    return [line.split() for line in out.splitlines() if re.match(r"  \d+ ", line)]


def figure(out, name):
    (line,) = (line for line in out.splitlines() if line.startswith(name))
    return float(line.removeprefix(name).split()[0].rstrip(","))


def test_fit_prints_the_mixture_of_old_faithful(fgmm):
    code, out, err = fgmm("fit", OLD_FAITHFUL, "--components", 2, "--init", "kmeans")
    assert (code, err) == (0, "")
    short, long = sorted((row[1:] for row in rows(out)), key=lambda row: float(row[0]))
    # The optimum that R's mclust prints for VVV with two components.
    assert short[0] == "0.3559"
    assert long[0] == "0.6441"
    figures = [float(cell.strip("()")) for cell in (*short[1:], *long[1:])]
    expected = [2.036, 0.263, 54.48, 5.83, 4.290, 0.412, 79.97, 5.99]
    np.testing.assert_allclose(figures, expected, rtol=4e-3)
    assert figure(out, "log-likelihood") == pytest.approx(-1130.264, abs=2e-3)
    assert figure(out, "BIC") == pytest.approx(2322.192, abs=4e-3)
    assert "converged" in out
    assert "not converged" not in out


OPTIONS = {
    "--covariance": ("covariance_type", ["full", "tied", "diag", "spherical"]),
    "--init": ("init_params", ["auto", "kmeans", "k-means++", "random", "random_from_data"]),
    "--on-collapse": ("on_collapse", ["regularize", "reset", "raise"]),
    "--tol": ("tol", [1e-8]),
    "--max-iter": ("max_iter", [300]),
    "--n-init": ("n_init", [3]),
    "--reg-covar": ("reg_covar", [1e-3]),
    "--prior": ("prior", ["default"]),
    "--seed": ("random_state", [7]),
    "--threads": ("n_threads", [1]),
    "--progress": ("progress", [True]),
}


@pytest.mark.parametrize(
    ("option", "argument", "value"),
    [(option, name, value) for option, (name, values) in OPTIONS.items() for value in values],
)
def test_fit_passes_every_option_on(fgmm, monkeypatch, option, argument, value):
    passed = []

    def spy(X, **arguments):
        passed.append(arguments)
        return original(X, **arguments)

    original = fastgmm.fit
    monkeypatch.setattr(fastgmm, "fit", spy)
    given = (option,) if value is True else (option, value)
    code, out, _ = fgmm("fit", OLD_FAITHFUL, "--components", 2, *given)
    assert code == 0
    assert len(rows(out)) == 2
    assert passed[0][argument] == value


def test_fit_prints_what_the_library_fits(fgmm):
    _, out, _ = fgmm("fit", OLD_FAITHFUL, "--components", 3, "--covariance", "tied", "--seed", 4)
    X = np.loadtxt(OLD_FAITHFUL, delimiter=",", skiprows=1)
    mixture = fastgmm.fit(X, 3, covariance_type="tied", random_state=4)
    assert [row[1] for row in rows(out)] == [f"{weight:.4f}" for weight in mixture.weights]
    means = [[float(row[2]), float(row[4])] for row in rows(out)]
    np.testing.assert_allclose(means, mixture.means, atol=6e-3)
    deviations = [[float(row[3].strip("()")), float(row[5].strip("()"))] for row in rows(out)]
    expected = np.sqrt(np.diag(mixture.covariances))
    np.testing.assert_allclose(deviations, np.tile(expected, (3, 1)), rtol=5e-3)
    assert figure(out, "iterations") == mixture.n_iter
    assert figure(out, "log-likelihood") == pytest.approx(mixture.score(X) * 272, abs=1e-3)


def test_fit_says_when_it_did_not_converge(fgmm):
    code, out, err = fgmm("fit", OLD_FAITHFUL, "--components", 2, "--max-iter", 1)
    assert (code, err) == (0, "")
    assert "1, not converged" in out
    assert "raise --max-iter" in out


def test_fit_names_collapsed_components(fgmm):
    # Ten points around 0, and one value seven times.
    values = [*np.linspace(-1, 1, 10), *[50.0] * 7]
    Path("data.csv").write_text("a\n" + "\n".join(map(str, values)) + "\n")
    code, out, _ = fgmm("fit", "data.csv", "--components", 2)
    assert code == 0
    (k,) = (row[0] for row in rows(out) if float(row[2]) == 50)
    assert f"collapsed       component {k}, kept by --reg-covar; try fewer components" in out
    assert "(0.001" in out  # the root of --reg-covar


def test_wide_table_shows_the_columns_that_fit(fgmm):
    np.save("wide.npy", np.random.default_rng(0).normal(size=(60, 12)))
    code, out, _ = fgmm("fit", "wide.npy", "--components", 2, "--covariance", "diag")
    assert code == 0
    assert "the first 3 of 12 columns" in out
    assert "column_3" in out
    assert "column_4" not in out
    assert max(map(len, out.splitlines())) <= 80


def test_column_names_are_not_markup(fgmm):
    Path("data.csv").write_text("[red]a[/red]\n1\n2\n4\n")
    assert "[red]a[/red]" in fgmm("fit", "data.csv", "--components", 1)[1]


def test_progress_shows_on_a_terminal_and_where_it_is_asked_for(fgmm, monkeypatch):
    arguments = "fit", OLD_FAITHFUL, "--components", 2
    assert fgmm(*arguments)[2] == ""
    assert "log-likelihood -4.15" in fgmm(*arguments, "--progress")[2]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    code, out, err = fgmm(*arguments)
    assert code == 0
    assert "start 1 of 1" in err
    assert "log-likelihood -4.15" in err
    assert "\r" not in out
    assert "\x1b" not in out
    assert fgmm(*arguments, "--no-progress")[2] == ""


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_fit_draws(fgmm, suffix):
    code, out, err = fgmm("fit", OLD_FAITHFUL, "--components", 2, "--plot", f"fit{suffix}")
    assert (code, err) == (0, "")
    assert out.endswith(f"wrote fit{suffix}\n")
    start = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}[suffix]
    picture = Path(f"fit{suffix}").read_bytes()
    assert picture.startswith(start)
    assert len(picture) > 5000


def test_drawing_without_matplotlib_is_refused(refused, monkeypatch, files):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = refused("fit", OLD_FAITHFUL, "--components", 2, "--plot", "fit.png")
    assert 'pip install "fastgmm[plot]"' in message
    assert files() == []
