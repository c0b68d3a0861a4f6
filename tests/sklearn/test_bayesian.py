"""`fastgmm.sklearn.BayesianGaussianMixture` agrees with scikit-learn's in every attribute.

In float64 all attributes agree to 1e-7 after the same number of iterations. With float32 data
scikit-learn sums the squares of a start and of diagonal and tied covariances in float32, and this
library in float64. That differs by 1e-6 in the first iterations, and EM can multiply a difference
before the components settle: 1e-3. The number of iterations until convergence is the same.
"""

import logging
import re

import numpy as np
import problems
import pytest
from reference import COVARIANCE_TYPES

sklearn = pytest.importorskip("sklearn")

from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.mixture import BayesianGaussianMixture as Theirs  # noqa: E402

import fastgmm  # noqa: E402
from fastgmm.sklearn import BayesianGaussianMixture, GaussianMixture  # noqa: E402

ATTRIBUTES = (
    "weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_",
    "weight_concentration_", "mean_precision_", "degrees_of_freedom_",
    "weight_concentration_prior_", "mean_precision_prior_", "mean_prior_",
    "degrees_of_freedom_prior_", "covariance_prior_",
)  # fmt: skip
INITS = ("kmeans", "k-means++", "random", "random_from_data")
PRIORS = ("dirichlet_process", "dirichlet_distribution")

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
each_init = pytest.mark.parametrize("init_params", INITS)
each_prior = pytest.mark.parametrize("prior", PRIORS)
unconverged = pytest.mark.filterwarnings("ignore:Best performing:UserWarning")


def both(X, **options):
    """Fit both estimators from generators in the same state; return ours and theirs."""
    seed = options.pop("random_state", 0)
    drawn = [np.random.RandomState(seed) for _ in range(2)]
    ours = BayesianGaussianMixture(random_state=drawn[0], **options).fit(X)
    theirs = Theirs(random_state=drawn[1], **options).fit(X)
    assert drawn[0].random_sample() == drawn[1].random_sample()  # both drew as many numbers
    return ours, theirs


def assert_same(ours, theirs, rtol):
    """Compare all attributes, each on the scale of its largest entry, with shapes and kinds."""
    assert set(vars(theirs)) - set(vars(ours)) == set()
    for name in ATTRIBUTES:
        a, b = getattr(ours, name), getattr(theirs, name)
        assert isinstance(a, tuple) == isinstance(b, tuple)
        for one, other in zip(*(v if isinstance(v, tuple) else (v,) for v in (a, b)), strict=True):
            assert np.shape(one) == np.shape(other), name
            assert np.abs(one - other).max() <= rtol * np.abs(other).max(), name
    if ours.n_iter_:
        np.testing.assert_allclose(ours.lower_bounds_, np.ravel(theirs.lower_bounds_), rtol=rtol)
        np.testing.assert_allclose(ours.lower_bound_, np.ravel(theirs.lower_bound_)[0], rtol=rtol)


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, logger="fastgmm")
    return caplog


@unconverged
@each_type
@each_init
@each_prior
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_same_seed_same_answer(dtype, prior, init_params, covariance_type, log):
    rtol = 1e-7 if dtype is np.float64 else 1e-3
    for shape in ((120, 1, 2), (250, 5, 4)):
        X = problems.overlapping(*shape, covariance_type).X.astype(dtype)
        for max_iter in (0, 6):
            ours, theirs = both(
                X,
                n_components=shape[2],
                covariance_type=covariance_type,
                init_params=init_params,
                weight_concentration_prior_type=prior,
                max_iter=max_iter,
                tol=0.0,
            )
            assert ours.n_iter_ == theirs.n_iter_ == max_iter
            assert_same(ours, theirs, rtol)
            if dtype is np.float64:
                assert {getattr(ours, name).dtype for name in ATTRIBUTES[:5]} == {X.dtype}
            probabilities = ours.predict_proba(X), theirs.predict_proba(X)
            assert probabilities[0].dtype == probabilities[1].dtype
    assert all("accelerated" in message for message in log.messages)


