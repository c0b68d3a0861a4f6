"""The starts of a grid of fits: what its candidates share.

k-means runs once for each number of components and serves all covariance types. A search runs once
for the whole grid. Other starts are made for each candidate alone.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from fastgmm.model.base import Model
from fastgmm.model.parameters import Parameters
from fastgmm.search.auto import climb_ladder
from fastgmm.search.kmeans import kmeans
from fastgmm.search.neighbours import Neighbourhood
from fastgmm.search.sample import make_sample
from fastgmm.search.start import Given, Start, from_labels
from fastgmm.search.starts import starting_parameters
from fastgmm.sources.base import Source

Run = Callable[[Start, np.random.RandomState], Parameters]


class GridPlan(NamedTuple):
    """How the candidates of a grid start: the name of the start, and how many each has.

    `models` and `counts` are those of the candidates. `n_threads` is the number of threads of a
    search, during which nothing else runs.
    """

    init_params: str
    n_init: int
    seed: int
    models: Sequence[Model]
    counts: Sequence[int]
    n_threads: int


class Prepared(NamedTuple):
    """Starts for one number of components: functions of a `Start` and a generator.

    `random_state` is the generator's state with which they are called.
    """

    runs: Sequence[Run]
    random_state: np.random.RandomState


class GridStarts(ABC):
    """The starts of a grid on the rows of one source.

    Parameters
    ----------
    source : Source
        The rows.
    plan : GridPlan
        How the candidates start.
    tick : callable
        Called now and then; it raises an exception to end the work.
    """

    def __init__(self, source: Source, plan: GridPlan, tick: Callable[[], None]) -> None:
        self.source = source
        self.plan = plan
        self.tick = tick

    @abstractmethod
    def prepare(self, n_components: int) -> Prepared:
        """Return the starts for one number of components."""

    def generator(self) -> np.random.RandomState:
        """Return a generator with the seed of the plan."""
        return np.random.RandomState(self.plan.seed)


class SeparateStarts(GridStarts):
    """Starts that each candidate makes for itself."""

    def prepare(self, n_components):
        """Return the start by name, `n_init` times."""

        def run(start, random_state):
            return starting_parameters(start, self.plan.init_params, Given(), random_state)

        return Prepared([run] * self.plan.n_init, self.generator())


class SharedClusters(GridStarts):
    """Clusters of k-means, computed once for all covariance types."""

    def prepare(self, n_components):
        """Run k-means `n_init` times."""
        random_state = self.generator()
        rows = self.source.in_memory(random_state)
        runs = []
        for _ in range(self.plan.n_init):
            self.tick()
            labels, centers = kmeans(rows, n_components, random_state)
            runs.append(partial(_from_clusters, labels, centers))
        return Prepared(runs, random_state)


def _from_clusters(labels, centers, start, random_state):
    """Return estimates from the labels and centers of k-means."""
    return from_labels(start, labels, centers)


class SearchedStarts(GridStarts):
    """The optima of a search over all candidates, which runs when the first is needed."""

    def __init__(self, source, plan, tick):
        super().__init__(source, plan, tick)
        self._lock = threading.Lock()
        self._found: tuple[Neighbourhood, int] | None = None

    def prepare(self, n_components):
        """Search, unless that is done, and return the optimum of this number of components."""
        with self._lock:
            if self._found is None:
                self._found = self._search()
        return Prepared([self._start], self.generator())

    def _search(self):
        """Search on a sample of the rows; return the neighbourhood and the number of rows."""
        random_state = self.generator()
        rows = self.source.in_memory(random_state).view(self.plan.n_threads)
        counts = [count for count in self.plan.counts if count <= rows.n_weighted]
        sample = make_sample(rows, max(counts), random_state)
        seeds = random_state.randint(2**31 - 1, size=self.plan.n_init).tolist()
        neighbourhood = Neighbourhood(sample, self.plan.models, counts, seeds, self.tick)
        neighbourhood.search()
        return neighbourhood, sample.source.n_samples

    def _start(self, start, random_state):
        """Return the optimum found for a candidate, or the clusters of k-means if there is none."""
        assert self._found is not None
        neighbourhood, n_rows = self._found
        cell = neighbourhood.cell(start.model, start.n_components)
        start.record.add(cell.record)
        if cell.best is None:
            return starting_parameters(start, "kmeans", Given(), random_state)
        return climb_ladder(start, cell.best.parameters, n_rows, random_state)


def grid_starts(source: Source, plan: GridPlan, tick: Callable[[], None]) -> GridStarts:
    """Return the starts of a grid on the rows of a source."""
    kinds = {"auto": SearchedStarts, "kmeans": SharedClusters}
    return kinds.get(plan.init_params, SeparateStarts)(source, plan, tick)
