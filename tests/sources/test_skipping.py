"""The lazy E-step: skipped pairs do not change the results, however the components change.

Every case runs with and without bounds. All parameters, all objectives and the number of
iterations must agree. `fastgmm.sources.skipping_check` also computes every skipped pair.
"""

import warnings

import numpy as np
import problems
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import COVARIANCE_TYPES, log_densities, m_step

import fastgmm
from fastgmm.em.models import MaximumLikelihood
from fastgmm.jit.decorators import entry
from fastgmm.kernels import skipping as kernels
from fastgmm.kernels.tiles import NATS, make_workspace
from fastgmm.kernels.types import Block, Bounds
from fastgmm.model.covariance import COVARIANCE_TYPES as KINDS
from fastgmm.model.parameters import Parameters
from fastgmm.sources import passes, skipping, skipping_check
from fastgmm.sources.operands import make_operands

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)


@pytest.fixture(autouse=True)
def _checked(monkeypatch):
    monkeypatch.setattr(passes, "CHECKED", True)


class Ledger:
    """Records the fractions of computed and of live pairs, pass by pass."""

    def __init__(self, monkeypatch):
        self.passes = []
        decide = skipping.Skipping.decide

        def record(lazy, computed, live):
            self.passes.append((computed, live))
            decide(lazy, computed, live)

        monkeypatch.setattr(skipping.Skipping, "decide", record)


def disable_bounds(patch):
    """Make all bounds zero, so that lazy passes compute all pairs, in the sorted order of rows."""
    drift = skipping.Skipping.drift

    def no_bounds(lazy, parameters):
        now = drift(lazy, parameters)
        return now._replace(scale=0.0 * now.scale, shift=0.0 * now.shift)

    patch.setattr(skipping.Skipping, "drift", no_bounds)


