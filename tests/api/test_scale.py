"""Warnings where `reg_covar` is not small beside the variance of a feature."""

import re
import warnings

import numpy as np
import pytest

import fastgmm
from fastgmm.api.scale import fault_of_scale
from fastgmm.api.sources import rows_to_fit

DRAW = np.random.default_rng(0)
CENTERS = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
CLUSTERS = np.repeat(CENTERS, 100, axis=0) + DRAW.normal(size=(300, 2))
SMALL = 1e-4 * CLUSTERS


def fault(X, reg_covar=1e-6, names=None, sample_weight=None):
    return fault_of_scale(rows_to_fit(X, sample_weight), reg_covar, names)


@pytest.mark.parametrize(
    "fit",
    [
        lambda X, **options: fastgmm.fit(X, 3, random_state=0, **options),
        lambda X, **options: fastgmm.select(X, [1, 3], "full", random_state=0, **options).best,
    ],
    ids=["fit", "select"],
)
class TestFits:
    def test_clusters_in_small_units_are_warned_of_once(self, fit):
        message = r"reg_covar is 1e-06 but the variance of feature \d is only 1\.\de-07"
        with pytest.warns(UserWarning, match=message) as caught:
            fit(SMALL)
        assert [warning.filename for warning in caught] == [__file__]

    def test_the_feature_is_named(self, fit):
        with pytest.warns(UserWarning, match="variance of feature 'b' is only"):
            fit(CLUSTERS * [1.0, 1e-4], feature_names=["a", "b"])

    def test_both_remedies_help(self, fit):
        with pytest.warns(UserWarning, match="scale the feature") as caught:
            fit(SMALL)
        advice = float(re.search(r"example (\S+)\.$", str(caught[0].message))[1])
        scaled = fit(SMALL / SMALL.std(axis=0))
        smaller = fit(SMALL, reg_covar=advice)
        for mixture in (scaled, smaller):
            assert mixture.n_components == 3
        assert np.bincount(smaller.predict(SMALL)).tolist() == [100, 100, 100]


class TestRule:
    def test_the_threshold_is_one_percent_of_the_variance(self):
        X = CLUSTERS / CLUSTERS.std(axis=0)
        assert not fault(X / 100, 0.99e-6)
        assert "variance of feature" in fault(X / 100.5, 1e-6)
        assert not fault(SMALL, 0.0)

    def test_a_value_above_the_default_may_be_as_large_as_the_variance(self):
        X = CLUSTERS / CLUSTERS.std(axis=0)
        assert not fault(X, 0.99)
        assert "variance of feature" in fault(X, 1.01)

    def test_all_affected_features_are_counted(self):
        assert "is only" in fault(CLUSTERS * [1, 1e-4])
        assert "more are affected" not in fault(CLUSTERS * [1, 1e-4])
        assert "(and 1 more are affected)" in fault(SMALL)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("value", [0.0, 1.0, 0.1, -1e9])
    def test_a_constant_feature_is_left_out(self, value, dtype):
        X = np.column_stack([CLUSTERS, np.full(300, value)]).astype(dtype)
        assert not fault(X)

    def test_a_feature_that_varies_by_rounding_alone_is_left_out(self):
        noisy = 0.1 * (1 + np.finfo(float).eps * DRAW.integers(-2, 3, 300))
        assert np.ptp(noisy) > 0
        assert not fault(np.column_stack([CLUSTERS, noisy]))

    @pytest.mark.parametrize("X", [[[1.0, 2.0]], [[1.0, 2.0]] * 5], ids=["one row", "equal rows"])
    def test_data_without_variance(self, X):
        assert not fault(X)

    def test_rows_without_weight_do_not_count(self):
        X = np.concatenate([SMALL, [[1e6, 1e6]]])
        assert not fault(X)
        assert fault(X, sample_weight=np.append(np.ones(300), 0.0))

    def test_rare_values_that_the_few_rows_miss(self):
        """The few rows are constant, and all rows have a variance of 1."""
        X = np.zeros(100_000)
        X[777] = np.sqrt(1e5)
        assert not fault(X)


@pytest.mark.parametrize("X", [SMALL, CLUSTERS])
def test_the_estimator_logs_instead(X, caplog):
    pytest.importorskip("sklearn")
    from fastgmm.sklearn import GaussianMixture

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GaussianMixture(1).fit(X)
    found = [record for record in caplog.records if "reg_covar is 1e-06" in record.getMessage()]
    assert [record.name for record in found] == ["fastgmm"] * (X is SMALL)
