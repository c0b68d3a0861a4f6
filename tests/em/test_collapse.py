"""Components on a single point, on a line or without rows, under each value of `on_collapse`."""

import numpy as np
import problems
import pytest
from reference import COVARIANCE_TYPES, full_covariances

import fastgmm

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
each_own = pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])


def with_stray(n_per_blob=40):
    """Two blobs of unit variance and one point far from both, which is the third mean."""
    X, _ = problems.blobs(n_per_blob, n_components=2)
    X = np.vstack([X, [12.0, 12.0]])
    means = np.array([[0.0, 0.0], [25.0, 0.0], X[-1]])
    return X, means


def unit_precisions(covariance_type, n_components, n_features):
    """Precisions of one in the shape of their type."""
    eye = np.eye(n_features)
    return {
        "full": np.stack([eye] * n_components),
        "tied": eye,
        "diag": np.ones((n_components, n_features)),
        "spherical": np.ones(n_components),
    }[covariance_type]


def start_on_stray(means, covariance_type):
    """A complete start whose third component is on the stray point."""
    return {
        "n_components": 3,
        "covariance_type": covariance_type,
        "weights_init": np.full(3, 1 / 3),
        "means_init": means,
        "precisions_init": unit_precisions(covariance_type, 3, 2),
    }


@each_own
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_regularize_holds_the_floor_and_says_so(covariance_type, dtype):
    X, means = with_stray()
    model = fastgmm.fit(X.astype(dtype), **start_on_stray(means, covariance_type), reg_covar=1e-4)
    matrices = full_covariances(model.covariances, covariance_type, 3, 2)
    np.testing.assert_allclose(matrices[2], 1e-4 * np.eye(2), rtol=1e-6, atol=1e-12)
    assert tuple(model.regularized) == (2,)
    assert model.converged
    assert np.all(model.predict(X.astype(dtype))[-1:] == 2)


@each_own
def test_nothing_is_said_where_nothing_collapsed(covariance_type):
    problem = problems.overlapping(331, 2, 3, covariance_type)
    model = fastgmm.fit(problem.X, **problem.start, on_collapse="raise")
    assert tuple(model.regularized) == ()


@each_own
def test_raise_names_the_component_and_what_to_do(covariance_type):
    X, means = with_stray()
    with pytest.raises(fastgmm.CollapseError, match=r"component 2\b[\s\S]*on_collapse"):
        fastgmm.fit(X, **start_on_stray(means, covariance_type), on_collapse="raise")
    assert issubclass(fastgmm.CollapseError, ValueError)


@each_own
@pytest.mark.parametrize("reg_covar", [1e-6, 0.0])
def test_reset_moves_the_component_into_the_data(covariance_type, reg_covar):
    X, means = with_stray()
    for seed in range(3):
        model = fastgmm.fit(
            X,
            **start_on_stray(means, covariance_type),
            on_collapse="reset",
            reg_covar=reg_covar,
            random_state=seed,
            max_iter=1000,
        )
        matrices = full_covariances(model.covariances, covariance_type, 3, 2)
        assert min(np.linalg.eigvalsh(matrix)[0] for matrix in matrices) > 1e-4
        assert tuple(model.regularized) == ()
        assert np.isfinite(model.score_samples(X)).all()
        np.testing.assert_allclose(model.weights.sum(), 1.0, rtol=1e-14)


@each_own
def test_reset_is_repeatable(covariance_type, assert_same_mixture):
    X, means = with_stray()
    start = start_on_stray(means, covariance_type)
    options = {"on_collapse": "reset", "max_iter": 1000, "random_state": 3}
    first = fastgmm.fit(X, **start, **options)
    assert_same_mixture(fastgmm.fit(X, **start, **options), first)


@each_own
def test_reset_gives_up_where_the_data_have_no_room(covariance_type):
    """Two distinct rows, two components: every reset component collapses again."""
    X = np.repeat([[0.0, 0.0], [10.0, 10.0]], 20, axis=0)
    model = fastgmm.fit(
        X, 2, covariance_type=covariance_type, on_collapse="reset", random_state=0, max_iter=1000
    )
    assert len(model.regularized) > 0
    matrices = full_covariances(model.covariances, covariance_type, 2, 2)
    for k in model.regularized:
        np.testing.assert_allclose(matrices[k], 1e-6 * np.eye(2), rtol=1e-6, atol=1e-12)


@each_type
@pytest.mark.parametrize("on_collapse", ["regularize", "reset"])
def test_rows_that_are_all_the_same(covariance_type, on_collapse):
    X = np.full((30, 2), 7.25)
    model = fastgmm.fit(
        X, 3, covariance_type=covariance_type, on_collapse=on_collapse, random_state=0
    )
    np.testing.assert_allclose(model.means, 7.25, rtol=1e-12)
    for matrix in full_covariances(model.covariances, covariance_type, 3, 2):
        np.testing.assert_allclose(matrix, 1e-6 * np.eye(2), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(model.weights.sum(), 1.0, rtol=1e-14)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0, rtol=1e-14)


