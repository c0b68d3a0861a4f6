"""Invalid input: the message names the argument, what is wrong and what to do.

Every case gives a pattern for what is wrong and one for what to do. The message must match both
and contain the name of the argument.
"""

import re

import numpy as np
import problems
import pytest
from reference import COVARIANCE_TYPES

import fastgmm
from fastgmm import Mixture

# Patterns of what to do.
REPAIR = "remove|drop|fill|impute"
CONVERT = "pass|convert|encode|drop"
REAL = "real|imag|pass|abs"
RESHAPE = "reshape|pass"
NOT_BELOW_ZERO = "at least 0|non-negative|>= 0|not (be )?negative|0 or"
NOT_BELOW_ONE = "at least 1|positive|>= 1"
WHOLE = "whole|integer"
FEWER = "fewer|more|at most|lower"
FINITE = "finite|pass|number|replace|remove|drop|set|fill"
TYPES = "full.*tied.*diag.*spherical"

GOOD = problems.overlapping(203, 2, 3)


def put(value, *cells):
    """Return the valid data with another value in some cells."""
    X = GOOD.X.copy()
    for cell in cells:
        X[cell] = value
    return X


def check(caught, argument, wrong, advice):
    """Check the three parts of a message."""
    message = str(caught.value)
    for pattern in (rf"(?<!\w){argument}(?!\w)", wrong, advice):
        assert re.search(pattern, message), f"no {pattern!r} in: {message}"
    assert message.isascii()


# (id, X, what was wrong, what to do)
BAD_DATA = [
    ("nan", put(np.nan, (7, 1), (90, 0)), r"NaN[\s\S]*row 7\b", REPAIR),
    ("inf", put(-np.inf, (202, 0)), r"inf[\s\S]*row 202\b", REPAIR),
    ("nan32", put(np.nan, (0, 0)).astype("f4"), r"NaN[\s\S]*row 0\b", REPAIR),
    ("nan in a list", [[0.0, 1.0], [np.nan, 2.0]], r"NaN[\s\S]*row 1\b", REPAIR),
    ("nan strided", put(np.nan, (7, 1))[::-1], r"NaN[\s\S]*row 195\b", REPAIR),
    ("no rows", np.empty((0, 2)), r"\(0, \d\)|0 rows|no rows|empty", "at least"),
    (
        "no columns",
        np.empty((5, 0)),
        r"\(5, 0\)|0 (columns|features)|no (columns|features)",
        "at least",
    ),
    ("empty list", [], r"\(0, \d\)|0 rows|no rows|empty", "at least"),
    ("3-D", np.zeros((4, 3, 2)), "has 3|3-D|3 dim", RESHAPE),
    ("scalar", 3.0, "has 0|0-D|0 dim|scalar", RESHAPE),
    ("complex", GOOD.X + 1j, "complex", REAL),
    ("text", [["a", "b"], ["c", "d"]], "text|str|number|numeric", CONVERT),
    ("numbers as text", [["1", "2"], ["3", "4"]], "text|str|number|numeric", CONVERT),
    ("objects", [[object()], [object()]], "object|number|numeric", CONVERT),
    ("none", None, "None|object|number|numeric|NoneType", CONVERT),
    (
        "ragged",
        [[1.0, 2.0], [3.0]],
        "ragged|length|inhomogeneous|shape|rectang",
        "pass|every|same|convert",
    ),
    ("dates", np.array(["2020-01-01"] * 5, dtype="M8[D]"), "date|M8|number|numeric", CONVERT),
]


@pytest.mark.parametrize(
    ("X", "wrong", "advice"), [case[1:] for case in BAD_DATA], ids=[case[0] for case in BAD_DATA]
)
def test_bad_data(X, wrong, advice):
    with pytest.raises((ValueError, TypeError)) as caught:
        fastgmm.fit(X, 1)
    check(caught, "X", wrong, advice)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples", "score", "bic"])
