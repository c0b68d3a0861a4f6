"""`partial_fit`: stepwise EM over batches that are read once."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import fastgmm
from fastgmm.em.stepwise import step_size
from fastgmm.sklearn import GaussianMixture

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
TYPES = ["full", "tied", "diag", "spherical"]
CENTERS = np.array([[0.0, 0.0, 0.0], [6.0, 0.0, 3.0], [0.0, 7.0, -4.0], [9.0, 9.0, 0.0]])


def stream(n_rows, seed=0):
    draw = np.random.default_rng(seed)
    return CENTERS[draw.integers(4, size=n_rows)] + draw.normal(size=(n_rows, 3))


def estimator(**options):
    return GaussianMixture(4, **{"init_params": "auto", "random_state": 0, **options})


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_stream_reaches_the_likelihood_of_all_rows(kind, dtype):
    X = stream(20_000).astype(dtype)
    online = estimator(covariance_type=kind)
    for batch in np.array_split(X, 50):
        online.partial_fit(batch)
    best = estimator(covariance_type=kind).fit(X).score(X)
    assert online.score(X) > best - 0.001 * abs(best)
    batches = online.n_iter_
    for row in X[:300]:
        online.partial_fit(row[None])
    assert online.score(X) > best - 0.001 * abs(best)
    assert online.n_iter_ == batches + 300
    assert not online.converged_
    assert online.lower_bounds_ == [online.lower_bound_]


@pytest.mark.parametrize("kind", TYPES)
def test_a_step_is_the_mean_of_statistics(kind):
    """With decay 1 and offset 2 the second of two equal batches has weight 1/2."""
    X = stream(1000)
    online = estimator(covariance_type=kind, learning_decay=1.0, reg_covar=0.0).fit(X[:500])
    before = fastgmm.Mixture.from_sklearn(online)
    online.partial_fit(X[500:])
    # The first batch's own moments, under the mixture that EM has fitted, are the old parameters.
    new = before.updated(fastgmm.statistics(X[500:], before), reg_covar=0.0)
    np.testing.assert_allclose(online.weights_, (before.weights + new.weights) / 2, rtol=1e-12)
    shares = np.stack([before.weights, new.weights])[:, :, None] / 2 / online.weights_[:, None]
    means = (shares * np.stack([before.means, new.means])).sum(axis=0)
    np.testing.assert_allclose(online.means_, means, rtol=1e-12, atol=1e-12)
    if kind == "diag":
        moments = [m.covariances + (m.means - means) ** 2 for m in (before, new)]
        expected = (shares * np.stack(moments)).sum(axis=0)
        np.testing.assert_allclose(online.covariances_, expected, rtol=1e-12)
    if kind == "full":
        moments = [
            m.covariances + np.einsum("ki,kj->kij", m.means - means, m.means - means)
            for m in (before, new)
        ]
        expected = (shares[..., None] * np.stack(moments)).sum(axis=0)
        np.testing.assert_allclose(online.covariances_, expected, rtol=1e-11, atol=1e-12)


def test_step_sizes():
    assert step_size(3.0, 1.0, 0.7, 2.0) == pytest.approx(5.0**-0.7, rel=1e-15)
    tenth = step_size(0.0, 0.1, 0.6, 2.0)
    assert (1 - tenth) ** 10 == pytest.approx(1 - 2.0**-0.6, rel=1e-14)


def test_weights_count_as_rows():
    X = stream(900)
    first, second = X[:500], X[500:]
    weight = np.arange(400) % 3
    weighted = estimator().fit(first).partial_fit(second, sample_weight=weight)
    repeated = estimator().fit(first).partial_fit(np.repeat(second, weight, axis=0))
    np.testing.assert_allclose(weighted.means_, repeated.means_, rtol=1e-12)
    np.testing.assert_allclose(weighted.covariances_, repeated.covariances_, rtol=1e-10, atol=1e-12)


def test_the_first_batch_is_a_fit_and_fit_begins_anew():
    X = stream(1000)
    online, fitted = estimator().partial_fit(X), estimator().fit(X)
    np.testing.assert_array_equal(online.means_, fitted.means_)
    assert online.n_iter_ == fitted.n_iter_
    online.partial_fit(X[:100]).fit(X)
    np.testing.assert_array_equal(online.means_, fitted.means_)
    copy = pickle.loads(pickle.dumps(online.partial_fit(X[:100])))
    np.testing.assert_array_equal(
        copy.partial_fit(X[100:200]).means_, online.partial_fit(X[100:200]).means_
    )
    with pytest.raises(NotFittedError):
        clone(online).predict(X)


def test_after_a_fit_of_many_rows_a_few_change_little():
    X = stream(5000)
    fitted = estimator().fit(X)
    before = fitted.means_.copy()
    fitted.partial_fit(X[:1] + 30.0)
    assert 0 < np.abs(fitted.means_ - before).max() < 0.05


def test_incomplete_batches():
    X = stream(4000)
    X[np.random.default_rng(1).random(X.shape) < 0.1] = np.nan
    online = estimator(missing="em")
    for batch in np.array_split(X, 8):
        online.partial_fit(batch)
    complete = stream(4000)
    best = estimator().fit(complete).score(complete)
    assert online.score(complete) > best - 0.01 * abs(best)


def test_bad_batches_change_nothing():
    X = stream(1000)
    with pytest.raises(ValueError, match="Expected n_samples >= n_components but got"):
        estimator().partial_fit(X[:3])
    online = estimator().partial_fit(X)
    before = online.means_.copy()
    with pytest.raises(ValueError, match="X has 2 features, but GaussianMixture is expecting 3"):
        online.partial_fit(X[:, :2])
    with pytest.raises(ValueError, match="contains NaN"):
        online.partial_fit(np.full((5, 3), np.nan))
    with pytest.raises(ValueError, match="learning_decay"):
        estimator(learning_decay=0.5).partial_fit(X)
    np.testing.assert_array_equal(online.means_, before)
    np.testing.assert_array_equal(online.partial_fit(X[:9]).means_ != before, True)


def test_in_the_manner_of_river_and_of_dask_ml():
    """Mini-batches of a loop, and dask_ml's wrapper where it is installed."""
    wrappers = pytest.importorskip("dask_ml.wrappers")
    da = pytest.importorskip("dask.array")
    X = stream(8000)
    wrapper = wrappers.Incremental(estimator(), random_state=0, shuffle_blocks=False)
    wrapper.fit(da.from_array(X, chunks=(1000, 3)))
    online = estimator()
    for batch in np.split(X, 8):
        online.partial_fit(batch)
    np.testing.assert_array_equal(wrapper.estimator_.means_, online.means_)
