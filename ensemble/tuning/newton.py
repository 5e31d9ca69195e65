"""Newton's method over the non-negative orthant: steps, shorter ones, and when to stop."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import nnls

from ensemble.arrays import Vector

Loss: TypeAlias = Callable[[Vector], float]

FEW: Final = 50_000
"""Of so many rows the optimum is near that of more, and the curve is as theirs."""

_HALVINGS: Final = 40
_NEAR: Final = 0.01
"""How far from the optimum, in standard errors, steps of the curve of few rows end."""

_MOST: Final = 12
_BESIDE: Final = 1e-5
_JITTER: Final = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Bend:
    """A loss at a point, its slope (M,) and its curve (M, M)."""

    value: float
    slope: Vector
    curve: NDArray[np.float64]


def newton_step(point: Vector, slope: Vector, curve: NDArray[np.float64]) -> Vector:
    """Minimise the quadratic model around `point` over the non-negative orthant."""
    jitter = _JITTER * max(float(np.trace(curve)) / len(curve), _JITTER)
    lower = cholesky(curve + jitter * np.eye(len(curve)), lower=True)
    goal = lower.T @ point - solve_triangular(lower, slope, lower=True)
    target, _ = nnls(lower.T, goal)
    return np.asarray(target, np.float64)


def shorter(loss: Loss, point: Vector, target: Vector) -> Vector | None:
    """Return the first point towards the target that lowers the loss, or None."""
    before, step = loss(point), 1.0
    for _ in range(_HALVINGS):
        moved = point + step * (target - point)
        if loss(moved) < before:
            return moved
        step /= 2
    return None


def lower_of(
    bend: Callable[[Vector], "Bend"], before: float, point: Vector, target: Vector
) -> tuple[Vector, "Bend"] | None:
    """Return the first point towards the target that lies lower, and how it bends; or None."""
    step = 1.0
    for _ in range(_HALVINGS):
        moved = point + step * (target - point)
        found = bend(moved)
        if found.value < before:
            return moved, found
        step /= 2
    return None


def settled(
    slope: Callable[[Vector], Vector], start: Vector, curve: NDArray[np.float64], rows: int
) -> Vector | None:
    """Return the optimum over many rows, by their slope and the curve of few of them.

    The curve is that of a mean loss (M, M) where the few have their optimum, which is `start`. The
    optimum over N rows has a covariance of about curve⁻¹ / N, so a step d is √(N dᵀ curve d)
    standard errors long. Each one leaves the share of the way that the one before left it: it ends
    where that is less than a hundredth of a standard error. None where steps do not halve.
    """
    point, before = start, np.inf
    for _ in range(_MOST):
        try:
            target = newton_step(point, slope(point), curve)
        except np.linalg.LinAlgError:  # no bowl
            return None
        step = target - point
        length = max(rows * float(step @ curve @ step), 0.0) ** 0.5
        if length > before / 2:
            return None
        point, left = target, length if before == np.inf else length**2 / before
        if left <= _NEAR:
            return point
        before = length
    return None


def curve_by_slopes(slope: Callable[[Vector], Vector], point: Vector) -> NDArray[np.float64]:
    """Return the curve (M, M) of a loss at a point, by how its slope changes beside it."""
    here = slope(point)
    found = np.array([slope(point + away) - here for away in _BESIDE * np.eye(len(point))])
    return np.asarray((found + found.T) / (2 * _BESIDE), np.float64)


def gap_of(point: Vector, slope: Vector) -> float:
    """Return how far the first-order conditions of min f, x >= 0, are from being met."""
    inward = np.where(point > 0, np.abs(slope), np.maximum(-slope, 0))
    return float(inward.max())
