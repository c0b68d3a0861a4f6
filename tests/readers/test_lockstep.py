"""Fits in lockstep get the rows that they would get alone, and each pass is read once for all."""

import _thread
import signal
import threading
import weakref
from concurrent.futures import CancelledError, ThreadPoolExecutor

import numpy as np
import problems
import pytest

import fastgmm
from fastgmm.readers.arrays import CallableReader
from fastgmm.readers.lockstep import Lockstep, SharedReader
from fastgmm.sources.blocks import BlockSource, FoldReader

pytestmark = pytest.mark.filterwarnings("ignore::fastgmm.ConvergenceWarning")
X = problems.overlapping(3000, 3, 3).X
COUNTS, TYPES = [1, 2, 4], ["full", "diag"]


class Counted:
    """A function that yields blocks of rows, and counts its calls; `action` may end one early."""

    def __init__(self, at=-1, action=None):
        self.n_calls, self._at, self._action = 0, at, action

    def __call__(self):
        self.n_calls += 1
        yield X[:1000]
        if self.n_calls == self._at and self._action():
            return
        yield from (X[1000:1001], X[1001:])


def selection(counts=COUNTS, types=TYPES, blocks=None, **options):
    """Return the candidates of a selection, and how often it read the rows."""
    blocks = blocks or Counted()
    options = {"init_params": "kmeans", "random_state": 0, "tol": 1e-4} | options
    return list(fastgmm.select(blocks, counts, types, **options)), blocks.n_calls


@pytest.mark.parametrize("options", [{}, {"criterion": "held_out", "n_folds": 2}, {"n_init": 2}])
def test_a_selection_reads_as_often_as_its_longest_candidate(options):
    together, n_calls = selection(**options)
    alone = [selection([k], [kind], **options) for kind in TYPES for k in COUNTS]
    assert n_calls == max(n for _, n in alone) < sum(n for _, n in alone) / 2
    for ours, (theirs, _) in zip(together, alone, strict=True):
        assert ours.mixture == theirs[0].mixture
        for name in ("log_likelihood", "bic", "icl", "held_out"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs[0], name))


def test_the_number_of_threads_changes_no_bit(monkeypatch):
    from fastgmm.api import select

    one, _ = selection(n_threads=1)
    monkeypatch.setattr(select, "divide_threads", lambda *_: (3, 1))  # three compute at a time
    three, _ = selection()
    assert [c.mixture for c in one] == [c.mixture for c in three]


def test_candidates_that_fail_leave_the_others(monkeypatch):
    from fastgmm.api import grid

    run_em, (alone, _) = grid.run_em, selection([4], ["full"])

    def failing(source, model, parameters, settings, policy):
        def callback(iteration, _):
            if len(parameters.weights) < 4 and iteration == 2:
                raise ArithmeticError("no luck")

        return run_em(source, model, parameters, settings._replace(callback=callback), policy)

    monkeypatch.setattr(grid, "run_em", failing)
    together, _ = selection()
    assert [c.failure for c in together] == ["no luck", "no luck", ""] * 2
    assert together[2].mixture == alone[0].mixture


def test_errors_of_reading_reach_all():
    def fail():
        raise OSError("no such tape")

    with pytest.raises(OSError, match="no such tape"):
        selection(blocks=Counted(8, fail))
    candidates, _ = selection(blocks=Counted(8, lambda: True))
    assert {c.failure.partition(";")[0] for c in candidates} == {
        "X had 3000 rows in the first pass and has 1000 now"
    }


def test_an_interrupt_ends_all():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            selection([2, 4], blocks=Counted(8, _thread.interrupt_main), tol=0.0)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not [t for t in threading.enumerate() if t.name.startswith("fastgmm-select")]


def run(works, tick=lambda: None):
    """Run functions of a lockstep as its members, two at a time; return their futures."""
    turns = threading.Semaphore(2)
    lockstep = Lockstep(len(works), turns, tick)

    def member(work):
        with lockstep.member(), turns:
            return work(lockstep)

    with ThreadPoolExecutor(len(works)) as pool:
        return [pool.submit(member, work) for work in works]


def test_members_may_leave_a_pass_early_or_raise():
    reader = CallableReader(lambda: [X[i : i + 100] for i in range(0, 1000, 100)])

    def passes(lockstep):
        rows = SharedReader(reader, lockstep)
        return [sum(block.values.sum() for block in rows.ahead()) for _ in range(3)]

    def early(lockstep):
        for number, _ in enumerate(SharedReader(reader, lockstep).ahead()):
            if number == 4:
                break
        return passes(lockstep)

    def fails(lockstep):
        for number, _ in enumerate(SharedReader(reader, lockstep).ahead()):
            if number == 2:
                raise RuntimeError("of this one alone")

    a, b, c = run([passes, early, fails])
    assert a.result() == b.result()
    np.testing.assert_allclose(a.result(), [X[:1000].sum()] * 3)
    assert "of this one alone" in str(c.exception())


def test_the_end_of_all_comes_while_members_wait():
    ended, reader = threading.Event(), CallableReader(lambda: [X])

    def tick():
        if ended.is_set():
            raise CancelledError

    waits = lambda lockstep: list(SharedReader(reader, lockstep).ahead())  # noqa: E731

    def ends(lockstep):
        ended.set()
        assert threading.Event().wait(0.3) is False

    a, b, c = run([waits, waits, ends], tick)
    assert isinstance(a.exception(), CancelledError)
    assert isinstance(b.exception(), CancelledError)
    assert c.exception() is None


def test_few_blocks_are_kept_however_many_members_there_are():
    made, most = [], []

    class Watched(FoldReader):
        """Counts the blocks of folds that are there."""

        def _chosen(self, blocks):
            for block in super()._chosen(blocks):
                made.append(weakref.ref(block.values))
                most.append(sum(values() is not None for values in made))
                yield block
                del block

    reader = CallableReader(lambda: [X[i : i + 100] for i in range(0, 2000, 100)])
    found = BlockSource(FoldReader(reader, 0, 2, 0, False))._found

    def passes(lockstep):
        fold = Watched(SharedReader(reader, lockstep), 0, 2, 0, False)
        source = BlockSource(fold, 1, found)
        return [source.mean_and_variance() for _ in range(2)]

    members = run([passes] * 8)
    for member in members:
        for ours, first in zip(member.result(), members[0].result(), strict=True):
            np.testing.assert_array_equal(ours, first)
    assert len(most) == 8 * 4 * 20
    assert max(most) <= 3  # two compute at a time
