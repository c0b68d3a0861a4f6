"""The M-step's sums over one tile, under responsibilities of which all, some or few are live."""

import numpy as np
import problems
import pytest
import reference
from loaded_tile import RTOL, lanes_of, list_some_vectors, load, operands_of, write_listed

from fastgmm.jit.decorators import entry
from fastgmm.kernels import moments
from fastgmm.kernels.passes import moments_of
from fastgmm.kernels.tiles import row_width
from fastgmm.model.covariance import COVARIANCE_TYPES


def _accumulate(about_means, about_center=None):
    kernel = moments_of(about_means, about_center)

    @entry
    def accumulate(operands, X, work, s1, s2):
        return kernel(operands, X, work, s1, s2)

    return accumulate


ACCUMULATE = {
    "full": _accumulate(moments.accumulate_matrices),
    "tied": _accumulate(moments.accumulate_matrices, moments.tied_about_center),
    "diag": _accumulate(moments.accumulate_squares, moments.diag_about_center),
    "spherical": _accumulate(moments.accumulate_squares, moments.spherical_about_center),
}


def responsibilities(n_components, n_points, live):
    """Responsibilities of which all, some or few are above zero (n_components, n_points)."""
    rng = np.random.default_rng(0)
    resp = rng.random((n_components, n_points))
    if live != "all":
        resp *= rng.random(resp.shape) < {"some": 0.5, "few": 0.04}[live]
    total = resp.sum(axis=0)
    return resp / np.where(total > 0, total, 1.0)


def shaped(s2, covariance_type):
    """Second moments (n_components, d, d) as the type sums them; lower triangles."""
    diagonals = np.einsum("kjj->kj", s2)
    return {
        "full": np.tril(s2),
        "tied": np.tril(s2.sum(axis=0)),
        "diag": diagonals,
        "spherical": diagonals.sum(axis=1),
    }[covariance_type]


class Sums:
    """The sums that a kernel added up, and the number of live pairs."""

    def __init__(self, problem, operands, X, work):
        n_components, n_features = problem.means.shape
        kind = COVARIANCE_TYPES[problem.covariance_type]
        width = row_width(n_features, X.itemsize)
        s1 = np.zeros((n_components, width))
        s2 = np.zeros(kind.moment_shape(n_components, n_features, width))
        self.live = ACCUMULATE[kind.name](operands, X, work, s1, s2)
        self.nk, self.s1 = s1[:, n_features], s1[:, :n_features]
        self.s2 = kind.second_moments(s2, n_features)
        if kind.name in ("full", "tied"):
            self.s2 = np.tril(self.s2)


ABOUT = [(kind, False) for kind in reference.COVARIANCE_TYPES]
ABOUT += [(kind, True) for kind in ("tied", "diag", "spherical")]  # full has no center
SHAPES = [(n_features, 2 + n_features % 5) for n_features in (*range(1, 10), 17, 33)]
SHAPES += [(24, 8), (31, 15)]  # diag sums rows of a table: see `rows_are_cheaper`


@pytest.mark.parametrize(("covariance_type", "about_center"), ABOUT)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("n_features", "n_components"), SHAPES)
@pytest.mark.parametrize("live", ["all", "some", "few"])
def test_moments(
    covariance_type, about_center, dtype, n_features, n_components, live, assert_close
):
    """About the means or the center, whatever form of the sum the kernels choose."""
    problem = problems.overlapping(90, n_features, n_components, covariance_type)
    X, w = problem.X.astype(dtype), np.random.default_rng(1).exponential(size=90)
    operands = operands_of(problem, dtype)._replace(about_center=about_center)
    work = load(X, n_components, w)
    mask = list_some_vectors(work, lanes_of(X)) if live == "few" else np.ones(work.resp.shape, bool)
    resp = responsibilities(n_components, work.peak.size, live) * mask
    write_listed(work, resp * work.weight, mask)
    sums = Sums(problem, operands, X, work)

    center = (operands.center + operands.center_low.astype(float) * (dtype is np.float32))[0]
    centers = np.tile(center, (n_components, 1)) if about_center else problem.means
    nk, s1, s2 = reference.statistics(X, resp[:, :90].T, centers, w)
    assert sums.live == np.count_nonzero(resp[:, :90])
    assert_close(sums.nk, nk, RTOL[dtype])
    assert_close(sums.s1, s1, 10 * RTOL[dtype])
    if not (about_center and covariance_type == "tied"):  # see `accumulate_about_center`
        assert_close(sums.s2, shaped(s2, covariance_type), RTOL[dtype])


@pytest.mark.parametrize("covariance_type", reference.COVARIANCE_TYPES)
def test_negligible_responsibilities_are_not_live(covariance_type):
    """Sums keep their bits where responsibilities below the limit become zero."""
    problem = problems.overlapping(90, 6, 3, covariance_type)
    operands = operands_of(problem, np.float64)._replace(about_center=False)
    resp = responsibilities(3, 90, "few")
    tiny = 0.5 * operands.negligible[:, None] * np.ones(90)
    found = []
    for values in (resp, np.where(resp > 0, resp, tiny)):
        work = load(problem.X, 3)
        work.resp[:, 90:] = 0.0
        work.resp[:, :90] = values
        found.append(Sums(problem, operands, problem.X, work))
    assert found[0].live == found[1].live == np.count_nonzero(resp)
    np.testing.assert_array_equal(found[0].s1, found[1].s1)
    np.testing.assert_array_equal(found[0].s2, found[1].s2)