def run(X, options, mode):
    """Fit with a "lazy" E-step, a "dense" one, or a dense one in "ordered" (sorted) rows."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", fastgmm.ConvergenceWarning)
        patch.setattr(skipping, "_ROWS", 1)
        if mode == "dense":
            patch.setattr(skipping, "affordable", lambda *_: False)
        elif mode == "ordered":
            disable_bounds(patch)
        ledger = Ledger(patch)
        return fastgmm.fit(X, **{"init_params": "kmeans", **options}), ledger.passes


def assert_lazy_is_dense(X, options, rtol=1e-12, most_computed=None, other="dense"):
    """Compare both; the last pass must compute less than `most_computed`, a fraction of pairs."""
    lazy, passes = run(X, options, "lazy")
    dense, _ = run(X, options, other)
    assert lazy.n_iter == dense.n_iter
    np.testing.assert_allclose(lazy.log_likelihoods, dense.log_likelihoods, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(lazy.weights, dense.weights, rtol=rtol, atol=1e-300)
    scale = np.abs(dense.means).max() + np.sqrt(np.abs(dense.covariances).max())
    np.testing.assert_allclose(lazy.means, dense.means, rtol=rtol, atol=rtol * scale)
    each = np.abs(dense.covariances).max(
        axis=tuple(range(1, dense.covariances.ndim)), keepdims=True
    )
    assert (np.abs(lazy.covariances - dense.covariances) <= rtol * each).all()
    if most_computed is not None:
        assert passes[-1][0] < most_computed
    return passes


def given_start(problem, **options):
    return {**problem.start, "tol": 0.0, **options}


@each_type
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_separated_clusters(covariance_type, dtype):
    """With 16 features bounds fit in an eighth of the memory of X even for vectors of 128 bits."""
    problem = problems.separated(6000, 16, 8, covariance_type)
    rtol = 1e-12 if dtype is np.float64 else 1e-5
    assert_lazy_is_dense(
        problem.X.astype(dtype), given_start(problem, max_iter=12), rtol, most_computed=0.5
    )


@each_type
def test_overlapping_clusters(covariance_type):
    problem = problems.overlapping(6000, 12, 8, covariance_type)
    assert_lazy_is_dense(problem.X, given_start(problem, max_iter=12))


def heavy_tailed(covariance_type):
    rng = np.random.default_rng(0)
    centers = 12.0 * rng.standard_normal((6, 10))
    labels = rng.integers(6, size=5000)
    X = centers[labels] + np.clip(rng.standard_cauchy((5000, 10)), -1e4, 1e4)
    parameters = m_step(X, np.eye(6)[labels] * 0.9 + 0.1 / 6, covariance_type, reg_covar=0.01)
    return problems.Problem(X, *parameters, covariance_type)


@each_type
def test_heavy_tails(covariance_type):
    assert_lazy_is_dense(*_problem(heavy_tailed(covariance_type)))


def _problem(problem, **options):
    return problem.X, given_start(problem, **{"max_iter": 15, **options})


@each_type
def test_sample_weights_and_restarts(covariance_type):
    problem = problems.separated(6000, 12, 8, covariance_type)
    weights = np.random.default_rng(1).exponential(size=6000)
    options = {"n_components": 8, "covariance_type": covariance_type, "sample_weight": weights}
    assert_lazy_is_dense(problem.X, {**options, "n_init": 3, "random_state": 0, "tol": 1e-6})


@pytest.mark.parametrize("init_params", ["k-means++", "random", "random_from_data"])
def test_every_start(init_params):
    problem = problems.separated(5000, 12, 6)
    options = {"n_components": 6, "init_params": init_params, "random_state": 0, "tol": 1e-6}
    assert_lazy_is_dense(problem.X, {**options, "reg_covar": 1e-3})


def blobs(n_features, n_components, spread=10.0, n_samples=6000, seed=0):
    rng = np.random.default_rng(seed)
    centers = spread * rng.standard_normal((n_components, n_features)) / np.sqrt(n_features)
    labels = rng.integers(n_components, size=n_samples)
    return centers, labels, centers[labels] + rng.standard_normal((n_samples, n_features))


@each_type
@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_components_that_shrink_or_grow_a_thousandfold(covariance_type, factor):
    """Two components start with deviations a thousand times too large or too small."""
    centers, _, X = blobs(10, 6, spread=40.0)
    variances = np.ones((6, 10))
    variances[:2] /= factor**2
    shaped = {
        "full": variances[:, :, None] * np.eye(10),
        "tied": np.diag(variances[0]),
        "diag": variances,
        "spherical": variances[:, 0],
    }[covariance_type]
    problem = problems.Problem(X, np.full(6, 1 / 6), centers, shaped, covariance_type)
    assert_lazy_is_dense(*_problem(problem))


def live_fraction(mixture, X, k):
    """Return the fraction of rows in which component k is live, by the plainest formula."""
    logs = log_densities(X, mixture.means, mixture.covariances, mixture.covariance_type)
    return np.mean(logs[:, k] > (logs + np.log(mixture.weights)).max(axis=1) - NATS[8])


def test_component_that_wakes_up_after_fifty_iterations():
    """A component moves along a line of rows until it is live in the rows at the far end."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((6000, 10))
    X[:, 0] = rng.uniform(0.0, 120.0, len(X))
    means = np.zeros((4, 10))
    means[:, 0] = 2.0, 3.0, 4.0, 65.0
    covariances = np.tile(np.eye(10), (4, 1, 1))
    covariances[3, 0, 0] = 900.0
    problem = problems.Problem(X, np.full(4, 0.25), means, covariances, "full")
    far = X[X[:, 0] > 114.0]
    awake = [
        live_fraction(run(X, given_start(problem, max_iter=n), "lazy")[0], far, k=2)
        for n in (10, 30, 50, 85)
    ]
    assert awake == [0.0, 0.0, 0.0, 1.0]
    passes = assert_lazy_is_dense(*_problem(problem, max_iter=90))
    computed = np.array([fraction for fraction, _ in passes])
    assert computed[10:50].max() < 0.9


