"""When EM has converged: estimates of what is left to gain and of how many passes are left.

Near an optimum each gain of the log-likelihood is about a constant times the one before, the
rate. Aitken's estimate of the limit is ``l + gain rate / (1 - rate)`` (Boehning, Dietz, Schaub,
Schlattmann and Lindsay 1994; McLachlan and Peel 2000, section 2.11). A rule that looks at the gain
alone, as scikit-learn's `tol` does, stops too early where EM creeps: with a rate of 0.998 what is
left is 500 times the last gain.
"""

import math
from collections.abc import Sequence

_SLOWEST = 0.999  # rate of convergence, beyond which nobody waits
_ROUNDING = 1e-13  # relative to the objective: a smaller gain is none


def convergence_rate(objectives: Sequence[float]) -> float:
    """Return the ratio of consecutive gains of EM: the greater of the last two ratios.

    `objectives` are those of consecutive EM iterations. EM's rate grows until the slowest
    direction is left over, so the greater ratio is the safer one. The rate is 1 if there are fewer
    than three objectives or if gains do not shrink, and 0 if the last gain is not positive or no
    more than rounding.
    """
    if len(objectives) < 2:
        return 1.0
    if _last_gain(objectives) <= 0:
        return 0.0
    rates = [_ratio(*objectives[end - 3 : end]) for end in _last_two(len(objectives))]
    return max(rates, default=1.0)


def remaining_gain(objectives: Sequence[float], slowest: float = 1.0) -> float:
    """Return Aitken's estimate of how much EM will still raise the objective.

    It is infinite if the rate is 1, and 0 if the objective no longer rises: rounding is all that
    changes it then. A greater rate than `slowest` counts as that.
    """
    rate = min(convergence_rate(objectives), slowest)
    if rate >= 1.0:
        return math.inf
    return rate and _last_gain(objectives) * rate / (1.0 - rate)


def has_converged(objectives: Sequence[float], tol: float) -> bool:
    """Return whether the last change and the remaining gain are below `tol`, both in nats per row.

    `objectives` are those of consecutive EM iterations. Where gains hardly shrink, or grow, EM has
    converged if a thousand times the last gain is below `tol`.
    """
    if len(objectives) < 2:
        return False
    return abs(objectives[-1] - objectives[-2]) < tol and remaining_gain(objectives, _SLOWEST) < tol


def passes_left(gain: float, rate: float, tol: float) -> float:
    """Return after how many more EM iterations a gain falls below `tol` at this rate."""
    if gain <= tol or rate <= 0.0:
        return 0.0
    if tol <= 0.0 or rate >= 1.0:
        return math.inf
    return math.log(tol / gain) / math.log(rate)


def _last_gain(objectives):
    """Return the last gain of at least two objectives, and 0 if it is no more than rounding."""
    gain = objectives[-1] - objectives[-2]
    return gain if abs(gain) > _ROUNDING * abs(objectives[-1]) else 0.0


def _last_two(n_objectives):
    """Return the ends of the last two triples among so many objectives."""
    return range(max(3, n_objectives - 1), n_objectives + 1)


def _ratio(first, second, third):
    """Return the ratio of two consecutive gains, at most 1; 1 if the first is not positive."""
    gain = second - first
    return min(1.0, max(0.0, third - second) / gain) if gain > 0 else 1.0
