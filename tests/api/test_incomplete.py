"""Rows with missing values: fits and inference against plain formulas, row by row."""

import functools
from itertools import pairwise

import numpy as np
import problems
import pytest
import reference

import fastgmm
from fastgmm.api.options import INIT_PARAMS
from fastgmm.sources import patterns

pytestmark = pytest.mark.filterwarnings("ignore::fastgmm.ConvergenceWarning")

TYPES = reference.COVARIANCE_TYPES


def with_gaps(X, share=0.3, seed=0):
    """Return a copy with NaN in a share of all places; every feature keeps a value."""
    gaps = np.random.default_rng(seed).random(X.shape) < share
    gaps[0] = False
    return np.where(gaps, np.nan, X)


def one_block_missing(X):
    """Return a copy in which the first half lacks the last two features."""
    X = X.copy()
    X[: len(X) // 2, -2:] = np.nan
    return X


PATTERNS = {
    "few": lambda X: with_gaps(X, 0.1),
    "many": lambda X: with_gaps(X, 0.4),
    "block": one_block_missing,
}


def assert_near(actual, expected, rtol=1e-10):
    """Compare two arrays on the scale of the largest entry."""
    assert np.abs(actual - expected).max() <= rtol * np.abs(expected).max()


@functools.cache
def case(pattern, covariance_type, weighted):
    """Return data with gaps, a start, weights, and eight EM steps by plain formulas."""
    problem = problems.overlapping(120, 4, 3, covariance_type)
    X = PATTERNS[pattern](problem.X)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, 120) if weighted else None
    return X, problem.start, weight, reference_run(X, problem, weight)


def reference_run(X, problem, weight=None, n_iter=8):
    start = reference.Parameters(*problem.parameters[:3])
    return reference.incomplete_em(X, start, problem.covariance_type, n_iter, sample_weight=weight)


def assert_fit_is_reference(X, start, weight, run):
    params, trace = run
    options = {**start, "missing": "em", "tol": 0.0, "max_iter": len(trace)}
    mixture = fastgmm.fit(X, sample_weight=weight, **options)
    for name in ("weights", "means", "covariances"):
        assert_near(getattr(mixture, name), getattr(params, name))
    assert_near(mixture.log_likelihoods, trace)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("pattern", list(PATTERNS))
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("many", [1, 1000])
def test_a_fit_is_the_reference(covariance_type, pattern, weighted, many, monkeypatch):
    """Both ways: each pattern in a pass of its own, and all patterns in one compiled call."""
    monkeypatch.setattr(patterns, "_MANY", many)
    assert_fit_is_reference(*case(pattern, covariance_type, weighted))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("many", [50, 1000])
def test_the_likelihood_never_falls(covariance_type, dtype, many, monkeypatch):
    monkeypatch.setattr(patterns, "_MANY", many)
    X = with_gaps(problems.overlapping(800, 5, 4).X).astype(dtype)
    mixture = fastgmm.fit(
        X, 4, covariance_type=covariance_type, missing="em", tol=0.0, max_iter=60, random_state=0,
        reg_covar=0.0, init_params="kmeans",
    )  # fmt: skip
    rounding = 1e-12 if dtype == np.float64 else 1e-7
    assert np.diff(mixture.log_likelihoods).min() >= -rounding
    double = fastgmm.fit(
        X.astype(np.float64), 4, covariance_type=covariance_type, missing="em", tol=0.0,
        max_iter=60, random_state=0, reg_covar=0.0,
        init_params="kmeans",
    )  # fmt: skip
    np.testing.assert_allclose(mixture.log_likelihoods, double.log_likelihoods, rtol=1e-5)


@pytest.mark.parametrize("init_params", INIT_PARAMS)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_complete_rows_give_the_same_bits(covariance_type, init_params, assert_same_mixture):
    X = problems.overlapping(700, 3, 3).X
    options = {"covariance_type": covariance_type, "init_params": init_params, "random_state": 3}
    one, other = (fastgmm.fit(X, 3, missing=how, **options) for how in ("error", "em"))
    assert_same_mixture(one, other)


