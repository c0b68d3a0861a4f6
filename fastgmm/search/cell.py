"""One cell of a search: a covariance type, a number of components, and its best optimum so far."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from fastgmm.em.loop import em_steps
from fastgmm.model.base import Model
from fastgmm.model.parameters import Parameters
from fastgmm.search.climb import LEFT, LEFT_ON_SAMPLE, climb
from fastgmm.search.record import SearchRecord
from fastgmm.search.sample import Sample
from fastgmm.search.spurious import at_floor, points_needed, spurious_components
from fastgmm.search.start import Start
from fastgmm.sources.base import Seed
from fastgmm.sources.operands import Densities
from fastgmm.sources.totals import totals

_BETTER = 1e-7  # nats per row by which an optimum must be better to replace another
_BETTER_FOR_NEIGHBOURS = 2e-5  # nats per row by which it must be better to be shown to neighbours
_MOST_REPLACED = 2  # trials for each winner of a competition
_MOST_BYTES = 2**25  # of responsibilities that are copied for one launch
SAME = 1e-5  # nats per row: trials that differ by less go to the same optimum


class Proposal(NamedTuple):
    """What a trial may start from: labels or responsibilities of the rows of a sample.

    `is_move` tells whether they come from another optimum.
    """

    origin: str
    seed: Seed
    is_move: bool = True


class Trial(NamedTuple):
    """Parameters on their way to an optimum, and their mean log-likelihood of a row.

    `is_move` tells whether they come from another optimum.
    """

    origin: str
    parameters: Parameters
    objective: float = -np.inf
    is_move: bool = False


class Cell:
    """The problem of one cell on the rows of a sample.

    Attribute `best` is the best valid trial so far, or None: one is valid if no covariance is
    singular and no component spurious. `version` counts improvements that neighbours should see.
    `record` has what the cell did.

    Parameters
    ----------
    sample : Sample
        The rows.
    model : Model
        The model to fit.
    n_components : int
        Number of components.
    watch : callable
        Called before each pass with the cell's record; it raises an exception to end the search.
    """

    def __init__(
        self,
        sample: Sample,
        model: Model,
        n_components: int,
        watch: Callable[[SearchRecord], object],
    ) -> None:
        self.sample = sample
        self.model = model
        self.n_components = n_components
        self.best: Trial | None = None
        self.version = 0
        self.record = SearchRecord(n_rows=sample.source.n_samples)
        self._watch = watch
        self._start = Start(sample.source, model, n_components)

    @property
    def optimum(self) -> Trial:
        """The best valid trial, where there is one."""
        assert self.best is not None
        return self.best

    def _end_if_asked(self):
        """Show what was done so far to whoever watches, who may end the search."""
        self._watch(self.record)

    def _tick(self):
        """Count a pass."""
        self._end_if_asked()
        self.record.n_passes += 1

    def trials(self, proposals: Iterable[Proposal]) -> list[Trial]:
        """Return a trial for each proposal."""
        trials: list[Trial] = []
        for some in _batches(proposals):
            self._end_if_asked()
            self.record.n_passes += len(some)
            self.record.n_candidates += len(some)
            seeds = [proposal.seed for proposal in some]
            found = self.sample.source.mixtures_from(self.model, seeds)
            for (origin, seed, is_move), parameters in zip(some, found, strict=True):
                if parameters is None:
                    parameters = self._estimate(*seed)
                trials.append(Trial(origin, parameters, is_move=is_move))
        return trials

    def _estimate(self, points, labels, resp):
        """Return the M-step's parameters from given labels or responsibilities."""
        kind, source = self.model.covariance_type, self.sample.source
        given = {"labels": labels} if labels.size else {"resp": resp}
        return self._start.estimate_from(
            points, lambda double: source.given(kind, points, double=double, **given)
        )

    def advance(self, trials: Iterable[Trial], n_iter: int) -> list[Trial]:
        """Return the trials after more iterations, without those with a singular covariance."""
        trials = [trial for trial in trials if not np.isnan(trial.parameters.log_det).any()]
        if not trials:
            return []
        self._end_if_asked()
        mixtures = [trial.parameters for trial in trials]
        advanced = []
        for trial, steps in zip(
            trials, em_steps(self.sample.source, self.model, mixtures, n_iter), strict=True
        ):
            self.record.n_passes += len(steps.objectives)
            if not np.isnan(steps.parameters.log_det).any():
                objective = steps.objectives[-1]
                advanced.append(trial._replace(parameters=steps.parameters, objective=objective))
        return advanced

    def compete(self, trials: Iterable[Trial], plan: Sequence[tuple[int, int]]) -> bool:
        """Halve the trials successively, run the winners to convergence and keep the best.

        Each stage of the plan is a number of iterations and the number of trials to keep. Trials
        that look spurious are kept only if there are not enough others. A winner that turns out
        spurious is replaced by one that was dropped, the last dropped first. Return whether
        neighbours should see the result.
        """
        winners, dropped = list(trials), list[Trial]()
        for n_iter, n_kept in plan:
            advanced = self.advance(winners, n_iter)
            winners = self._choose(advanced, n_kept)
            kept = set(map(id, winners))
            lost = [trial for trial in advanced if id(trial) not in kept]
            dropped = sorted(lost, key=lambda trial: -trial.objective) + dropped
        seen, n_winners = self.version, len(winners)
        for trial in winners + dropped[: _MOST_REPLACED * n_winners]:
            n_winners -= not self.offer(trial)
            if n_winners == 0:
                break
        return self.version > seen

    def _choose(self, trials, n_kept):
        """Return the best trials with different objectives; those that look spurious come last."""
        kept: list[Trial] = []
        spurious: list[Trial] = []
        for trial in sorted(trials, key=lambda trial: -trial.objective):
            if len(kept) == n_kept:
                break
            if _is_new(trial, kept):
                looks_spurious = self._looks_spurious(trial.parameters)
                (spurious if looks_spurious else kept).append(trial)
        for trial in spurious:
            if len(kept) < n_kept and _is_new(trial, kept):
                kept.append(trial)
        return kept

    def offer(self, trial: Trial) -> bool:
        """Run a trial to convergence and keep it if it is the best; return if it was spurious."""
        best = -np.inf if self.best is None else self.best.objective
        if np.isnan(trial.parameters.log_det).any():
            return True
        source = self.sample.source
        left = LEFT if self.sample.is_whole else LEFT_ON_SAMPLE
        parameters, objectives = climb(
            source, self.model, trial.parameters, best, self._end_if_asked, left=left
        )
        self.record.n_passes += len(objectives)
        if np.isnan(parameters.log_det).any():
            return True
        if objectives[-1] <= best + _BETTER:
            return False
        if self.is_spurious(parameters):
            return True
        self.record.n_moves += trial.is_move
        self.best = trial._replace(parameters=parameters, objective=objectives[-1])
        self.version += bool(objectives[-1] > best + _BETTER_FOR_NEIGHBOURS)
        return False

    def _looks_spurious(self, parameters):
        """Return whether components have too little weight or variance, without a pass."""
        needed = points_needed(self.model, parameters.means.shape[1])
        if (parameters.weights * len(self.sample.rows) < needed - 0.5).any():
            return True
        return bool(at_floor(self.model, parameters, self.sample.yardstick))

    def is_spurious(self, parameters: Parameters) -> bool:
        """Return whether a component is spurious on the rows of the sample."""
        self._tick()
        yardstick = self.sample.yardstick
        densities = Densities(self.model, parameters)
        points = totals(self.sample.source, densities, yardstick.distinct).points
        return bool(spurious_components(self.model, parameters, (), yardstick, points))

    def responsibilities(self) -> np.ndarray:
        """Return the responsibilities (n_rows, n_components) of the best trial, in float64."""
        source = self.sample.source
        densities = Densities(self.model, self.optimum.parameters)
        (block,) = source.answers(densities, ("proba",), source.n_samples)
        return block.proba.astype(np.float64)


def _batches(proposals):
    """Yield lists of consecutive proposals that may be computed together."""
    some: list[Proposal] = []
    n_bytes = 0
    for proposal in proposals:
        seed = proposal.seed
        if some and (
            n_bytes > _MOST_BYTES or bool(seed.labels.size) != bool(some[0].seed.labels.size)
        ):
            yield some
            some, n_bytes = [], 0
        some.append(proposal)
        n_bytes += seed.resp.nbytes + seed.labels.nbytes
    if some:
        yield some


def _is_new(trial, others):
    """Return whether a trial's objective differs from those of all others."""
    return all(abs(trial.objective - other.objective) > SAME for other in others)
