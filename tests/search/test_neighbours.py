"""The search of a grid: neighbours mend what a cell alone misses."""

import numpy as np
import problems
import pytest

import fastgmm
from fastgmm.em.models import MaximumLikelihood
from fastgmm.model.covariance import COVARIANCE_TYPES as KINDS
from fastgmm.search.neighbours import Neighbourhood
from fastgmm.search.sample import make_sample
from fastgmm.sources.array import ArraySource


@pytest.mark.parametrize("seed", range(3))
def test_the_likelihood_rises_with_components_and_freedom(seed):
    X = problems.overlapping(400, 3, 4, seed=seed).X
    selection = fastgmm.select(X, range(1, 7), random_state=seed)
    values = {
        (c.covariance_type, c.n_components): c.log_likelihood for c in selection if not c.spurious
    }
    for (name, count), value in values.items():
        assert value >= values.get((name, count - 1), -np.inf) - 0.05
        if name != "full":
            assert values.get(("full", count), np.inf) >= value - 0.05
    assert len(values) == 24


@pytest.mark.parametrize("seed", range(2))
def test_it_beats_many_starts_of_k_means(seed):
    X = problems.overlapping(300, 2, 5, seed=seed).X
    auto = fastgmm.select(X, range(1, 7), random_state=seed)
    kmeans = fastgmm.select(X, range(1, 7), init_params="kmeans", n_init=10, random_state=seed)
    for ours, theirs in zip(auto, kmeans, strict=True):
        if not theirs.spurious:
            assert ours.log_likelihood > theirs.log_likelihood - 0.5


def test_the_search_ends_when_it_is_told():
    class Ended(Exception):
        pass

    calls = []

    def tick():
        calls.append(1)
        if len(calls) == 20:
            raise Ended

    sample = make_sample(ArraySource(problems.blobs()[0]), 3, np.random.RandomState(0))
    models = [MaximumLikelihood(kind, 1e-6) for kind in KINDS.values()]
    with pytest.raises(Ended):
        Neighbourhood(sample, models, [1, 2, 3], [0], tick).search()
    assert len(calls) == 20


def test_iris_has_two_clusters_and_faithful_three():
    faithful = np.loadtxt("examples/old_faithful.csv", delimiter=",", skiprows=1)
    winner = fastgmm.select(faithful, range(1, 6), random_state=1).winner
    assert winner.name == "tied 3"
    assert winner.log_likelihood == pytest.approx(-1126.32, abs=0.03)


def test_more_components_than_rows_fail_alone():
    X = np.random.default_rng(0).normal(size=(6, 2))
    selection = fastgmm.select(X, [1, 7], "diag", random_state=0)
    assert not selection[0].failure
    assert "6 rows" in selection[1].failure
