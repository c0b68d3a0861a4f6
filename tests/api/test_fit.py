"""`fit`: convergence, restarts, callbacks, kinds of input, and sizes at the edges."""

import gc
import tracemalloc

import numpy as np
import problems
import pytest
import reference
from reference import COVARIANCE_TYPES

import fastgmm
from fastgmm.api import fit as fit_module

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])


class TestConvergence:
    """EM stops by scikit-learn's rule, and the mixture records how it stopped."""

    @each_type
    def test_the_trace_and_the_end_are_the_references(self, covariance_type, assert_close):
        problem = problems.overlapping(331, 2, 3, covariance_type)
        for tol in (1e-2, 1e-4):
            run = reference.em(problem.X, *problem.parameters, tol=tol)
            model = fastgmm.fit(problem.X, **problem.start, tol=tol)
            assert (model.n_iter, model.converged) == (run.n_iter, True)
            assert_close(model.log_likelihoods, run.log_likelihoods, 1e-12)
            assert model.log_likelihood == model.log_likelihoods[-1]
            change = np.abs(np.diff(model.log_likelihoods))
            assert change[-1] < tol
            assert np.all(change[:-1] >= tol)

    @each_type
    @each_dtype
    def test_the_likelihood_never_falls(self, covariance_type, dtype):
        problem = problems.overlapping(613, 5, 4, covariance_type)
        with pytest.warns(fastgmm.ConvergenceWarning):
            model = fastgmm.fit(
                problem.X.astype(dtype), **problem.start, tol=0.0, max_iter=60, reg_covar=0.0
            )
        assert model.n_iter == 60
        slack = 1e-13 if dtype is np.float64 else 1e-6  # rounding of a mean of order ten
        assert np.all(np.diff(model.log_likelihoods) >= -slack)
        assert model.log_likelihoods[-1] > model.log_likelihoods[0] + 0.05

    def test_the_last_log_likelihood_is_before_the_last_m_step(self, assert_close):
        problem = problems.overlapping(331, 2, 3)
        for n_iter in (1, 2, 5):
            with pytest.warns(fastgmm.ConvergenceWarning):
                model = fastgmm.fit(problem.X, **problem.start, tol=0.0, max_iter=n_iter)
            run = reference.em(problem.X, *problem.parameters, tol=0.0, max_iter=n_iter - 1)
            before = reference.score_samples(problem.X, *run[:3], "full").mean()
            assert len(model.log_likelihoods) == n_iter
            assert_close(model.log_likelihood, before, 1e-13)
            assert model.score(problem.X) > before + 1e-6

    def test_a_run_cut_short_warns(self):
        problem = problems.overlapping(331, 2, 3)
        with pytest.warns(fastgmm.ConvergenceWarning, match=r"max_iter") as caught:
            model = fastgmm.fit(problem.X, **problem.start, tol=1e-9, max_iter=3)
        assert issubclass(fastgmm.ConvergenceWarning, UserWarning)
        assert len(caught) == 1
        assert caught[0].filename == __file__  # the warning points at the caller
        assert (model.converged, model.n_iter) == (False, 3)

    def test_no_iterations(self):
        """``max_iter=0`` returns the start, without a warning (warnings are errors)."""
        problem = problems.overlapping(331, 2, 3)
        model = fastgmm.fit(problem.X, **problem.start, max_iter=0)
        assert (model.converged, model.n_iter, len(model.log_likelihoods)) == (False, 0, 0)
        np.testing.assert_array_equal(model.means, problem.means)

    def test_convergence_in_the_very_last_iteration_counts(self):
        problem = problems.overlapping(331, 2, 3)
        free = fastgmm.fit(problem.X, **problem.start)
        exact = fastgmm.fit(problem.X, **problem.start, max_iter=free.n_iter)
        assert exact.converged
        with pytest.warns(fastgmm.ConvergenceWarning):
            short = fastgmm.fit(problem.X, **problem.start, max_iter=free.n_iter - 1)
        assert not short.converged

    def test_more_starts_never_end_worse(self):
        X, _ = problems.blobs(n_components=6)
        options = {"init_params": "random_from_data", "max_iter": 500}
        gains = []
        for seed in range(6):
            values = [
                fastgmm.fit(X, 6, **options, n_init=n, random_state=seed).log_likelihood
                for n in (1, 2, 8)
            ]
            assert values == sorted(values)
            gains.append(values[-1] - values[0])
        assert max(gains) > 0.1

    @pytest.mark.parametrize(("second", "kept"), [(-1.5 + 1e-14, 0), (-1.5 + 1e-9, 1), (-1.6, 0)])
    def test_of_starts_as_good_the_first_is_kept(self, monkeypatch, second, kept):
        """Log-likelihoods that differ by rounding alone count as equal."""
        run_em, runs = fit_module.run_em, []

        def run_to(*args):
            run = run_em(*args)._replace(objectives=((-1.5, second)[len(runs)],))
            runs.append(run)
            return run

        monkeypatch.setattr(fit_module, "run_em", run_to)
        X, _ = problems.blobs(n_components=3)
        options = {"init_params": "random_from_data", "random_state": 0}
        model = fastgmm.fit(X, 3, **options, n_init=2)
        assert not np.array_equal(runs[0].parameters.means, runs[1].parameters.means)
        np.testing.assert_array_equal(model.means, runs[kept].parameters.means)