@each_type
@each_prior
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_fit_until_converged(dtype, prior, covariance_type, assert_close):
    X = problems.overlapping(300, 2, 3, covariance_type).X.astype(dtype)
    options = {"covariance_type": covariance_type, "max_iter": 1000, "n_init": 2}
    ours, theirs = both(X, n_components=3, weight_concentration_prior_type=prior, **options)
    assert (ours.n_iter_, ours.converged_) == (theirs.n_iter_, True)
    assert_same(ours, theirs, 1e-7 if dtype is np.float64 else 1e-3)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_array_equal(ours.fit_predict(X), theirs.fit_predict(X))
    if dtype is np.float64:
        assert_close(ours.score_samples(X), theirs.score_samples(X), 1e-9)
        assert_close(ours.score(X), theirs.score(X), 1e-9)


@unconverged
@each_type
@each_prior
def test_priors_of_ones_own(prior, covariance_type):
    X = problems.overlapping(300, 2, 3, covariance_type).X
    matrix = np.array([[2.0, 0.5], [0.5, 1.0]])
    scale = {"full": matrix, "tied": matrix, "diag": np.array([2.0, 1.0]), "spherical": 1.5}
    ours, theirs = both(
        X,
        n_components=3,
        covariance_type=covariance_type,
        weight_concentration_prior_type=prior,
        weight_concentration_prior=20.0,
        mean_precision_prior=0.1,
        mean_prior=[1.0, 2.0],
        degrees_of_freedom_prior=7.5,
        covariance_prior=scale[covariance_type],
        reg_covar=1e-2,
        max_iter=8,
    )
    assert_same(ours, theirs, 1e-9)


@unconverged
@pytest.mark.filterwarnings("ignore:Number of distinct clusters:UserWarning")
@each_type
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_components_without_rows_end_as_theirs(covariance_type, offset):
    """scikit-learn adds 10 eps to their weight, which moves the mean of their rows to 0."""
    X = np.repeat([[0.0, 1.0], [4.0, 0.0], [1.0, 9.0]], [5, 7, 9], axis=0) + offset
    ours, theirs = both(X, n_components=5, covariance_type=covariance_type, max_iter=5, tol=0.0)
    assert_same(ours, theirs, 1e-7)


@unconverged
@each_type
@each_prior
def test_warm_start_goes_on(prior, covariance_type, log):
    X = problems.overlapping(300, 2, 3, covariance_type).X
    options = {
        "n_components": 3, "covariance_type": covariance_type, "random_state": 0,
        "weight_concentration_prior_type": prior, "warm_start": True, "max_iter": 2,
    }  # fmt: skip
    ours, theirs = (kind(**options) for kind in (BayesianGaussianMixture, Theirs))
    for _ in range(4):
        ours.fit(X)
        theirs.fit(X)
        assert (ours.n_iter_, ours.converged_) == (theirs.n_iter_, theirs.converged_)
        assert_same(ours, theirs, 1e-9)
    assert all("accelerated" in message for message in log.messages)


@each_type
@each_prior
def test_weights_count_as_repeated_rows(prior, covariance_type, assert_close):
    X = problems.overlapping(150, 2, 3, covariance_type).X
    weight = np.random.RandomState(0).randint(0, 4, size=150)
    repeated = np.repeat(X, weight, axis=0)
    ours, theirs = both(
        X[weight > 0],
        n_components=3,
        covariance_type=covariance_type,
        weight_concentration_prior_type=prior,
        max_iter=500,
    )
    for model, rows, given in ((ours, X, {"sample_weight": weight}), (theirs, repeated, {})):
        model.set_params(warm_start=True)  # the start is the same
        model.lower_bound_ = -np.inf
        model.fit(rows, **given)
    assert ours.n_iter_ == theirs.n_iter_
    assert_same(ours, theirs, 1e-9)
    assert_close(ours.score(X, sample_weight=weight), theirs.score(repeated), 1e-10)


def test_weights_too_small_to_count_rows_are_refused():
    X = np.arange(8.0)[:, None]
    with pytest.raises(ValueError, match=r"sample_weight must have a sum above 1 but has 0\.8"):
        BayesianGaussianMixture().fit(X, sample_weight=np.full(8, 0.1))


