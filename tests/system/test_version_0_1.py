"""Pickles and model files that version 0.1 wrote still load, and predict what they did then.

``tests/data/version_0_1/write_files.py`` wrote them from Old Faithful. The mean log-likelihood of
the full mixture, times 272 rows, is the -1130.264 known from the literature.
"""

import pickle
import pickletools
from pathlib import Path

import numpy as np
import pytest

import fastgmm
from fastgmm.api.selection import Candidate

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data" / "version_0_1"
BETWEEN = [[3.0, 65.0]]  # a row between the two clusters

# Mean log-likelihood, responsibility of the first component for BETWEEN, sizes of the clusters.
FIGURES = {
    "full": (-4.155382594740062, 0.21884451, [97, 175]),
    "tied": (-4.191863088320380, 0.94660196, [98, 174]),
    "diag": (-4.219876296255387, 0.43900333, [97, 175]),
    "spherical": (-6.285034302253821, 0.97494380, [100, 172]),
}


@pytest.fixture(scope="module")
def X():
    return np.loadtxt(ROOT / "examples" / "old_faithful.csv", delimiter=",", skiprows=1)


def assert_predicts(model, X, figures):
    score, resp, sizes = figures
    np.testing.assert_allclose(model.score(X), score, rtol=1e-12)
    np.testing.assert_allclose(model.predict_proba(BETWEEN), [[resp, 1.0 - resp]], rtol=1e-7)
    assert np.bincount(model.predict(X)).tolist() == sizes


def load_pickle(name):
    return pickle.loads((DATA / f"{name}.pickle").read_bytes())


@pytest.mark.parametrize("covariance_type", FIGURES)
def test_model_files(covariance_type, X):
    mixture = fastgmm.load(DATA / f"{covariance_type}.npz")
    assert mixture.covariance_type == covariance_type
    assert_predicts(mixture, X, FIGURES[covariance_type])


def test_pickle_of_a_mixture(X):
    mixture = load_pickle("mixture")
    assert type(mixture) is fastgmm.Mixture
    assert mixture == fastgmm.load(DATA / "full.npz")
    assert_predicts(mixture, X, FIGURES["full"])


def test_pickle_of_a_selection(X):
    selection = load_pickle("selection")
    assert type(selection) is fastgmm.Selection
    assert all(type(candidate) is Candidate for candidate in selection)
    assert [candidate.name for candidate in selection] == ["full 1", "full 2", "tied 1", "tied 2"]
    found = [candidate.bic for candidate in selection]
    expected = [2607.62250043900, 2322.19175547794, 2607.62250043900, 2325.21993542278]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert selection.winner.name == "full 2"
    assert_predicts(selection.best, X, (-4.155382229317426, 0.21630552, [97, 175]))


@pytest.mark.filterwarnings("ignore:Trying to unpickle estimator")
class TestEstimators:
    """scikit-learn warns where its version is another than that of the pickle."""

    def test_pickle_of_the_estimator(self, X):
        from fastgmm.sklearn import GaussianMixture

        model = load_pickle("estimator")
        assert type(model) is GaussianMixture
        assert_predicts(model, X, FIGURES["full"])

    def test_pickle_of_scikit_learns_model_written_under_the_patch(self, X):
        from sklearn.mixture import GaussianMixture

        model = load_pickle("sklearn_under_patch")
        assert type(model) is GaussianMixture
        assert_predicts(model, X, FIGURES["full"])


def test_the_pickles_name_the_modules_of_version_0_1():
    """Written anew by a later version, they would not test anything."""
    named = set()
    for path in DATA.glob("*.pickle"):
        for _, argument, _ in pickletools.genops(path.read_bytes()):
            if isinstance(argument, str) and argument.startswith("fastgmm."):
                named.add(argument)
    assert named == {
        "fastgmm._covariance", "fastgmm._mixture", "fastgmm._patch", "fastgmm._selection",
        "fastgmm.sklearn",
    }  # fmt: skip
