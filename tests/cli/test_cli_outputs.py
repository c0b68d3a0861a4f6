"""Files that commands write: complete after success, absent after a failure."""

import os
from pathlib import Path

import pytest

import fastgmm
from fastgmm.cli.files import output

OLD_FAITHFUL = Path(__file__).parents[2] / "examples" / "old_faithful.csv"


def test_outputs_are_ordinary_files(fgmm, files):
    Path("elsewhere").mkdir()
    Path("model.npz").symlink_to(Path("elsewhere", "real.npz"))
    old = os.umask(0o027)
    try:
        code, _, _ = fgmm("fit", OLD_FAITHFUL, "--components", 2, "--out", "model.npz")
    finally:
        os.umask(old)
    assert code == 0
    assert Path("model.npz").is_symlink()
    assert Path("elsewhere", "real.npz").stat().st_mode & 0o777 == 0o640
    assert files() == ["elsewhere", "model.npz"]
    assert files("elsewhere") == ["real.npz"]


def fail_with(error):
    def fit(X, **arguments):
        raise error

    return fit


def test_failed_fit_leaves_no_output(refused, monkeypatch, files):
    Path("labels.csv").write_text("precious")
    error = fastgmm.CollapseError("component 1 collapsed.\nUse fewer.")
    monkeypatch.setattr(fastgmm, "fit", fail_with(error))
    arguments = ("--components", 2, "--out", "model.npz", "--labels", "labels.csv")
    assert refused("fit", OLD_FAITHFUL, *arguments) == "component 1 collapsed. Use fewer."
    assert files() == ["labels.csv"]
    assert Path("labels.csv").read_text() == "precious"


def test_interrupted_fit_leaves_no_output(fgmm, monkeypatch, files):
    monkeypatch.setattr(fastgmm, "fit", fail_with(KeyboardInterrupt()))
    code, out, err = fgmm("fit", OLD_FAITHFUL, "--components", 2, "--out", "model.npz")
    assert (code, out, err.strip()) == (130, "", "Interrupted")
    assert files() == []


def test_too_little_memory_is_reported(refused, monkeypatch):
    monkeypatch.setattr(fastgmm, "fit", fail_with(MemoryError()))
    message = refused("fit", OLD_FAITHFUL, "--components", 2)
    assert message == "there is not enough memory; use fewer rows or columns"


def test_bugs_keep_their_traceback(fgmm, monkeypatch):
    monkeypatch.setattr(fastgmm, "fit", fail_with(KeyError("oops")))
    with pytest.raises(KeyError, match="oops"):
        fgmm("fit", OLD_FAITHFUL, "--components", 2)


def test_file_is_replaced_only_on_success(files):
    path = Path("file.csv")
    with output(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"

    def interrupted():
        with output(path) as temporary:
            temporary.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert path.read_text() == "new"
    assert files() == ["file.csv"]
