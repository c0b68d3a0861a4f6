"""`fastgmm.sklearn.GaussianMixture` agrees with scikit-learn's estimator in every attribute.

Parameters after the same number of iterations agree to 1e-7 in float64. With float32 data
scikit-learn also sums in float32, and this library in float64: after six iterations the rounding
of scikit-learn's sums amounts to 3e-3. If each component starts on a single row, squared
distances are about a million, and float32 has too few digits to compare two of them; 5e-2 is the
effect of one row that changes its component.
"""

import logging
import os
import re
import subprocess
import sys

import numpy as np
import problems
import pytest
from reference import COVARIANCE_TYPES

sklearn = pytest.importorskip("sklearn")

from sklearn.exceptions import ConvergenceWarning, NotFittedError  # noqa: E402
from sklearn.mixture import GaussianMixture as Theirs  # noqa: E402

import fastgmm  # noqa: E402
from fastgmm.sklearn import GaussianMixture, fallback  # noqa: E402

PARAMETERS = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")
INITS = ("kmeans", "k-means++", "random", "random_from_data")
SHAPES = [(120, 1, 2), (300, 2, 3), (250, 5, 4), (600, 3, 6)]

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
each_init = pytest.mark.parametrize("init_params", INITS)
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(map(str, s)))
unconverged = pytest.mark.filterwarnings("ignore:Best performing:UserWarning")


@pytest.fixture
def fallbacks():
    """The log messages of fallbacks."""

    class Keeper(logging.Handler):
        def emit(self, record):
            messages.append(record.getMessage())

    messages, keeper = [], Keeper(logging.WARNING)
    logger = logging.getLogger("fastgmm")
    logger.addHandler(keeper)
    yield messages
    logger.removeHandler(keeper)


def both(X, **options):
    """Fit both estimators from generators in the same state; return ours and theirs."""
    seed = options.pop("random_state", 0)
    drawn = [np.random.RandomState(seed) for _ in range(2)]
    ours = GaussianMixture(random_state=drawn[0], **options).fit(X)
    theirs = Theirs(random_state=drawn[1], **options).fit(X)
    assert drawn[0].random_sample() == drawn[1].random_sample()  # both drew as many numbers
    return ours, theirs


@unconverged
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@each_type
@each_init
@each_shape
def test_same_seed_same_answer(shape, init_params, covariance_type, dtype, assert_close, fallbacks):
    X = problems.overlapping(*shape, covariance_type).X.astype(dtype)
    rtol = 1e-7 if dtype is np.float64 else 3e-3 if init_params in ("kmeans", "random") else 5e-2
    for seed in range(2):
        for max_iter in (0, 6):
            ours, theirs = both(
                X,
                n_components=shape[2],
                covariance_type=covariance_type,
                init_params=init_params,
                random_state=seed,
                max_iter=max_iter,
                tol=0.0,
            )
            assert ours.n_iter_ == theirs.n_iter_ == max_iter
            for name in PARAMETERS:
                value = getattr(ours, name)
                assert value.dtype == dtype
                assert_close(value, getattr(theirs, name), rtol)
            if max_iter:
                assert_close(ours.lower_bounds_, theirs.lower_bounds_, rtol)
                assert_close(ours.lower_bound_, theirs.lower_bound_, rtol)
    assert not fallbacks


@each_type
@each_init
def test_fit_until_converged(init_params, covariance_type, assert_close):
    shape = (300, 2, 3)
    X = problems.overlapping(*shape, covariance_type).X
    options = {"covariance_type": covariance_type, "init_params": init_params, "max_iter": 500}
    ours, theirs = both(X, n_components=shape[2], n_init=2, **options)
    assert (ours.n_iter_, ours.converged_) == (theirs.n_iter_, True)
    assert len(ours.lower_bounds_) == ours.n_iter_
    assert_close(ours.means_, theirs.means_, 1e-7)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    assert_close(ours.predict_proba(X), theirs.predict_proba(X), 1e-7)
    assert_close(ours.score_samples(X), theirs.score_samples(X), 1e-7)
    for question in ("score", "bic", "aic"):
        assert_close(getattr(ours, question)(X), getattr(theirs, question)(X), 1e-7)


