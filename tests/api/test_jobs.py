"""What helper processes are asked to compile beside a fit, and that they do it."""

import ast

import numpy as np
import pytest

from fastgmm.api import jobs, precompile
from fastgmm.jit.turns import TURN, Busy
from fastgmm.model.covariance import COVARIANCE_TYPES


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


def test_helpers_run_what_a_fit_will_need_except_what_others_compile(asked, monkeypatch):
    kinds = [COVARIANCE_TYPES[name] for name in ("full", "tied", "diag")]
    jobs.expect_fits(kinds, np.dtype("float64"), 2)
    ((listed, n_jobs, n_threads),) = asked
    assert (n_jobs, n_threads) == (7, 2)
    assert [job[:2] for job in listed] == [
        ("em", "diag"), ("em", "tied"), ("infer", "full"), ("assign", 3), ("seed", ""),
        ("infer", "tied"), ("infer", "diag"),
    ]  # fmt: skip
    done = []

    def run(source, argument):
        if argument == "tied":
            raise Busy
        done.append(argument)

    monkeypatch.setattr(precompile, "_JOBS", dict.fromkeys(precompile._JOBS, run))
    precompile.run_as_helper(listed)
    assert done == ["diag", "full", 3, "", "diag"]
    assert not TURN.waits


def test_helpers_have_no_helpers(asked, monkeypatch):
    TURN.waits = False
    jobs.expect_fits([COVARIANCE_TYPES["full"]], np.dtype("float64"), None)
    assert asked == []


def test_every_job_runs(asked):
    """Those whose kernels the other tests compile anyway."""
    jobs.expect_fits([COVARIANCE_TYPES["full"]], np.dtype("float64"), None)
    for job in asked[0][0]:
        precompile._run(jobs.Job(*job))
