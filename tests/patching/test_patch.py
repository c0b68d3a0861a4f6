"""`patch_sklearn` reaches every module and gives back exactly what was there."""

import copy
import copyreg
import pickle
import subprocess
import sys
import threading
import types
from collections.abc import Collection

import numpy as np
import pytest

pytest.importorskip("sklearn")

import sklearn.mixture
from sklearn.mixture import BayesianGaussianMixture
from sklearn.utils.discovery import all_estimators

import fastgmm
from fastgmm.sklearn import BayesianGaussianMixture as OurBayesian
from fastgmm.sklearn import GaussianMixture

Theirs = sklearn.mixture.GaussianMixture


@pytest.fixture
def third_package(monkeypatch):
    """A package that imported scikit-learn's class before anything was patched."""
    module = types.ModuleType("third_package")
    exec("from sklearn.mixture import GaussianMixture, GaussianMixture as GMM", vars(module))
    monkeypatch.setitem(sys.modules, "third_package", module)
    yield module
    fastgmm.unpatch_sklearn()


def test_before_after_and_from_a_third_package(third_package):
    fastgmm.patch_sklearn()
    assert fastgmm.sklearn_is_patched()
    assert sklearn.mixture.GaussianMixture is GaussianMixture
    assert sklearn.mixture._gaussian_mixture.GaussianMixture is GaussianMixture
    assert third_package.GaussianMixture is third_package.GMM is GaussianMixture
    assert Theirs is GaussianMixture  # this very module had imported it, too
    names = {}
    exec("from third_package import GMM\nfrom sklearn.mixture import GaussianMixture", names)
    assert names["GMM"] is names["GaussianMixture"] is GaussianMixture
    fastgmm.unpatch_sklearn()
    assert not fastgmm.sklearn_is_patched()
    theirs = GaussianMixture._stands_in_for
    assert sklearn.mixture.GaussianMixture is third_package.GMM is Theirs is theirs
    assert sklearn.mixture._gaussian_mixture.GaussianMixture is theirs


def test_every_name_is_given_back(third_package):
    def names_of(kind):
        # Modules that make their names on demand make more of them when asked.
        modules = [m for n, m in list(sys.modules.items()) if not n.startswith("fastgmm")]
        spaces = [(id(m), vars(m)) for m in modules if hasattr(m, "__dict__")]
        return {(m, name) for m, space in spaces for name, v in list(space.items()) if v is kind}

    theirs = GaussianMixture._stands_in_for
    before, ours = names_of(theirs), names_of(GaussianMixture)
    assert before
    fastgmm.patch_sklearn()
    fastgmm.patch_sklearn()
    assert len(names_of(GaussianMixture)) > len(ours)
    fastgmm.unpatch_sklearn()
    assert names_of(theirs) == before
    assert names_of(GaussianMixture) == ours
    fastgmm.unpatch_sklearn()


def test_bayesian_mixtures_are_patched_too(third_package):
    X = np.random.RandomState(0).randn(50, 2)
    theirs = BayesianGaussianMixture
    model = theirs(n_components=2, max_iter=300, random_state=0).fit(X)
    plain = pickle.dumps(model)
    with fastgmm.patch_sklearn():
        assert sklearn.mixture.BayesianGaussianMixture is OurBayesian
        assert sklearn.mixture._bayesian_mixture.BayesianGaussianMixture is OurBayesian
        assert isinstance(model, sklearn.mixture.BayesianGaussianMixture)
        assert not isinstance(model, sklearn.mixture.GaussianMixture)
        assert not isinstance(GaussianMixture(), sklearn.mixture.BayesianGaussianMixture)
        assert type(pickle.loads(pickle.dumps(model))) is theirs
        read = pickle.loads(plain)
        assert type(read) is OurBayesian
        assert b"fastgmm" not in pickle.dumps(model)
    np.testing.assert_allclose(read.predict_proba(X), model.predict_proba(X), atol=1e-12)
    assert sklearn.mixture.BayesianGaussianMixture is theirs
    assert BayesianGaussianMixture is theirs


def test_blocks_nest(third_package):
    with fastgmm.patch_sklearn():
        with fastgmm.patch_sklearn():
            assert third_package.GMM is GaussianMixture
        assert third_package.GMM is GaussianMixture
    assert not fastgmm.sklearn_is_patched()
    assert third_package.GMM is GaussianMixture._stands_in_for
    fastgmm.patch_sklearn()
    with fastgmm.patch_sklearn():
        pass
    assert fastgmm.sklearn_is_patched()
    with fastgmm.patch_sklearn():
        fastgmm.unpatch_sklearn()
        assert not fastgmm.sklearn_is_patched()
    assert not fastgmm.sklearn_is_patched()