@pytest.mark.parametrize("given", ["weights", "means", "precisions", "means precisions"])
@each_type
@each_init
def test_given_starts_do_not_change_how_the_rest_is_found(
    init_params, covariance_type, given, assert_close
):
    problem = problems.overlapping(300, 2, 3, covariance_type)
    given = {f"{name}_init": problem.start[f"{name}_init"] for name in given.split()}
    options = {"covariance_type": covariance_type, "init_params": init_params, "max_iter": 300}
    ours, theirs = both(problem.X, n_components=3, **options, **given)
    assert ours.n_iter_ == theirs.n_iter_
    assert_close(ours.means_, theirs.means_, 1e-7)
    assert_close(ours.covariances_, theirs.covariances_, 1e-7)


@pytest.mark.filterwarnings("ignore:Number of distinct clusters:UserWarning")
@each_type
@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_components_without_rows_end_as_theirs(covariance_type, offset, assert_close, fallbacks):
    """With three distinct points two of five components end at the origin."""
    X = np.repeat([[0.0, 1.0], [4.0, 0.0], [1.0, 9.0]], [5, 7, 9], axis=0) + offset
    ours, theirs = both(X, n_components=5, covariance_type=covariance_type)
    assert ours.n_iter_ == theirs.n_iter_
    for name in ("weights_", "means_", "covariances_"):
        assert_close(getattr(ours, name), getattr(theirs, name), 1e-7)
    assert not fallbacks


@pytest.mark.filterwarnings("ignore:Number of distinct clusters:UserWarning")
@each_type
def test_ill_defined_covariances_have_their_message(covariance_type):
    X = np.repeat([[0.0, 0.0], [1.0, 1.0]], 5, axis=0)
    options = {"n_components": 10, "covariance_type": covariance_type, "reg_covar": 0.0}
    with pytest.raises(ValueError, match="ill-defined empirical covariance") as theirs:
        Theirs(**options, random_state=0).fit(X)
    with pytest.raises(ValueError, match=re.escape(str(theirs.value))):
        GaussianMixture(**options, random_state=0).fit(X)
    with pytest.raises(ValueError, match="ill-defined empirical covariance"):
        GaussianMixture(**options, random_state=0).fit(X, sample_weight=np.ones(10))


def test_where_rounding_decides_theirs_decides(fallbacks, assert_close):
    """The variance of a constant column is 0 or a rounding error, whichever the sums give."""
    X = np.column_stack([np.random.RandomState(0).randn(50), np.full(50, 0.1)])
    options = {"reg_covar": 0.0, "random_state": 0}
    try:
        theirs = Theirs(**options).fit(X)
    except ValueError as error:
        with pytest.raises(ValueError, match=re.escape(str(error))):
            GaussianMixture(**options).fit(X)
    else:
        assert_close(GaussianMixture(**options).fit(X).means_, theirs.means_, 1e-7)


@unconverged
@pytest.mark.filterwarnings("ignore::fastgmm.ConvergenceWarning")
@pytest.mark.parametrize("on_collapse", ["regularize", "reset"])
def test_what_collapses_can_be_repaired(on_collapse):
    X = np.vstack([np.random.RandomState(0).randn(60, 2), np.full((20, 2), 9.0)])
    model = GaussianMixture(3, on_collapse=on_collapse, reg_covar=1e-6, random_state=0).fit(X)
    mixture = fastgmm.fit(X, 3, init_params="kmeans", on_collapse=on_collapse, random_state=0)
    np.testing.assert_allclose(model.means_, mixture.means, rtol=1e-12)


