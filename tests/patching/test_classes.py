"""What a patched program sees when it asks for the class of a model."""

from functools import singledispatch

import numpy as np
import pytest

pytest.importorskip("sklearn")

import sklearn.mixture
from sklearn.base import BaseEstimator, clone
from sklearn.mixture import BayesianGaussianMixture

import fastgmm
from fastgmm.sklearn import GaussianMixture

Theirs = GaussianMixture._stands_in_for


class TheirChild(Theirs):
    pass


class OurChild(GaussianMixture):
    pass


@pytest.fixture
def patched():
    with fastgmm.patch_sklearn():
        yield sklearn.mixture.GaussianMixture


def test_models_from_before_are_instances(patched):
    mixture = fastgmm.Mixture.from_parameters([1.0], [[0.0]], [[[4.0]]])
    given_away = GaussianMixture().fit(np.arange(9.0)[:, None]).to_sklearn()
    for model in (Theirs(), TheirChild(), mixture.to_sklearn(), given_away):
        assert isinstance(model, patched)
        assert issubclass(type(model), patched)
        assert isinstance(model, (int, patched))
        assert isinstance(clone(model), patched)
        assert not isinstance(model, OurChild)
    for model in (GaussianMixture(), OurChild()):
        assert isinstance(model, patched)
        assert isinstance(model, Theirs)
        assert issubclass(type(model), patched)


def test_other_objects_are_not(patched):
    for other in (BayesianGaussianMixture(), BaseEstimator(), 1, None, GaussianMixture):
        assert not isinstance(other, patched)
        assert not issubclass(type(other), patched)
    with pytest.raises(TypeError, match=r"issubclass\(\) arg 1 must be a class"):
        issubclass(1, patched)


def test_what_is_asked_of_one_is_not_remembered_for_the_other():
    def answers():
        pairs = [(Theirs, GaussianMixture), (TheirChild, GaussianMixture), (Theirs, OurChild)]
        return [issubclass(a, b) for a, b in pairs] + [isinstance(a(), b) for a, b in pairs]

    for _ in range(2):
        assert answers() == [False] * 6
        with fastgmm.patch_sklearn():
            assert answers() == [True, True, False] * 2
            assert issubclass(int, Theirs) is False  # asks our class in turn
    assert isinstance(OurChild(), GaussianMixture)
    assert isinstance(GaussianMixture(), Theirs)
    assert not isinstance(GaussianMixture(), OurChild)


def test_functions_by_class_take_both(patched):
    @singledispatch
    def name(model):
        return "other"

    @name.register(patched)
    def _(model):
        return "mixture"

    for model in (Theirs(), TheirChild(), GaussianMixture(), OurChild()):
        assert name(model) == "mixture"
    assert name(BayesianGaussianMixture()) == "other"


def test_as_scikit_image_checks_its_models(patched):
    """`skimage.feature.fisher_vector` imports the class when called and refuses other models."""

    def accepts(model):
        from sklearn.mixture import GaussianMixture

        return isinstance(model, GaussianMixture)

    assert all(map(accepts, (Theirs(), TheirChild(), GaussianMixture())))
