"""Feature names: kept from data frames, compared with those of later rows, saved and shown."""

import pickle
import re

import numpy as np
import problems
import pytest

import fastgmm
from fastgmm import Mixture
from fastgmm.api.names import names_of

PROBLEM = problems.overlapping(203, 3, 2)
X = PROBLEM.X
NAMES = ("width", "height", "depth")
METHODS = ("predict", "predict_proba", "score_samples", "score", "bic", "aic", "icl")


class ArrowTable:
    """What a table of pyarrow offers of its names."""

    column_names = NAMES
    columns = tuple(X.T)

    def __dataframe__(self):
        raise AssertionError("not to be called")

    def __array__(self, dtype=None, copy=None):
        return np.array(X, dtype)


class Exchanged:
    """A table that offers its names by the interchange protocol alone."""

    def __dataframe__(self):
        return self

    def column_names(self):
        return iter(NAMES)

    def __array__(self, dtype=None, copy=None):
        return np.array(X, dtype)


def pandas_frame(names=NAMES):
    return pytest.importorskip("pandas").DataFrame(X, columns=list(names))


def polars_frame(names=NAMES):
    return pytest.importorskip("polars").DataFrame(X, schema=list(names))


FRAMES = {
    "pandas": pandas_frame,
    "polars": polars_frame,
    "arrow": ArrowTable,
    "interchange": Exchanged,
}
each_frame = pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)


@pytest.fixture(scope="module")
def named():
    return Mixture.from_parameters(*PROBLEM.parameters, feature_names=NAMES)


@pytest.fixture(scope="module")
def unnamed():
    return Mixture.from_parameters(*PROBLEM.parameters)


class TestKept:
    """A fit to named columns keeps their names."""

    @each_frame
    def test_by_fit(self, frame, named):
        mixture = fastgmm.fit(frame(), 2, random_state=0)
        assert mixture.feature_names == NAMES
        assert mixture.with_feature_names(None) == fastgmm.fit(X, 2, random_state=0)

    @each_frame
    def test_by_select(self, frame):
        selection = fastgmm.select(frame(), [1, 2], "diag", random_state=0)
        assert selection.best.feature_names == NAMES
        assert all(type(name) is str for name in selection.best.feature_names)

    @pytest.mark.parametrize("rows", [X, X.tolist(), X[:, 0]], ids=["array", "lists", "1-D"])
    def test_arrays_have_none(self, rows):
        assert fastgmm.fit(rows, 1).feature_names is None

    def test_names_that_are_not_all_strings_are_not_kept(self):
        assert fastgmm.fit(pandas_frame(range(3)), 1).feature_names is None
        assert fastgmm.fit(pandas_frame(["a", 1, "b"]), 1).feature_names is None

    def test_a_series_has_none(self):
        assert names_of(pandas_frame()["width"]) is None
        assert names_of(polars_frame()["width"]) is None

    def test_given_names(self):
        assert fastgmm.fit(X, 1, feature_names=list(NAMES)).feature_names == NAMES
        renamed = fastgmm.fit(pandas_frame(), 1, feature_names=["a", "b", "c"])
        assert renamed.feature_names == ("a", "b", "c")
        best = fastgmm.select(X, 1, "diag", feature_names=NAMES).best
        assert best.feature_names == NAMES

    @pytest.mark.parametrize("make", [fastgmm.fit, fastgmm.select])
    @pytest.mark.parametrize(
        ("names", "message"),
        [
            ("abc", "feature_names is 'abc'; pass a list of strings"),
            (["a", "b", 3], r"feature_names must hold strings but has 3; pass str\(3\)"),
            (["a", "b"], "feature_names has 2 entries but there are 3 features"),
        ],
    )
    def test_invalid_names(self, make, names, message):
        with pytest.raises((TypeError, ValueError), match=message):
            make(X, 1, feature_names=names)

    def test_with_feature_names(self, named, unnamed):
        assert unnamed.with_feature_names(NAMES) == named
        assert named.with_feature_names(None) == unnamed
        assert named != unnamed
        assert named.feature_names == NAMES
        with pytest.raises(ValueError, match="feature_names has 1 entries"):
            named.with_feature_names(["a"])


