"""The start "auto": a search for the right optimum on a sample of the rows.

Partitions of several kinds start EM on the sample. Successive halving leaves a few, which run to
convergence. Then swaps of components try to improve the best, until none does. Larger and larger
samples carry the result to all rows, so that the last run needs few passes over them.
"""

import numpy as np

from fastgmm.model.base import Model
from fastgmm.model.parameters import Parameters
from fastgmm.search.cell import SAME, Cell, Proposal, Trial
from fastgmm.search.merging import means_of
from fastgmm.search.moves import MERGES, swaps
from fastgmm.search.partitions import Partitions
from fastgmm.search.sample import Sample, make_sample
from fastgmm.search.settling import settled
from fastgmm.search.spurious import points_needed
from fastgmm.search.start import Start
from fastgmm.sources.base import Seed

# The plan of a search by the passes that it may take: iterations and trials kept, for each stage of
# halving.
_PLANS = {
    6000: ((3, 12), (10, 12), (20, 8)),
    200: ((3, 8), (7, 4), (10, 3)),
    0: ((2, 2), (5, 1)),
}
_SHORT = 200  # passes: with fewer allowed, a search leaves out what takes longest
_PASSES_OF_TRIAL = 12
_MOVE_PLAN = ((2, 6), (5, 3), (10, 2))
_PASSES_OF_MOVES = 60  # that the later stages take
_MOST_ROUNDS = 10
_MOST_SPLITS = 27  # proposals after each merge
_FULL_PASSES = 1.0  # over all rows, which a search may take as much time as
_LEAST_WORK = 1e10  # that a search on all rows may take: rows x components x parameters of each
_LEAST_ON_SAMPLE = 5e8  # and one on a sample
_FEW = 3  # starts from which an optimum may be clear
_CLEAR_AFTER = 10  # iterations of each
_MOST_SEARCHES = 6
_FOUND_AGAIN = 5e-5  # nats per row: two searches that differ by less have found the same optimum
_LADDER = 8  # ratio of the sizes of samples


def from_partitions(cell: Cell, partitions: Partitions, most: int | None = None) -> list[Trial]:
    """Return a trial for each partition into the cell's number of components, at most `most`."""
    sample, count = cell.sample, cell.n_components
    return cell.trials(
        Proposal(origin, Seed(means_of(sample.rows, sample.weight, labels, count), labels), False)
        for origin, labels in partitions.of(count, most)
    )


def is_worth_searching(sample: Sample, cell: Cell) -> bool:
    """Return whether there are components to place, and enough distinct rows for them."""
    needed = points_needed(cell.model, sample.source.n_features)
    n_distinct = np.count_nonzero(sample.yardstick.distinct)
    return cell.n_components > 1 and bool(n_distinct >= cell.n_components * max(needed, 1))


def auto(start: Start, random_state: np.random.RandomState) -> Parameters | None:
    """Return the parameters of the best optimum found, or None if all are spurious."""
    if start.n_components == 1:
        return None
    sample = make_sample(start.source, start.n_components, random_state)
    cell = Cell(sample, start.model, start.n_components, start.watch)
    if not is_worth_searching(sample, cell):
        return None
    allowed = _passes_allowed(start, sample)
    best = _repeated(cell, allowed, random_state)
    if start.record is not None:
        start.record.add(cell.record)
    if best is None:
        return None
    parameters = by_weight(start.model, best.parameters)
    return climb_ladder(start, parameters, sample.source.n_samples, random_state)


def _repeated(cell, allowed, random_state):
    """Return the best trial of several searches, or None if all are spurious.

    They end when two have found it, which no other exceeds, or when the passes are spent.
    """
    best: Trial | None = None
    for _ in range(_MOST_SEARCHES):
        cell.best = None
        is_clear = _search(cell, allowed, random_state.randint(2**31 - 1))
        found = cell.best
        if found is not None:
            gain = np.inf if best is None else found.objective - best.objective
            best = found if gain > 0 else best
            if is_clear or abs(gain) < _FOUND_AGAIN:
                break
        if 2 * cell.record.n_passes > allowed:
            break
    return best


def _search(cell, allowed, seed):
    """Search once, for a cell without an optimum; return whether a few starts made it clear."""
    is_short = allowed < _SHORT
    most = max(2, int(allowed // _PASSES_OF_TRIAL)) if is_short else None
    partitions = Partitions(cell.sample, [cell.n_components], seed, merging=not is_short)
    if not is_short and _is_clear(cell, from_partitions(cell, partitions, _FEW)):
        return True
    trials = from_partitions(cell, partitions, most)
    cell.compete(trials, next(plan for least, plan in _PLANS.items() if allowed >= least))
    if cell.best is not None:
        _swap(cell, allowed)
    return False


def _is_clear(cell, trials):
    """Return whether the optimum is clear from a few starts; the cell then has it.

    It is if two of them lead to the same optimum, no other leads higher, and no swap of components
    promises anything. Clusters that lie apart take a fifth of the passes of a search this way.
    """
    ranked = sorted(cell.advance(trials, _CLEAR_AFTER), key=lambda trial: -trial.objective)
    if len(ranked) < 2 or ranked[0].objective - ranked[1].objective > SAME:
        return False
    cell.offer(ranked[0])
    return cell.best is not None and next(_proposals(cell, 1), None) is None


def by_weight(model: Model, parameters: Parameters) -> Parameters:
    """Return the components in the order of their weights, the greatest first.

    Which of several trials that end in the same optimum came first, rounding decides; without an
    order of its own it would decide on the numbers of the components, too.
    """
    order = np.argsort(-parameters.weights, kind="stable")
    kind, n_features = model.covariance_type, parameters.means.shape[1]
    return Parameters(
        parameters.weights[order],
        parameters.means[order],
        kind.reordered(parameters.covariances, order, n_features),
        kind.reordered(parameters.factors, order, n_features),
        parameters.log_det[order],
    )


def _passes_allowed(start, sample):
    """Return how many passes over the sample a search may take."""
    kind, n_features = start.model.covariance_type, sample.source.n_features
    n_rows = sample.source.n_samples
    work = n_rows * start.n_components * (kind.n_parameters(1, n_features) + 2 * n_features)
    least = _LEAST_WORK if sample.is_whole else _LEAST_ON_SAMPLE
    return max(_FULL_PASSES * start.source.n_samples / n_rows, least / work)


def _swap(cell, allowed):
    """Swap components as long as that improves the optimum and passes are left."""
    for _ in range(_MOST_ROUNDS):
        affordable = int((allowed - cell.record.n_passes - _PASSES_OF_MOVES) // (3 * MERGES))
        if affordable < 1:
            break
        proposals = _proposals(cell, min(_MOST_SPLITS, affordable))
        trials = cell.trials(proposals)
        if not cell.compete(trials, _MOVE_PLAN):
            break


def _proposals(cell, most):
    """Yield swaps of the components of a cell's optimum, at most `most` after each merge."""
    sample = cell.sample
    if sample.coordinates is not None:
        resp, means = cell.responsibilities(), cell.optimum.parameters.means
        yield from swaps(sample.coordinates.whitened, sample.weight, resp, means, most)


def climb_ladder(
    start: Start, parameters: Parameters, n_rows: int, random_state: np.random.RandomState
) -> Parameters:
    """Return parameters found on `n_rows` rows, improved on samples of growing size."""
    n_rows *= _LADDER
    while n_rows <= start.source.n_weighted // 2:
        rung = start.source.sample(random_state, n_rows)
        parameters, n_rows = settled(rung, start.model, parameters), n_rows * _LADDER
    return parameters
