"""What the tests of the command line share: an empty folder, and commands run in this process."""

from pathlib import Path

import pytest

import fastgmm
import fastgmm.__main__


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def fgmm(capsys):
    """Run the command; give its exit code and what it wrote to either stream."""

    def run(*arguments):
        code = fastgmm.__main__.main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def refused(fgmm):
    """Run a command that must fail; give its one sentence."""

    def run(*arguments):
        code, out, err = fgmm(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("Error: ")
        assert err.endswith("\n")
        assert err.count("\n") == 1
        return err.removeprefix("Error: ").strip()

    return run


@pytest.fixture
def files():
    """List the names in a folder."""

    def names(folder="."):
        return sorted(path.name for path in Path(folder).iterdir())

    return names
