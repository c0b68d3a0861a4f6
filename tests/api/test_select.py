"""`select`: the table, the winner, spurious optima, and agreement of candidates with `fit`."""

import os
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from problems import blobs

import fastgmm
from fastgmm.api import grid as _grid
from fastgmm.api import select as _select
from fastgmm.api.schedule import divide_threads
from fastgmm.api.sources import rows_to_fit
from fastgmm.em.models import MaximumLikelihood
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.search import grid_starts
from fastgmm.search.spurious import make_yardstick, points_needed, spurious_components
from fastgmm.sources.array import ArraySource

OLD_FAITHFUL = Path(__file__).parents[2] / "examples" / "old_faithful.csv"
TYPES = ("full", "tied", "diag", "spherical")


@pytest.fixture(scope="module")
def faithful():
    return np.loadtxt(OLD_FAITHFUL, delimiter=",", skiprows=1)


@pytest.fixture(scope="module")
def thorough(faithful):
    """A selection from many starts, which also find a spurious optimum."""
    return fastgmm.select(faithful, random_state=0, n_init=10, init_params="kmeans")


def of(selection, covariance_type, n_components):
    (found,) = (c for c in selection if c.name == f"{covariance_type} {n_components}")
    return found


def best_of_type(selection, covariance_type):
    sound = [c for c in selection if c.covariance_type == covariance_type and not c.spurious]
    return min(sound, key=lambda c: c.bic).n_components


def check_faithful(selection):
    assert (selection.best.covariance_type, selection.best.n_components) == ("tied", 3)
    assert best_of_type(selection, "full") == 2
    assert best_of_type(selection, "tied") == 3
    # R's mclust: EEE with 3 components, -1126.326.
    winner = selection.winner
    assert winner.log_likelihood == pytest.approx(-1126.32, abs=0.03)
    assert winner.bic == pytest.approx(2314.3, abs=0.05)
    assert winner.n_parameters == 11


@pytest.mark.parametrize("seed", range(3))
def test_old_faithful_from_one_start(faithful, seed):
    check_faithful(fastgmm.select(faithful, random_state=seed))


def test_old_faithful_from_many_starts(thorough):
    check_faithful(thorough)


def test_collapse_onto_repeated_values_is_marked_and_does_not_win(thorough):
    collapsed = of(thorough, "diag", 5)
    assert collapsed.bic < 2225  # 90 better than the winner
    assert collapsed.spurious
    assert "at the floor" in collapsed.note
    (k,) = collapsed.spurious
    assert collapsed.mixture.covariances[k].min() < 2e-6


def test_criteria_are_those_of_the_mixture(faithful):
    selection = fastgmm.select(faithful, [1, 3], random_state=0)
    assert len(selection) == 8
    for candidate in selection:
        mixture = candidate.mixture
        assert candidate.log_likelihood == pytest.approx(272 * mixture.score(faithful), rel=1e-12)
        for name in ("bic", "aic", "icl"):
            expected = getattr(mixture, name)(faithful)
            assert getattr(candidate, name) == pytest.approx(expected, rel=1e-12), name


@pytest.mark.parametrize("criterion", ["bic", "aic", "icl"])
def test_the_winner_has_the_least_criterion(thorough, criterion):
    selection = fastgmm.Selection(thorough.candidates, criterion)
    sound = [getattr(c, criterion) for c in thorough if not c.spurious]
    assert getattr(selection.winner, criterion) == min(sound)


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("n_init", [1, 2])
@pytest.mark.parametrize("init_params", ["kmeans", "random", "k-means++"])
def test_a_candidate_is_what_fit_returns(faithful, assert_same_mixture, name, n_init, init_params):
    options = {"tol": 1e-4, "max_iter": 300, "n_init": n_init, "random_state": 3}
    options["init_params"] = init_params
    selection = fastgmm.select(faithful, [4], name, **options)
    mixture = fastgmm.fit(faithful, 4, covariance_type=name, **options)
    assert_same_mixture(selection.best, mixture)