class TestCallback:
    """``callback(iteration, log_likelihood)`` watches and may stop the fit."""

    def test_it_sees_every_iteration(self):
        problem = problems.overlapping(331, 2, 3)
        seen = []
        model = fastgmm.fit(
            problem.X, **problem.start, callback=lambda i, value: seen.append((i, value))
        )
        assert seen == list(enumerate(model.log_likelihoods, start=1))
        assert len(seen) == model.n_iter > 3

    def test_true_stops(self):
        problem = problems.overlapping(331, 2, 3)
        model = fastgmm.fit(problem.X, **problem.start, callback=lambda i, value: i == 4)
        run = reference.em(problem.X, *problem.parameters, max_iter=4)
        assert (model.n_iter, model.converged) == (4, False)
        np.testing.assert_allclose(model.means, run.means, rtol=1e-11)

    def test_its_own_exceptions_pass(self):
        problem = problems.overlapping(331, 2, 3)

        def explode(iteration, log_likelihood):
            raise KeyError(iteration)

        with pytest.raises(KeyError, match="1"):
            fastgmm.fit(problem.X, **problem.start, callback=explode)


class TestEquivalences:
    """Different models that must give the same fit."""

    @each_dtype
    def test_tied_is_full_at_one_component(self, dtype, assert_close):
        X = problems.overlapping(257, 5, 1).X.astype(dtype)
        full = fastgmm.fit(X, 1, covariance_type="full", random_state=0)
        tied = fastgmm.fit(X, 1, covariance_type="tied", random_state=0)
        rtol = 1e-12 if dtype is np.float64 else 1e-5
        assert_close(tied.covariances, full.covariances[0], rtol)
        assert_close(tied.log_likelihood, full.log_likelihood, rtol)

    def test_all_types_are_one_in_one_dimension(self, assert_close):
        """With a single feature full, diag and spherical are the same model."""
        problem = problems.overlapping(203, 1, 3)
        full = fastgmm.fit(problem.X, **problem.start)
        for covariance_type in ("diag", "spherical"):
            same = problems.overlapping(203, 1, 3, covariance_type)
            model = fastgmm.fit(same.X, **same.start)
            assert model.n_iter == full.n_iter
            assert_close(model.covariances.ravel(), full.covariances.ravel(), 1e-12)
            assert_close(model.means, full.means, 1e-12)

    def test_diag_is_full_on_axis_aligned_data(self, assert_close):
        """Clusters that are symmetric about both axes have no covariance between features."""
        rng = np.random.default_rng(0)
        offsets = rng.standard_normal((40, 2)) * [1.0, 0.3]
        signs = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
        cross = (offsets[:, None, :] * signs).reshape(-1, 2)
        X = np.vstack([cross - (30.0, 0.0), cross[:, ::-1] - (-30.0, 0.0)])
        labels = np.repeat([0, 1], len(cross))
        model = {}
        for covariance_type in ("full", "diag"):
            start = problems.separate_parameters(X, labels, covariance_type)
            problem = problems.Problem(X, *start, covariance_type)
            model[covariance_type] = fastgmm.fit(X, **problem.start)
        for k in range(2):
            diagonal = np.diag(model["diag"].covariances[k])
            assert_close(model["full"].covariances[k], diagonal, 1e-12)
        assert_close(model["full"].log_likelihoods, model["diag"].log_likelihoods, 1e-12)

    @each_type
    def test_the_order_of_components_follows_the_start(self, covariance_type, assert_close):
        problem = problems.overlapping(331, 2, 3, covariance_type)
        order = [2, 0, 1]
        turned = dict(problem.start)
        turned["weights_init"] = problem.weights[order]
        turned["means_init"] = problem.means[order]
        if covariance_type != "tied":
            turned["precisions_init"] = turned["precisions_init"][order]
        model = fastgmm.fit(problem.X, **problem.start)
        other = fastgmm.fit(problem.X, **turned)
        assert other.n_iter == model.n_iter
        assert_close(other.means, model.means[order], 1e-11)
        assert_close(other.weights, model.weights[order], 1e-11)

    @each_type
    def test_the_order_of_rows_does_not_matter(self, covariance_type, assert_close):
        problem = problems.overlapping(331, 2, 3, covariance_type)
        model = fastgmm.fit(problem.X, **problem.start)
        other = fastgmm.fit(problem.X[::-1], **problem.start)
        assert other.n_iter == model.n_iter
        assert_close(other.means, model.means, 1e-11)
        assert_close(other.covariances, model.covariances, 1e-11)


