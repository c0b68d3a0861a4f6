"""EM with quasi-Newton steps where it creeps.

Each pass gives the objective at the parameters it was taken under, and where an EM step leads from
them. So a pass at extrapolated parameters costs no more than the EM iteration it replaces, and
shows by itself whether the extrapolation is worth keeping. `run_to_convergence` alternates:

- Plain EM as long as it gains more than `_CREEP` in a pass, and for `_FIRST` passes.
- Then a pass at the end of a quasi-Newton step (see `fastgmm.em.secants`). It is kept if the
  objective has not fallen. Otherwise it is thrown away: one pass is lost, an EM step follows, and
  the next quasi-Newton step is shorter.
- No step, if the passes lost so far and this one may be more than a tenth of those that EM is
  expected to need (`_SHARE`). Fast problems run plain EM, bit for bit.
- If a quasi-Newton step gained less than `tol`, an EM step. The run ends if that gains less than
  `tol`, too, and the curvature seen says that no more than `tol` is left to gain. Without
  quasi-Newton steps Aitken's estimate says so: see `fastgmm.em.stopping`.

A component that was moved or regularised restarts the history. A step that makes a component
collapse, or after which a pass must be repeated, is thrown away: such components are left to EM.

What "has not fallen" means
    With a `reg_covar` e the M-step does not maximise the likelihood. At given responsibilities it
    maximises the log-likelihood per row minus ``e / 2 sum_k w_k tr Sigma_k^-1``, where w are the
    new weights. This must not fall, with the weights of the EM step from the same point, and
    neither must the objective, unless the last EM step lowered it, too. Judged by the likelihood
    alone, right steps were thrown away at the end: with e = 0.01 and features of unit variance, 1.6
    times fewer passes than plain EM in place of 3.4. Such runs may need more passes than plain EM
    (4 times at worst), which takes a turn of the objective for its end.

Measured on 127 slow problems (plain EM needs 60 passes or more at tol = 1e-8; 1, 2, 5 and 10
features, 2 to 8 components, four covariance types, 500 to 3,000 rows; overlapping clusters, small
components; k-means and random starts). Times fewer passes than plain EM, `run_em`, to the end:

- Quasi-Newton steps from 10 secants: 5.2 in the median (full 5.9, tied 4.2, diag 7.6, spherical
  5.0), 1.7 at worst. From 5 secants 4.9, from 20 secants 5.2.
- Where plain EM needs few passes: as many at worst.
- Both kinds of run end in another optimum now and then, because plain EM, too, passes saddle
  points by chance. Accelerated, 5 of 127 runs ended lower than plain EM by more than 1e-5, and 11
  higher; all others ended no lower. If steps begin earlier, more do: with `_CREEP` = 0.001 5.7
  times fewer passes, 10 lower and 9 higher; with 0.01 6.0, 11 and 14; with 1e-4 4.5, 3 and 14.
- Anderson's mixing in the same coordinates with the same safeguards: 3.2 with a window of 5, 3.0
  with 10, 1.0 at worst. Far more of its steps are thrown away.
- Quasi-Newton steps in coordinates without the roots of the weights: 1.3, and 14 times more
  passes at worst.
- The Cholesky factor of the covariance in place of that of the precision: no difference.
- A short step that bends from EM's step to the quasi-Newton step (a dogleg) in place of a straight
  one: 5.2, no difference.
- A step was called too long if it gained less than half an EM step, in place of a part of what it
  was expected to gain: 5.0, and on a saddle point 301 steps as short as EM's own.
- The run ended as soon as no more than `tol` was left, not `_SURE` times `tol`: 5.3, but one run
  in 127 ended 6e-7 lower than plain EM.

On 125 further problems that no constant was chosen for: 4.9 in the median, 1.2 at worst, 4 lower
and 23 higher. Beside its pass a step of up to 10 features and 8 components costs 0.5 to 1 ms, on
one core: with few rows that is more than a pass, and fewer passes may take as long.

The looser `tol`, the less there is to gain. Against EM with Aitken's rule, which ends no earlier:
4.0 times fewer passes at tol = 1e-5, as many in the median at 1e-3, where EM seldom creeps before
it ends. Single runs then need up to 2.8 times as many.

Each alternative was measured beside the version of its day, which itself had 5.0 to 5.9 (Anderson's
mixing, the coordinates, the factor: 5.9). Anderson's mixing is what DAAREM does (Henderson and
Varadhan 2019). SQUAREM (Varadhan and Roland 2008) was not tried.
"""

