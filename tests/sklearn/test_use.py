"""The estimator in use: pipelines, searches, joblib's backends, pickles, and conversions."""

import io
import pickle

import numpy as np
import problems
import pytest
from reference import COVARIANCE_TYPES

sklearn = pytest.importorskip("sklearn")

import cloudpickle  # noqa: E402
import joblib  # noqa: E402
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError  # noqa: E402
from sklearn.mixture import BayesianGaussianMixture as TheirBayesian  # noqa: E402
from sklearn.mixture import GaussianMixture as Theirs  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

import fastgmm  # noqa: E402
from fastgmm.sklearn import (  # noqa: E402
    BayesianGaussianMixture,
    GaussianMixture,
    from_sklearn,
)

X = problems.overlapping(240, 2, 3).X
each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)


def fitted(kind=GaussianMixture, **options):
    return kind(3, random_state=0, **options).fit(X)


def test_pipeline_search_and_scores(assert_close):
    grid = {"gaussianmixture__n_components": [1, 3], "gaussianmixture__covariance_type": ["diag"]}
    found = [
        GridSearchCV(make_pipeline(StandardScaler(), kind(random_state=0)), grid, cv=3, n_jobs=n)
        for kind, n in ((GaussianMixture, 2), (Theirs, 1))
    ]
    ours, theirs = (search.fit(X) for search in found)
    assert ours.best_params_ == theirs.best_params_
    assert_close(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], 1e-9)
    scores = [cross_val_score(kind(3, random_state=0), X) for kind in (GaussianMixture, Theirs)]
    assert_close(*scores, 1e-7)


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_backends_of_joblib(backend):
    alone = [GaussianMixture(k, random_state=0).fit(X).lower_bound_ for k in (1, 2, 3)]
    with joblib.parallel_config(backend=backend, n_jobs=2):
        models = joblib.Parallel()(
            joblib.delayed(GaussianMixture(k, random_state=0).fit)(X) for k in (1, 2, 3)
        )
    assert [model.lower_bound_ for model in models] == alone


def count_threads():
    from fastgmm.jit.threads import threads_for

    return threads_for(10**9), threads_for(10**9, 64)