def test_warnings_are_theirs():
    X = problems.overlapping(200, 2, 3).X
    message = (
        r"Best performing initialization did not converge. Try different init parameters, or "
        r"increase max_iter, tol, or check for degenerate data."
    )
    with pytest.warns(ConvergenceWarning, match=message) as caught:
        GaussianMixture(3, max_iter=2, random_state=0).fit(X)
    assert caught[0].filename == sklearn.base.__file__  # filters go by the module of a warning
    few = np.repeat([[0.0], [1.0]], 5, axis=0)
    message = r"Number of distinct clusters \(2\) found smaller than n_clusters \(3\)."
    with pytest.warns(ConvergenceWarning, match=message) as caught:
        GaussianMixture(3, random_state=0).fit(few)
    assert caught[0].filename == sklearn.base.__file__


@pytest.mark.parametrize(
    ("options", "X"),
    [
        ({"n_components": 0}, [[1.0], [2.0]]),
        ({"tol": -1.0}, [[1.0], [2.0]]),
        ({"covariance_type": "round"}, [[1.0], [2.0]]),
        ({"n_components": 3}, [[1.0], [2.0]]),
        ({}, [[1.0]]),
        ({}, [1.0, 2.0]),
        ({}, [[1.0], [np.nan]]),
        ({}, [["a"], ["b"]]),
        ({}, [[1j], [2.0]]),
        ({"n_components": 2, "weights_init": [0.2, 0.2]}, [[1.0], [2.0]]),
        ({"n_components": 2, "means_init": [[1.0, 2.0]]}, [[1.0], [2.0]]),
        ({"precisions_init": [[[-1.0]]]}, [[1.0], [2.0]]),
    ],
)
def test_errors_are_theirs(options, X):
    with pytest.raises((ValueError, TypeError)) as theirs:
        Theirs(**options).fit(X)
    with pytest.raises(type(theirs.value)) as ours:
        GaussianMixture(**options).fit(X)
    advice = "\nTo fit the values that are there, pass missing='em'."  # after a line on NaN
    assert str(ours.value).removesuffix(advice) == str(theirs.value)


def test_questions_before_a_fit_are_refused_as_theirs():
    for question in ("predict", "predict_proba", "score_samples", "score"):
        with pytest.raises(NotFittedError, match="This GaussianMixture instance is not fitted"):
            getattr(GaussianMixture(), question)([[1.0]])
    with pytest.raises(NotFittedError):
        GaussianMixture().sample()


def test_errors_of_our_own_arguments():
    with pytest.raises(ValueError, match="The 'n_threads' parameter of GaussianMixture must be"):
        GaussianMixture(n_threads=0).fit([[1.0], [2.0]])
    with pytest.raises(ValueError, match="The 'on_collapse' parameter of GaussianMixture must be"):
        GaussianMixture(on_collapse="ignore").fit([[1.0], [2.0]])
    with pytest.raises(ValueError, match="Expected n_samples >= n_components"):
        GaussianMixture(2).fit([[1.0], [2.0]], sample_weight=[1.0, 0.0])


@unconverged
@pytest.mark.parametrize("verbose", [1, 2])
def test_verbose_prints_what_theirs_prints(verbose, capsys):
    X = problems.overlapping(300, 2, 3).X
    printed = []
    for kind in (GaussianMixture, Theirs):
        options = {"verbose": verbose, "verbose_interval": 3, "n_init": 2, "random_state": 1}
        kind(3, max_iter=12, **options).fit(X)
        printed.append(re.sub(r"lapse \d+\.\d+s", "lapse", capsys.readouterr().out))
    assert printed[0] == printed[1]
    assert printed[0].count("Initialization") == 4


@unconverged
@each_type
def test_warm_start_goes_on(covariance_type, assert_close, fallbacks):
    X = problems.overlapping(300, 2, 3, covariance_type).X
    options = {"covariance_type": covariance_type, "random_state": 0, "warm_start": True}
    ours, theirs = (kind(3, max_iter=2, **options) for kind in (GaussianMixture, Theirs))
    for _ in range(4):
        ours.fit(X)
        theirs.fit(X)
        assert (ours.n_iter_, ours.converged_) == (theirs.n_iter_, theirs.converged_)
        assert_close(ours.means_, theirs.means_, 1e-9)
        assert_close(ours.lower_bound_, theirs.lower_bound_, 1e-9)
    assert not fallbacks
    wider = np.hstack([X, X])
    with pytest.raises(
        ValueError, match=r"mismatch|broadcast|aligned"
    ):  # NumPy's error, as in scikit-learn
        ours.fit(wider)
    assert len(fallbacks) == 1


