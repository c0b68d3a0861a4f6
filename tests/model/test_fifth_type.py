"""A new covariance type works everywhere, without any change of the library.

In the type below all components have the same diagonal matrix. It is registered here and used
through every public function.
"""

import numpy as np
import problems
import pytest

import fastgmm
from fastgmm.kernels import passes
from fastgmm.model.covariance import COVARIANCE_TYPES, CovarianceType, register

pytestmark = pytest.mark.filterwarnings("ignore::fastgmm.ConvergenceWarning")


class SharedDiag(CovarianceType):
    """One variance per feature, the same in all components: arrays (n_features,)."""

    name = "shared_diag"
    kernels = passes.DIAG
    worth_skipping = 0.3

    def shape(self, n_components, n_features):
        return (n_features,)

    def n_parameters(self, n_components, n_features):
        return n_features

    def moment_shape(self, n_components, n_features, width):
        return 1, n_components, width

    def second_moments(self, raw, n_features):
        return raw[0, :, :n_features].sum(axis=0)

    def from_moments(self, s2, nk, delta, divisor):
        return (s2 - (nk[:, None] * delta * delta).sum(axis=0)) / nk.sum()

    def about_center(self, weights, means, factors):
        return None, None

    def to_means(self, statistics, parameters):
        return statistics, 1.0

    def from_variances(self, variances):
        return variances.mean(axis=0)

    def from_precisions(self, precisions, n_components, n_features):
        return 1.0 / precisions, *self.factorize(1.0 / precisions, n_components, n_features)

    def variances(self, covariances, n_components, n_features):
        return np.broadcast_to(covariances, (n_components, n_features))

    def matrices(self, covariances, n_components, n_features):
        return np.diag(covariances)[None]

    def square_roots(self, covariances, n_features):
        return np.diag(np.sqrt(covariances))[None]

    def add_to_diagonal(self, covariances, values):
        covariances += np.max(values)

    def replace(self, covariances, k, variances):
        covariances[:] = variances

    def select(self, mask, old, new):
        return old if mask.all() else new

    def dilute(self, covariances, means, kept):
        return covariances

    def factorize(self, covariances, n_components, n_features, n_threads=1):
        positive = (covariances > 0).all()
        factors = 1.0 / np.sqrt(np.where(covariances > 0, covariances, np.nan))
        log_det = np.log(factors).sum() if positive else np.nan
        return factors, np.full(n_components, log_det)

    def pivots(self, factors, n_components, n_features):
        return np.broadcast_to(factors**-2.0, (n_components, n_features))

    def distances(self, factors, gaps):
        return np.linalg.norm(factors * gaps, axis=-1)

    def stretch(self, old, new, n_components, n_features, n_threads):
        ratio = old / new
        return np.full(n_components, ratio.min()), np.full(n_components, ratio.max())

    def cancellation(self, covariances, factors, n_components, n_features):
        return np.ones(n_components)

    def kernel_factors(self, factors, n_components, about_center):
        return self.kernels, np.tile(factors, (n_components, 1))

    def asymmetry(self, matrices):
        return 0.0

    def are_factors(self, factors):
        return bool((factors > 0).all())

    def factor_error(self, covariances, factors):
        return np.abs(factors**2 * covariances - 1.0).max()

    def public_covariances(self, covariances):
        return covariances

    def public_factors(self, factors):
        return factors

    def precisions(self, public_factors):
        return public_factors**2


@pytest.fixture(autouse=True)
def registered():
    """Register the type for one test."""
    register(SharedDiag())
    yield
    del COVARIANCE_TYPES["shared_diag"]


@pytest.fixture
def blobs():
    """Spherical clusters that differ only in their centers."""
    return problems.blobs(n_per_blob=300, n_components=3)[0]


def test_fit_is_tied_with_a_diagonal(blobs):
    """For separated clusters the variances are the pooled ones, about the clusters' means."""
    X, labels = problems.blobs(n_per_blob=300, n_components=3)
    mixture = fastgmm.fit(X, 3, covariance_type="shared_diag", random_state=0, reg_covar=0.0)
    means = np.array([X[labels == k].mean(axis=0) for k in range(3)])
    pooled = ((X - means[labels]) ** 2).mean(axis=0)
    assert mixture.covariances.shape == (2,)
    np.testing.assert_allclose(mixture.covariances, pooled, rtol=1e-9)


def test_the_likelihood_never_falls():
    X = problems.overlapping(30_000, 6, 5).X
    mixture = fastgmm.fit(X, 5, covariance_type="shared_diag", tol=0.0, max_iter=40, random_state=0)
    assert np.diff(mixture.log_likelihoods).min() >= -1e-12


def test_predict_agrees_with_full_matrices(blobs):
    mixture = fastgmm.fit(blobs, 3, covariance_type="shared_diag", random_state=0)
    matrices = np.tile(np.diag(mixture.covariances), (3, 1, 1))
    full = fastgmm.Mixture.from_parameters(mixture.weights, mixture.means, matrices)
    np.testing.assert_array_equal(mixture.predict(blobs), full.predict(blobs))
    np.testing.assert_allclose(mixture.predict_proba(blobs), full.predict_proba(blobs), atol=1e-12)
    np.testing.assert_allclose(mixture.score(blobs), full.score(blobs), rtol=1e-12)
    assert mixture.n_parameters == 2 + 6 + 2


def test_select_prefers_it_where_it_is_true(blobs):
    blobs = blobs * [1.0, 4.0]  # not spherical, not correlated, the same in all components
    selection = fastgmm.select(blobs, 3, [*fastgmm.api.options.COVARIANCE_TYPES, "shared_diag"])
    assert selection.winner.name == "shared_diag 3"


def test_save_load_and_pickle(blobs, tmp_path):
    mixture = fastgmm.fit(blobs, 3, covariance_type="shared_diag", random_state=0)
    mixture.save(tmp_path / "model.npz")
    loaded = fastgmm.load(tmp_path / "model.npz")
    assert loaded == mixture
    np.testing.assert_array_equal(loaded.predict_proba(blobs), mixture.predict_proba(blobs))


def test_sample_and_from_parameters(blobs):
    mixture = fastgmm.Mixture.from_parameters(
        [0.5, 0.5], [[0.0, 0.0], [9.0, 9.0]], [1.0, 4.0], "shared_diag"
    )
    X, labels = mixture.sample(20_000, random_state=0)
    spread = [X[labels == k].var(axis=0) for k in (0, 1)]
    np.testing.assert_allclose(spread, [[1.0, 4.0]] * 2, rtol=0.05)


def test_plot(blobs):
    pytest.importorskip("matplotlib").use("agg")
    mixture = fastgmm.fit(blobs, 3, covariance_type="shared_diag", random_state=0)
    ax = mixture.plot(blobs)
    assert len(ax.patches) == 9  # three ellipses a component
    selection = fastgmm.select(blobs, [2, 3], ["diag", "shared_diag"], random_state=0)
    labels = [text.get_text() for text in selection.plot().get_legend().get_texts()]
    assert any(label.startswith("shared_diag") for label in labels)
