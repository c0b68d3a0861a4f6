"""What the tests of figures share: data, fits, and figures that are closed."""

import copy
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

import fastgmm
from fastgmm.model.covariance import COVARIANCE_TYPES

OLD_FAITHFUL = Path(__file__).parents[2] / "examples" / "old_faithful.csv"


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def faithful():
    return np.loadtxt(OLD_FAITHFUL, delimiter=",", skiprows=1)


@pytest.fixture(scope="module")
def mixture(faithful):
    return fastgmm.fit(faithful, 2, random_state=0)


@pytest.fixture(scope="module")
def selection(faithful):
    options = {"init_params": "kmeans", "n_init": 10, "random_state": 0}
    return fastgmm.select(faithful, range(1, 7), **options)


@pytest.fixture
def fifth_type(monkeypatch):
    """The name of a registered type that no part of the library knows: diag under this name."""
    twin = copy.copy(COVARIANCE_TYPES["diag"])
    twin.name = "aligned"
    monkeypatch.setitem(COVARIANCE_TYPES, twin.name, twin)
    return twin.name