@each_type
def test_nearly_singular_covariances(covariance_type):
    """Rotated features whose deviations differ by a factor of 1e6: condition 1e12.

    Here the order of addition alone changes results by 1e-7. The first comparison therefore uses
    the same order of rows on both sides, until they are sorted for the second time. Skipped pairs
    still change which numbers are added first.
    """
    _, _, X = blobs(10, 6, spread=30.0)
    rotation = np.linalg.qr(np.random.default_rng(3).standard_normal((10, 10)))[0]
    X = X * np.logspace(0, -6, 10) @ rotation.T
    options = {"n_components": 6, "covariance_type": covariance_type, "random_state": 0}
    options |= {"reg_covar": 0.0, "tol": 0.0, "max_iter": 5}
    assert_lazy_is_dense(X, options, rtol=1e-8, other="ordered")
    assert_lazy_is_dense(X, {**options, "max_iter": 15}, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:reg_covar is:UserWarning")  # deviations of 1e-3 on purpose
def test_points_on_the_threshold():
    """Rows in which the second component is just above or just below the threshold of skipping."""
    rng = np.random.default_rng(0)
    gap = 40.0
    X = rng.standard_normal((6000, 10)) * 1e-3
    density = -10 * np.log(1e-3)  # log-densities at the means differ by nothing else
    assert density > 0
    edge = (np.linspace(-1e-6, 1e-6, 3000) + NATS[8]) / gap
    X[:3000, 0] += gap / 2 - edge
    X[3000:, 0] += 3 * gap
    means = np.zeros((3, 10))
    means[1, 0], means[2, 0] = gap, 3 * gap
    covariances = np.tile(np.eye(10), (3, 1, 1))
    problem = problems.Problem(X, np.full(3, 1 / 3), means, covariances, "full")
    assert_lazy_is_dense(*_problem(problem, max_iter=5))


def test_moved_components():
    """Components that collapse and are moved to other rows, or get a greater variance."""
    rng = np.random.default_rng(0)
    _, _, X = blobs(10, 5, spread=30.0)
    X[rng.choice(len(X), 700, replace=False)] = X[0]
    for on_collapse in ("reset", "regularize"):
        options = {"n_components": 8, "random_state": 2, "on_collapse": on_collapse}
        assert_lazy_is_dense(X, {**options, "max_iter": 40, "tol": 1e-8})


def test_image_patches():
    image = pytest.importorskip("sklearn.datasets").load_sample_image("china.jpg")
    gray = image[:400, :600].mean(axis=2)
    patches = gray.reshape(50, 8, 75, 8).swapaxes(1, 2).reshape(-1, 64)
    patches = np.tile(patches, (3, 1)) + np.random.default_rng(0).normal(size=(11250, 64))
    options = {"n_components": 8, "random_state": 0, "reg_covar": 1.0, "tol": 0.0, "max_iter": 15}
    assert_lazy_is_dense(patches, options, most_computed=0.8)


def test_same_bits_for_every_number_of_threads():
    problem = problems.separated(60_000, 12, 8)
    options = given_start(problem, max_iter=8)
    one, two = (run(problem.X, {**options, "n_threads": n}, "lazy")[0] for n in (1, 2))
    for name in ("weights", "means", "covariances", "log_likelihoods"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n_features=st.integers(3, 20),
    n_components=st.integers(3, 12),
    spread=st.floats(1.0, 60.0),
    covariance_type=st.sampled_from(COVARIANCE_TYPES),
    single=st.booleans(),
    scale=st.floats(-3.0, 3.0),
)
def test_any_mixture(seed, n_features, n_components, spread, covariance_type, single, scale):
    _, _, X = blobs(n_features, n_components, spread, 1500, seed)
    X = (X * 10.0 ** (scale * np.linspace(0, 1, n_features))).astype("f4" if single else "f8")
    options = {"n_components": n_components, "covariance_type": covariance_type, "tol": 0.0}
    options |= {"random_state": seed, "max_iter": 10, "reg_covar": 1e-9}
    assert_lazy_is_dense(X, options, rtol=1e-3 if single else 1e-8)


def random_factors(rng, kind, n_components, n_features):
    root = rng.standard_normal((n_components, n_features, n_features + 2))
    covariances = root @ np.swapaxes(root, 1, 2)
    if kind.name == "tied":
        covariances = covariances[0]
    elif kind.name == "diag":
        covariances = np.einsum("kjj->kj", covariances)
    elif kind.name == "spherical":
        covariances = covariances[:, 0, 0].copy()
    return kind.factorize(covariances, n_components, n_features)[0]


@each_type
@pytest.mark.parametrize("closeness", [0.0, 1e-6, 1e-2, 1.0])
def test_stretch_bounds_the_singular_values(covariance_type, closeness):
    kind, rng = KINDS[covariance_type], np.random.default_rng(0)
    for n_features in (1, 2, 7, 40):
        old, new = (random_factors(rng, kind, 3, n_features) for _ in range(2))
        new = old + closeness * (new - old)
        least, greatest = kind.stretch(old, new, 3, n_features, 1)
        as_matrices = {
            "full": lambda f: f,
            "tied": lambda f: np.tile(f, (3, 1, 1)),
            "diag": lambda f: f[:, :, None] * np.eye(f.shape[1]),
            "spherical": lambda f, d=n_features: f[:, None, None] * np.eye(d),
        }[covariance_type]
        values = np.linalg.svd(as_matrices(old) @ np.linalg.inv(as_matrices(new)), compute_uv=False)
        assert (least <= values[:, -1] * (1 + 1e-10)).all()
        assert (greatest >= values[:, 0] * (1 - 1e-10)).all()
        spread = values[:, 0] - values[:, -1] + 1e-10
        assert (greatest - values[:, 0] <= 0.5 * spread).all()
        assert (values[:, -1] - least <= 0.5 * spread).all()


@entry
def store_all(distances, part, shift, steps, numbers):
    for i in range(distances.size):
        numbers[i] = kernels.quantise(distances[i], part, shift, steps)


@entry
def remember_tile(operands, bounds, drift, t, work):
    kernels.update_bounds(operands, bounds, drift, t, work)


@entry
def bound_one_tile(turn, bounds, drift, lanes, block, closest):
    kernels.bound_sorted_tile(turn, bounds, drift, 0, lanes, block, closest)


@entry
def order_block(offsets, bounds, drift, n, size, lanes, work):
    kernels.sort_block(offsets, bounds, drift, 0, 0, n, work)


def test_rows_with_the_same_live_components_are_sorted_together():
    """Rows are sorted by the nearest component, then by the live ones, then by the distance."""
    rng = np.random.default_rng(0)
    n, n_components, n_features = 300, 19, 3
    work = make_workspace(np.zeros((n, n_features)), n_components, ordered=True)
    size, n_vectors = work.peak.size, work.places.shape[1]
    n_tiles = -(-n // size)
    density = rng.normal(size=n_components)
    offsets = density + np.log(rng.dirichlet(np.ones(n_components)))
    distances = rng.choice([2.0, 20.0, 200.0], (n_components, n)) * rng.uniform(0.5, 1.5, n)
    distances = np.float32(distances * rng.choice([1.0, -1.0], distances.shape, p=[0.8, 0.2]))
    ones = np.ones(n_components)
    drift = skipping.NO_DRIFT._replace(
        new_steps=64 * ones,
        new_shift=0 * ones,
        error=0 * ones,
        density=density,
        nats=NATS[8],
    )
    bounds = Bounds(
        n_tiles,
        rng.permutation(n).astype(np.uint16),
        np.zeros((n_tiles, n_components, n_vectors), np.uint16),
        np.zeros((n_tiles, n_vectors), np.uint16),
        np.zeros((n_tiles, n_vectors), np.float32),
        np.empty((2, 0), np.uint16),
    )
    before = bounds.order.copy()
    short = np.zeros((4, n_tiles * size), np.uint16)
    block = Block(distances, np.zeros(n, np.float32), *short, np.empty(257, np.intp))
    order_block(offsets, bounds, drift, n, size, size // n_vectors, work._replace(block=block))

    logs = np.float32(offsets[:, None] - 0.5 * np.abs(distances))
    nearest = logs.argmax(axis=0)
    matters = (distances >= 0) & (density[:, None] - 0.5 * distances > logs.max(axis=0) - NATS[8])
    far = np.sqrt(np.abs(distances[nearest, np.arange(n)]) / n_features)
    far = np.minimum(128.0 * far, 255.0).astype(int)
    expected = np.lexsort([far, *matters[::-1], nearest])
    assert len(np.unique(matters, axis=1).T) > 20
    np.testing.assert_array_equal(bounds.order, before[expected])


def test_stored_numbers_are_rounded_down():
    distances = np.array([np.nan, -np.inf, np.inf, 1e9, 1.0, 1.0 - 1e-9, 0.0, -1.0])
    numbers = np.empty(8, np.uint16)
    store_all(distances, 1.0, 0.0, 64.0, numbers)
    assert numbers.tolist() == [0, 0, 65535, 65535, 64, 63, 0, 0]
    store_all(distances, 0.0, 0.0, 64.0, numbers)  # the distances consist of rounding errors
    assert not numbers.any()


def one_tile(error):
    """Operands, bounds and buffers of a tile whose distances to two components are at most 1."""
    X = np.zeros((40, 3))
    work = make_workspace(X, 2)
    n_vectors = work.places.shape[1]
    unit = np.ones(2)
    parameters = Parameters(unit / 2, np.zeros((2, 3)), np.ones((2, 3)), np.ones((2, 3)), 0 * unit)
    terms = MaximumLikelihood(KINDS["diag"]).terms(parameters)
    _, operands = make_operands(KINDS["diag"], terms, X.dtype)
    bounds = Bounds(
        1,
        np.arange(40, dtype=np.uint16),
        np.zeros((1, 2, n_vectors), np.uint16),
        np.zeros((1, n_vectors), np.uint16),
        np.ones((1, n_vectors), np.float32),
        np.empty((2, 0), np.uint16),
    )
    drift = skipping.NO_DRIFT._replace(
        **dict.fromkeys(("scale", "growth", "density"), unit),
        **dict.fromkeys(("shift", "new_shift", "move"), 0 * unit),
        new_steps=64 * unit,
        error=error * unit,
        rebased=np.zeros(2, bool),
    )
    work.counts[:] = n_vectors
    work.places[:] = np.arange(n_vectors) * (work.peak.size // n_vectors)
    return operands, bounds, drift, work


@pytest.mark.parametrize(
    ("square", "error", "farthest"),
    [(4.0, 0.0, 2.0), (4.0, 0.5, 4.0), (4.0, 1.0, np.inf), (np.inf, 0.0, np.inf)],
)
def test_the_bound_of_distances_with_large_errors(square, error, farthest):
    """The bound grows with the rounding error; it is infinite if a distance is meaningless."""
    operands, bounds, drift, work = one_tile(error)
    work.resp.fill(square)
    remember_tile(operands, bounds, drift, 0, work)
    np.testing.assert_allclose(bounds.farthest, farthest, rtol=1e-6)


def test_a_bound_of_zero_is_not_a_distance():
    """A vector has no farthest distance if one of them was not computed."""
    _, bounds, drift, work = one_tile(0.0)
    size = work.peak.size
    distances = np.ones((2, size), np.float32)
    distances[0, 3] = -0.0
    short = np.zeros((4, size), np.uint16)
    turn = np.arange(size, dtype=np.uint16)
    lanes = size // work.places.shape[1]
    block = Block(distances, np.zeros(size, np.float32), *short, np.empty(257, np.intp))
    bound_one_tile(turn, bounds, drift, lanes, block, work.scratch[0])
    vector = 3 // lanes
    assert bounds.farthest[0, vector] == np.inf
    np.testing.assert_allclose(np.delete(bounds.farthest[0], vector), 1.0, rtol=1e-6)
    assert bounds.lower[0, 0, vector] == 0


def test_the_check_finds_skipped_live_pairs(monkeypatch):
    """It fails if its threshold makes every pair live."""
    problem = problems.separated(6000, 12, 8)
    monkeypatch.setattr(skipping_check, "_ROUNDING", -1e9)
    with pytest.raises(AssertionError, match="matters to row"):
        run(problem.X, given_start(problem, max_iter=8), "lazy")


@pytest.mark.parametrize("n_features", [2, 3, 10, 16, 64, 200])
def test_bounds_cost_an_eighth_of_the_data_or_little(n_features):
    for n_components in (1, 2, 3, 10, 30, 64, 300, 3000):
        for dtype in (np.float64, np.float32):
            X = np.empty((40_000, n_features), dtype)
            lazy = skipping.Skipping(KINDS["diag"], X, n_components, 1)
            lazy.decide(1.0, 0.1)
            memory = sum(array.nbytes for array in lazy.bounds[1:])
            most = max(X.nbytes / 8, 2**27 if n_components > skipping.MANY else 0)
            assert memory <= most * 1.02  # with the padding of the last tile
            assert lazy.bounds.order.size == (40_000 if memory else 0)
            if n_components == 300 and n_features < 200:
                assert memory > 0


@each_type
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rows_of_long_blocks(covariance_type, dtype, monkeypatch):
    """With many components, here more than two, rows are sorted between passes."""
    monkeypatch.setattr(skipping, "MANY", 2)
    monkeypatch.setattr(skipping, "_LONG_BLOCK", 2048)
    problem = problems.separated(6000, 12, 8, covariance_type)
    rtol = 1e-12 if dtype is np.float64 else 1e-5
    assert_lazy_is_dense(
        problem.X.astype(dtype), given_start(problem, max_iter=12), rtol, most_computed=0.4
    )


@pytest.mark.parametrize("n_samples", [1, 65_535, 65_537, 131_000, 131_040, 1_000_000])
def test_places_in_a_long_block_are_16_bit_numbers(n_samples):
    for size in (96, 160, 224, 288, 480):
        tiles = skipping.long_block_tiles(n_samples, size)
        assert 0 < tiles * size <= 2**16


def test_rows_are_sorted_by_nearest_and_number_of_live_components():
    rng = np.random.default_rng(0)
    keys = rng.integers(4, size=(2, 100)).astype(np.uint16)
    order = np.resize(rng.permutation(40).astype(np.uint16), 90)
    none = np.empty((0, 0), np.uint16)
    bounds = Bounds(1, order.copy(), none[None], none, np.ones((3, 5), np.float32), keys)
    skipping.sort_rows(bounds, 40)
    for begin in (0, 40, 80):
        block = slice(begin, min(begin + 40, 90))
        turn = sorted(range(block.start, block.stop), key=lambda p: tuple(keys[:, p]))
        np.testing.assert_array_equal(bounds.order[block], order[turn])
    assert np.isinf(bounds.farthest).all()
