"""One cell of a search: a covariance type, a number of components, and its best optimum so far."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from fastgmm.em.loop import em_step
from fastgmm.model.base import Model
from fastgmm.model.parameters import Parameters
from fastgmm.search.climb import LEFT, LEFT_ON_SAMPLE, climb
from fastgmm.search.record import SearchRecord
from fastgmm.search.sample import Sample
from fastgmm.search.spurious import at_floor, points_needed, spurious_components
from fastgmm.search.start import Start
from fastgmm.sources.operands import Densities
from fastgmm.sources.totals import totals

_BETTER = 1e-7  # nats per row by which an optimum must be better to replace another
_BETTER_FOR_NEIGHBOURS = 2e-5  # nats per row by which it must be better to be shown to neighbours
_SAME = 1e-5  # nats per row: trials that differ by less go to the same optimum


class Proposal(NamedTuple):
    """Responsibilities (n_rows, n_components) to start from, and points near the new means.

    `points` is (n_components, n_features). Moments are taken about them.
    """

    origin: str
    resp: np.ndarray
    points: np.ndarray


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
    tick : callable
        Called before each pass; it raises an exception to end the search.
    """

    def __init__(
        self, sample: Sample, model: Model, n_components: int, tick: Callable[[], None]
    ) -> None:
        self.sample = sample
        self.model = model
        self.n_components = n_components
        self.best: Trial | None = None
        self.version = 0
        self.record = SearchRecord(n_rows=sample.source.n_samples)
        self._end_if_asked = tick
        self._start = Start(sample.source, model, n_components)

    @property
    def optimum(self) -> Trial:
        """The best valid trial, where there is one."""
        assert self.best is not None
        return self.best

    def _tick(self):
        """Count a pass."""
        self._end_if_asked()
        self.record.n_passes += 1

    def from_labels(self, origin: str, labels: np.ndarray, points: np.ndarray) -> Trial:
        """Return a trial from labels (n_rows,) and points near the means of the clusters."""
        return Trial(origin, self._estimate(points, labels=labels))

    def from_proposal(self, proposal: Proposal) -> Trial:
        """Return a trial from responsibilities."""
        parameters = self._estimate(proposal.points, resp=proposal.resp)
        return Trial(proposal.origin, parameters, is_move=True)

    def _estimate(self, points, **given):
        """Return the M-step's parameters from given labels or responsibilities."""
        self._tick()
        self.record.n_candidates += 1
        kind, source = self.model.covariance_type, self.sample.source
        return self._start.estimate_from(
            points, lambda double: source.given(kind, points, double=double, **given)
        )

    def advance(self, trial: Trial, n_iter: int) -> Trial | None:
        """Return a trial after more iterations, or None if a covariance became singular."""
        source, parameters = self.sample.source, trial.parameters
        for _ in range(n_iter):
            if np.isnan(parameters.log_det).any():
                return None
            self._tick()
            before = parameters
            statistics, parameters = em_step(source, self.model, before)
        if np.isnan(parameters.log_det).any():
            return None
        objective = self.model.objective(before, statistics, source.total_weight)
        return trial._replace(parameters=parameters, objective=objective)

    def halve(self, trials: Iterable[Trial], plan: Iterable[tuple[int, int]]) -> list[Trial]:
        """Return the best trials after successive halving, the best first.

        Each stage of the plan is a number of iterations and the number of trials to keep. Trials
        that look spurious are kept only if there are not enough others.
        """
        for n_iter, n_kept in plan:
            advanced = [self.advance(trial, n_iter) for trial in trials]
            ranked = sorted(
                (trial for trial in advanced if trial is not None),
                key=lambda trial: (self._looks_spurious(trial.parameters), -trial.objective),
            )
            trials = _distinct(ranked)[:n_kept]
        return list(trials)

    def offer(self, trials: Iterable[Trial]) -> bool:
        """Run trials to convergence and keep the best; return whether neighbours should see it."""
        seen = self.version
        for trial in trials:
            self._offer(trial)
        return self.version > seen

    def _offer(self, trial):
        """Run a trial to convergence; keep it if it is valid and better than the best so far."""
        best = -np.inf if self.best is None else self.best.objective
        if np.isnan(trial.parameters.log_det).any():
            return
        self._tick()
        source = self.sample.source
        left = LEFT if self.sample.is_whole else LEFT_ON_SAMPLE
        parameters, objectives = climb(
            source, self.model, trial.parameters, best, self._tick, left=left
        )
        if objectives[-1] <= best + _BETTER or np.isnan(parameters.log_det).any():
            return
        if self.is_spurious(parameters):
            return
        self.record.n_moves += trial.is_move
        self.best = trial._replace(parameters=parameters, objective=objectives[-1])
        self.version += bool(objectives[-1] > best + _BETTER_FOR_NEIGHBOURS)

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


def _distinct(ranked):
    """Return the trials whose objectives differ from those of all better ones."""
    kept: list[Trial] = []
    for trial in ranked:
        if all(abs(trial.objective - other.objective) > _SAME for other in kept):
            kept.append(trial)
    return kept
