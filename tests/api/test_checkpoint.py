"""Checkpoints: a fit that was killed goes on with the same bits, or says why it cannot."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import problems
import pytest

import fastgmm
from fastgmm.sources import survey

pytestmark = pytest.mark.filterwarnings("ignore::fastgmm.ConvergenceWarning")
SLOW = {"tol": 1e-7, "max_iter": 60, "random_state": 0, "init_params": "kmeans"}


class Killed(BaseException):
    """Ends a fit in its callback, as a signal would."""


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def X():
    return problems.overlapping(1200, 3, 3).X


def interrupted(X, every, **options):
    """Fit with a kill after each `every` passes of a process; return the mixture and the kills."""
    for kills in range(1000):
        seen = []

        def callback(iteration, _, seen=seen):
            seen.append(iteration)
            if len(seen) == every:
                raise Killed

        try:
            return fastgmm.fit(X, 3, checkpoint="c.npz", callback=callback, **options), kills
        except Killed:
            pass


@pytest.mark.parametrize(
    "options",
    [
        {"max_iter": 15},
        {"init_params": "auto"},  # with quasi-Newton steps
        {"init_params": "auto", "tol": 1e-5, "covariance_type": "tied"},
        {"init_params": "random", "n_init": 3, "max_iter": 5},
        {"init_params": "random_from_data", "on_collapse": "reset", "max_iter": 9},
        {"missing": "em", "max_iter": 6},
    ],
    ids=str,
)
def test_a_killed_fit_has_the_same_bits(X, options, assert_same_mixture):
    options = SLOW | options
    if options.get("missing"):
        X = np.where(np.random.default_rng(0).random(X.shape) < 0.05, np.nan, X)
    expected = fastgmm.fit(X, 3, checkpoint="whole.npz", **options)
    mixture, kills = interrupted(X, 2, **options)
    assert kills > 0
    assert_same_mixture(mixture, expected)
    assert mixture.search == expected.search
    plain = fastgmm.fit(X, 3, **options)  # its passes keep bounds
    np.testing.assert_allclose(mixture.log_likelihoods, plain.log_likelihoods, rtol=1e-11)


def test_without_a_seed_a_fit_goes_on_with_its_own(X, assert_same_mixture):
    options = SLOW | {"init_params": "random", "n_init": 2, "max_iter": 3}
    seeded = options | {"random_state": np.random.RandomState(5)}
    expected = fastgmm.fit(X, 3, **seeded)
    seeded = options | {"random_state": np.random.RandomState(5)}
    with pytest.raises(Killed):
        fastgmm.fit(X, 3, checkpoint="c.npz", callback=_kill, **seeded)
    mixture = fastgmm.fit(X, 3, checkpoint="c.npz", **(options | {"random_state": None}))
    assert_same_mixture(mixture, expected)


def _kill(*_):
    raise Killed


def test_the_file_is_a_model_and_the_end_of_a_fit_stays(X, assert_same_mixture):
    mixture = fastgmm.fit(X, 3, checkpoint="c.npz", **SLOW)
    reached = fastgmm.load("c.npz")
    np.testing.assert_array_equal(reached.means, mixture.means)
    np.testing.assert_array_equal(reached.log_likelihoods, mixture.log_likelihoods)

    def callback(iteration, _):
        raise AssertionError("no pass is left")

    again = fastgmm.fit(X, 3, checkpoint="c.npz", callback=callback, n_threads=1, **SLOW)
    assert_same_mixture(again, mixture)
    assert os.listdir() == ["c.npz"]


SCRIPT = """
import os, signal, sys
import fastgmm
from fastgmm.sources import survey
survey._SAMPLE_BYTES = 0
def kill(iteration, _):
    if iteration == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
mixture = fastgmm.fit("d.npy", 3, tol=1e-6, max_iter=9, random_state=0, checkpoint="c.npz",
                      callback=kill)