import math
from typing import NamedTuple

import numpy as np

from fastgmm.em.loop import Policy, Run, Settings, em_steps, pass_is_imprecise
from fastgmm.em.secants import Secants
from fastgmm.em.stopping import has_converged, passes_left
from fastgmm.model.base import Model
from fastgmm.model.parameters import Parameters
from fastgmm.sources.base import Source

_CREEP = 3e-4  # nats per row: EM that gains less in a pass creeps
_FIRST = 5  # EM steps before the first quasi-Newton step
_SECANTS = 10  # remembered; fewer if they need more than `_BYTES`
_BYTES = 2**28
_SHARE = 0.1  # of all passes: the most that may be lost
_AHEAD = 50.0  # the most passes that are expected ahead when `_SHARE` is applied
_WORTH = 4.0  # passes that EM must have ahead before the first quasi-Newton step
_SURE = 0.25  # of `tol`: the curvature seen may miss a direction in which EM creeps
_SHORT = 4.0  # times `tol`: EM's step, squared, is at most about twice what it gains
_FLOOR = 0.9  # of `reg_covar`: the least variance of a feature given others; 1 but for rounding
_LEAST_STRETCH = 1.5  # lengths of quasi-Newton steps, in units of EM's step
_FIRST_STRETCH = 4.0
_POOR = 0.25  # of the gain expected: a step that gained less was too long
_GOOD = 0.5  # of the gain expected: after a step that gained more, the next may be twice as long


class Convergence(NamedTuple):
    """A run to convergence, and what it took.

    `passes` counts the passes over the rows: one for each entry of ``run.objectives``, and one for
    each of the `rejected` quasi-Newton steps. `accepted` counts those that were kept.
    """

    run: Run
    passes: int
    accepted: int
    rejected: int


class _Place(NamedTuple):
    """Parameters, the EM step's new ones, and the objective at the former."""

    parameters: Parameters
    new: Parameters
    objective: float


def run_to_convergence(
    source: Source,
    model: Model,
    parameters: Parameters,
    settings: Settings,
    policy: Policy,
    accelerate: bool = True,
) -> Convergence:
    """Iterate from `parameters` until no more than ``settings.tol`` is left to gain.

    The objective of an iteration is that of the parameters before its M-step, as in `run_em`, and
    ``run.objectives`` has one entry for each iteration that was kept. They never fall, except
    where `reg_covar` makes EM's own steps fall: see the module's notes. The callback is called
    after each pass with the number of passes and the last objective that was kept.

    Parameters
    ----------
    source, model, parameters, settings, policy
        As in `run_em`; ``settings.max_iter`` is the greatest number of passes.
    accelerate : bool, default=True
        Take quasi-Newton steps. If false, this is EM that ends by Aitken's estimate.
    """
    # The ends of steps are computed from coordinates: fixed parts would change by rounding.
    accelerate = accelerate and model.covariance_type.has_coordinates and model.fixed is None
    most = _remembered(parameters) if accelerate else 0
    secants = Secants(model.covariance_type, most)
    climb = _Climb(source, model, settings, policy, secants)
    return climb.run(parameters)


class _Position(NamedTuple):
    """Where a run is between two passes.

    Without a `place` an EM step from `new` comes next. `last_chance` tells that a quasi-Newton step
    failed where EM ends: the run ends if that EM step gains little, too.
    """

    place: _Place | None
    new: Parameters
    last_chance: bool = False


# Attributes of a run that the journal keeps, beside the position and the secants.
_STATE = (
    "_stretch", "_passes", "_accepted", "_rejected", "_objectives", "_creeps", "_em_falls",
    "_em_objectives", "_rate", "_gain",
)  # fmt: skip