def test_the_outcome_does_not_depend_on_parallelism(assert_same_mixture, monkeypatch):
    X = np.random.default_rng(0).normal(size=(1000, 3)) ** 3
    sides = []
    for n_workers in (1, 3):
        monkeypatch.setattr(_select, "divide_threads", lambda *_, n=n_workers: (n, 1))
        sides.append(fastgmm.select(X, [1, 3], criterion="held_out", random_state=5))
    for one, other in zip(*sides, strict=True):
        assert (one.name, one.bic, one.held_out) == (other.name, other.bic, other.held_out)
        assert_same_mixture(one.mixture, other.mixture)


@pytest.mark.parametrize(
    ("shape", "n_threads", "expected"),
    [
        ((272, 2), 8, (1, 1)),  # side by side they would wait for the interpreter lock
        ((20_000, 4), 8, (8, 1)),
        ((2_000_000, 8), 8, (1, 8)),
        ((300_000, 8), 1, (1, 1)),
    ],
)
def test_small_fits_share_the_threads(shape, n_threads, expected):
    X = np.broadcast_to(0.0, shape)
    assert divide_threads(ArraySource(X), 5, n_threads) == expected


def test_k_means_runs_once_for_all_types(faithful, monkeypatch):
    calls = []
    kmeans = grid_starts.kmeans
    monkeypatch.setattr(
        grid_starts, "kmeans", lambda data, k, *rest: calls.append(k) or kmeans(data, k, *rest)
    )
    fastgmm.select(faithful, range(1, 4), init_params="kmeans", random_state=0)
    assert sorted(calls) == [1, 2, 3]


def test_held_out_is_the_mean_over_rows_left_out(faithful):
    selection = fastgmm.select(faithful, [1, 2, 3], ["full"], "held_out", n_folds=3, random_state=0)
    order = np.random.RandomState(0).permutation(272)
    for candidate in selection:
        scores = []
        for rows in np.array_split(order, 3):
            rest = np.setdiff1d(order, rows)
            options = {"tol": 1e-5, "max_iter": 500, "n_init": 5, "random_state": 0}
            mixture = fastgmm.fit(faithful[rest], candidate.n_components, **options)
            scores.append(mixture.score_samples(faithful[rows]))
        # Rows of weight 0 change the random numbers of the starts, so the fits differ a little.
        assert candidate.held_out == pytest.approx(np.concatenate(scores).mean(), abs=0.03)
    assert selection.winner.held_out == max(c.held_out for c in selection)


def test_weights_count_as_copies(faithful):
    weight = np.random.default_rng(0).integers(0, 3, 272)
    weighted = fastgmm.select(faithful, [2], sample_weight=weight, random_state=0)
    copies = fastgmm.select(np.repeat(faithful, weight, axis=0), [2], random_state=0)
    for one, other in zip(weighted, copies, strict=True):
        assert one.bic == pytest.approx(other.bic, rel=1e-5)
        assert one.icl == pytest.approx(other.icl, rel=1e-5)


def test_the_table(faithful):
    selection = fastgmm.select(faithful, [2, 300], ["full", "diag"], random_state=0)
    table = selection.to_dict()
    assert list(table) == [
        "covariance_type", "n_components", "log_likelihood", "bic", "aic", "icl",
        "n_parameters", "converged", "seconds", "spurious", "best", "note",
    ]  # fmt: skip
    assert table["covariance_type"] == ["full", "full", "diag", "diag"]
    assert table["n_components"] == [2, 300, 2, 300]
    assert table["n_parameters"] == [11, 1799, 9, 1499]
    assert table["best"] == [True, False, False, False]
    assert table["converged"] == [True, False, True, False]
    assert table["note"][1].startswith("failed: X has 272 rows but n_components is 300")
    assert np.isnan(table["bic"][1])
    assert 0 < table["seconds"][0] < 10


@pytest.mark.parametrize("name", ["pandas", "polars"])
def test_frame(thorough, monkeypatch, name):
    library = pytest.importorskip(name)
    if name == "polars":
        monkeypatch.setitem(sys.modules, "pandas", None)
    frame = thorough.to_frame()
    assert isinstance(frame, library.DataFrame)
    assert frame.shape == (36, 12)
    assert list(frame["bic"]) == [candidate.bic for candidate in thorough]