def test_bad_data_in_a_question(method):
    question = getattr(Mixture.from_parameters(*GOOD.parameters), method)
    for X, wrong, advice in (
        (put(np.nan, (7, 1)), r"NaN[\s\S]*row 7\b", REPAIR),
        (np.zeros((4, 3)), r"3 (columns|features)[\s\S]*2|2[\s\S]*3 (columns|features)", "pass"),
        (np.zeros((4, 2, 2)), "has 3|3-D|3 dim", RESHAPE),
        (np.empty((0, 2)), r"\(0, \d\)|0 rows|no rows|empty", "at least"),
        (GOOD.X + 1j, "complex", REAL),
    ):
        with pytest.raises((ValueError, TypeError)) as caught:
            question(X)
        check(caught, "X", wrong, advice)


def test_a_named_column_of_text_is_named():
    pandas = pytest.importorskip("pandas")
    data = pandas.DataFrame({"height": [1.0, 2.0, 3.0], "city": ["a", "b", "c"]})
    with pytest.raises((ValueError, TypeError)) as caught:
        fastgmm.fit(data, 1)
    check(caught, "X", "text|str|object|number|numeric", CONVERT)


def weights(row, value):
    """Return weights of 1 with another value in one row."""
    w = np.ones(203)
    w[row] = value
    return w


EYES = np.stack([np.eye(2)] * 3)
LOPSIDED = np.array([[1.0, 0.5], [0.0, 1.0]])
INDEFINITE = np.array([[1.0, 2.0], [2.0, 1.0]])

