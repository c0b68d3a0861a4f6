"""An action after an import waits until the module is really imported."""

import sys
from importlib.util import find_spec

import pytest

from fastgmm._importing import AfterImport


@pytest.fixture
def waiting(tmp_path, monkeypatch):
    """Wait for a module of which no other test knows; `done` collects the calls."""
    (tmp_path / "late_module.py").write_text("import sys\nif hasattr(sys, 'late'): 1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    finder = AfterImport("late_module", lambda: finder.done.append("late_module" in sys.modules))
    finder.done = []
    yield finder
    finder.stop()
    sys.modules.pop("late_module", None)


def test_once_and_without_a_trace(waiting):
    waiting.start()
    waiting.start()
    assert sys.meta_path.count(waiting) == 1
    import late_module

    assert waiting.done == [True]
    assert not waiting.waits
    assert "fastgmm" not in type(late_module.__loader__).__module__
    assert late_module.__spec__.loader is late_module.__loader__


def test_a_module_that_is_there_already(waiting):
    import late_module  # noqa: F401

    waiting.start()
    assert waiting.done == [True]
    assert not waiting.waits


def test_a_search_or_a_failed_import_does_not_end_the_waiting(waiting, monkeypatch):
    waiting.start()
    assert find_spec("late_module").origin.endswith("late_module.py")
    sys.late = True
    try:
        with pytest.raises(ZeroDivisionError):
            import late_module
    finally:
        del sys.late
    assert waiting.waits
    assert not waiting.done
    import late_module  # noqa: F401

    assert waiting.done == [True]


def test_a_missing_module_is_missing_still(waiting):
    missing = AfterImport("no_such_module_at_all", waiting.done.append)
    missing.start()
    try:
        with pytest.raises(ModuleNotFoundError):
            import no_such_module_at_all  # noqa: F401
    finally:
        missing.stop()
