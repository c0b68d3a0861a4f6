"""Objects that hold no array of numbers: the message says what is wrong and what to pass.

Small classes stand in for packages that are large.
"""

import datetime
import decimal

import numpy as np
import pytest
import scipy.sparse

import fastgmm
from fastgmm.api.checks import check_points, float_array

ROWS = np.arange(12.0).reshape(6, 2) ** 2
DAY = datetime.date(2020, 1, 1)


def stand_in(package, name, **attributes):
    """Return an object of a class that looks like one of a package."""
    return type(name, (), {"__module__": f"{package}.some.module", **attributes})()


def refusing(error):
    """Return a method `__array__` that raises."""

    def __array__(self, dtype=None, copy=None):
        raise error

    return __array__


def column(values, dtype=None):
    return np.array([[value] for value in values], dtype)


OBJECTS = {
    "sparse matrix": (scipy.sparse.csr_matrix(np.eye(512)),
        r"X is sparse; pass X\.toarray\(\), which takes 2 MiB"),
    "sparse array": (scipy.sparse.coo_array(np.eye(4)), r"toarray\(\), which takes 128 bytes"),
    "AnnData": (stand_in("anndata", "AnnData"), r"AnnData object; pass X\.X, or .* X\.obsm"),
    "Dataset": (stand_in("xarray", "Dataset"), r"xarray Dataset; pass X\.to_dataframe\(\)"),
    "bfloat16": (stand_in("torch", "Tensor", dtype="torch.bfloat16"), r"bfloat16.*X\.float\(\)"),
    "gradients": (stand_in("torch", "Tensor", detach=None, __array__=refusing(RuntimeError("no"))),
        r"Tensor that NumPy cannot convert \(no\); pass X\.detach\(\)\.cpu\(\)"),
    "on a device": (stand_in("cupy", "ndarray", __array__=refusing(TypeError("implicit"))),
        r"ndarray that NumPy cannot convert \(implicit\); pass a NumPy array"),
    "structured": (np.zeros(3, [("x", float), ("y", int)]),
        r"fields 'x', 'y'; pass numpy\.lib\.recfunctions\.structured_to_unstructured\(X\)"),
    "void": (np.zeros(3, "V4"), "has dtype"),
    "dict": ({"a": [1.0]}, "X is a dict; pass an array"),
    "set": ({1.0, 2.0}, "X is a set; pass an array"),
    "iterator": (iter([1.0]), "X is an iterator; pass a list"),
    "text": (column(["1", "2"]), "X must hold numbers but holds text; convert text"),
    "bytes": (column([b"1", b"2"]), "holds text"),
    "text objects": (column(["1", "2"], object), "holds text"),
    "text and numbers": (np.array([[1.0, "2"]], object), "column 1 holds text"),
    "dates": (column(["2020-01-01"], "M8[D]"), "holds dates or times; convert them to numbers"),
    "times": (column([3], "m8[s]"), "holds dates or times"),
    "date objects": (np.array([[1.0, DAY]], object), "column 1 holds dates or times"),
    "NumPy's date objects": (column([np.datetime64("2020")], object), "holds dates or times"),
    "complex": (ROWS + 1j, r"X is complex; pass real numbers, for example X\.real"),
    "complex objects": (column([1j], object), "holds complex numbers; pass real numbers"),
    "ragged": ([[1.0, 2.0], [3.0]], "row 1 has 1 values but row 0 has 2; every row must have"),
    "ragged in places": ([[1.0, [2.0]], [3.0, 4.0]], "every row must have the same length"),
    "lists in an array": (np.array([[1.0], [2.0, 3.0]], object), "holds sequences; pass one num"),
    "None": (np.array([[1.0, None], [None, None], [2.0, 3.0]], object),
        "column 0 has 1 missing value, the first in row 1; drop such rows or fill them in"),
    "None in a list": ([1.0, None, None], "it has 2 missing values, the first in row 1"),
    "other objects": (column([object()], object), "must hold numbers; convert or drop"),
    "one object": (object(), "X must hold numbers but is <object"),
}  # fmt: skip


@pytest.mark.parametrize(("X", "message"), OBJECTS.values(), ids=OBJECTS)
def test_objects(X, message):
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        fastgmm.fit(X, 1)
    assert str(caught.value).startswith("X ")


