"""Model files: exact round trips, and clear errors for all other files."""

import pickle
from pathlib import Path

import numpy as np
import problems
import pytest
from reference import COVARIANCE_TYPES

import fastgmm

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)


@pytest.fixture
def model():
    """A small fitted mixture."""
    problem = problems.overlapping(331, 2, 3)
    return fastgmm.fit(problem.X, **problem.start)


@pytest.fixture
def saved(model, tmp_path):
    """The path of the saved model."""
    path = tmp_path / "model.npz"
    model.save(path)
    return path


def contents(path):
    """All arrays of a file, by name."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


class Trap:
    """An object that creates the file `mark` when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


class TestRoundTrip:
    """A loaded model equals the saved one."""

    @each_type
    def test_every_type(self, covariance_type, tmp_path, assert_same_mixture):
        problem = problems.overlapping(331, 2, 3, covariance_type)
        model = fastgmm.fit(problem.X, **problem.start)
        model.save(tmp_path / "model.npz")
        loaded = fastgmm.load(tmp_path / "model.npz")
        assert isinstance(loaded, fastgmm.Mixture)
        assert loaded == model
        assert_same_mixture(loaded, model)
        assert tuple(loaded.regularized) == tuple(model.regularized)
        np.testing.assert_array_equal(
            loaded.predict_proba(problem.X), model.predict_proba(problem.X)
        )
        with pytest.raises(ValueError, match="read-only"):
            loaded.means[0] = 0.0

    def test_a_mixture_that_was_never_fitted(self, tmp_path):
        model = fastgmm.Mixture.from_parameters([1.0], [[0.5]], [[[2.0]]])
        model.save(tmp_path / "model.npz")
        assert fastgmm.load(tmp_path / "model.npz") == model

    def test_a_collapsed_mixture_stays_marked(self, tmp_path):
        X = np.repeat([[0.0, 0.0], [10.0, 10.0]], 20, axis=0)
        model = fastgmm.fit(X, 2, random_state=0)
        assert len(model.regularized) == 2
        model.save(tmp_path / "model.npz")
        assert tuple(fastgmm.load(tmp_path / "model.npz").regularized) == (0, 1)

    @pytest.mark.parametrize("name", ["model.npz", "model", "model.gmm", "a model.v2"])
    @pytest.mark.parametrize("kind", [str, Path])
    def test_the_path_is_used_as_given(self, model, tmp_path, name, kind):
        path = tmp_path / name
        model.save(kind(path))
        assert [entry.name for entry in tmp_path.iterdir()] == [name]
        assert fastgmm.load(kind(path)) == model

    def test_saving_replaces(self, model, saved):
        other = fastgmm.Mixture.from_parameters([1.0], [[0.5]], [[[2.0]]])
        other.save(saved)
        assert fastgmm.load(saved) == other

    def test_no_pickle_is_written(self, saved):
        assert all(array.dtype != object for array in contents(saved).values())


