"""What helper processes compile while a fit begins: see `fastgmm.api.precompile`."""

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

from fastgmm.jit.helpers import HELPERS
from fastgmm.jit.turns import TURN
from fastgmm.model.covariance import CovarianceType
from fastgmm.sources.base import Source

FEW_CLUSTERS = 3  # so few that labels take one byte
_MANY_ROWS = 10_000  # with fewer, no pass skips pairs as a rule


class Job(NamedTuple):
    """What to compile: the name of a function below, its argument, and the type of the rows."""

    name: str
    argument: str | int
    dtype: str


def expect_fits(kinds: Iterable[CovarianceType], source: Source) -> None:
    """Let helpers compile what fits of some covariance types need, if anything is not compiled.

    The process that fits begins with the moments of the first type and the pass that calls them.
    Helpers begin with what it needs last, and with the last types.
    """
    first, *others = kinds
    dtype = source.dtype.name
    jobs: list[tuple[str, str | int]] = [
        *((name, kind.name) for kind in others[::-1] for name in ("moments", *_steps(kind, dtype))),
        *((name, first.name) for name in _steps(first, dtype)[::-1]),
        ("assign", FEW_CLUSTERS),
        ("seed", ""),
    ]
    if source.n_samples >= _MANY_ROWS:
        jobs += [("about_center", kind.name) for kind in kinds if not kind.scatter_is_constant]
        jobs.append(("skipping", first.name))
    ask_for_helpers([Job(*job, dtype) for job in jobs], source.n_threads)


def _steps(kind: CovarianceType, dtype: str) -> list[str]:
    """Return the jobs that a fit of a covariance type needs done after "moments", in order."""
    needed = {
        "about_center": kind.scatter_is_constant,
        "step": dtype == "float64",  # runs of several iterations take no other rows
        "infer": True,
    }
    return [name for name, is_needed in needed.items() if is_needed]


def ask_for_helpers(jobs: list[Job], n_threads: int | None) -> None:
    """Let helpers run jobs once machine code is missing."""
    if TURN.waits:  # helpers have none of their own
        HELPERS.ask_for(partial(_program, jobs), len(jobs), n_threads)


def _program(jobs: list[Job]) -> str:
    """Return Python that runs jobs."""
    plain = [tuple(job) for job in jobs]
    return f"from fastgmm.api.precompile import run_as_helper; run_as_helper({plain!r})"