# (id, options, argument, what was wrong, what to do)
BAD_OPTIONS = [
    (
        "more components than rows",
        {"n_components": 204},
        "n_components",
        r"(?=.*\b204\b)(?=.*\b203\b)",
        FEWER,
    ),
    ("no components", {"n_components": 0}, "n_components", r"\b0\b", NOT_BELOW_ONE),
    ("minus components", {"n_components": -2}, "n_components", "-2", NOT_BELOW_ONE),
    ("half components", {"n_components": 1.5}, "n_components", r"1\.5|float", WHOLE),
    ("named components", {"n_components": "3"}, "n_components", "'3'|str", WHOLE),
    ("true components", {"n_components": True}, "n_components", "True|bool", WHOLE),
    ("covariance type", {"covariance_type": "round"}, "covariance_type", "round", TYPES),
    ("covariance type None", {"covariance_type": None}, "covariance_type", "None", TYPES),
    (
        "init",
        {"init_params": "magic"},
        "init_params",
        "magic",
        r"kmeans.*k-means\+\+.*random.*random_from_data",
    ),
    (
        "collapse",
        {"on_collapse": "ignore"},
        "on_collapse",
        "ignore",
        r"(?=.*regularize)(?=.*reset)(?=.*raise)",
    ),
    ("tol minus", {"tol": -1e-3}, "tol", r"-0\.001", NOT_BELOW_ZERO),
    ("tol nan", {"tol": np.nan}, "tol", "nan", NOT_BELOW_ZERO),
    ("tol text", {"tol": "small"}, "tol", "small|str", "number"),
    ("reg minus", {"reg_covar": -1.0}, "reg_covar", r"-1", NOT_BELOW_ZERO),
    ("reg inf", {"reg_covar": np.inf}, "reg_covar", "inf", "finite"),
    ("max_iter minus", {"max_iter": -1}, "max_iter", "-1", NOT_BELOW_ZERO),
    ("max_iter half", {"max_iter": 2.5}, "max_iter", r"2\.5|float", WHOLE),
    ("n_init none", {"n_init": 0}, "n_init", r"\b0\b", NOT_BELOW_ONE),
    ("n_threads none", {"n_threads": 0}, "n_threads", r"\b0\b", NOT_BELOW_ONE),
    ("n_threads half", {"n_threads": 1.5}, "n_threads", r"1\.5|float", WHOLE),
    (
        "seed",
        {"random_state": "lucky"},
        "random_state",
        "lucky|str",
        "int.*Generator|Generator.*int",
    ),
    ("callback", {"callback": 3}, "callback", r"\b3\b|int", "callable|function"),
    # sample_weight
    (
        "weight minus",
        {"sample_weight": weights(5, -1.0)},
        "sample_weight",
        r"negative[\s\S]*\b5\b|-1",
        NOT_BELOW_ZERO,
    ),
    (
        "weight nan",
        {"sample_weight": weights(5, np.nan)},
        "sample_weight",
        r"(?i:nan)[\s\S]*\b5\b",
        FINITE,
    ),
    (
        "weight inf",
        {"sample_weight": weights(5, np.inf)},
        "sample_weight",
        r"inf[\s\S]*\b5\b",
        FINITE,
    ),
    (
        "weight nothing",
        {"sample_weight": np.zeros(203)},
        "sample_weight",
        "zero|0",
        "positive|at least|some|one",
    ),
    ("weight short", {"sample_weight": np.ones(202)}, "sample_weight", r"202", "203"),
    (
        "weight column",
        {"sample_weight": np.ones((203, 1))},
        "sample_weight",
        r"\(203, 1\)|2[- ]D",
        r"203|1-D|ravel",
    ),
    (
        "weight text",
        {"sample_weight": ["a"] * 203},
        "sample_weight",
        "text|str|number|numeric",
        CONVERT,
    ),
    ("weight complex", {"sample_weight": np.ones(203) + 0j}, "sample_weight", "complex", REAL),
    (
        "weight few",
        {"sample_weight": np.eye(203)[0] + np.eye(203)[9], "n_components": 3},
        "n_components",
        r"(?=.*\b3\b)(?=.*\b2\b)",
        FEWER,
    ),
    # weights_init
    ("wi shape", {"weights_init": [0.5, 0.5]}, "weights_init", r"\(2,\)", r"\(3,\)"),
    (
        "wi minus",
        {"weights_init": [0.6, 0.6, -0.2]},
        "weights_init",
        "negative|-0.2",
        NOT_BELOW_ZERO,
    ),
    ("wi sum", {"weights_init": [0.5, 0.5, 0.5]}, "weights_init", r"1\.5", "sum|divide"),
    ("wi nan", {"weights_init": [0.5, 0.5, np.nan]}, "weights_init", "NaN", FINITE),
    (
        "wi text",
        {"weights_init": ["a", "b", "c"]},
        "weights_init",
        "text|str|number|numeric",
        CONVERT,
    ),
    # means_init
    ("mi shape", {"means_init": np.zeros((2, 3))}, "means_init", r"\(2, 3\)", r"\(3, 2\)"),
    ("mi flat", {"means_init": np.zeros(3)}, "means_init", r"\(3,\)", r"\(3, 2\)"),
    ("mi inf", {"means_init": [[0, 0], [np.inf, 0], [0, 0]]}, "means_init", "inf", FINITE),
    ("mi complex", {"means_init": np.zeros((3, 2)) + 1j}, "means_init", "complex", REAL),
    # precisions_init
    ("pi shape", {"precisions_init": np.eye(2)}, "precisions_init", r"\(2, 2\)", r"\(3, 2, 2\)"),
    (
        "pi indefinite",
        {"precisions_init": np.stack([np.eye(2), INDEFINITE, np.eye(2)])},
        "precisions_init",
        r"\b1\b[\s\S]*positive[- ]definite|positive[- ]definite[\s\S]*\b1\b",
        "positive",
    ),
    (
        "pi zero",
        {"precisions_init": 0.0 * EYES},
        "precisions_init",
        "positive[- ]definite",
        "positive",
    ),
    (
        "pi lopsided",
        {"precisions_init": np.stack([np.eye(2), np.eye(2), LOPSIDED])},
        "precisions_init",
        "symmetric",
        "symmetri|positive",
    ),
    ("pi nan", {"precisions_init": np.nan * EYES}, "precisions_init", "NaN", FINITE),
    (
        "pi tied",
        {"covariance_type": "tied", "precisions_init": INDEFINITE},
        "precisions_init",
        "positive[- ]definite",
        "positive",
    ),
    (
        "pi tied shape",
        {"covariance_type": "tied", "precisions_init": EYES},
        "precisions_init",
        r"\(3, 2, 2\)",
        r"\(2, 2\)",
    ),
    (
        "pi diag",
        {"covariance_type": "diag", "precisions_init": [[1, 1], [1, 0], [1, 1]]},
        "precisions_init",
        "positive",
        "positive",
    ),
    (
        "pi diag shape",
        {"covariance_type": "diag", "precisions_init": EYES},
        "precisions_init",
        r"\(3, 2, 2\)",
        r"\(3, 2\)",
    ),
    (
        "pi spherical",
        {"covariance_type": "spherical", "precisions_init": [1, -1, 1]},
        "precisions_init",
        "positive|-1",
        "positive",
    ),
    (
        "pi spherical shape",
        {"covariance_type": "spherical", "precisions_init": [1, 1]},
        "precisions_init",
        r"\(2,\)",
        r"\(3,\)",
    ),
]