def frame_of(library):
    """Return a function that converts an array to a DataFrame of ``library``."""
    return lambda X: pytest.importorskip(library).DataFrame(X)


def read_only(X):
    """Return a read-only copy."""
    copy = X.copy()
    copy.flags.writeable = False
    return copy


def strided(X):
    """Return the same values as every second row and column of a larger array."""
    wide = np.full((2 * len(X), 2 * X.shape[1]), np.nan)
    wide[::2, ::2] = X
    return wide[::2, ::2]


def unaligned(X):
    """Return the same values at an address that is not a multiple of eight."""
    raw = np.zeros(X.nbytes + 1, dtype=np.uint8)
    view = raw[1:].view(X.dtype).reshape(X.shape)
    view[...] = X
    return view


LIKE_ARRAYS = {
    "list": lambda X: X.tolist(),
    "tuple of rows": lambda X: tuple(map(tuple, X)),
    "list of rows": list,
    "pandas": frame_of("pandas"),
    "polars": frame_of("polars"),
    "Fortran order": np.asfortranarray,
    "strided": strided,
    "reversed twice": lambda X: X[::-1].copy()[::-1],
    "big-endian": lambda X: X.astype(">f8"),
    "read-only": read_only,
    "unaligned": unaligned,
    "object": lambda X: X.astype(object),
    "longdouble": lambda X: X.astype(np.longdouble),
}


