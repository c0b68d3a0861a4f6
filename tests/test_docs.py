"""Every block of code in the README and the documentation, run in the order of its page.

Python blocks of a page share their names. Command lines run one by one, except those that install
something, need other commits or take minutes: the prefixes of these are listed, and anything else
that cannot run is an error.
"""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastgmm
import fastgmm.__main__

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DROP_IN = {"bayes.md", "drop-in.md"}  # pages on the estimator, which has scikit-learn below it

# What these do, .ci/run does too, or it is not for an automaton: a browser, a profiler.
NOT_HERE = re.compile(
    r"python3 -m venv|(\.venv/bin/)?pip install|\. \.venv/|apt-get|ruff|mypy|perf|python -m pytest"
    r"|NUMBA_ENABLE_PROFILING|FASTGMM_LONG_TESTS=1|FASTGMM_MACHINE_CODE=1|HYPOTHESIS_EXAMPLES|fuzz/run"
    r"|(\.\./)?(\.venv/bin/)?asv |cd asv_benchmarks|sphinx-build"
    r"|(\.venv/bin/)?python (asv_benchmarks|tests|tools|examples/track_your_change)"
)

pytest.importorskip("matplotlib").use("Agg")


@pytest.fixture(scope="module")
def run_before():
    """Lines of other programs that were run."""
    return set()


def blocks(page, language):
    return [text for name, text in BLOCK.findall(page.read_text()) if name == language]


def skip_without_drop_in(page):
    if page.name in DROP_IN and importlib.util.find_spec("fastgmm.sklearn") is None:
        pytest.skip("the drop-in estimator is not there")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the data that the pages name."""
    X = np.loadtxt(ROOT / "examples" / "old_faithful.csv", delimiter=",", skiprows=1)
    header = {"delimiter": ",", "header": "height,weight", "comments": ""}
    np.savetxt(tmp_path / "data.csv", X, **header)
    np.savetxt(tmp_path / "more.csv", X[:20], **header)
    pl = pytest.importorskip("polars")
    pl.read_csv(tmp_path / "data.csv").write_parquet(tmp_path / "data.parquet")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    return tmp_path


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name
)
def test_python_runs(page, folder, capsys):
    skip_without_drop_in(page)
    import matplotlib.pyplot as plt

    names = {"__name__": "__main__"}
    for text in blocks(page, "python"):
        exec(compile(text, page.name, "exec"), names)
    plt.close("all")
    if page.name == "README.md":
        assert names["mixture"].converged
        assert "True" in capsys.readouterr().out


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "sh")], ids=lambda page: page.name
)
def test_command_lines_run(page, folder, run_before, capfd):
    skip_without_drop_in(page)
    for line in "".join(blocks(page, "sh")).splitlines():
        if NOT_HERE.match(line):
            continue
        program, *arguments = shlex.split(line)
        assert program in ("fastgmm", "python"), f"{page.name}: who runs {line!r}?"
        if program == "fastgmm" and arguments[0] == "run":  # what it patches is for a process
            program, arguments = "python", ["-m", "fastgmm", *arguments]
        if program == "fastgmm":
            assert fastgmm.__main__.main(arguments) == 0, line
        elif line not in run_before:  # some lines are on two pages
            run_before.add(line)
            command = [sys.executable, *arguments]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_blocks_say_their_language():
    """A block without one would not be run by anybody."""
    for page in PAGES:
        fences = re.findall(r"^```(.*)$", page.read_text(), re.MULTILINE)
        languages = set(fences[::2])
        assert languages <= {"python", "sh", "text"} | {s for s in languages if s[:1] == "{"}, page


def test_every_picture_is_drawn_and_every_drawing_shown(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    import figures

    shown = {
        name
        for page in PAGES
        for name in re.findall(r"_build/figures/(\w+)\.png", page.read_text())
    }
    assert shown == set(figures.FIGURES)


@pytest.mark.parametrize(
    ("program", "writes", "says"),
    [
        ("fit_a_file.py", ["fit_a_file.npz", "fit_a_file.png"], "by BIC: tied 3"),
        ("sklearn_program.py", [], "log-likelihood"),
        ("segment_photograph.py", ["segments.png"], "273280 pixels"),
    ],
)
def test_examples_run_as_they_are(program, writes, says, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", ROOT / "examples" / program],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert says in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == writes


def test_tracking_a_change_compares_two_commits(tmp_path, monkeypatch):
    """asv itself takes minutes; what it is asked for is recorded in its place."""
    recorder = tmp_path / "asv"
    recorder.mkdir()
    (recorder / "__init__.py").write_text("")
    (recorder / "__main__.py").write_text(
        "import sys; print(*sys.argv[1:]); sys.exit('continuous' in sys.argv)"
    )
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "track_your_change.py", "--bench", "em"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "machine --yes",
        "continuous --factor 1.1 --bench em --interleave-rounds main HEAD",
    ]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not there")
def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#|_build/)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} -> {target}"
