"""Progress of fits: the text, the stream, and silence by default."""

import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import fastgmm
from fastgmm.api import progress as _progress

X = np.loadtxt(
    Path(__file__).parents[2] / "examples" / "old_faithful.csv", delimiter=",", skiprows=1
)
OPTIONS = {"covariance_type": "tied", "tol": 1e-7, "max_iter": 900, "random_state": 0}


@pytest.fixture
def always(monkeypatch):
    """Make the display draw after every iteration."""
    monkeypatch.setattr(_progress, "_REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(_progress, "_LOG_SECONDS", 0.0)


def test_nothing_is_shown_by_default(capfd):
    fastgmm.fit(X, 2, random_state=0)
    fastgmm.select(X, [1, 2], random_state=0)
    assert capfd.readouterr() == ("", "")


def test_a_log_file_gets_lines(capsys, always):
    mixture = fastgmm.fit(X, 3, n_init=2, progress=True, **OPTIONS)
    out, err = capsys.readouterr()
    assert out == ""
    assert "\r" not in err
    lines = err.splitlines()
    assert lines[0].startswith("start 1 of 2 | 0/900 iterations")
    assert lines[0].endswith("starting")
    searches = [line for line in lines if " search: " in line]
    assert searches[0].endswith("], search: 0 candidates, 0 moves, 0 passes over 272 rows")
    assert int(re.search(r"(\d+) passes over", searches[-1])[1]) > 40
    assert searches[-1].startswith("start 2 of 2 | 0/900 iterations")
    pattern = (
        r"start (\d) of 2 \| (\d+)/900 iterations \[\d\d:\d\d<(\d\d:\d\d|\?), .*/s\], "
        r"log-likelihood (-\d\.\d{6})( \(([-+]\d\.\de[-+]\d\d)\))?"
    )
    found = [re.fullmatch(pattern, line) for line in lines[1:] if line not in searches]
    assert all(found)
    # tqdm draws the last line again at the end, with the total time.
    found = list({(m[1], m[2]): m for m in found}.values())
    starts = [[m for m in found if m[1] == start] for start in "12"]
    for matches in starts:
        assert [int(m[2]) for m in matches] == list(range(1, len(matches) + 1))
        assert matches[0][5] is None  # iteration 1 has no previous value to compare with
        changes = np.array([float(m[6]) for m in matches[1:]])
        assert (changes > -1e-10).all()  # reg_covar may lower the last digits at the optimum
        assert changes[-1] <= 1e-7
    assert mixture.n_iter in map(len, starts)
    traces = {f"{value:.6f}" for value in mixture.log_likelihoods}
    assert traces <= {m[4] for m in found}


def test_a_log_file_gets_few_lines(capsys):
    fastgmm.fit(X, 3, n_init=2, progress=True, **OPTIONS)
    assert len(capsys.readouterr().err.splitlines()) <= 4


def test_a_terminal_gets_one_line_drawn_anew(monkeypatch, always):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    fastgmm.fit(X, 3, init_params="kmeans", progress=True, **OPTIONS)
    text = terminal.getvalue()
    assert text.count("\r") > 40
    assert text.count("\n") == 1


def test_select_shows_the_best_so_far_and_what_it_is_at(capsys, always):
    options = {"init_params": "kmeans", "random_state": 0}
    selection = fastgmm.select(X, range(1, 4), progress=True, **options)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("0 of 12 fits |   0%")
    assert re.fullmatch(r"12 of 12 fits \| 100% \[.*\], best tied 3 \(bic 2314\.31\d\)", lines[-1])
    assert any(re.search(r"tied 3: start 1, iteration \d+, log-likelihood -4\.", s) for s in lines)
    assert len(selection) == 12


def test_a_callback_is_still_heard(capsys):
    seen = []

    def stop(iteration, log_likelihood):
        seen.append((iteration, log_likelihood))
        return iteration == 3

    options = {"init_params": "kmeans", "callback": stop} | OPTIONS
    mixture = fastgmm.fit(X, 3, progress=True, **options)
    assert [iteration for iteration, _ in seen] == [1, 2, 3]
    assert [value for _, value in seen] == mixture.log_likelihoods.tolist()


def test_the_result_is_the_same(capsys, assert_same_mixture):
    assert_same_mixture(fastgmm.fit(X, 3, progress=True, **OPTIONS), fastgmm.fit(X, 3, **OPTIONS))


def test_without_tqdm_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match=r'pip install "fastgmm\[progress\]"'):
        fastgmm.fit(X, 2, progress=True)
    with pytest.raises(ImportError, match="progress=True needs tqdm"):
        fastgmm.select(X, 2, progress=True)