class TestCompared:
    """Rows with other names are refused, as scikit-learn refuses them."""

    @pytest.mark.parametrize("method", METHODS)
    @each_frame
    def test_the_same_names(self, method, frame, named, unnamed):
        found = getattr(named, method)(frame())
        np.testing.assert_array_equal(found, getattr(unnamed, method)(X))

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("frame", [pandas_frame, polars_frame])
    def test_another_order(self, method, frame, named):
        with pytest.raises(ValueError, match="must be in the same order: 'width', 'height'"):
            getattr(named, method)(frame(NAMES[::-1]))

    @pytest.mark.parametrize("frame", [pandas_frame, polars_frame])
    def test_other_names(self, frame, named):
        message = "feature names .*unexpected: 'Width'; missing: 'width'.*Select the columns"
        with pytest.raises(ValueError, match=message):
            named.predict(frame(["Width", "height", "depth"]))

    def test_a_missing_or_a_further_column(self, named):
        frame = pandas_frame()
        with pytest.raises(ValueError, match=r"\(missing: 'depth'\)"):
            named.predict(frame[["width", "height"]])
        with pytest.raises(ValueError, match=r"\(unexpected: 'label'\)"):
            named.predict(frame.assign(label=1.0))
        with pytest.raises(ValueError, match=r"\(unexpected: 'width'\)"):
            named.predict(frame[["width", "width", "height", "depth"]])

    def test_of_many_names_a_few_are_shown(self):
        names = [f"x{j}" for j in range(9)]
        mixture = Mixture.from_parameters([1.0], [[0.0] * 9], [1.0], "spherical",
                                          feature_names=names)  # fmt: skip
        with pytest.raises(ValueError, match=r"missing: 'x0', 'x1', 'x2', 'x3', 'x4', \.\.\.\)"):
            mixture.predict(pandas_frame())

    @pytest.mark.parametrize("method", METHODS)
    def test_an_array_for_a_mixture_with_names(self, method, named):
        message = "X does not have valid feature names, but Mixture was fitted with feature names"
        with pytest.warns(UserWarning, match=message) as caught:
            getattr(named, method)(X)
        assert [warning.filename for warning in caught] == [__file__]

    @each_frame
    def test_names_for_a_mixture_without(self, frame, unnamed):
        message = "X has feature names, but Mixture was fitted without feature names"
        with pytest.warns(UserWarning, match=message):
            unnamed.predict(frame())

    def test_an_array_for_a_mixture_without_names_says_nothing(self, unnamed):
        unnamed.predict(X)

    def test_a_source_is_not_compared(self, named, unnamed):
        from fastgmm.api.sources import rows_to_fit

        found = named.predict(rows_to_fit(X))
        np.testing.assert_array_equal(found, unnamed.predict(X))

    def test_it_agrees_with_scikit_learn(self, named):
        """The same calls warn, and the same calls raise."""
        model = named.to_sklearn()
        frame = pandas_frame()
        for rows in (frame, frame[list(NAMES[::-1])], frame[["width"]], frame.assign(a=1.0), X):
            assert outcome(model, rows) == outcome(named, rows)
        model = named.with_feature_names(None).to_sklearn()
        for rows in (frame, X):
            assert outcome(model, rows) == outcome(named.with_feature_names(None), rows)


def outcome(model, rows):
    """Return the type of the error or warning of a prediction, or "none"."""
    try:
        model.predict(rows)
    except (UserWarning, ValueError) as fault:
        return UserWarning if isinstance(fault, UserWarning) else ValueError
    return "none"


class TestCarried:
    """Names survive pickles, files and scikit-learn, and are shown."""

    def test_pickle(self, named):
        assert pickle.loads(pickle.dumps(named)) == named

    @pytest.mark.parametrize(
        "names", [NAMES, ("", "a b", "\u00e4\U0001f600"), ("a\0", "\ud800", "x" * 10_000)]
    )
    def test_file(self, unnamed, names, tmp_path):
        mixture = unnamed.with_feature_names(names)
        mixture.save(tmp_path / "model.npz")
        assert fastgmm.load(tmp_path / "model.npz") == mixture

    def test_a_file_without_names_is_as_before(self, unnamed, tmp_path):
        unnamed.save(tmp_path / "model.npz")
        assert fastgmm.load(tmp_path / "model.npz").feature_names is None
        with np.load(tmp_path / "model.npz") as file:
            assert "feature_names" not in file

    @pytest.mark.parametrize(
        "text", ["", "3", '"abc"', "[1, 2, 3]", '["a"]', "[" * 10**5, '{"a": 1, "b": 2}', "[\ud800"]
    )
    def test_a_file_with_damaged_names(self, named, tmp_path, text):
        path = tmp_path / "model.npz"
        named.save(path)
        with np.load(path) as file:
            arrays = dict(file)
        np.savez(path, **{**arrays, "feature_names": text})
        with pytest.raises(fastgmm.ModelFileError, match=r"model\.npz is damaged: feature_names"):
            fastgmm.load(path)

    def test_scikit_learn(self, named, unnamed):
        pytest.importorskip("sklearn")
        from fastgmm.sklearn import from_sklearn

        model = named.to_sklearn()
        assert model.feature_names_in_.tolist() == list(NAMES)
        assert model.feature_names_in_.dtype == object
        assert Mixture.from_sklearn(model).feature_names == NAMES
        assert from_sklearn(model).feature_names_in_.tolist() == list(NAMES)
        assert not hasattr(unnamed.to_sklearn(), "feature_names_in_")
        assert Mixture.from_sklearn(unnamed.to_sklearn()).feature_names is None

    def test_repr(self, named, unnamed):
        assert "feature_names=('width', 'height', 'depth')" in repr(named)
        assert "feature_names" not in repr(unnamed)
        long = Mixture.from_parameters(
            [1.0], [[0.0] * 9], [1.0], "spherical", feature_names=[f"{j}" * 100 for j in range(9)]
        )
        assert re.search(r"feature_names=\('0+\.\.\.0+', .*, \.\.\.\)\)$", repr(long))
        assert len(repr(long)) < 200