@each_type
@pytest.mark.parametrize("on_collapse", ["raise", "regularize", "reset"])
def test_no_regularisation_and_no_spread_is_an_error(covariance_type, on_collapse):
    X = np.full((30, 2), 7.25)
    with pytest.raises(fastgmm.CollapseError, match="reg_covar") as caught:
        fastgmm.fit(
            X,
            2,
            covariance_type=covariance_type,
            on_collapse=on_collapse,
            reg_covar=0.0,
            random_state=0,
        )
    if on_collapse == "reset":
        assert "on_collapse='reset'" not in str(caught.value)  # it was tried


def test_points_on_a_line_are_held_up_across_it():
    """A full covariance of rank one has the variance `reg_covar` across the line only."""
    t = np.random.default_rng(0).standard_normal(200)
    X = np.column_stack([t, 2.0 * t])
    model = fastgmm.fit(X, 1, covariance_type="full", random_state=0)
    smallest, largest = np.linalg.eigvalsh(model.covariances[0])
    np.testing.assert_allclose(smallest, 1e-6, rtol=1e-6)
    np.testing.assert_allclose(largest, 5.0 * t.var() + 1e-6, rtol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 1 / 400, 1e-9, 1e9])
def test_collapse_does_not_depend_on_the_scale_of_weights(scale):
    """Correlated features are not a collapse, however small the total weight is."""
    X = np.random.default_rng(0).standard_normal((400, 2))
    X[200:, 0] += 10.0
    X[:, 1] = X[:, 0] + 1e-4 * X[:, 1]
    w = np.full(400, scale)
    options = {"sample_weight": w, "reg_covar": 1e-14, "random_state": 0}
    model = fastgmm.fit(X, 2, **options, on_collapse="raise")
    assert tuple(model.regularized) == ()

    stray, means = with_stray()
    model = fastgmm.fit(
        stray, **start_on_stray(means, "full"), sample_weight=np.full(len(stray), scale)
    )
    assert tuple(model.regularized) == (2,)


@each_type
def test_as_many_components_as_rows(covariance_type):
    """One component on each row: every variance is `reg_covar`."""
    X = 10.0 * np.random.default_rng(0).standard_normal((6, 2))
    model = fastgmm.fit(X, 6, covariance_type=covariance_type, random_state=0)
    np.testing.assert_allclose(np.sort(model.means, axis=0), np.sort(X, axis=0), rtol=1e-9)
    np.testing.assert_allclose(model.weights, 1 / 6, rtol=1e-9)
    for matrix in full_covariances(model.covariances, covariance_type, 6, 2):
        np.testing.assert_allclose(matrix, 1e-6 * np.eye(2), rtol=1e-6, atol=1e-12)


@each_type
@pytest.mark.parametrize("on_collapse", ["regularize", "reset"])
def test_a_component_that_no_row_belongs_to(covariance_type, on_collapse):
    """A mean so far away that its responsibilities underflow leaves a valid mixture."""
    X, _ = problems.blobs(n_components=2)
    means = np.array([[0.0, 0.0], [25.0, 0.0], [1e6, 1e6]])
    model = fastgmm.fit(
        X,
        **start_on_stray(means, covariance_type),
        on_collapse=on_collapse,
        random_state=0,
        max_iter=1000,
    )
    for name in ("weights", "means", "covariances", "precisions_cholesky"):
        assert np.isfinite(getattr(model, name)).all(), name
    np.testing.assert_allclose(model.weights.sum(), 1.0, rtol=1e-14)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0, rtol=1e-14)


RISKY = {"init_params": "random_from_data", "on_collapse": "raise", "max_iter": 1000}


class TestManyStarts:
    """A start that fails does not stop the others."""

    @staticmethod
    def data():
        """Two blobs with stray points, onto which some starts fall."""
        X, _ = problems.blobs(30, n_components=2)
        return np.vstack([X, [[12.0, 60.0], [-40.0, 30.0], [70.0, -30.0]]])

    def outcomes(self, X, n_seeds=12):
        """Seeds of single starts that collapse, and of starts that do not."""
        failed, passed = [], []
        for seed in range(n_seeds):
            try:
                fastgmm.fit(X, 2, **RISKY, random_state=seed)
            except fastgmm.CollapseError:
                failed.append(seed)
            else:
                passed.append(seed)
        return failed, passed

    def test_one_that_collapses_is_left_out(self):
        X = self.data()
        failed, passed = self.outcomes(X)
        assert failed
        assert passed
        for seed in failed:
            model = fastgmm.fit(X, 2, **RISKY, n_init=30, random_state=seed)
            assert np.isfinite(model.log_likelihood)
            assert tuple(model.regularized) == ()

    def test_all_that_collapse_are_an_error(self):
        """From every start, k-means puts one component on each of two distinct rows."""
        X = np.repeat([[0.0, 0.0], [10.0, 10.0]], 20, axis=0)
        with pytest.raises(fastgmm.CollapseError, match=r"components? \d"):
            fastgmm.fit(X, 2, on_collapse="raise", n_init=5, random_state=0)