@each_type
def test_weights_count_as_repeated_rows(covariance_type, assert_close):
    problem = problems.overlapping(150, 2, 3, covariance_type)
    weight = np.random.RandomState(0).randint(0, 4, size=150)
    model = GaussianMixture(**problem.start)
    weighted = model.fit(problem.X, sample_weight=weight)
    score = weighted.score(problem.X, sample_weight=weight)
    repeated = np.repeat(problem.X, weight, axis=0)
    theirs = Theirs(**problem.start).fit(repeated)
    assert weighted.n_iter_ == theirs.n_iter_
    assert_close(weighted.covariances_, theirs.covariances_, 1e-10)
    assert_close(score, theirs.score(repeated), 1e-10)
    labels = GaussianMixture(**problem.start).fit_predict(problem.X, sample_weight=weight)
    np.testing.assert_array_equal(labels, theirs.predict(problem.X))


@pytest.mark.parametrize("kind", ["frame", "list", "fortran", "integers", "read-only", "strided"])
def test_inputs_of_all_kinds(kind, assert_close):
    X = np.round(4.0 * problems.overlapping(200, 3, 2).X)
    given = {
        "frame": lambda: pytest.importorskip("pandas").DataFrame(X, columns=["a", "b", "c"]),
        "list": X.tolist,
        "fortran": lambda: np.asfortranarray(X),
        "integers": lambda: X.astype(int),
        "read-only": lambda: np.frombuffer(X.tobytes()).reshape(X.shape),
        "strided": lambda: np.repeat(X, 2, axis=1)[:, ::2],
    }[kind]()
    ours, theirs = both(given, n_components=2)
    assert_close(ours.means_, theirs.means_, 1e-7)
    # For integers scikit-learn rounds the distances to integers, so compare with floats.
    asked = X if kind == "integers" else given
    np.testing.assert_array_equal(ours.predict(given), theirs.predict(asked))
    assert_close(ours.score_samples(given), theirs.score_samples(asked), 1e-7)
    assert ours.n_features_in_ == 3
    assert hasattr(ours, "feature_names_in_") == hasattr(theirs, "feature_names_in_")
    if kind == "frame":
        assert ours.feature_names_in_.tolist() == ["a", "b", "c"]


@each_type
def test_private_steps_run_and_agree(covariance_type, assert_close):
    """Other packages call these methods."""
    problem = problems.overlapping(200, 3, 4, covariance_type)
    X = problem.X
    ours, theirs = both(X, n_components=4, covariance_type=covariance_type)
    log_resp = theirs._estimate_log_prob_resp(X)[1]
    assert_close(ours._estimate_log_prob(X), theirs._estimate_log_prob(X), 1e-9)
    assert_close(ours._estimate_weighted_log_prob(X), theirs._estimate_weighted_log_prob(X), 1e-9)
    assert_close(ours._estimate_log_prob_resp(X)[1], log_resp, 1e-9)
    assert_close(ours._e_step(X)[0], theirs._e_step(X)[0], 1e-9)
    for model in (ours, theirs):
        model._m_step(X, log_resp)
    assert_close(ours.covariances_, theirs.covariances_, 1e-10)
    for model in (ours, theirs):
        model._initialize_parameters(X, np.random.RandomState(3))
    assert_close(ours.precisions_cholesky_, theirs.precisions_cholesky_, 1e-9)
    assert ours._n_parameters() == theirs._n_parameters()


