"""Sizes that cannot be meant are refused, with the memory they would need, before any is taken."""

import tracemalloc

import numpy as np
import pytest

import fastgmm
from fastgmm.api import memory as _memory
from fastgmm.model.covariance import COVARIANCE_TYPES

MIB = 2.0**20


@pytest.fixture(autouse=True)
def a_machine_of_64_gib(monkeypatch):
    monkeypatch.setattr(_memory, "memory_of_machine", lambda: 2.0**36)


def refusal(call, *args, **kwargs):
    """The message of a MemoryError raised before 32 MiB were allocated."""
    tracemalloc.start()
    try:
        with pytest.raises(MemoryError, match=r"would need about [\d,.]+ [GT]iB") as caught:
            call(*args, **kwargs)
        assert tracemalloc.get_traced_memory()[1] < 32 * MIB
    finally:
        tracemalloc.stop()
    return str(caught.value)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_100_000_features(covariance_type, dtype):
    X = np.arange(3.0 * 100_000, dtype=dtype).reshape(3, -1)
    message = refusal(fastgmm.fit, X, 2, covariance_type=covariance_type)
    assert f"2 {covariance_type} components of 100000 features" in message
    assert "64 GiB" in message
    assert "covariance_type" in message


def test_a_million_components():
    X = np.arange(1_000_000.0)[:, None].repeat(40, axis=1)
    message = refusal(fastgmm.fit, X, 1_000_000)
    assert message.startswith("1000000 full components of 40 features would need about 99.9 GiB")


def test_more_components_than_rows_is_said_first():
    with pytest.raises(ValueError, match="X has 3 rows but n_components is 1000000"):
        fastgmm.fit(np.zeros((3, 100_000)), 1_000_000)


@pytest.mark.parametrize("covariance_type", ["diag", "spherical"])
def test_100_000_features_with_few_parameters(covariance_type):
    X = np.random.default_rng(0).standard_normal((20, 100_000))
    model = fastgmm.fit(X, 1, covariance_type=covariance_type)
    np.testing.assert_allclose(model.means[0], X.mean(axis=0), atol=1e-12)


def test_answers_and_samples():
    model = fastgmm.Mixture.from_parameters(
        np.full(1000, 1e-3), np.arange(1000.0), np.ones(1000), "spherical"
    )
    refusal(model.sample, 10**12)
    refusal(model.sample, 10**30)
    X = np.broadcast_to(np.float32(0.0), (10**5, 1))
    assert "for 100000 rows" in refusal_at(2.0**28, model.predict_proba, X)


def refusal_at(n_bytes, call, *args):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_memory, "memory_of_machine", lambda: n_bytes)
        with pytest.raises(MemoryError, match="MiB") as caught:
            call(*args)
    return str(caught.value)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_what_is_said_is_what_is_taken(covariance_type):
    """Within a factor of two."""
    X = np.random.default_rng(0).standard_normal((400, 400))
    options = {"covariance_type": covariance_type, "random_state": 0, "n_threads": 1}
    options["init_params"] = "kmeans"  # a search takes copies of its sample
    fastgmm.fit(X, 4, **options)  # compiles
    kind = COVARIANCE_TYPES[covariance_type]
    expected = _memory.fit_bytes(kind, X.shape, X.itemsize, 4)
    tracemalloc.start()
    fastgmm.fit(X, 4, **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.5 * expected < peak < 2.0 * expected
