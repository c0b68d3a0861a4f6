"""The package: its names, its imports, and what it says without matplotlib."""

import subprocess
import sys
from pathlib import Path

import pytest

import fastgmm.plotting

ROOT = Path(__file__).parents[2]


def test_public_names_only():
    expected = [
        "Traces",
        "animate_fit",
        "plot_convergence",
        "plot_mixture",
        "plot_responsibilities",
        "plot_selection",
    ]
    assert dir(fastgmm.plotting) == fastgmm.plotting.__all__ == expected


def test_matplotlib_is_imported_on_first_drawing_only():
    code = "import sys, fastgmm, fastgmm.plotting; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0


def test_without_matplotlib_the_extra_is_named(mixture, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "fastgmm\[plot\]"'):
        fastgmm.plotting.plot_mixture(mixture)