@pytest.mark.parametrize(
    ("options", "argument", "wrong", "advice"),
    [case[1:] for case in BAD_OPTIONS],
    ids=[case[0] for case in BAD_OPTIONS],
)
def test_bad_options(options, argument, wrong, advice):
    arguments = {"n_components": 3, **options}
    arrays = {k: v.copy() for k, v in arguments.items() if isinstance(v, np.ndarray)}
    X = GOOD.X.copy()
    with pytest.raises((ValueError, TypeError)) as caught:
        fastgmm.fit(X, **arguments)
    check(caught, argument, wrong, advice)
    np.testing.assert_array_equal(X, GOOD.X)
    for name, before in arrays.items():
        np.testing.assert_array_equal(arguments[name], before)


def test_options_are_by_keyword_only():
    with pytest.raises(TypeError, match="positional"):
        fastgmm.fit(GOOD.X, 3, "full")


def test_an_unknown_option_is_refused():
    with pytest.raises(TypeError, match="n_clusters"):
        fastgmm.fit(GOOD.X, n_clusters=3)


def test_numpy_numbers_are_numbers(assert_same_mixture):
    expected = fastgmm.fit(GOOD.X, 3, random_state=0)
    model = fastgmm.fit(
        GOOD.X,
        np.int64(3),
        tol=np.float32(0.001),
        max_iter=np.int32(100),
        n_init=np.uint8(1),
        reg_covar=np.float64(1e-6),
        random_state=np.int64(0),
    )
    assert_same_mixture(model, expected)