@pytest.mark.parametrize(
    ("options", "X"),
    [
        ({"n_components": 0}, [[1.0], [2.0]]),
        ({"weight_concentration_prior_type": "best"}, [[1.0], [2.0]]),
        ({"weight_concentration_prior": 0.0}, [[1.0], [2.0]]),
        ({"n_components": 3}, [[1.0], [2.0]]),
        ({"mean_prior": [1.0, 2.0]}, [[1.0], [2.0]]),
        ({"degrees_of_freedom_prior": 0.5}, [[1.0, 2.0], [2.0, 1.0]]),
        ({"covariance_prior": [[1.0, 2.0]]}, [[1.0], [2.0]]),
        ({"covariance_prior": [[-1.0]]}, [[1.0], [2.0]]),
        ({"covariance_prior": [-1.0], "covariance_type": "diag"}, [[1.0], [2.0]]),
    ],
)
def test_errors_are_theirs(options, X):
    with pytest.raises((ValueError, TypeError)) as theirs:
        Theirs(**options).fit(X)
    with pytest.raises(type(theirs.value)) as ours:
        BayesianGaussianMixture(**options).fit(X)
    assert str(ours.value) == str(theirs.value)


def test_missing_values_are_refused_with_advice():
    """The advice follows scikit-learn's message, and works."""
    X = np.random.default_rng(0).normal(size=(60, 2))
    X[::7, 1] = np.nan
    with pytest.raises(ValueError, match="NaN") as theirs:
        Theirs(n_components=2).fit(X)
    with pytest.raises(ValueError, match="NaN") as ours:
        BayesianGaussianMixture(n_components=2).fit(X)
    message, advice = str(ours.value).rsplit("\n", 1)
    assert message == str(theirs.value)
    assert "GaussianMixture(missing='em'), with prior='default'" in advice
    assert "fastgmm.fit(X, n_components, missing='em').impute(X)" in advice
    model = GaussianMixture(2, missing="em", prior="default", random_state=0).fit(X)
    assert np.isfinite(model.score(X))
    filled = fastgmm.fit(X, 2, missing="em", random_state=0).impute(X)
    assert (
        BayesianGaussianMixture(n_components=2, random_state=0, max_iter=500).fit(filled).converged_
    )


def test_ill_defined_covariances_have_their_message(log):
    """Features are equal, and so large that the prior's variance is less than rounding."""
    X = np.repeat(np.arange(10.0)[:, None], 2, axis=1) * 2.0**30
    options = {"reg_covar": 0.0, "covariance_prior": 1e-6 * np.eye(2)}
    with pytest.raises(ValueError, match="ill-defined empirical covariance") as theirs:
        Theirs(**options).fit(X)
    with pytest.raises(ValueError, match=re.escape(str(theirs.value))):
        BayesianGaussianMixture(**options).fit(X)
    assert "BayesianGaussianMixture.fit falls back to scikit-learn" in log.text


def test_warnings_are_theirs():
    X = problems.overlapping(200, 2, 3).X
    few = np.repeat([[0.0], [1.0]], 5, axis=0)
    for kind in (BayesianGaussianMixture, Theirs):
        with pytest.warns(ConvergenceWarning, match="Best performing initialization did not"):
            kind(n_components=3, max_iter=2, random_state=0).fit(X)
        with pytest.warns(ConvergenceWarning, match=r"Number of distinct clusters \(2\) found"):
            kind(n_components=3, random_state=0, max_iter=0).fit(few)


@unconverged
@pytest.mark.parametrize("verbose", [1, 2])
def test_verbose_prints_what_theirs_prints(verbose, capsys):
    X = problems.overlapping(300, 2, 3).X
    printed = []
    for kind in (BayesianGaussianMixture, Theirs):
        options = {"verbose": verbose, "verbose_interval": 3, "n_init": 2, "random_state": 1}
        kind(n_components=3, max_iter=12, **options).fit(X)
        printed.append(re.sub(r"lapse \d+\.\d+s", "lapse", capsys.readouterr().out))
    assert printed[0] == printed[1]


