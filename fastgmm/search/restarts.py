"""Restarts: run EM from several starts and keep the best result."""

import math
from collections.abc import Callable

from fastgmm._errors import CollapseError
from fastgmm.em.loop import Run


def _is_better(run: Run, best: Run) -> bool:
    """Return whether a run ended higher than the best run so far, by more than rounding.

    A run without iterations has the objective -inf. Any later run replaces it.
    """
    new, old = run.objective, best.objective
    same = math.isclose(new, old, rel_tol=1e-12, abs_tol=1e-12)
    return old == -math.inf or (new > old and not same)


def best_of(
    n_init: int,
    run: Callable[[int], Run],
    first: int = 0,
    best: Run | None = None,
    note: Callable[[Run], object] | None = None,
) -> Run:
    """Call ``run(init)`` for `n_init` starts and return the `Run` with the greatest objective.

    Several starts often end in the same mixture with the components in another order. Of runs
    whose objectives differ only by rounding, the earliest is returned, on every machine.

    Parameters
    ----------
    n_init : int
        Number of starts.
    run : callable
        Returns the run of a start.
    first : int, default=0
        The first start to run: those before it were run already.
    best : Run, optional
        The best of the runs before.
    note : callable, optional
        Called with each run that is the best so far.

    Raises
    ------
    CollapseError
        The last start's error, if all starts fail. Failures of some starts are ignored.
    """
    failure = CollapseError()
    for init in range(first, n_init):
        try:
            outcome = run(init)
        except CollapseError as error:
            failure = error
            continue
        if best is None or _is_better(outcome, best):
            best = outcome
            if note is not None:
                note(best)
    if best is None:
        raise failure
    return best