@pytest.mark.parametrize("init_params", ["auto", "kmeans", "k-means++", "random_from_data"])
def test_starts_with_gaps_find_the_clusters(init_params):
    """Starts see rows whose gaps are filled; separated clusters are found from all of them."""
    X, labels = problems.blobs(n_per_blob=200, n_features=4, n_components=3)
    gaps = with_gaps(X, 0.2)
    gaps[:, 0] = X[:, 0]  # this feature tells the clusters apart
    mixture = fastgmm.fit(
        gaps, 3, init_params=init_params, missing="em", n_init=5, random_state=0, max_iter=300
    )
    found = mixture.predict(gaps, missing="em")
    assert len(set(zip(found.tolist(), labels.tolist(), strict=True))) == 3
    means = [X[labels == k].mean(axis=0) for k in range(3)]
    np.testing.assert_allclose(mixture.means[mixture.means[:, 0].argsort()], means, atol=0.3)


def test_a_feature_known_in_one_row():
    problem = problems.overlapping(60, 3, 2)
    X = problem.X.copy()
    X[1:, 2] = np.nan
    assert_fit_is_reference(X, problem.start, None, reference_run(X, problem))
    mixture = fastgmm.fit(X, 2, missing="em", random_state=0)
    assert np.isfinite(mixture.score(X, missing="em"))


@pytest.mark.parametrize("covariance_type", TYPES)
def test_fewer_rows_than_features(covariance_type):
    rng = np.random.default_rng(0)
    X = with_gaps(rng.standard_normal((7, 12)), 0.5)
    mixture = fastgmm.fit(
        X, 2, covariance_type=covariance_type, missing="em", random_state=0, reg_covar=1e-2
    )
    assert np.isfinite(mixture.score(X, missing="em"))
    assert np.isfinite(mixture.impute(X)).all()


def test_weight_two_is_the_row_twice(assert_close):
    problem = problems.overlapping(90, 4, 2)
    X = with_gaps(problem.X)
    weight = np.random.default_rng(0).integers(0, 3, 90).astype(float)
    weight[0] = 1.0  # the row that has all features
    options = {"missing": "em", "tol": 0.0, "max_iter": 15, **problem.start}
    weighted = fastgmm.fit(X, sample_weight=weight, **options)
    repeated = fastgmm.fit(np.repeat(X, weight.astype(int), axis=0), **options)
    for name in ("weights", "means", "covariances", "log_likelihoods"):
        assert_close(getattr(weighted, name), getattr(repeated, name), 1e-11)


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_without_values_have_no_influence(weighted, assert_close):
    X = with_gaps(problems.overlapping(300, 3, 2).X)
    more = np.concatenate([X[:100], np.full((9, 3), np.nan), X[100:]])
    weight = np.random.default_rng(0).uniform(0.5, 2, len(X)) if weighted else None
    more_weight = np.insert(weight, 100, np.full(9, 5.0)) if weighted else None
    options = {"missing": "em", "random_state": 0}
    one = fastgmm.fit(X, 2, sample_weight=weight, **options)
    other = fastgmm.fit(more, 2, sample_weight=more_weight, **options)
    for name in ("weights", "means", "covariances", "log_likelihoods"):
        assert_close(getattr(one, name), getattr(other, name), 1e-12)
    assert_close(one.bic(X, weight, missing="em"), one.bic(more, more_weight, missing="em"), 1e-12)
    empty = np.full((1, 3), np.nan)
    np.testing.assert_allclose(one.score_samples(empty, missing="em"), 0.0, atol=1e-15)
    np.testing.assert_allclose(one.predict_proba(empty, missing="em")[0], one.weights, rtol=1e-14)
    assert one.predict(empty, missing="em") == one.weights.argmax()
    assert np.isnan(one.score(empty, missing="em"))