def test_models_made_by_hand(assert_close, fallbacks):
    X = problems.overlapping(200, 2, 3).X
    fitted = Theirs(3, random_state=0).fit(X)
    ours, theirs = GaussianMixture(3), Theirs(3)
    for model in (ours, theirs):
        model.weights_, model.means_ = fitted.weights_, fitted.means_
        model.precisions_cholesky_ = fitted.precisions_cholesky_
    assert_close(ours.score_samples(X), theirs.score_samples(X), 1e-10)
    assert not fallbacks
    with pytest.raises(ValueError, match="X has 1 features, but GaussianMixture is expecting 2"):
        ours.predict(X[:, :1])
    roots = [np.linalg.cholesky(precision) for precision in fitted.precisions_]
    for model in (ours, theirs):
        model.precisions_cholesky_ = np.array(roots)  # lower-triangular, which scikit-learn accepts
    assert_close(ours.score_samples(X), theirs.score_samples(X), 1e-10)
    assert fallbacks == [
        "GaussianMixture.score_samples falls back to scikit-learn: weights_, means_ and "
        "precisions_cholesky_ describe no mixture"
    ]


def test_a_subclass_that_overrides_a_step_gets_its_step(fallbacks, assert_close):
    def centred(kind):
        class Centred(kind):
            def _m_step(self, X, log_resp, **namespace):
                super()._m_step(X, log_resp, **namespace)
                self.means_ = np.zeros_like(self.means_)

        return Centred(2, covariance_type="spherical", random_state=0)

    X = problems.overlapping(200, 2, 2).X
    ours, theirs = centred(GaussianMixture).fit(X), centred(Theirs).fit(X)
    assert not ours.means_.any()
    assert ours.n_iter_ == theirs.n_iter_
    assert_close(ours.covariances_, theirs.covariances_, 1e-7)
    assert fallbacks == ["GaussianMixture.fit falls back to scikit-learn: _m_step is overridden"]
    with pytest.raises(ValueError, match="sample_weight cannot be used here: _m_step is"):
        centred(GaussianMixture).fit(X, sample_weight=np.ones(200))


def test_a_subclass_that_overrides_nothing_runs_accelerated(caplog):
    class Named(GaussianMixture):
        def fit_predict(self, X, y=None):
            self.called_ = True
            return super().fit_predict(X, y)

    caplog.set_level(logging.INFO, logger="fastgmm")
    model = Named(2, random_state=0).fit(problems.overlapping(200, 2, 2).X)
    assert model.called_
    assert caplog.messages == ["GaussianMixture.fit runs accelerated on X of shape (200, 2)"]


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
def test_arrays_of_other_libraries_fall_back(library):
    """Run in a new process, because SciPy's support must be enabled before its import."""
    pytest.importorskip(library)
    code = f"""
import numpy as np, sklearn, {library} as library, fastgmm
X = library.asarray(np.random.RandomState(0).randn(60, 2))
sklearn.set_config(array_api_dispatch=True)
model = fastgmm.GaussianMixture(2, init_params="random", random_state=0).fit(X)
for answer in (model.means_, model.predict(X), model.predict_proba(X), model.score_samples(X)):
    assert type(answer) is type(X)
"""
    environment = {**os.environ, "SCIPY_ARRAY_API": "1", "FASTGMM_VERBOSE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("fastgmm: ")]
    assert told == [
        f"fastgmm: GaussianMixture.{method} falls back to scikit-learn: X is an array of a "
        "library other than NumPy"
        for method in ("fit", "predict", "predict_proba", "score_samples")
    ]


def test_scikit_learn_says_which_arrays_are_of_another_library(monkeypatch):
    class Tensor:
        """An array that has no ``__array_namespace__``, as PyTorch's have none."""

    def get_namespace(X):
        if isinstance(X, memoryview):
            raise TypeError("memoryview is not a supported array type")
        return None, isinstance(X, Tensor)

    monkeypatch.setattr(fallback, "get_namespace", get_namespace)
    assert not fallback.is_foreign(Tensor())
    monkeypatch.setattr(sklearn, "get_config", lambda: {"array_api_dispatch": True})
    assert fallback.is_foreign(Tensor())
    for known in (np.ones(2), np.float64(1), [[1.0]], memoryview(b"1")):
        assert not fallback.is_foreign(known)


def test_any_number_of_threads_gives_the_same_bits():
    X = problems.overlapping(30_000, 4, 5).X
    one, two = (GaussianMixture(5, n_threads=n, random_state=0).fit(X) for n in (1, 2))
    np.testing.assert_array_equal(one.covariances_, two.covariances_)
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))