class _Climb:
    """The state of one run to convergence."""

    def __init__(self, source, model, settings, policy, secants):
        self._source, self._model = source, model
        self._settings, self._policy = settings, policy
        self._total_weight = source.total_weight
        self._secants = secants
        self._stretch = _FIRST_STRETCH
        self._passes = self._accepted = self._rejected = 0
        self._stopped = False
        self._objectives = []
        self._creeps = False
        self._em_falls = False  # the last EM step lowered the objective: `reg_covar` does that
        self._em_objectives = []  # of the consecutive EM steps that end at the present place
        self._rate = 1.0
        self._gain = math.inf  # of the last iteration
        self._reported = 0  # passes that the callback knows of

    def run(self, parameters):
        """Iterate; return a `Convergence`."""
        at = self._resumed() or _Position(None, self._policy.repair(parameters, iterated=False)[0])
        self._keep_state(at)
        while True:
            if at.place is None:
                if not self._may_go_on():
                    return self._result(at.new, False)
                place = self._em(at.new)
                at = at._replace(place=place, new=place.new)
                self._after_pass(at)
            step = self._step()
            em_ends = self._em_ends(step)
            converged = em_ends and (at.last_chance or self._nothing_left(step))
            if converged or not self._may_go_on():
                return self._result(at.new, converged)
            at = self._next(at, step, em_ends)

    def _next(self, at, step, em_ends):
        """Try a step if there is one and it promises enough; return where the run goes on."""
        if step is None or not self._tries(step, em_ends):
            return _Position(None, at.new)
        better = self._extrapolated(at.place, step)
        at = _Position(None, at.new, em_ends) if better is None else _Position(better, better.new)
        self._after_pass(at)
        return at

    def _after_pass(self, at):
        """Keep the state and call the callback, if there was a pass since the last call."""
        if self._passes == self._reported:
            return
        self._reported = self._passes
        self._keep_state(at)
        callback = self._settings.callback
        if callback is not None:
            self._stopped = callback(self._passes, self._objectives[-1]) is True

    def _keep_state(self, at):
        """Tell the journal everything that the run depends on."""
        state = {name: getattr(self, name) for name in _STATE}
        state["_secants"] = self._secants.pairs
        self._settings.journal.keep(at.new, self._objectives, {**state, "at": at})

    def _resumed(self):
        """Restore the state that the journal kept; return the position, None without one."""
        kept = self._settings.journal.kept()
        if kept is None:
            return None
        for name in _STATE:
            setattr(self, name, kept[name])
        self._reported = self._passes
        for before, after in kept["_secants"]:
            self._secants.add(before, after)
        place, new, last_chance = kept["at"]
        return _Position(place and _Place(*place), new, last_chance)

    def _may_go_on(self):
        """Return whether another pass is allowed."""
        return not self._stopped and self._passes < self._settings.max_iter

    def _em(self, parameters):
        """Take a pass at the parameters that an EM step led to; return the place."""
        ((raw, (objective,)),) = em_steps(self._source, self._model, [parameters], 1)
        new, moved = self._policy.repair(raw)
        place = _Place(parameters, new, objective)
        self._em_objectives.append(objective)
        self._keep(place)
        self._em_falls = self._gain < 0
        if len(self._em_objectives) > 2:
            before, gain = np.abs(np.diff(self._em_objectives[-3:]))  # `reg_covar` makes them fall
            self._rate = float(gain / before) if gain < before else 1.0
        if moved or new is not raw:
            self._forget(moved)
        return place

    def _forget(self, moved):
        """Restart the history: the next step is not the model's EM step from this place."""
        self._secants.clear()
        self._creeps = False
        if moved:
            self._em_objectives.clear()
            self._gain = math.inf

    def _keep(self, place):
        """Record a place that the run went to."""
        if self._objectives:
            self._gain = place.objective - self._objectives[-1]
        self._objectives.append(place.objective)
        self._secants.add(place.parameters, place.new)
        self._passes += 1

    def _step(self):
        """Return the next quasi-Newton step, or None if an EM step is due."""
        self._creeps |= len(self._secants) > _FIRST and self._gain < _CREEP
        em_is_due = len(self._em_objectives) == 1 and self._gain < self._settings.tol
        return self._secants.step() if self._creeps and not em_is_due else None

    def _em_ends(self, step):
        """Return whether the last iteration was an EM step that changed less than `tol`.

        With a large `reg_covar` the objective rises, falls and stands still in between. If so,
        the next EM step is not short.
        """
        tol = self._settings.tol
        if len(self._em_objectives) < 2 or abs(self._gain) >= tol:
            return False
        return step is None or step.em_gain < _SHORT * tol

    def _nothing_left(self, step):
        """Return whether no more than `tol` is left to gain."""
        tol = self._settings.tol
        if step is None and len(self._secants) > 1:
            step = self._secants.step()  # for its estimate alone
        if step is not None and step.gain < _SURE * tol:
            return True
        is_plain = step is None or not self._accepted
        return is_plain and has_converged(self._em_objectives, tol)

    def _tries(self, step, em_ends):
        """Return whether the passes lost stay few enough if this step is thrown away."""
        left = passes_left(step.em_gain, self._rate, self._settings.tol)
        if not (self._accepted or em_ends or left >= _WORTH):
            return False
        most = _SHARE * (self._passes + min(_AHEAD, left))
        return em_ends or self._rejected + 1 <= most

    def _extrapolated(self, place, step):
        """Take a pass at the end of a step; return the new place, or None if it was rejected."""
        taken = step.at_most(self._stretch)
        candidate = taken.end()
        if not self._is_valid(candidate):
            self._stretch = _shorter(self._stretch, taken)
            return None
        better, gain = self._place_at(candidate, place)
        if better is None:
            self._rejected += 1
            self._stretch = _shorter(self._stretch, taken)
            self._passes += 1
            return None
        part = gain / step.gain_of(taken)
        if part < _POOR:
            self._stretch = max(_LEAST_STRETCH, taken.stretch / 2.0)
        elif part > _GOOD and taken.stretch < step.stretch:
            self._stretch = 2.0 * taken.stretch
        self._accepted += 1
        self._em_objectives = [better.objective]
        self._keep(better)
        self._gain = gain
        return better

    def _is_valid(self, candidate):
        """Return whether all numbers are finite and no covariance is below what EM can reach."""
        kind, shape = self._model.covariance_type, candidate.means.shape
        if not all(np.isfinite(values).all() for values in candidate):
            return False
        floor = _FLOOR * self._model.reg_covar
        return bool((kind.pivots(candidate.factors, *shape) >= floor).all())

    def _place_at(self, candidate, place):
        """Take one pass; return the place at a candidate (None if it is no better) and the gain."""
        source, model = self._source, self._model
        statistics = source.statistics(model, candidate)
        objective = model.objective(candidate, statistics, self._total_weight)
        rise = objective - place.objective
        gain = rise - _penalty_rise(model, place, candidate)
        if not (gain >= 0 and (rise >= 0 or self._em_falls)):
            return None, gain
        new = model.update(candidate, statistics, source.n_threads)
        if np.isnan(new.log_det).any() or pass_is_imprecise(source, model, candidate, new):
            return None, gain
        if (self._policy.on_few_points(new) & ~self._policy.on_few_points(place.new)).any():
            return None, gain
        return _Place(candidate, new, objective), gain

    def _result(self, parameters, converged):
        """Return the run that ends at `parameters`."""
        at_floor = self._policy.on_few_points(parameters) | self._policy.floor_raised
        regularized = tuple(np.flatnonzero(at_floor).tolist())
        objectives = tuple(self._objectives)
        run = Run(parameters, converged, self._stopped, objectives, regularized)
        return Convergence(run, self._passes, self._accepted, self._rejected)


def _shorter(stretch, taken):
    """Return the next greatest stretch after a step was thrown away."""
    return max(_LEAST_STRETCH, min(stretch, taken.stretch) / 4.0)


def _penalty_rise(model, place, candidate):
    """Return how much ``reg_covar / 2 sum_k w_k tr Sigma_k^-1`` rises: see the module's notes."""
    if model.reg_covar == 0:
        return 0.0
    kind, shape = model.covariance_type, candidate.means.shape
    now, before = (
        kind.variances(kind.precisions(kind.public_factors(parameters.factors)), *shape).sum(axis=1)
        for parameters in (candidate, place.parameters)
    )
    return 0.5 * model.reg_covar * float(np.einsum("k,k", place.new.weights, now - before))


def _remembered(parameters):
    """Return how many EM steps are remembered; it depends on shapes alone."""
    per_step = 4 * 8 * (parameters.means.size + parameters.factors.size)
    return min(_SECANTS + 1, _BYTES // per_step)
