"""Coordinates of mixtures, and quasi-Newton steps in them."""

import numpy as np
import problems
import pytest
from reference import COVARIANCE_TYPES

from fastgmm.em.models import MaximumLikelihood
from fastgmm.em.secants import Chart, Secants, ascent
from fastgmm.model import covariance
from fastgmm.model.parameters import Parameters
from fastgmm.sources.array import ArraySource

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)


def mixture(covariance_type, seed=0, n_components=3, n_features=4):
    """A mixture of the type, different for each seed."""
    problem = problems.overlapping(400, n_features, n_components, covariance_type, seed=seed)
    kind = covariance.COVARIANCE_TYPES[covariance_type]
    factors, log_det = kind.factorize(problem.covariances, *problem.means.shape)
    return kind, Parameters(problem.weights, problem.means, problem.covariances, factors, log_det)


def coordinates(chart, *mixtures):
    names = "weights", "means", "factors"
    return chart.coordinates(*(np.stack([getattr(m, name) for m in mixtures]) for name in names))


@each_type
def test_coordinates_and_back(covariance_type, assert_close):
    kind, origin = mixture(covariance_type)
    _, other = mixture(covariance_type, seed=1)
    chart = Chart(kind, origin)
    at_origin, at_other = coordinates(chart, origin, other)
    np.testing.assert_allclose(at_origin, 0.0, atol=1e-14)
    back = chart.parameters(at_other)
    for name in ("weights", "means", "factors", "log_det"):
        assert_close(getattr(back, name), getattr(other, name), 1e-12)
    assert_close(
        kind.public_covariances(back.covariances), kind.public_covariances(other.covariances), 1e-12
    )


@each_type
def test_all_coordinates_are_a_mixture(covariance_type):
    kind, origin = mixture(covariance_type)
    chart = Chart(kind, origin)
    n = coordinates(chart, origin).shape[1]
    for seed in range(20):
        step = chart.shortened(100.0 * np.random.default_rng(seed).standard_normal(n))
        parameters = chart.parameters(step)
        assert np.isfinite(parameters.log_det).all()
        assert (parameters.weights > 0).all()
        assert parameters.weights.sum() == pytest.approx(1.0, rel=1e-14)


@each_type
def test_the_information_is_the_identity(covariance_type):
    """The Kullback-Leibler divergence of the complete data is half the squared length."""
    kind, origin = mixture(covariance_type)
    chart = Chart(kind, origin)
    n = coordinates(chart, origin).shape[1]
    for seed in range(5):
        step = np.random.default_rng(seed).standard_normal(n)
        near = chart.parameters(1e-4 * step / np.linalg.norm(step))
        length = np.linalg.norm(coordinates(chart, near)[0])
        assert divergence(kind, origin, near) == pytest.approx(0.5 * length**2, rel=2e-3)


def divergence(kind, p, q):
    """The divergence of q from p, if each row's component is known."""
    n_components, n_features = p.means.shape
    total = np.sum(p.weights * np.log(p.weights / q.weights))
    ours, theirs = (
        np.broadcast_to(
            kind.matrices(kind.public_covariances(m.covariances), *m.means.shape),
            (n_components, n_features, n_features),
        )
        for m in (p, q)
    )
    for k in range(n_components):
        inverse, gap = np.linalg.inv(theirs[k]), q.means[k] - p.means[k]
        product = inverse @ ours[k]
        trace = np.trace(product) - n_features - np.linalg.slogdet(product)[1]
        total += 0.5 * p.weights[k] * (trace + gap @ inverse @ gap)
    return total


@each_type
def test_units_and_rotations_do_not_matter(covariance_type, assert_close):
    kind, origin = mixture(covariance_type)
    _, other = mixture(covariance_type, seed=1)
    scaled = [
        m._replace(means=3e4 * m.means + 5.0, factors=m.factors / 3e4) for m in (origin, other)
    ]
    expected = coordinates(Chart(kind, origin), other)
    assert_close(coordinates(Chart(kind, scaled[0]), scaled[1]), expected, 1e-12)


@each_type
def test_an_em_step_is_the_gradient(covariance_type):
    """In the coordinates, the likelihood rises by the squared length of a short EM step."""
    problem = problems.overlapping(2000, 3, 3, covariance_type)
    kind, source = covariance.COVARIANCE_TYPES[covariance_type], ArraySource(problem.X)
    model = MaximumLikelihood(kind)
    factors, log_det = kind.factorize(problem.covariances, *problem.means.shape)
    before = Parameters(problem.weights, problem.means, problem.covariances, factors, log_det)
    for _ in range(15):
        statistics = source.statistics(model, before)
        before, last = model.update(before, statistics), before
    chart = Chart(kind, last)
    step = coordinates(chart, before)[0]
    short = chart.parameters(1e-3 * step)
    gain = source.statistics(model, short).log_likelihood - statistics.log_likelihood
    assert gain / source.total_weight == pytest.approx(1e-3 * step @ step, rel=0.02)


def test_a_component_without_weight_stays_without():
    kind, origin = mixture("full")
    empty = origin._replace(weights=np.array([0.4, 0.6, 0.0]))
    chart = Chart(kind, empty)
    points = coordinates(chart, empty, origin)
    assert np.isfinite(points).all()
    np.testing.assert_allclose(chart.parameters(points[0]).weights, empty.weights, atol=1e-15)
    assert chart.parameters(points[1]).weights[2] == 0.0


def test_newton_steps_of_a_quadratic():
    """With as many secants as unknowns along conjugate directions, the step ends at the top."""
    hessian = np.diag([1.0, 0.1, 0.01])
    top = np.array([1.0, -2.0, 3.0])
    points = [np.zeros(3)]
    for axis in np.eye(3):
        points.append(points[-1] + 0.5 * axis)
    gradients = [hessian @ (top - point) for point in points]
    moves, changes = np.diff(points, axis=0), -np.diff(gradients, axis=0)
    direction = ascent(moves, changes, gradients[-1])
    np.testing.assert_allclose(points[-1] + direction, top, rtol=1e-12)
    np.testing.assert_array_equal(ascent(moves[:0], changes[:0], top), top)
    np.testing.assert_array_equal(ascent(moves, -changes, top), top)  # not concave: no secant


def test_old_steps_are_dropped():
    kind, first = mixture("diag")
    secants = Secants(kind, 3)
    for seed in range(5):
        secants.add(first, mixture("diag", seed)[1])
    assert len(secants) == 3
    secants.clear()
    assert len(secants) == 0
    nothing = Secants(kind, 0)
    nothing.add(first, first)
    assert len(nothing) == 0