def test_the_class_is_found_lazily_and_is_theirs():
    assert fastgmm.GaussianMixture is GaussianMixture
    assert fastgmm.sklearn.GaussianMixture is GaussianMixture
    assert issubclass(GaussianMixture, Theirs)
    assert repr(GaussianMixture(2)) == repr(Theirs(2)) == "GaussianMixture(n_components=2)"
    assert "GaussianMixture" in GaussianMixture(2)._repr_html_()
    ours, theirs = (kind().get_params() for kind in (GaussianMixture, Theirs))
    added = {"n_threads": None, "on_collapse": "raise", "missing": "error"}
    steps = {"learning_decay": 0.7, "learning_offset": 2.0}
    assert ours == {**theirs, **added, **steps, "prior": None, "fixed": None}
    assert sklearn.base.clone(GaussianMixture(2, n_threads=1)).n_threads == 1


def test_without_scikit_learn_the_error_says_what_to_install():
    code = """
import sys
sys.modules["sklearn"] = None  # as if it were not installed
import fastgmm
from fastgmm import *
print(fastgmm.GaussianMixture)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.endswith(
        "ImportError: fastgmm.sklearn needs scikit-learn; install it with: "
        'pip install "fastgmm[sklearn]"\n'
    )


def test_the_search_of_fit_is_available():
    """With "auto" the estimator finds two long clusters, which k-means cuts across."""
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 2, 600)
    X = draw.normal(size=(600, 2)) * [50, 1] + np.outer(labels, [0, 7])
    model = GaussianMixture(2, init_params="auto", random_state=0).fit(X)
    agree = (model.predict(X) == labels).mean()
    assert max(agree, 1 - agree) > 0.99
    assert GaussianMixture().init_params == "kmeans"
    assert model.lower_bound_ == fastgmm.fit(X, 2, random_state=0).log_likelihood


def test_an_unknown_start_is_refused():
    with pytest.raises(ValueError, match="'init_params' parameter of GaussianMixture must be"):
        GaussianMixture(init_params="best").fit([[1.0], [2.0]])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_missing_values(covariance_type, dtype):
    """The estimator fits and predicts from observed values, as the functions do."""
    problem = problems.overlapping(400, 4, 3, covariance_type)
    X = np.where(np.random.default_rng(0).random((400, 4)) < 0.2, np.nan, problem.X).astype(dtype)
    with pytest.raises(ValueError, match=r"contains NaN(.|\n)*pass missing='em'"):
        GaussianMixture(3).fit(X)
    options = {**problem.start, "tol": 1e-4, "max_iter": 500, "missing": "em"}
    model = GaussianMixture(**options).fit(X)
    mixture = fastgmm.fit(X, **options)
    rtol = 1e-8 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(model.lower_bounds_, mixture.log_likelihoods, rtol=rtol)
    np.testing.assert_allclose(model.means_, mixture.means, rtol=1e-3, atol=rtol)
    np.testing.assert_array_equal(model.predict(X), mixture.predict(X, missing="em"))
    expected = mixture.predict_proba(X, missing="em")
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-4)
    np.testing.assert_allclose(model.score(X), mixture.score(X, missing="em"), rtol=1e-5)
    np.testing.assert_allclose(model.bic(X), mixture.bic(X, missing="em"), rtol=1e-5)
    assert (model.fit_predict(X) == model.predict(X)).all()
    again = GaussianMixture(3, missing="em", random_state=0, covariance_type=covariance_type)
    assert np.isfinite(again.fit(X).score_samples(X)).all()


def test_a_feature_without_values_is_refused():
    with pytest.raises(ValueError, match="X has no value of feature 1 in any row"):
        GaussianMixture(missing="em").fit([[1.0, np.nan], [2.0, np.nan]])
