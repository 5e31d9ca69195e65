"""Steps of Newton's method keep to the orthant, go down, and end where nothing pulls."""

import numpy as np
import pytest
from scipy.optimize import minimize

from ensemble.arrays import Vector
from ensemble.tuning.newton import Bend, gap_of, lower_of, newton_step, shorter

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