def test_other_arguments_are_named():
    with pytest.raises(TypeError, match="sample_weight must hold numbers but holds text"):
        fastgmm.fit(ROWS, 1, sample_weight=["1"] * 6)
    with pytest.raises(ValueError, match="sample_weight is incomplete: it has 1 missing value"):
        fastgmm.fit(ROWS, 1, sample_weight=[1, 1, None, 1, 1, 1])


def frames(columns):
    """Return the columns as a data frame of pandas and of polars."""
    return [pytest.importorskip(name).DataFrame(columns) for name in ("pandas", "polars")]


NUMBERS = [1.0, 2.0, 4.0]
COLUMNS = {
    "text": (["1", "2", "3"], "column 'b' holds text"),
    "dates": ([DAY] * 3, "column 'b' holds dates or times"),
    "datetimes": ([datetime.datetime(2020, 1, 1)] * 3, "column 'b' holds dates or times"),
    "durations": ([datetime.timedelta(1)] * 3, "column 'b' holds dates or times"),
    "times": ([datetime.time(1)] * 3, "column 'b' holds dates or times"),
    "missing": ([None, 2.0, None], "'b' has 2 missing values, the first in row 0; drop"),
    "missing integers": ([1, 2, None], "'b' has 1 missing value, the first in row 2; drop"),
    "lists": ([[1.0, 2.0]] * 3, "column 'b' holds sequences"),
    "infinite": ([1.0, np.inf, 2.0], "NaN or infinite value in row 1"),
}


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize(("values", "message"), COLUMNS.values(), ids=COLUMNS)
def test_columns(values, message, alone):
    for frame in frames({"b": values} if alone else {"a": NUMBERS, "b": values}):
        with pytest.raises((TypeError, ValueError), match=message):
            fastgmm.fit(frame, 1)


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "UInt8", "boolean"])
def test_nullable_columns_of_pandas(dtype):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": NUMBERS, "b": pandas.array([1, None, 0], dtype=dtype)})
    with pytest.raises(ValueError, match="X is incomplete: column 'b' has 1 missing value, the"):
        fastgmm.fit(frame, 1)
    np.testing.assert_array_equal(check_points(frame.dropna()), [[1.0, 1.0], [4.0, 0.0]])
    with pytest.raises(ValueError, match="in row 1"):
        fastgmm.fit(frame["b"], 1)


def test_complex_columns_and_periods_of_pandas():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1.0, 2.0], "b": [1j, 2.0]})
    with pytest.raises(TypeError, match="column 'b' holds complex numbers"):
        fastgmm.fit(frame, 1)
    frame["b"] = pandas.period_range("2020", periods=2, freq="D")
    with pytest.raises(TypeError, match="column 'b' holds dates or times"):
        fastgmm.fit(frame, 1)


class ArrowTable:
    """What a table of pyarrow offers of its types."""

    column_names = ("a", "b")

    class schema:
        types = ("double", "date32[day]")

    def __dataframe__(self):
        raise AssertionError("not to be called")

    def __array__(self, dtype=None, copy=None):
        return ROWS


def test_dates_of_an_arrow_table():
    with pytest.raises(TypeError, match="column 'b' holds dates or times"):
        fastgmm.fit(ArrowTable(), 1)


class Tensor:
    """What a tensor of torch that NumPy can convert offers."""

    dtype = "torch.float32"
    shape = ROWS.shape

    def detach(self):
        raise AssertionError("not to be called")

    def __array__(self, dtype=None, copy=None):
        return ROWS.astype(np.float32)


def test_a_tensor_is_read():
    assert check_points(Tensor()).dtype == np.float32


@pytest.mark.parametrize("package", ["torch", "xarray"])
def test_real_tensors_and_labelled_arrays(package):
    module = pytest.importorskip(package)
    X = module.tensor(ROWS) if package == "torch" else module.DataArray(ROWS)
    np.testing.assert_array_equal(check_points(X), ROWS)


@pytest.mark.parametrize(
    "make",
    [decimal.Decimal, int, np.float32, bool, lambda value: value],
    ids=["Decimal", "int", "float32", "bool", "float"],
)
def test_objects_that_are_numbers_are_read(make):
    X = np.array([[make(value) for value in row] for row in ROWS], object)
    np.testing.assert_array_equal(float_array(X, "X"), X.astype(np.float64))
