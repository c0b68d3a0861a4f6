"""Fits to rows that need not fit in memory: passes over them, progress, interrupts."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastgmm
from fastgmm.api import progress
from fastgmm.api.options import INIT_PARAMS
from fastgmm.sources import survey

CENTERS = 8.0 * np.array([[0, 0, 0], [1, 0, 1], [0, 1, -1], [1, 1, 0], [-1, 1, 1]])


class Blocks:
    """A function that yields blocks of rows, and counts its passes."""

    def __init__(self, n_blocks=10):
        draw = np.random.default_rng(0)
        self.X = CENTERS[draw.integers(5, size=20_000)] + draw.normal(size=(20_000, 3))
        self.n_blocks, self.n_passes = n_blocks, 0

    def __call__(self):
        for number, part in enumerate(np.array_split(self.X, self.n_blocks)):
            yield part
            self.n_passes += number == self.n_blocks - 1


@pytest.fixture
def small_sample(monkeypatch):
    """The first pass keeps 1,000 rows."""
    monkeypatch.setattr(survey, "_SAMPLE_BYTES", 0)


@pytest.mark.parametrize("init_params", INIT_PARAMS)
@pytest.mark.parametrize("gaps", [False, True], ids=["complete", "incomplete"])
def test_few_passes_over_clusters_that_lie_apart(small_sample, init_params, gaps):
    blocks = Blocks()
    options = {"init_params": init_params, "random_state": 1, "n_init": 1}
    if gaps:
        blocks.X[np.random.default_rng(2).random(blocks.X.shape) < 0.02] = np.nan
        options["missing"] = "em"
    mixture = fastgmm.fit(blocks, 5, **options)
    assert mixture.converged
    assert mixture.n_passes == blocks.n_passes == mixture.n_iter + 1
    assert mixture.n_passes <= 12
    assert f"n_passes={mixture.n_passes}" in repr(mixture)
    if init_params == "auto" and not gaps:
        expected = fastgmm.fit(blocks.X, 5, **options)
        assert expected.n_passes is None
        order, theirs = (np.lexsort(m.means.T.round()) for m in (mixture, expected))
        np.testing.assert_allclose(mixture.means[order], expected.means[theirs], atol=1e-3)


def test_what_the_caller_gives_is_not_settled_on_a_sample(small_sample):
    blocks = Blocks()
    start = {"means_init": CENTERS + 1.0, "weights_init": np.full(5, 0.2), "max_iter": 2}
    start["precisions_init"] = np.broadcast_to(np.eye(3), (5, 3, 3))
    start["tol"] = 0.0
    with pytest.warns(fastgmm.ConvergenceWarning):
        mixture = fastgmm.fit(blocks, 5, **start)
    with pytest.warns(fastgmm.ConvergenceWarning):
        expected = fastgmm.fit(blocks.X, 5, **start)
    np.testing.assert_allclose(mixture.log_likelihoods, expected.log_likelihoods, rtol=1e-12)


def test_candidates_of_a_selection_settle_too(small_sample):
    blocks = Blocks()
    fastgmm.select(blocks, [4, 5], "full", init_params="kmeans", random_state=0, tol=1e-3)
    with_settling = blocks.n_passes
    assert with_settling <= 24


def test_progress_shows_each_pass(small_sample, monkeypatch, capsys):
    monkeypatch.setattr(progress, "_LOG_SECONDS", 0.0)
    blocks = Blocks(4)
    mixture = fastgmm.fit(blocks, 5, progress=True, random_state=0)
    lines = capsys.readouterr().err.splitlines()
    assert re.search(r"start 1 of 1 .*, 5,000 rows read at [\d,]+ rows/s$", lines[1])
    pattern = re.compile(r"; (\d+)% of a pass at [\d,]+ rows/s, \d\d:\d\d left$")
    shares = [found[1] for found in map(pattern.search, lines) if found]
    assert shares == ["25", "50", "75", "100"] * mixture.n_iter
    assert any("search: " in line for line in lines)


def test_times_have_hours_if_they_need_them():
    assert [progress._minutes(s) for s in (0, 59.6, 3599, 3600, 36061)] == [
        "00:00", "01:00", "59:59", "1:00:00", "10:01:01"
    ]  # fmt: skip


SLOW = """
import time
import numpy as np
import fastgmm
X = np.random.default_rng(0).normal(size=(1000, 2))
calls = 0
def blocks():
    global calls
    calls += 1
    for number in range(10):
        if calls > 3:
            print("reading", flush=True)
            time.sleep(600)
        yield X + number
fastgmm.fit(blocks, 2, random_state=0, tol=0.0)
"""


def test_an_interrupt_does_not_wait_for_a_block():
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "reading\n"
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert "KeyboardInterrupt" in error