def test_what_the_program_put_in_place_stays(third_package):
    fastgmm.patch_sklearn()
    third_package.GMM = dict
    del third_package.GaussianMixture
    fastgmm.unpatch_sklearn()
    assert third_package.GMM is dict
    assert not hasattr(third_package, "GaussianMixture")


def test_threads_may_patch_at_once(third_package):
    failures = []

    def work():
        try:
            for _ in range(8):
                with fastgmm.patch_sklearn():
                    assert third_package.GMM is GaussianMixture
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert third_package.GMM is GaussianMixture._stands_in_for


def test_models_from_before_can_still_be_pickled_and_read(third_package):
    X = np.random.RandomState(0).randn(50, 2)
    model = third_package.GMM(2, random_state=0).fit(X)
    plain = pickle.dumps(model)
    with fastgmm.patch_sklearn():
        for copied in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            assert type(copied) is type(model)
            np.testing.assert_array_equal(copied.predict(X), model.predict(X))
        read = pickle.loads(plain)  # a pickle of scikit-learn's, read by a patched program
        assert type(read) is GaussianMixture
        assert read.get_params() == GaussianMixture(2, random_state=0).get_params()
        np.testing.assert_allclose(read.score_samples(X), model.score_samples(X), rtol=1e-12)
        written = pickle.dumps(read)
    assert type(pickle.loads(written)) is GaussianMixture
    assert type(pickle.loads(pickle.dumps(model))) is GaussianMixture._stands_in_for


def test_pickles_of_models_from_before_need_no_fastgmm(third_package, tmp_path):
    model = third_package.GMM(2, random_state=0).fit(np.arange(20.0).reshape(10, 2))
    protocols = range(pickle.HIGHEST_PROTOCOL + 1)
    with fastgmm.patch_sklearn():
        for protocol in protocols:
            for given in (model, GaussianMixture().to_sklearn(), copy.copy(model)):
                assert type(given) is GaussianMixture._stands_in_for
                written = pickle.dumps(given, protocol)
                assert b"fastgmm" not in written
                assert type(pickle.loads(written)) is GaussianMixture._stands_in_for
        pickles = [pickle.dumps(model, protocol) for protocol in protocols]
    (tmp_path / "models.pickle").write_bytes(b"".join(pickles))
    program = (
        "import pickle, sys\n"
        "sys.modules['fastgmm'] = None\n"
        "with open('models.pickle', 'rb') as file:\n"
        f"    for _ in {protocols}:\n"
        "        model = pickle.load(file)\n"
        "        print(type(model), model.means_.tolist())\n"
    )
    run = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == f"{type(model)} {model.means_.tolist()}\n" * len(pickles)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dumps", [pickle.dumps, pickle._dumps])
def test_classes_are_pickled_by_reference(third_package, protocol, dumps):
    held = [third_package.GMM, BayesianGaussianMixture, GaussianMixture, OurBayesian, Collection]
    before = copyreg.dispatch_table.copy()
    with fastgmm.patch_sklearn():
        assert b"fastgmm" not in dumps(held[:2], protocol)
        written = dumps(held, protocol)
        for kinds in (pickle.loads(written), copy.deepcopy(held), copy.copy(held)):
            assert all(a is b for a, b in zip(kinds, held, strict=True))
    assert copyreg.dispatch_table == before
    assert all(a is b for a, b in zip(pickle.loads(written), held, strict=True))


def test_models_of_a_patched_program_are_read_by_others(tmp_path):
    write = """
import pickle
import numpy as np
from sklearn.mixture import GaussianMixture
model = GaussianMixture(2, random_state=0).fit(np.arange(20.0)[:, None])
pickle.dump((model, model.to_sklearn()), open("models.pickle", "wb"))
"""
    read = """
import pickle
ours, theirs = pickle.load(open("models.pickle", "rb"))
print(type(ours), type(theirs), (ours.predict([[1.0]]) == theirs.predict([[1.0]])).all())
import fastgmm
print(fastgmm.sklearn_is_patched())
"""
    (tmp_path / "write.py").write_text(write)
    (tmp_path / "read.py").write_text(read)
    options = {"cwd": tmp_path, "capture_output": True, "text": True, "check": True}
    subprocess.run([sys.executable, "-m", "fastgmm", "run", "write.py"], **options)
    done = subprocess.run([sys.executable, "read.py"], **options)
    theirs = GaussianMixture._stands_in_for
    assert done.stdout == f"{GaussianMixture} {theirs} True\nFalse\n"


def test_a_list_of_all_estimators_has_ours_in_its_place(third_package):
    before = dict(all_estimators())
    with fastgmm.patch_sklearn():
        after = dict(all_estimators())
    ours = {kind.__name__: kind for kind in (GaussianMixture, OurBayesian)}
    assert after == {**before, **ours}