def test_a_subclass_that_overrides_a_step_gets_its_step(log):
    def centred(kind):
        class Centred(kind):
            def _estimate_means(self, nk, xk):
                super()._estimate_means(nk, np.zeros_like(xk))

        return Centred(n_components=2, random_state=0, max_iter=300)

    X = problems.overlapping(200, 2, 2).X
    ours, theirs = centred(BayesianGaussianMixture).fit(X), centred(Theirs).fit(X)
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-9)
    assert log.messages == [
        "BayesianGaussianMixture.fit falls back to scikit-learn: _estimate_means is overridden"
    ]


def test_models_made_by_hand(log):
    X = problems.overlapping(200, 2, 3).X
    model = BayesianGaussianMixture(n_components=3, max_iter=300, random_state=0).fit(X)
    expected = model.predict_proba(X)
    model.mean_precision_ = model.mean_precision_.tolist()
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    model.mean_precision_ = 5.0  # for all components; scikit-learn takes it
    log.clear()
    assert model.predict_proba(X).shape == (200, 3)
    assert log.messages == [
        "BayesianGaussianMixture.predict_proba falls back to scikit-learn: "
        "the attributes of the posterior describe no mixture"
    ]


def test_any_number_of_threads_gives_the_same_bits():
    X = problems.overlapping(30_000, 4, 5).X
    options = {"n_components": 5, "random_state": 0, "tol": 10.0}
    one, two = (BayesianGaussianMixture(n_threads=n, **options).fit(X) for n in (1, 2))
    np.testing.assert_array_equal(one.covariances_, two.covariances_)
    assert one.lower_bounds_ == two.lower_bounds_


def test_the_class_is_found_lazily_and_is_theirs():
    assert fastgmm.BayesianGaussianMixture is BayesianGaussianMixture
    assert issubclass(BayesianGaussianMixture, Theirs)
    ours, theirs = (kind().get_params() for kind in (BayesianGaussianMixture, Theirs))
    assert ours == {**theirs, "n_threads": None, "fixed": None}
    with pytest.raises(TypeError):
        BayesianGaussianMixture(3)  # as in scikit-learn, all arguments have names


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_warm_start_may_hold_means_and_weights():
    X = problems.overlapping(300, 2, 3).X
    model = BayesianGaussianMixture(n_components=3, random_state=0, max_iter=3).fit(X)
    before = model.means_.copy(), model.weights_.copy()
    model.set_params(warm_start=True, fixed={"means": [0, 2]}).fit(X + 0.3)
    np.testing.assert_array_equal(model.means_[[0, 2]], before[0][[0, 2]])
    assert (model.means_[1] != before[0][1]).all()
    weights = model.weights_.copy()
    model.set_params(fixed="weights", max_iter=20).fit(X)
    np.testing.assert_array_equal(model.weights_, weights)
    assert np.diff(model.lower_bounds_).min() >= -1e-9


@pytest.mark.parametrize("fixed", ["covariances", {"weights": [0]}, [1]])
def test_what_cannot_be_held_is_refused(fixed):
    X = problems.overlapping(300, 2, 3).X
    model = BayesianGaussianMixture(n_components=3, random_state=0, fixed=fixed)
    with pytest.raises(ValueError, match="there is none; fit, then set warm_start=True"):
        model.fit(X)
    model.set_params(fixed=None, warm_start=True, max_iter=500).fit(X)
    with pytest.raises(ValueError, match="can hold only means, and the weights of all"):
        model.set_params(fixed=fixed).fit(X)


def test_a_mixture_has_the_posterior_means(assert_close):
    """``E[Lambda]^-1``, not the mean of the covariance; the weights are those of the process."""
    X = problems.overlapping(300, 2, 3).X
    model = BayesianGaussianMixture(n_components=3, random_state=0, max_iter=500).fit(X)
    mixture = fastgmm.Mixture.from_sklearn(model)
    a, b = model.weight_concentration_
    sticks = a / (a + b) * np.cumprod([1.0, *(b / (a + b))[:-1]])
    assert_close(mixture.weights, sticks / sticks.sum(), 1e-13)
    np.testing.assert_array_equal(mixture.means, model.means_)
    assert_close(mixture.covariances, np.linalg.inv(model.precisions_), 1e-12)
    assert len(mixture.log_likelihoods) == 0