class TestInput:
    """Every array-like is accepted, and no array is copied without need."""

    @pytest.mark.parametrize("kind", LIKE_ARRAYS)
    @pytest.mark.parametrize("covariance_type", ["full", "diag"])
    def test_array_likes_give_the_same_bits(self, kind, covariance_type, assert_same_mixture):
        problem = problems.overlapping(331, 2, 3, covariance_type)
        expected = fastgmm.fit(problem.X, **problem.start)
        data = LIKE_ARRAYS[kind](problem.X)
        model = fastgmm.fit(data, **problem.start)
        assert_same_mixture(model, expected)
        np.testing.assert_array_equal(model.predict_proba(data), expected.predict_proba(problem.X))
        assert model.bic(data) == expected.bic(problem.X)

    def test_a_memory_map(self, tmp_path, assert_same_mixture):
        problem = problems.overlapping(331, 2, 3)
        np.save(tmp_path / "data.npy", problem.X)
        mapped = np.load(tmp_path / "data.npy", mmap_mode="r")
        model = fastgmm.fit(mapped, **problem.start)
        assert_same_mixture(model, fastgmm.fit(problem.X, **problem.start))

    @pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint16, np.float16, bool])
    def test_other_numbers_are_computed_in_float64(self, dtype, assert_same_mixture):
        problem = problems.overlapping(331, 2, 3)
        data = (problem.X > 0.0) if dtype is bool else np.round(np.abs(problem.X) * 10)
        data = data.astype(dtype)
        model = fastgmm.fit(data, 2, random_state=0, reg_covar=1e-2)
        expected = fastgmm.fit(data.astype(np.float64), 2, random_state=0, reg_covar=1e-2)
        assert_same_mixture(model, expected)

    def test_big_endian_float32_is_single_precision(self, assert_same_mixture):
        problem = problems.overlapping(331, 2, 3)
        single = problem.X.astype(np.float32)
        expected = fastgmm.fit(single, **problem.start)
        assert_same_mixture(fastgmm.fit(single.astype(">f4"), **problem.start), expected)
        double = fastgmm.fit(single.astype(np.float64), **problem.start)
        assert not np.array_equal(expected.means, double.means)  # float32 is computed in float32

    @each_type
    def test_one_dimensional_data_are_one_feature(self, covariance_type, assert_same_mixture):
        problem = problems.overlapping(203, 1, 3, covariance_type)
        column = fastgmm.fit(problem.X, **problem.start)
        flat = fastgmm.fit(problem.X.ravel(), **problem.start)
        assert_same_mixture(flat, column)
        flat_list = problem.X.ravel().tolist()
        assert_same_mixture(fastgmm.fit(flat_list, **problem.start), column)
        np.testing.assert_array_equal(flat.predict(problem.X.ravel()), column.predict(problem.X))

    def test_parameters_may_be_lists(self, assert_same_mixture):
        problem = problems.overlapping(331, 2, 3)
        listed = {
            k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in problem.start.items()
        }
        w = np.arange(331.0)
        model = fastgmm.fit(problem.X, **listed, sample_weight=w.tolist())
        assert_same_mixture(model, fastgmm.fit(problem.X, **problem.start, sample_weight=w))

    @each_type
    @each_dtype
    def test_the_callers_arrays_are_never_modified(self, covariance_type, dtype):
        problem = problems.overlapping(331, 2, 3, covariance_type)
        X = problem.X.astype(dtype)
        w = np.random.default_rng(0).random(331).astype(dtype)
        arguments = {**problem.start, "sample_weight": w}
        arrays = {"X": X, **{k: v for k, v in arguments.items() if isinstance(v, np.ndarray)}}
        before = {name: array.copy() for name, array in arrays.items()}
        model = fastgmm.fit(X, **arguments)
        drawn = fastgmm.fit(X, 3, covariance_type=covariance_type, sample_weight=w, random_state=0)
        for m in (model, drawn):
            m.predict_proba(X)
            m.score(X, w)
            m.icl(X, w)
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, before[name], name)

    def test_the_result_shares_no_memory_with_the_arguments(self):
        problem = problems.overlapping(331, 2, 3)
        start = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in problem.start.items()}
        model = fastgmm.fit(problem.X, **start, max_iter=0)
        means = model.means.copy()
        start["means_init"][:] = 1e9
        start["weights_init"][:] = 0.5
        np.testing.assert_array_equal(model.means, means)
        np.testing.assert_allclose(model.weights.sum(), 1.0, rtol=1e-14)

    @each_dtype
    @each_type
    def test_contiguous_floats_are_never_copied(self, covariance_type, dtype):
        """All memory that NumPy allocates in a fit is far less than the data."""
        problem = problems.overlapping(400_000, 2, 3, covariance_type)
        X = read_only(problem.X.astype(dtype))
        fastgmm.fit(X, **problem.start, max_iter=500).score_samples(X)  # compiles
        tracemalloc.start()
        try:
            model = fastgmm.fit(X, **problem.start, max_iter=500)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            base, _ = tracemalloc.get_traced_memory()
            model.score_samples(X)
            _, peak_score = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        output = 8 * len(X)
        assert peak < X.nbytes / 2
        assert peak_score - base < output + X.nbytes / 2

    @pytest.mark.parametrize("init_params", ["auto", "kmeans", "random"])
    @pytest.mark.parametrize("kind", ["array", "weights", "gaps", "blocks", "select"])
    def test_memory_is_free_when_a_fit_ends(self, kind, init_params):
        """No reference cycle keeps the rows or buffers of a fit until Python looks for cycles."""
        X = problems.overlapping(600, 2, 2).X
        gaps = np.where(np.arange(len(X))[:, np.newaxis] % 10 == [3, -1], np.nan, X)
        same = {"init_params": init_params, "random_state": 0}
        fits = {
            "array": lambda: fastgmm.fit(X, 2, **same),
            "weights": lambda: fastgmm.fit(X, 2, sample_weight=np.ones(len(X)), **same),
            "gaps": lambda: fastgmm.fit(gaps, 2, missing="em", **same),
            "blocks": lambda: fastgmm.fit(lambda: iter([X[:300], X[300:]]), 2, **same),
            "select": lambda: fastgmm.select(X, [1, 2], ["full", "diag"], **same),
        }
        fits[kind]()  # compiles
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            fits[kind]()
            gc.collect()
            left = [type(thing) for thing in gc.garbage if "fastgmm" in type(thing).__module__]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
        assert left == []