def test_frame_without_either_library(thorough, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ImportError, match="needs pandas or polars"):
        thorough.to_frame()


def test_no_candidate_left():
    X = np.repeat([[0.0], [1.0]], 10, axis=0)
    selection = fastgmm.select(X, [2, 3], ["full"], random_state=0)
    assert selection.winner is None
    assert "best=None" in repr(selection)
    with pytest.raises(LookupError, match="No candidate can be chosen"):
        _ = selection.best


def test_failures_are_recorded(faithful):
    X = np.concatenate([faithful, np.tile([[9.0, 200.0]], (30, 1))])
    selection = fastgmm.select(X, [1, 3], ["full"], on_collapse="raise", random_state=0)
    assert selection[1].failure.startswith("The covariance of component")
    assert selection.best.n_components == 1


def test_a_long_fit_is_noted(faithful):
    options = {"max_iter": 2, "init_params": "kmeans", "random_state": 0}
    selection = fastgmm.select(faithful, [3], ["tied"], **options)
    assert selection.winner.note == "not converged"


@pytest.fixture
def interrupt_at(monkeypatch):
    """Interrupt the process in the clustering of some number of components.

    The clustering then waits until `select` has received the interrupt.
    """
    prepare = _grid.Grid.prepare
    # Shells start background jobs with interrupts ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def arrange(n_components):
        def interrupting(grid, count):
            if count == n_components:
                os.kill(os.getpid(), signal.SIGINT)
                assert grid.stop.wait(10)
            return prepare(grid, count)

        monkeypatch.setattr(_grid.Grid, "prepare", interrupting)

    yield arrange
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_keeps_what_is_done(faithful, interrupt_at):
    interrupt_at(3)
    with pytest.warns(RuntimeWarning, match="8 of 12 candidates are done"):
        selection = fastgmm.select(faithful, [1, 2, 3], random_state=0)
    assert selection.interrupted
    assert of(selection, "tied", 3).note == "failed: interrupted before it was fitted"
    assert selection.winner.name == "full 2"


