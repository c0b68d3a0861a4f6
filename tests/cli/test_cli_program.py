"""The program itself: help, missing libraries, pipes, the compilation of kernels."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastgmm
import fastgmm.__main__

ROOT = Path(__file__).parents[2]
OLD_FAITHFUL = ROOT / "examples" / "old_faithful.csv"


HELP = {
    "fit": "--on-collapse",
    "select": "--criterion",
    "predict": "--proba",
    "warmup": "Compile all kernels",
    "": "fastgmm run --help",
}


@pytest.mark.parametrize("command", HELP)
def test_help_is_shown_without_the_heavy_imports(command):
    arguments = [*command.split(), "--help"]
    code = (
        f"import sys; from fastgmm.__main__ import main; code = main({arguments});"
        " heavy = {'numpy', 'numba', 'polars', 'rich'} & sys.modules.keys();"
        " sys.exit(code or bool(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert HELP[command] in done.stdout


def test_no_command_prints_help(fgmm):
    code, out, err = fgmm()
    assert (code, err) == (0, "")
    assert {"fit", "predict", "select", "warmup"} <= set(out.split())
    assert fgmm("--version") == (0, f"fastgmm {fastgmm.__version__}\n", "")


def test_warmup_compiles(fgmm, monkeypatch):
    calls = []
    monkeypatch.setattr(fastgmm, "precompile", lambda: calls.append(1))
    code, out, err = fgmm("warmup")
    assert (code, err, calls) == (0, "", [1])
    assert out.startswith("kernels compiled and cached in ")


def test_missing_libraries_are_named(fgmm, monkeypatch):
    monkeypatch.setattr(fastgmm.__main__, "find_spec", lambda name: None)
    code, out, err = fgmm("fit", OLD_FAITHFUL, "--components", 2)
    assert (code, out) == (2, "")
    assert err == (
        "Error: the command line needs click, polars, rich, tqdm;"
        ' install with: pip install "fastgmm[cli]"\n'
    )


def test_module_runs_and_a_closed_pipe_is_quiet(fgmm):
    np.save("d.npy", np.random.default_rng(0).normal(size=(200_000, 1)))
    fgmm("fit", "d.npy", "--components", 1, "--out", "model.npz")
    with subprocess.Popen(
        [sys.executable, "-m", "fastgmm", "predict", "model.npz", "d.npy"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"label\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