"""


def test_a_killed_process_goes_on_with_the_rows_of_a_file(X, monkeypatch, assert_same_mixture):
    np.save("d.npy", X)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "4"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    monkeypatch.setattr(survey, "_SAMPLE_BYTES", 0)
    options = {"tol": 1e-6, "max_iter": 9, "random_state": 0}
    whole = fastgmm.fit("d.npy", 3, checkpoint="whole.npz", **options)
    with monkeypatch.context() as patch:  # the start is not made again
        patch.setattr("fastgmm.api.fit.starting_parameters", None)
        mixture = fastgmm.fit("d.npy", 3, checkpoint="c.npz", **options)
    assert_same_mixture(mixture, whole)
    assert mixture.search == whole.search
    assert mixture.n_passes == whole.n_passes + 1  # another first pass
    assert not list(Path().glob(".c-*"))


def test_a_fit_that_was_killed_before_its_first_pass(X, monkeypatch, assert_same_mixture):
    expected = fastgmm.fit(X, 3, checkpoint="whole.npz", **SLOW)
    with monkeypatch.context() as patch:
        patch.setattr("fastgmm.sources.array.ArraySource.steps", _kill)
        with pytest.raises(Killed):
            fastgmm.fit(X, 3, checkpoint="c.npz", **SLOW)
    assert fastgmm.load("c.npz").n_iter == 0  # the start
    monkeypatch.setattr("fastgmm.api.fit.starting_parameters", None)  # it is not made again
    assert_same_mixture(fastgmm.fit(X, 3, checkpoint="c.npz", **SLOW), expected)


def test_another_fit_is_refused(X):
    fastgmm.fit(X, 3, checkpoint="c.npz", **SLOW)
    before = Path("c.npz").read_bytes()
    for changed, reason in [
        ({"max_iter": 61}, "is of a fit with max_iter=60, not 61; pass the same arguments, or del"),
        ({"tol": 1e-6}, "is of a fit with tol=1e-07, not 1e-06"),
        ({"random_state": 1}, "of a fit with another random_state; pass the same seed, or delete"),
        ({"covariance_type": "diag"}, "covariance_type='full', not 'diag'"),
        ({"means_init": np.eye(3)}, "is of a fit with another means_init; pass"),
        ({"sample_weight": np.full(1200, 2.0)}, "c.npz is of a fit to other rows than X; pass"),
    ]:
        with pytest.raises(ValueError, match=reason):
            fastgmm.fit(X, 3, checkpoint="c.npz", **(SLOW | changed))
    assert Path("c.npz").read_bytes() == before


def test_other_rows_are_refused_wherever_they_are(X, monkeypatch):
    monkeypatch.setattr(survey, "_SAMPLE_BYTES", 0)
    fastgmm.fit(lambda: [X], 3, checkpoint="c.npz", **SLOW)
    other = X.copy()
    other[5, 1] += 1e-9
    with pytest.raises(ValueError, match="of a fit to other rows"):
        fastgmm.fit(lambda: [X[:-1]], 3, checkpoint="c.npz", **SLOW)
    Path("c.npz").unlink()
    fastgmm.fit(X, 3, checkpoint="c.npz", **SLOW)
    with pytest.raises(ValueError, match="of a fit to other rows"):
        fastgmm.fit(other, 3, checkpoint="c.npz", **SLOW)


def test_files_that_are_no_checkpoint(X):
    mixture = fastgmm.fit(X, 3, checkpoint="c.npz", **SLOW)
    content = Path("c.npz").read_bytes()
    for size in (0, 100, len(content) // 2, len(content) - 1):
        Path("cut.npz").write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"checkpoint cannot be read: cut\.npz .*anew\.$"):
            fastgmm.fit(X, 3, checkpoint="cut.npz", **SLOW)
    mixture.save("model.npz")
    with pytest.raises(ValueError, match=r"model\.npz is a saved mixture without the state of a"):
        fastgmm.fit(X, 3, checkpoint="model.npz", **SLOW)
    with pytest.raises(TypeError, match="checkpoint must be the name of a file but is 3"):
        fastgmm.fit(X, 3, checkpoint=3, **SLOW)
    with pytest.raises(FileNotFoundError, match="there is no folder 'no'; make it"):
        fastgmm.fit(X, 3, checkpoint="no/c.npz", **SLOW)
