"""Of several processes that need the same machine code, one compiles it."""

import subprocess
import sys
import time

import pytest

from fastgmm.jit import helpers
from fastgmm.jit.helpers import Helpers
from fastgmm.jit.turns import Busy, Turn

pytest.importorskip("fcntl")

HOLD = """
import sys
from fastgmm.jit.turns import Turn
turn = Turn()
turn.take(sys.argv[1])
print("taken", flush=True)
sys.stdin.readline()
turn.end()
print("ended", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process, which compiles what will be the file ``code``."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "code")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "taken\n"
        yield process
        process.kill()


def impatient():
    turn = Turn()
    turn.waits = False
    return turn


def test_a_turn_is_taken_once_it_ends(holder, tmp_path):
    turn = impatient()
    with pytest.raises(Busy):
        turn.take(tmp_path / "code")
    turn.take(tmp_path / "other code")
    turn.end()
    holder.stdin.write("\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "ended\n"
    turn.take(tmp_path / "code")
    turn.end()
    assert list(tmp_path.iterdir()) == []


def test_a_turn_ends_with_its_process(holder, tmp_path):
    holder.kill()
    Turn().take(tmp_path / "code")


def test_nobody_waits_for_ever(holder, tmp_path, monkeypatch):
    monkeypatch.setattr("fastgmm.jit.turns.MOST_SECONDS", 0.0)
    turn = Turn()
    turn.take(tmp_path / "code")
    assert turn._held is None


def test_where_nothing_can_be_locked_nobody_waits(tmp_path):
    Turn().take(tmp_path / "no such folder" / "code")


def test_helpers_start_once_they_are_needed_and_end(tmp_path):
    written = tmp_path / "written"

    def program():
        return f"import time; open({str(written)!r}, 'a').write('x'); time.sleep(100)"

    ours = Helpers()
    ours.start()  # nothing was asked for
    ours.ask_for(program, n_jobs=5, n_threads=1)  # the caller wants one thread
    ours.start()
    assert ours._running == []
    ours.ask_for(program, n_jobs=5, n_threads=2)
    assert ours._running == []
    ours.start()
    (helper,) = ours._running
    ours.ask_for(program, n_jobs=5, n_threads=2)
    ours.start()  # one is at work
    assert ours._running == [helper]
    while not written.exists() or not written.read_text():
        assert helper.poll() is None
        time.sleep(0.01)
    ours.stop()
    assert helper.returncode is not None
    assert written.read_text() == "x"


def test_a_program_that_holds_python_is_not_started_again():
    assert helpers._is_python(sys.executable)
    assert not helpers._is_python("/opt/renderer/bin/renderer")
    assert not helpers._is_python(None)
