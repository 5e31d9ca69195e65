"""Newton's method over the non-negative orthant: a step, a shorter one, and when to stop."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import nnls

from ensemble.arrays import Vector

Loss: TypeAlias = Callable[[Vector], float]

_HALVINGS: Final = 40
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


def gap_of(point: Vector, slope: Vector) -> float:
    """Return how far the first-order conditions of min f, x >= 0, are from being met."""
    inward = np.where(point > 0, np.abs(slope), np.maximum(-slope, 0))
    return float(inward.max())
