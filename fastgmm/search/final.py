"""The run of EM over all rows that follows a start."""

from collections.abc import Callable

from fastgmm.em.accelerate import run_to_convergence
from fastgmm.em.loop import Policy, Run, Settings
from fastgmm.model.base import Model
from fastgmm.model.parameters import Parameters
from fastgmm.sources.base import Source

_CREEPS = 1e-4  # nats per row: EM with a greater `tol` ends before quasi-Newton steps pay

FinalRun = Callable[[Source, Model, Parameters, Settings, Policy], Run]


def run_after_search(
    source: Source, model: Model, parameters: Parameters, settings: Settings, policy: Policy
) -> Run:
    """Run EM until no more than ``settings.tol`` is left to gain.

    It takes quasi-Newton steps where EM creeps.
    """
    accelerate = settings.tol <= _CREEPS
    return run_to_convergence(source, model, parameters, settings, policy, accelerate).run


# By start: those that are not here, scikit-learn's, are followed by `run_em`, which stops as
# scikit-learn does.
FINAL_RUNS: dict[str, FinalRun] = {"auto": run_after_search}
