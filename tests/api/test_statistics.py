"""Statistics of parts are added to those of all rows, and EM runs by hand."""

import pickle

import numpy as np
import problems
import pytest

import fastgmm

pytestmark = pytest.mark.filterwarnings("ignore::fastgmm.ConvergenceWarning")
TYPES = ["full", "tied", "diag", "spherical"]


def inverse(mixture):
    if mixture.covariances.ndim < 2 or mixture.covariance_type == "diag":
        return 1.0 / mixture.covariances
    return np.linalg.inv(mixture.covariances)


@pytest.mark.parametrize("kind", TYPES)
def test_em_by_hand_is_fit(kind):
    X = problems.overlapping(900, 3, 3).X
    mixture = fastgmm.fit(X, 3, covariance_type=kind, max_iter=1, random_state=0)
    start = {
        "weights_init": mixture.weights,
        "means_init": mixture.means,
        "precisions_init": inverse(mixture),
    }
    expected = fastgmm.fit(X, 3, covariance_type=kind, max_iter=5, tol=0.0, **start)
    mixture = fastgmm.Mixture.from_parameters(
        mixture.weights, mixture.means, mixture.covariances, kind
    )
    for _ in range(5):
        parts = [fastgmm.statistics(part, mixture) for part in np.array_split(X, 7)]
        parts = pickle.loads(pickle.dumps(parts))
        mixture = mixture.updated(sum(parts, start=fastgmm.Statistics.none()))
    np.testing.assert_allclose(mixture.means, expected.means, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(mixture.covariances, expected.covariances, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(mixture.log_likelihoods, expected.log_likelihoods, rtol=1e-12)


def test_weights_count_as_rows():
    X = problems.overlapping(300, 2, 2).X
    mixture = fastgmm.fit(X, 2, random_state=0)
    weighted = fastgmm.statistics(X, mixture, sample_weight=np.full(300, 2.0))
    twice = fastgmm.statistics(X, mixture) + fastgmm.statistics(X, mixture)
    assert weighted.total_weight == twice.total_weight == 600
    np.testing.assert_allclose(weighted.log_likelihood, twice.log_likelihood, rtol=1e-13)
    np.testing.assert_allclose(
        mixture.updated(weighted).covariances, mixture.updated(twice).covariances, rtol=1e-12
    )


def test_parts_without_rows_add_nothing():
    X = problems.overlapping(300, 2, 2).X
    mixture = fastgmm.fit(X, 2, random_state=0)
    all_rows = fastgmm.statistics(X, mixture)
    with_empty = fastgmm.statistics(X[:0], mixture) + all_rows
    assert with_empty.log_likelihood == all_rows.log_likelihood
    assert repr(with_empty).startswith("Statistics(total_weight=300")


def test_statistics_of_another_mixture_are_refused():
    X = problems.overlapping(300, 2, 2).X
    mixture = fastgmm.fit(X, 2, random_state=0)
    old = fastgmm.statistics(X, mixture)
    new = mixture.updated(old)
    with pytest.raises(ValueError, match="taken under different mixtures; send the new mixture"):
        old + fastgmm.statistics(X, new)
    with pytest.raises(ValueError, match="taken under another mixture"):
        new.updated(old)
    with pytest.raises(ValueError, match="of no rows; add those of at least one part"):
        mixture.updated(fastgmm.Statistics.none())
    with pytest.raises(TypeError):
        old + 1
    with pytest.raises(ValueError, match="X has 3 features but the mixture has 2"):
        fastgmm.statistics(np.zeros((4, 3)), mixture)