def test_workers_divide_the_threads_among_them():
    jobs = 2
    each = max(joblib.cpu_count() // jobs, 1)
    counts = joblib.Parallel(n_jobs=jobs)(joblib.delayed(count_threads)() for _ in range(2))
    assert counts == [(each, each)] * 2


def test_weights_are_routed():
    weight = np.random.RandomState(0).rand(len(X))
    alone = GaussianMixture(2, random_state=0).fit(X, sample_weight=weight)
    with sklearn.config_context(enable_metadata_routing=True):
        model = GaussianMixture(2, random_state=0)
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        scaler = StandardScaler(with_mean=False, with_std=False)
        pipeline = make_pipeline(scaler.set_fit_request(sample_weight=False), model)
        pipeline.fit(X, sample_weight=weight)
        np.testing.assert_array_equal(pipeline[-1].means_, alone.means_)
        expected = alone.score(X, sample_weight=weight)
        assert pipeline.score(X, sample_weight=weight) == expected
        np.testing.assert_array_equal(
            pipeline.fit_predict(X, sample_weight=weight), alone.predict(X)
        )


@pytest.mark.parametrize("through", ["pickle", "cloudpickle", "joblib"])
def test_pickles(through):
    model = fitted(n_threads=1)
    if through == "joblib":
        file = io.BytesIO()
        joblib.dump(model, file)
        file.seek(0)
        copied = joblib.load(file)
    else:
        copied = pickle.loads({"pickle": pickle, "cloudpickle": cloudpickle}[through].dumps(model))
    assert type(copied) is GaussianMixture
    assert copied.get_params() == model.get_params()
    np.testing.assert_array_equal(copied.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("wrote", [Theirs, GaussianMixture])
@pytest.mark.parametrize("through", [pickle, cloudpickle])
def test_pickles_of_another_scikit_learn_give_its_warning(wrote, through, monkeypatch):
    model = fitted(wrote)
    current = through.dumps(model)
    monkeypatch.setattr(sklearn.base, "__version__", "1.0.2")
    monkeypatch.setattr(sklearn, "__version__", "1.0.2")
    old = through.dumps(model)
    monkeypatch.undo()
    with fastgmm.patch_sklearn():
        assert type(pickle.loads(current)) is GaussianMixture  # without a warning
        with pytest.warns(InconsistentVersionWarning) as caught:
            read = pickle.loads(old)
    warning = caught[0].message
    assert (warning.estimator_name, warning.original_sklearn_version) == (
        "GaussianMixture",
        "1.0.2",
    )
    assert caught[0].filename == sklearn.base.__file__  # filters go by the module of a warning
    assert type(read) is GaussianMixture
    assert "_sklearn_version" not in vars(read)
    np.testing.assert_allclose(read.predict_proba(X), model.predict_proba(X), atol=1e-9)


def test_dir_lists_public_names_only():
    theirs = "TheirBayesianGaussianMixture", "TheirGaussianMixture"
    ours = "BayesianGaussianMixture", "GaussianMixture", "GaussianMixtureRegressor"
    assert dir(fastgmm.sklearn) == [*ours, *theirs, "from_sklearn"]


@each_type
def test_to_scikit_learn_and_back(covariance_type, assert_close):
    theirs = pickle.loads(pickle.dumps(fitted(Theirs, covariance_type=covariance_type)))
    ours = from_sklearn(theirs)
    assert type(ours) is GaussianMixture
    assert_close(ours.score_samples(X), theirs.score_samples(X), 1e-9)
    back = ours.to_sklearn()
    assert type(back) is Theirs
    assert vars(back).keys() == vars(theirs).keys()
    np.testing.assert_array_equal(back.predict_proba(X), theirs.predict_proba(X))
    ours.means_[:] = 0.0
    assert theirs.means_.all()
    assert back.means_.all()
    assert from_sklearn(Theirs(5)).n_components == 5


@each_type
@pytest.mark.parametrize("kind", [Theirs, GaussianMixture])
def test_mixtures_to_scikit_learn_and_back(kind, covariance_type, assert_close):
    model = fitted(kind, covariance_type=covariance_type)
    mixture = fastgmm.Mixture.from_sklearn(model)
    assert (mixture.n_iter, mixture.converged) == (model.n_iter_, True)
    assert mixture.log_likelihood == model.lower_bound_
    assert_close(mixture.score_samples(X), model.score_samples(X), 1e-9)
    back = mixture.to_sklearn()
    assert type(back) is Theirs
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert_close(getattr(back, name), getattr(model, name), 1e-12)
    assert (back.n_components, back.covariance_type) == (3, covariance_type)
    assert (back.n_iter_, back.lower_bound_) == (model.n_iter_, model.lower_bound_)
    np.testing.assert_array_equal(back.predict(X), model.predict(X))
    assert_close(back.score_samples(X), mixture.score_samples(X), 1e-9)


@each_type
@pytest.mark.parametrize("kind", [TheirBayesian, BayesianGaussianMixture])
def test_bayesian_mixtures_to_and_from_scikit_learn(kind, covariance_type, assert_close):
    model = kind(n_components=3, covariance_type=covariance_type, max_iter=300, random_state=0)
    model.fit(X)
    ours = from_sklearn(model)
    assert type(ours) is BayesianGaussianMixture
    assert type(ours.to_sklearn()) is TheirBayesian
    assert_close(ours.predict_proba(X), ours.to_sklearn().predict_proba(X), 1e-9)
    mixture = fastgmm.Mixture.from_sklearn(model)
    assert mixture.converged
    assert mixture.log_likelihoods.size == 0  # lower bounds are no likelihoods
    assert_close(mixture.weights, model.weights_, 1e-12)
    assert_close(mixture.means, model.means_, 1e-12)
    assert_close(mixture.covariances, model.covariances_, 1e-12)


def test_a_mixture_that_was_never_fitted_goes_to_scikit_learn():
    mixture = fastgmm.Mixture.from_parameters([1.0], [[0.0]], [[[4.0]]])
    model = mixture.to_sklearn()
    assert model.predict([[3.0]]) == [0]
    assert not model.converged_
    assert fastgmm.Mixture.from_sklearn(model) == mixture


def test_what_is_no_model_is_refused():
    class Special(Theirs):
        pass

    for model in (StandardScaler(), Special(), None):
        for door in (from_sklearn, fastgmm.Mixture.from_sklearn):
            with pytest.raises(TypeError, match="model must be scikit-learn's GaussianMixture"):
                door(model)
    with pytest.raises(NotFittedError):
        fastgmm.Mixture.from_sklearn(Theirs())
    model = fitted()
    model.weights_ = -model.weights_
    with pytest.raises(ValueError, match="model holds no mixture"):
        fastgmm.Mixture.from_sklearn(model)
