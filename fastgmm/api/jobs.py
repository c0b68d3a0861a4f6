"""What helper processes compile while a fit begins: see `fastgmm.api.precompile`."""

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

import numpy as np

from fastgmm.jit.helpers import HELPERS
from fastgmm.jit.turns import TURN
from fastgmm.model.covariance import CovarianceType

FEW_CLUSTERS = 3  # so few that labels take one byte


class Job(NamedTuple):
    """What to compile: the name of a function below, its argument, and the type of the rows."""

    name: str
    argument: str | int
    dtype: str


def expect_fits(kinds: Iterable[CovarianceType], dtype: np.dtype, n_threads: int | None) -> None:
    """Let helpers compile what fits of some covariance types need, if anything is not compiled.

    The process that fits begins with the passes of the first type itself.
    """
    first, *others = (kind.name for kind in kinds)
    jobs = [
        *(Job("em", name, dtype.name) for name in others[::-1]),
        Job("infer", first, dtype.name),
        Job("assign", FEW_CLUSTERS, dtype.name),
        Job("seed", "", dtype.name),
        *(Job("infer", name, dtype.name) for name in others),
    ]
    ask_for_helpers(jobs, n_threads)


def ask_for_helpers(jobs: list[Job], n_threads: int | None) -> None:
    """Let helpers run jobs once machine code is missing."""
    if TURN.waits:  # helpers have none of their own
        HELPERS.ask_for(partial(_program, jobs), len(jobs), n_threads)


def _program(jobs: list[Job]) -> str:
    """Return Python that runs jobs."""
    plain = [tuple(job) for job in jobs]
    return f"from fastgmm.api.precompile import run_as_helper; run_as_helper({plain!r})"