def test_any_number_of_threads_gives_the_same_bits(assert_same_mixture):
    X = with_gaps(problems.overlapping(6000, 8, 3).X, 0.1)
    one, two = (
        fastgmm.fit(X, 3, missing="em", random_state=0, n_threads=n_threads) for n_threads in (1, 2)
    )
    assert_same_mixture(one, two)


def regressed(X, y):
    """Return the least squares intercept, slopes and mean squared residual of y on X."""
    design = np.column_stack([np.ones(len(X)), X])
    beta = np.linalg.lstsq(design, y, rcond=None)[0]
    return beta[0], beta[1:], np.mean((y - design @ beta) ** 2)


def factored_likelihood(X, order):
    """Return the maximum likelihood mean and covariance of rows whose gaps are monotone.

    Each feature of `order` is regressed on those before it, on the rows that have it; the moments
    follow feature by feature (Anderson 1957; Little and Rubin 2002, section 7.4).
    """
    mean, covariance = np.zeros(len(order)), np.zeros((len(order), len(order)))
    for place, j in enumerate(order):
        known, before = ~np.isnan(X[:, j]), order[:place]
        intercept, slopes, variance = regressed(X[known][:, before], X[known, j])
        mean[j] = intercept + slopes @ mean[before]
        cross = covariance[np.ix_(before, before)] @ slopes
        covariance[j, before] = covariance[before, j] = cross
        covariance[j, j] = variance + slopes @ cross
    return mean, covariance