class TestRefusals:
    """A file that is not a complete model raises an error that names it."""

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            fastgmm.load(tmp_path / "nothing.npz")

    def test_the_error_is_a_value_error(self):
        assert issubclass(fastgmm.ModelFileError, ValueError)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"hello",
            b"PK\x03\x04",
            b"PK\x05\x06" + bytes(18),
            b"\x93NUMPY\x01\x00",
            bytes(1000),
        ],
        ids=["empty", "text", "zip head", "empty zip", "npy head", "zeros"],
    )
    def test_foreign_bytes(self, tmp_path, content):
        path = tmp_path / "foreign.npz"
        path.write_bytes(content)
        with pytest.raises(fastgmm.ModelFileError, match=r"foreign\.npz"):
            fastgmm.load(path)

    def test_foreign_arrays(self, tmp_path):
        np.savez(tmp_path / "foreign.npz", a=np.arange(3), weights=np.ones(2))
        with pytest.raises(fastgmm.ModelFileError, match=r"foreign\.npz"):
            fastgmm.load(tmp_path / "foreign.npz")
        np.save(tmp_path / "array.npy", np.arange(3.0))
        with pytest.raises(fastgmm.ModelFileError, match=r"array\.npy"):
            fastgmm.load(tmp_path / "array.npy")

    def test_a_pickle(self, tmp_path, model):
        mark = tmp_path / "mark"
        path = tmp_path / "model.npz"
        path.write_bytes(pickle.dumps(Trap(mark)))
        with pytest.raises(fastgmm.ModelFileError, match=r"model\.npz"):
            fastgmm.load(path)
        assert not mark.exists()

    def test_a_pickle_inside(self, tmp_path, saved):
        """Object arrays are refused, and their code never runs."""
        mark = tmp_path / "mark"
        arrays = contents(saved)
        for name in arrays:
            trapped = np.empty(arrays[name].shape, dtype=object)
            trapped[...] = Trap(mark)
            np.savez(saved, **{**arrays, name: trapped})
            with pytest.raises(fastgmm.ModelFileError, match=r"model\.npz"):
                fastgmm.load(saved)
        assert not mark.exists()
        trapped = np.array([Trap(mark)], dtype=object)
        np.savez(saved, weights=trapped)
        with np.load(saved, allow_pickle=True) as file:
            assert file["weights"].shape == (1,)
        assert mark.exists()  # the trap works if pickles are allowed

    def test_a_missing_array(self, saved):
        arrays = contents(saved)
        for name in arrays:
            np.savez(saved, **{key: value for key, value in arrays.items() if key != name})
            with pytest.raises(fastgmm.ModelFileError, match=r"model\.npz"):
                fastgmm.load(saved)

    @pytest.mark.parametrize(
        ("name", "change"),
        [
            ("weights", lambda a: -a),
            ("weights", lambda a: a * np.nan),
            ("weights", lambda a: a[:-1]),
            ("weights", lambda a: 2.0 * a),
            ("means", lambda a: a[:, :1]),
            ("means", lambda a: a * np.inf),
            ("means", lambda a: a.astype(str)),
            ("means", lambda a: a.astype(complex)),
            ("covariances", lambda a: -a),
            ("covariances", lambda a: a[0]),
            ("covariances", lambda a: 0.0 * a),
            ("covariance_type", lambda a: np.array("round")),
            ("covariance_type", lambda a: np.array("diag")),
            ("covariance_type", lambda a: np.array(3)),
        ],
    )
    def test_parameters_that_make_no_mixture(self, saved, name, change):
        arrays = contents(saved)
        np.savez(saved, **{**arrays, name: change(arrays[name])})
        with pytest.raises(fastgmm.ModelFileError, match=r"model\.npz"):
            fastgmm.load(saved)

    def test_a_file_from_the_future(self, saved):
        arrays = contents(saved)
        (name,) = [key for key in arrays if "version" in key]
        np.savez(saved, **{**arrays, name: arrays[name] + 1000})
        with pytest.raises(fastgmm.ModelFileError, match=r"version[\s\S]*(?i:upgrade|newer)"):
            fastgmm.load(saved)

    def test_a_type_that_is_not_registered(self, saved):
        arrays = contents(saved)
        np.savez(saved, **{**arrays, "covariance_type": np.array("round")})
        with pytest.raises(
            fastgmm.ModelFileError, match=r"'round', not one of full, tied.*register"
        ):
            fastgmm.load(saved)

    @pytest.mark.parametrize(
        ("name", "change", "message"),
        [
            ("weights", lambda a: 2.0 * a, "sum to 2"),
            ("means", lambda a: a[0], r"means has shape \(2,\)"),
            ("log_det", lambda a: a[:1], r"log_det has shape \(1,\), not \(3,\)"),
            ("factors", lambda a: a * np.nan, "factors must hold finite float64"),
            ("regularized", lambda a: np.array([3]), "regularized"),
            ("factors", lambda a: 1.1 * a, "do not agree with their factors"),
        ],
    )
    def test_the_error_names_the_damage(self, saved, name, change, message):
        arrays = contents(saved)
        np.savez(saved, **{**arrays, name: change(arrays[name])})
        with pytest.raises(fastgmm.ModelFileError, match=message):
            fastgmm.load(saved)