# (id, weights, means, covariances, covariance type, argument, wrong, advice)
EYE = np.eye(2)
BAD_PARAMETERS = [
    ("sum", [0.5, 0.4], np.zeros((2, 2)), [EYE, EYE], "full", "weights", r"0\.9", "sum|divide"),
    (
        "minus",
        [1.5, -0.5],
        np.zeros((2, 2)),
        [EYE, EYE],
        "full",
        "weights",
        "negative|-0.5",
        NOT_BELOW_ZERO,
    ),
    ("nan", [np.nan, 1.0], np.zeros((2, 2)), [EYE, EYE], "full", "weights", "NaN", FINITE),
    (
        "none",
        [],
        np.zeros((0, 2)),
        np.zeros((0, 2, 2)),
        "full",
        "weights",
        "empty|0|no ",
        "at least",
    ),
    (
        "2-D",
        [[0.5, 0.5]],
        np.zeros((2, 2)),
        [EYE, EYE],
        "full",
        "weights",
        r"\(1, 2\)|2[- ]D",
        r"1-D|\(2,\)|n_components",
    ),
    ("means", [0.5, 0.5], np.zeros((3, 2)), [EYE, EYE], "full", "means", r"\(3, 2\)", r"\(2, |2"),
    ("means nan", [0.5, 0.5], [[0, 0], [0, np.nan]], [EYE, EYE], "full", "means", "NaN", FINITE),
    (
        "shape",
        [0.5, 0.5],
        np.zeros((2, 2)),
        EYE,
        "full",
        "covariances",
        r"\(2, 2\)",
        r"\(2, 2, 2\)",
    ),
    (
        "diag shape",
        [0.5, 0.5],
        np.zeros((2, 2)),
        [EYE, EYE],
        "diag",
        "covariances",
        r"\(2, 2, 2\)",
        r"\(2, 2\)",
    ),
    (
        "indefinite",
        [0.5, 0.5],
        np.zeros((2, 2)),
        [EYE, INDEFINITE],
        "full",
        "covariances",
        r"1[\s\S]*positive[- ]definite|positive[- ]definite[\s\S]*1",
        "positive",
    ),
    (
        "lopsided",
        [0.5, 0.5],
        np.zeros((2, 2)),
        [EYE, LOPSIDED],
        "full",
        "covariances",
        "symmetric",
        "symmetri|positive",
    ),
    (
        "tied",
        [0.5, 0.5],
        np.zeros((2, 2)),
        INDEFINITE,
        "tied",
        "covariances",
        "positive[- ]definite",
        "positive",
    ),
    (
        "diag",
        [0.5, 0.5],
        np.zeros((2, 2)),
        [[1, 1], [0, 1]],
        "diag",
        "covariances",
        "positive|0",
        "positive",
    ),
    (
        "spherical",
        [0.5, 0.5],
        np.zeros((2, 2)),
        [1, -1],
        "spherical",
        "covariances",
        "positive|-1",
        "positive",
    ),
    ("type", [0.5, 0.5], np.zeros((2, 2)), [EYE, EYE], "round", "covariance_type", "round", TYPES),
]


@pytest.mark.parametrize(
    ("parameters", "argument", "wrong", "advice"),
    [(case[1:5], *case[5:]) for case in BAD_PARAMETERS],
    ids=[case[0] for case in BAD_PARAMETERS],
)
def test_bad_parameters(parameters, argument, wrong, advice):
    with pytest.raises((ValueError, TypeError)) as caught:
        Mixture.from_parameters(*parameters)
    check(caught, argument, wrong, advice)


@pytest.mark.parametrize("n", [0, -1, 1.5, "many", True])
def test_bad_sample_sizes(n):
    model = Mixture.from_parameters(*GOOD.parameters)
    with pytest.raises((ValueError, TypeError)) as caught:
        model.sample(n)
    check(caught, "n_samples", re.escape(repr(n)), "whole|integer|at least|positive|>= 1")


@pytest.mark.parametrize("name", ["score", "bic", "aic", "icl"])
@pytest.mark.parametrize(
    ("w", "wrong"),
    [(weights(5, -1.0), "negative|-1"), (np.zeros(203), "zero|0"), (np.ones(4), "4")],
    ids=["minus", "nothing", "short"],
)
def test_bad_weights_in_a_question(name, w, wrong):
    model = Mixture.from_parameters(*GOOD.parameters)
    with pytest.raises((ValueError, TypeError)) as caught:
        getattr(model, name)(GOOD.X, sample_weight=w)
    check(caught, "sample_weight", wrong, r"\w")


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_a_failed_fit_leaves_no_trace(covariance_type, assert_same_mixture):
    """A fit after failed fits gives the same bits as before them."""
    problem = problems.overlapping(203, 2, 3, covariance_type)
    expected = fastgmm.fit(problem.X, **problem.start)
    with pytest.raises(ValueError, match="NaN"):
        fastgmm.fit(put(np.nan, (200, 0)), **problem.start)

    def fail(iteration, log_likelihood):
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        fastgmm.fit(problem.X, **problem.start, callback=fail)
    assert_same_mixture(fastgmm.fit(problem.X, **problem.start), expected)