class TestShapes:
    """Sizes at the edges."""

    @each_type
    @each_dtype
    def test_two_rows(self, covariance_type, dtype, assert_close):
        X = np.array([[0.0, 1.0], [2.0, 5.0]], dtype=dtype)
        model = fastgmm.fit(X, 1, covariance_type=covariance_type, random_state=0)
        expected = reference.m_step(X, np.ones((2, 1)), covariance_type)
        assert_close(model.means, [[1.0, 3.0]], 1e-7)
        assert_close(model.covariances, expected.covariances, 1e-6)

    @each_type
    def test_fewer_rows_than_features(self, covariance_type):
        problem = problems.overlapping(12, 20, 2, covariance_type)
        model = fastgmm.fit(
            problem.X, 2, covariance_type=covariance_type, reg_covar=0.1, random_state=0
        )
        for matrix in reference.full_covariances(model.covariances, covariance_type, 2, 20):
            assert np.linalg.eigvalsh(matrix)[0] > 0.0999
        assert np.isfinite(model.score(problem.X))

    @each_type
    def test_a_constant_feature(self, covariance_type):
        problem = problems.overlapping(203, 2, 3, covariance_type)
        X = np.column_stack([problem.X, np.full(203, 4.0)])
        model = fastgmm.fit(X, 3, covariance_type=covariance_type, random_state=0, max_iter=500)
        np.testing.assert_allclose(model.means[:, 2], 4.0, rtol=1e-12)
        assert np.isfinite(model.log_likelihoods).all()
        np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0, rtol=1e-14)

    def test_as_many_rows_as_fill_tiles_and_one_more(self, assert_close):
        """No row is dropped or counted twice at the ends of tiles and chunks."""
        problem = problems.overlapping(4100, 2, 3)
        sizes = [3, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513, 1024, 1025, 4096, 4097]
        for n in sizes:
            X = problem.X[:n]
            with pytest.warns(fastgmm.ConvergenceWarning):
                model = fastgmm.fit(X, **problem.start, tol=0.0, max_iter=1)
            run = reference.em(X, *problem.parameters, max_iter=1)
            assert_close(model.log_likelihood, run.log_likelihoods[0], 1e-13)
            assert_close(model.means, run.means, 1e-12)
            assert_close(model.weights, run.weights, 1e-13)

    @pytest.mark.parametrize("n_features", [4, 7, 10, 12, 14, 16, 18, 64])
    def test_widths_where_the_kernels_change_their_form(self, n_features, assert_close):
        problem = problems.overlapping(400, n_features, 2)
        run = reference.em(problem.X, *problem.parameters, tol=0.0, max_iter=2)
        with pytest.warns(fastgmm.ConvergenceWarning):
            model = fastgmm.fit(problem.X, **problem.start, tol=0.0, max_iter=2)
        assert_close(model.covariances, run.covariances, 1e-11)
        assert_close(model.log_likelihoods, run.log_likelihoods, 1e-12)
