"""A `Source` instead of an array: what callers may give with it, and what they get."""

import numpy as np
import problems
import pytest

import fastgmm
from fastgmm.sources.array import ArraySource

PROBLEM = problems.overlapping(331, 2, 3)
WEIGHT = np.random.default_rng(0).exponential(size=331)


class Watched(ArraySource):
    """An array source that records the numbers of threads that views are made for."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.views = []

    def view(self, n_threads):
        self.views.append(n_threads)
        return super().view(n_threads)


def test_a_source_gives_the_bits_of_its_array(assert_same_mixture):
    source = ArraySource(PROBLEM.X, WEIGHT)
    expected = fastgmm.fit(PROBLEM.X, 3, random_state=0, sample_weight=WEIGHT)
    mixture = fastgmm.fit(source, 3, random_state=0)
    assert_same_mixture(mixture, expected)
    for name in ("predict", "predict_proba", "score_samples"):
        method = getattr(mixture, name)
        np.testing.assert_array_equal(method(source), method(PROBLEM.X))
    for name in ("score", "bic", "aic", "icl"):
        method = getattr(mixture, name)
        assert method(source) == method(PROBLEM.X, sample_weight=WEIGHT)
    selection = fastgmm.select(source, [1, 2], random_state=0)
    arrays = fastgmm.select(PROBLEM.X, [1, 2], random_state=0, sample_weight=WEIGHT)
    assert [c.bic for c in selection] == [c.bic for c in arrays]


@pytest.mark.parametrize("weight", [np.empty(0), WEIGHT], ids=["plain", "weighted"])
def test_weights_beside_a_source_are_refused(weight):
    source = ArraySource(PROBLEM.X, weight)
    mixture = fastgmm.Mixture.from_parameters(*PROBLEM.parameters)
    calls = [
        lambda: fastgmm.fit(source, 2, sample_weight=WEIGHT),
        lambda: fastgmm.select(source, [2], sample_weight=WEIGHT),
        *(
            lambda name=name: getattr(mixture, name)(source, sample_weight=WEIGHT)
            for name in ("score", "bic", "aic", "icl")
        ),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="sample_weight was given, but X is a ArraySource"):
            call()


def test_threads_are_those_of_the_call_or_of_the_source():
    mixture = fastgmm.Mixture.from_parameters(*PROBLEM.parameters)
    source = Watched(PROBLEM.X, WEIGHT, 1)
    fastgmm.fit(source, 2, random_state=0)
    mixture.predict(source)
    assert source.views == []
    fastgmm.fit(source, 2, random_state=0, n_threads=2)
    mixture.predict(source, n_threads=3)
    mixture.score(source, n_threads=1)
    assert source.views == [2, 3, 1]


def test_select_divides_the_threads_of_the_source(monkeypatch):
    from fastgmm.api import select

    seen = []
    monkeypatch.setattr(select, "threads_for", lambda work, n_threads: seen.append(n_threads) or 1)
    for n_threads in (None, 2):
        fastgmm.select(ArraySource(PROBLEM.X, WEIGHT, 1), [1], ["diag"], n_threads=n_threads)
    assert seen == [1, 2]


def test_another_number_of_features_is_refused():
    mixture = fastgmm.Mixture.from_parameters(*PROBLEM.parameters)
    with pytest.raises(ValueError, match="X has 3 features but the mixture has 2"):
        mixture.predict(ArraySource(np.zeros((5, 3))))


def test_too_few_rows_of_a_source_are_refused():
    weight = np.eye(331)[0] + np.eye(331)[9]
    with pytest.raises(ValueError, match="X has 2 rows of positive weight but n_components is 3"):
        fastgmm.fit(ArraySource(PROBLEM.X, weight), 3)


@pytest.mark.parametrize("name", ["predict", "predict_proba", "score_samples", "score"])
@pytest.mark.parametrize("n_threads", [0, 1.5])
def test_bad_numbers_of_threads_are_refused(name, n_threads):
    mixture = fastgmm.Mixture.from_parameters(*PROBLEM.parameters)
    with pytest.raises((ValueError, TypeError), match="n_threads must be an integer"):
        getattr(mixture, name)(PROBLEM.X, n_threads=n_threads)
