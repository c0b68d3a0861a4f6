"""What holds of the project as a whole: its promises in the README, its layout, its files."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastgmm

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SOURCES = sorted((ROOT / "fastgmm").rglob("*.py"))

FIT_COMMAND = (
    'python3 -m venv .venv && .venv/bin/pip install -e ".[cli]"'
    " && .venv/bin/fastgmm fit examples/old_faithful.csv --components 2"
)
TEST_COMMAND = (
    'python3 -m venv .venv && .venv/bin/pip install -e ".[test]" && .venv/bin/python -m pytest'
)


def test_readme_has_exactly_the_two_commands():
    assert re.findall(r"^python3? .*$", README, re.MULTILINE) == [FIT_COMMAND, TEST_COMMAND]


def test_ci_runs_the_test_command_of_the_readme():
    ci = (ROOT / ".ci" / "run").read_text()
    pattern = re.search(r"test_line=\$\(grep -E '(.+)' README\.md\)", ci).group(1)
    assert re.findall(pattern, README, re.MULTILINE) == [TEST_COMMAND]


def test_version_is_the_newest_of_the_changelog():
    versions = re.findall(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == fastgmm.__version__


def test_import_does_not_import_numba():
    code = "import sys, fastgmm; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0


def test_example_is_complete():
    X = np.loadtxt(ROOT / "examples" / "old_faithful.csv", delimiter=",", skiprows=1)
    assert X.shape == (272, 2)
    # Figures of R's datasets::faithful.
    np.testing.assert_allclose(X.mean(axis=0), [3.487783, 70.897059], atol=5e-7)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_jit_names_the_decorators(source):
    """One package spells Numba's options, so that they are the same everywhere."""
    compilers = {"jit", "njit", "cfunc", "vectorize", "guvectorize", "stencil"}
    named = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "numba":
            named |= {alias.name for alias in node.names} & compilers
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"numba", "nb"}:
            named |= {node.attr} & compilers
    assert source.parent.name == "jit" or not named


@pytest.mark.parametrize(
    "path",
    [*SOURCES, ROOT / "README.md", ROOT / "CHANGELOG.md"],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_text_is_ascii(path):
    assert path.read_bytes().isascii()