def test_one_component_is_the_textbooks_em():
    """Thirteen cements with gaps in three features, a classical example.

    The data are those of Draper and Smith, "Applied Regression Analysis", 1966, with the gaps of
    Rubin, "Comparing regressions when some predictor values are missing", Technometrics 18, 1976.
    They are table 6.4 of Little and Rubin, "Statistical Analysis with Missing Data", 1987, and the
    data set `missvals` of the R package mvnmle. The figures are the means to three digits. Because
    the gaps are monotone, the maximum also has a closed form.
    """
    X = np.array(
        [
            [7, 1, 11, 11, 7, 11, 3, 1, 2, 21, 1, 11, 10],
            [26, 29, 56, 31, 52, 55, 71, 31, 54, 47, 40, 66, 68],
            [6, 15, 8, 8, 6, 9, 17, 22, 18, 4, 23, 9, 8],
            [60, 52, 20, 47, 33, 22, 6, 44, 22, 26, 34, 12, 12],
            [78.5, 74.3, 104.3, 87.6, 95.9, 109.2, 102.7, 72.5, 93.1, 115.9, 83.8, 113.3, 109.4],
        ]
    ).T
    X[9:, :2] = np.nan
    X[6:, 3] = np.nan
    mixture = fastgmm.fit(X, missing="em", tol=1e-13, max_iter=100_000, reg_covar=0.0)
    np.testing.assert_allclose(mixture.means[0], [6.655, 49.965, 11.769, 27.047, 95.423], atol=6e-4)
    mean, covariance = factored_likelihood(X, [2, 4, 0, 1, 3])
    np.testing.assert_allclose(mixture.means[0], mean, rtol=1e-8)
    np.testing.assert_allclose(mixture.covariances[0], covariance, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("many", [5, 1000])
def test_inference_is_the_reference(covariance_type, dtype, many, monkeypatch):
    monkeypatch.setattr(patterns, "_MANY", many)
    problem = problems.overlapping(150, 4, 3, covariance_type)
    X = with_gaps(problem.X).astype(dtype)
    mixture = fastgmm.Mixture.from_parameters(*problem.parameters)
    joint = reference.incomplete_log_joint(X, *problem.parameters)
    log_prob = np.logaddexp.reduce(joint, axis=1)
    rtol = 1e-12 if dtype == np.float64 else 2e-6
    proba = mixture.predict_proba(X, missing="em")
    assert proba.dtype == dtype
    np.testing.assert_allclose(proba, np.exp(joint - log_prob[:, None]), atol=rtol)
    np.testing.assert_allclose(mixture.score_samples(X, missing="em"), log_prob, rtol)
    np.testing.assert_array_equal(mixture.predict(X, missing="em"), joint.argmax(axis=1))
    weight = np.random.default_rng(0).uniform(size=150)
    total = np.sum(weight * log_prob)
    free = mixture.n_parameters
    np.testing.assert_allclose(mixture.score(X, weight, missing="em"), total / weight.sum(), rtol)
    np.testing.assert_allclose(
        mixture.bic(X, weight, missing="em"), free * np.log(weight.sum()) - 2 * total, rtol
    )
    np.testing.assert_allclose(mixture.aic(X, weight, missing="em"), 2 * free - 2 * total, rtol)
    assert mixture.icl(X, weight, missing="em") > mixture.bic(X, weight, missing="em")


@pytest.mark.parametrize("on_collapse", ["regularize", "reset"])
def test_a_component_on_one_point(on_collapse):
    """Rows that repeat one point make a component collapse, with gaps as without."""
    X = np.concatenate([problems.blobs(n_components=3)[0], np.full((40, 2), 100.0)])
    X = with_gaps(X, 0.1)
    X[-40:] = 100.0
    mixture = fastgmm.fit(
        X, 4, missing="em", on_collapse=on_collapse, random_state=0, max_iter=60, n_init=2
    )
    assert np.isfinite(mixture.log_likelihood)
    with pytest.raises(fastgmm.CollapseError):
        fastgmm.fit(X, 4, missing="em", on_collapse="raise", random_state=0, max_iter=200)


@pytest.mark.parametrize("criterion", ["bic", "held_out"])
def test_selection(criterion):
    X, _ = problems.blobs(n_per_blob=150, n_components=3)
    selection = fastgmm.select(
        with_gaps(X, 0.1), range(1, 5), "full", criterion, missing="em", random_state=0
    )
    assert selection.best.n_components == 3


def frames():
    """Tables with one null, in column b."""
    pandas = pytest.importorskip("pandas")
    columns = {"a": [1.0, 2.0, 4.0, 3.0], "b": [3.0, None, 1.0, 2.0]}
    yield pandas.DataFrame(columns)
    yield pandas.DataFrame(columns).astype("Float64")
    yield pandas.DataFrame({"a": [1, 2, 4, 3], "b": [3, None, 1, 2]}, dtype="Int64")
    yield pandas.DataFrame(columns, dtype=object)
    yield pytest.importorskip("pyarrow").table(columns)
    yield pytest.importorskip("polars").DataFrame(columns)


def test_nulls_of_tables_are_missing_values(assert_same_mixture):
    X = np.array([[1.0, 3.0], [2.0, np.nan], [4.0, 1.0], [3.0, 2.0]])
    masked = np.ma.masked_invalid(X)
    expected = fastgmm.fit(X, missing="em", reg_covar=1e-3)
    for table in (masked, [[1, 3], [2, None], [4, 1], [3, 2]], *frames()):
        assert_same_mixture(fastgmm.fit(table, missing="em", reg_covar=1e-3), expected)
        with pytest.raises(ValueError, match="fill them in, or use them as they are with missing="):
            fastgmm.fit(table)


def test_errors():
    X = np.array([[1.0, np.nan], [2.0, np.nan], [3.0, np.nan]])
    mixture = fastgmm.Mixture.from_parameters([1.0], [[0.0, 0.0]], [1.0], "spherical")
    for call in (mixture.predict, mixture.score, mixture.bic, fastgmm.fit, fastgmm.select):
        with pytest.raises(ValueError, match=r"infinite value in row 0; .* missing='em'"):
            call(X)
        with pytest.raises(ValueError, match="missing must be one of error, em but is 'drop'"):
            call(X, missing="drop")
    with pytest.raises(ValueError, match="no value of feature 1 in any row; leave this"):
        fastgmm.fit(X, missing="em")
    pandas = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="no value of feature 'b' in any row"):
        fastgmm.fit(pandas.DataFrame(X, columns=["a", "b"]), missing="em")
    known = np.vstack([X, [[1.0, 2.0]]])
    with pytest.raises(ValueError, match="no value of feature 1 in any row of positive weight"):
        fastgmm.fit(known, missing="em", sample_weight=[1, 1, 1, 0])
    known[2, 0] = np.inf
    for call in (mixture.predict, mixture.impute, lambda X, **_: fastgmm.fit(X, missing="em")):
        with pytest.raises(ValueError, match=r"infinite value|NaN or infinite"):
            call(known)
    with pytest.raises(ValueError, match="infinite value in row 2; only NaN stands for a missing"):
        fastgmm.fit(known, missing="em")
    with pytest.raises(ValueError, match="too large to square"):
        fastgmm.fit([[1e200, np.nan], [2.0, 1.0]], missing="em")
    with pytest.raises(ValueError, match="no value of feature 1 in any row"):
        fastgmm.fit(lambda: iter([X]), missing="em")
    with pytest.raises(fastgmm.ReadingError, match="or use them as they are with missing='em'"):
        fastgmm.fit(lambda: iter([X]))
    with pytest.raises(fastgmm.ReadingError, match="row 2, has a NaN or infinite value"):
        fastgmm.fit(lambda: iter([known]), missing="em")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_rows_in_blocks(covariance_type, dtype, weighted, assert_close):
    """Blocks, one of which is complete, give the fit of all rows in memory."""
    problem = problems.overlapping(900, 4, 3, covariance_type)
    X = with_gaps(problem.X).astype(dtype)
    X[300:500] = problem.X[300:500]
    X[700] = np.nan
    weight = np.random.default_rng(0).uniform(0.5, 2.0, 900) if weighted else np.ones(900)
    ends = [0, 300, 500, 501, 900]

    def blocks():
        for begin, end in pairwise(ends):
            rows = slice(begin, end)
            yield (X[rows], weight[rows]) if weighted else X[rows]

    options = {**problem.start, "missing": "em", "tol": 0.0, "max_iter": 20}
    whole = fastgmm.fit(X, sample_weight=weight if weighted else None, **options)
    parts = fastgmm.fit(blocks, **options)
    rtol = 1e-11 if dtype == np.float64 else 1e-5
    for name in ("weights", "means", "covariances", "log_likelihoods"):
        assert_close(getattr(parts, name), getattr(whole, name), rtol)
    found = whole.predict_proba(blocks, missing="em")
    np.testing.assert_allclose(found, whole.predict_proba(X, missing="em"), atol=rtol)
    options = {"covariance_type": covariance_type, "missing": "em", "random_state": 0}
    started = fastgmm.fit(blocks, 3, **options)
    assert np.isfinite(started.log_likelihood)


def test_files_with_nulls(tmp_path):
    """Nulls of Parquet and CSV files are missing values; selection reads the files, too."""
    polars = pytest.importorskip("polars")
    X, _ = problems.blobs(n_per_blob=150, n_components=3)
    X = with_gaps(X, 0.1)
    table = polars.DataFrame(X, schema=["a", "b"]).fill_nan(None)
    table.write_parquet(tmp_path / "d.parquet")
    table.write_csv(tmp_path / "d.csv")
    whole = fastgmm.fit(X, 3, missing="em", random_state=0)
    for name in ("d.parquet", "d.csv"):
        mixture = fastgmm.fit(tmp_path / name, 3, missing="em", random_state=0)
        assert mixture.feature_names == ("a", "b")
        np.testing.assert_allclose(mixture.means, whole.means, rtol=1e-6)
    for criterion in ("bic", "held_out"):
        path = tmp_path / "d.parquet"
        selection = fastgmm.select(
            path, [2, 3], "full", criterion, missing="em", random_state=0, n_threads=1
        )
        assert selection.best.n_components == 3
