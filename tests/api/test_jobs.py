"""What helper processes are asked to compile beside a fit, and that they do it."""

import ast

import numpy as np
import pytest

from fastgmm.api import jobs, precompile
from fastgmm.jit.turns import TURN, Busy
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.sources.array import ArraySource


@pytest.fixture
def asked(monkeypatch):
    """Return what was asked of helpers: (jobs, n_jobs, n_threads)."""
    calls = []

    def note(program, n_jobs, n_threads):
        listed = program()[program().index("(") + 1 : -1]
        calls.append((ast.literal_eval(listed), n_jobs, n_threads))

    monkeypatch.setattr(jobs.HELPERS, "ask_for", note)
    monkeypatch.setattr(TURN, "waits", True)  # restored afterwards
    return calls


def source_of(n_rows, n_threads=None):
    return ArraySource(np.zeros((n_rows, 2)), n_threads=n_threads)


def test_helpers_run_what_a_fit_will_need_except_what_others_compile(asked, monkeypatch):
    kinds = [COVARIANCE_TYPES[name] for name in ("full", "tied", "diag")]
    jobs.expect_fits(kinds, source_of(30, n_threads=2))
    ((listed, n_jobs, n_threads),) = asked
    assert (n_jobs, n_threads) == (11, 2)
    assert [job[:2] for job in listed] == [
        ("moments", "diag"), ("step", "diag"), ("infer", "diag"),
        ("moments", "tied"), ("about_center", "tied"), ("step", "tied"), ("infer", "tied"),
        ("infer", "full"), ("step", "full"), ("assign", 3), ("seed", ""),
    ]  # fmt: skip
    done = []

    def run(source, argument):
        if argument == "tied":
            raise Busy
        done.append(argument)

    monkeypatch.setattr(precompile, "_JOBS", dict.fromkeys(precompile._JOBS, run))
    precompile.run_as_helper(listed)
    assert done == ["diag", "diag", "diag", "full", "full", 3, ""]
    assert not TURN.waits


def test_helpers_have_no_helpers(asked, monkeypatch):
    TURN.waits = False
    jobs.expect_fits([COVARIANCE_TYPES["full"]], source_of(30))
    assert asked == []


def test_kernels_that_skip_pairs_are_expected_of_many_rows_only(asked):
    for n_rows in (30, 9_999, 10_000):
        jobs.expect_fits([COVARIANCE_TYPES["diag"]], source_of(n_rows))
    names = [[job[0] for job in listed] for listed, _, _ in asked]
    assert names[0] == names[1] == ["infer", "step", "assign", "seed"]
    assert names[2] == [*names[0], "about_center", "skipping"]


def test_every_job_runs(asked):
    """Those whose kernels the other tests compile anyway."""
    jobs.expect_fits([COVARIANCE_TYPES["full"]], source_of(10_000))
    for job in asked[0][0]:
        precompile._run(jobs.Job(*job))
