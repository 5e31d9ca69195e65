"""Steps of Newton's method keep to the orthant, go down, and end where nothing pulls."""

import numpy as np
import pytest
from scipy.optimize import minimize

from ensemble.arrays import Vector
from ensemble.tuning.newton import (
    Bend,
    curve_by_slopes,
    gap_of,
    lower_of,
    newton_step,
    settled,
    shorter,
)

CURVE = np.array([[2.0, 0.3, 0.1], [0.3, 1.0, 0.2], [0.1, 0.2, 3.0]])
PULL = np.array([-1.0, 0.8, -0.5])


def bend(point: Vector) -> Bend:
    """A bowl, whose least point lies outside the orthant."""
    value = float(PULL @ point + point @ CURVE @ point / 2)
    return Bend(value, PULL + CURVE @ point, CURVE)


def test_a_step_of_a_bowl_reaches_its_least_point_in_the_orthant() -> None:
    start = np.array([1.0, 1.0, 1.0])
    found = newton_step(start, bend(start).slope, CURVE)
    scipy = minimize(lambda x: bend(x).value, start, bounds=[(0, None)] * 3, tol=1e-14)
    np.testing.assert_allclose(found, scipy.x, atol=1e-6)
    assert gap_of(found, bend(found).slope) < 1e-9


def test_a_step_that_is_too_long_is_halved_until_it_goes_down() -> None:
    start, far = np.zeros(3), np.array([64.0, 0.0, 0.0])
    moved = shorter(lambda x: bend(x).value, start, far)
    assert moved is not None
    assert moved.tolist() == [0.5, 0, 0]
    both = lower_of(bend, 0.0, start, far)
    assert both is not None
    assert both[0].tolist() == [0.5, 0, 0]
    assert both[1].value == bend(both[0]).value < 0


def test_where_no_step_goes_down_there_is_none() -> None:
    best, worse = np.zeros(3), np.ones(3)
    assert shorter(lambda x: float(x.sum()), best, worse) is None
    assert lower_of(lambda x: Bend(float(x.sum()), x, CURVE), 0.0, best, worse) is None


@pytest.mark.parametrize(
    ("point", "slope", "gap"), [([1, 1], [0, -0.2], 0.2), ([0, 1], [3, 0], 0), ([0, 1], [-3, 0], 3)]
)
def test_only_a_pull_inward_counts_at_the_border(
    point: list[float], slope: list[float], gap: float
) -> None:
    assert gap_of(np.array(point, np.float64), np.array(slope)) == gap


def steep(point: Vector) -> Vector:
    """The slope of a bowl that is no quadratic, least where the root of 2 is."""
    return np.array([*(point**3 - 2 * np.sqrt(2))])


def test_steps_of_a_curve_that_is_nearly_right_settle_at_the_optimum() -> None:
    best, near = np.full(2, np.sqrt(2)), np.full(2, 1.42)
    found = settled(steep, near, curve_by_slopes(steep, near), 100_000)
    assert found is not None
    assert 0 < np.sqrt(100_000 * ((found - best) ** 2).sum() * 6) < 0.01


def test_steps_that_do_not_shorten_settle_nothing() -> None:
    assert settled(steep, np.full(2, 1.5), np.eye(2), 1000) is None


def test_a_curve_that_is_no_bowl_settles_nothing() -> None:
    assert settled(steep, np.full(2, 1.5), -np.eye(2), 1000) is None


def test_a_curve_by_slopes_is_that_of_a_bowl() -> None:
    found = curve_by_slopes(lambda point: bend(point).slope, np.array([1.0, 0.5, 2.0]))
    np.testing.assert_allclose(found, CURVE, atol=1e-8)