def test_an_interrupt_before_anything_is_done_is_passed_on(faithful, interrupt_at):
    interrupt_at(1)
    with pytest.raises(KeyboardInterrupt):
        fastgmm.select(faithful, [1, 2, 3], random_state=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_components": []}, "n_components is empty"),
        ({"n_components": [2, 0]}, "n_components must be an integer of at least 1"),
        ({"n_components": 2.5}, "n_components must be an integer"),
        ({"covariance_type": []}, "covariance_type is empty"),
        ({"covariance_type": "round"}, "covariance_type must be one of full, tied"),
        ({"criterion": "dic"}, "criterion must be one of bic, aic, icl, held_out"),
        ({"n_folds": 1, "criterion": "held_out"}, "n_folds must be an integer of at least 2"),
        ({"tol": -1}, "tol must be finite and not negative"),
        ({"n_threads": 0}, "n_threads must be an integer of at least 1"),
        ({"random_state": -1}, "random_state must be"),
        ({"X": [[np.nan]]}, "NaN or infinite"),
    ],
)
def test_slips_are_refused(faithful, arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fastgmm.select(**{"X": faithful, **arguments})


def test_seeds(faithful, assert_same_mixture):
    one, two = (
        fastgmm.select(faithful, [4], ["full"], random_state=make(7))
        for make in (np.random.RandomState, np.random.RandomState)
    )
    assert_same_mixture(one.best, two.best)


class TestSpurious:
    """Which components count as spurious, and which do not."""

    def spurious(self, X, mixture, reg_covar=1e-6, sample_weight=None):
        yardstick = make_yardstick(rows_to_fit(X, sample_weight, None))
        points = yardstick.distinct @ mixture.predict_proba(X)
        model = MaximumLikelihood(COVARIANCE_TYPES[mixture.covariance_type], reg_covar)
        return spurious_components(
            model, mixture._parameters, mixture.regularized, yardstick, points
        )

    def fitted(self, X, k, covariance_type="full", **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", fastgmm.ConvergenceWarning)
            return fastgmm.fit(
                X, k, covariance_type=covariance_type, random_state=0, tol=1e-6, **options
            )

    @pytest.mark.parametrize(
        ("name", "n_features", "needed"),
        [
            ("full", 1, 4), ("full", 2, 5), ("full", 8, 11), ("tied", 2, 0),
            ("diag", 2, 4), ("diag", 50, 4), ("spherical", 1, 4), ("spherical", 2, 3),
        ],
    )  # fmt: skip
    def test_points_needed(self, name, n_features, needed):
        kind = fastgmm.model.covariance.COVARIANCE_TYPES[name]
        assert points_needed(MaximumLikelihood(kind), n_features) == needed

    @pytest.mark.parametrize("name", TYPES)
    @pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    @pytest.mark.filterwarnings("ignore:reg_covar is:UserWarning")
    def test_clear_clusters_are_sound(self, name, scale, dtype):
        X, _ = blobs(n_features=3, n_components=4)
        X = (scale * X).astype(dtype)
        mixture = self.fitted(X, 4, name)
        assert self.spurious(X, mixture) == {}

    @pytest.mark.parametrize("name", TYPES)
    def test_flat_data_are_no_component_s_fault(self, name):
        X, _ = blobs(n_components=3)
        X = np.column_stack([X, X @ [1.0, 2.0], np.full(len(X), 7.0)])
        assert self.spurious(X, self.fitted(X, 3, name)) == {}

    @pytest.mark.parametrize("name", ["full", "diag"])
    @pytest.mark.parametrize("scale", [1.0, 1e6])
    def test_a_component_on_one_value_of_a_feature(self, name, scale):
        X, labels = blobs(n_components=2)
        X[labels == 1, 1] = 30.0
        assert list(self.spurious(scale * X, self.fitted(scale * X, 2, name)).values()) == [
            "covariance at the floor"
        ]

    def test_a_component_on_a_slanted_line(self):
        X, labels = blobs(n_components=2)
        X[labels == 1, 1] = 3.0 * X[labels == 1, 0]
        assert len(self.spurious(X, self.fitted(X, 2))) == 1
        assert self.spurious(X, self.fitted(X, 2, "spherical")) == {}

    @pytest.mark.parametrize("times", [1, 20])
    def test_a_component_on_few_distinct_points(self, times):
        X, _ = blobs(n_components=1)
        few = 100.0 + np.array([[0.0, 0.0], [1.0, 0.2], [0.3, 1.1], [1.0, 1.0]])
        X = np.concatenate([X, np.repeat(few, times, axis=0)])
        (reason,) = self.spurious(X, self.fitted(X, 2)).values()
        assert reason == "on 4 distinct points, needs 5"
        assert self.spurious(X, self.fitted(X, 2, "diag")) == {}
        assert self.spurious(X, self.fitted(X, 2, "tied")) == {}

    def test_rows_without_weight_are_no_points(self):
        X, _ = blobs(n_components=1)
        X = np.concatenate([X, 100.0 + np.random.default_rng(0).normal(size=(9, 2))])
        weight = np.ones(len(X))
        weight[-5:] = 0.0
        mixture = self.fitted(X, 2, sample_weight=weight)
        assert self.spurious(X, mixture) == {}
        (reason,) = self.spurious(X, mixture, sample_weight=weight).values()
        assert "on 4 distinct points" in reason

    def test_a_wide_component_of_few_rows_is_sound(self):
        X, _ = blobs(n_per_blob=200, n_components=2, distance=8.0)
        X = np.concatenate([X, np.random.default_rng(1).uniform(-30, 30, (20, 2))])
        mixture = self.fitted(X, 3)
        assert mixture.weights.min() < 0.06
        assert self.spurious(X, mixture) == {}

    def test_zeros_of_either_sign_are_equal(self):
        X = np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0]])
        assert make_yardstick(rows_to_fit(X, None, None)).distinct.tolist() == [True, False, True]
