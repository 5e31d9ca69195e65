"""Weights by convex optimisation: each problem has one optimum, and is solved to it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky
from scipy.optimize import nnls

from ensemble.arrays import Indices, Pooled, Vector
from ensemble.cores import each
from ensemble.tuning.blocks import Stored, exact, parts_of
from ensemble.tuning.newton import newton_step, shorter

_TINY: Final = 1e-15
_ROUNDS: Final = 100
_JITTER: Final = 1e-12


@dataclass(frozen=True, slots=True)
class PoolFit:
    """Weights (M,), at least 0; the temperature; and how far the loss may be from its optimum."""

    weights: Vector
    temperature: float = 1.0
    gap: float = 0.0


def own_probs(stack: Stored, y: Indices) -> NDArray[np.float64]:
    """Return what each family gives the true class, float64 (N, M)."""
    rows = np.arange(len(y))
    return np.ascontiguousarray(stack[:, rows, y].T, np.float64)


def linear_pool(stack: Stored, y: Indices, tolerance: float = 1e-10) -> PoolFit:
    """Minimise the log-loss of Σ w p over the simplex.

    Projected Newton on the scale-free form -mean log(Qw) + Σ w, w >= 0, each step a non-negative
    least-squares problem. `gap` bounds the distance to the optimum: f(w) - f* <= max_j g_j - 1
    with g_j = mean(q_j / Qw), the first-order condition of the mixture likelihood (Lindsay 1983).
    """
    own = np.maximum(own_probs(stack, y), _TINY)
    weights = np.full(own.shape[1], 1 / own.shape[1])
    gap = np.inf
    for _ in range(_ROUNDS):
        ratios = own / (own @ weights)[:, None]
        pull = ratios.mean(0)
        gap = float(pull.max() - 1)
        if gap <= tolerance:
            break
        target = newton_step(weights, 1 - pull, ratios.T @ ratios / len(own))
        moved = shorter(lambda w: _mixture_loss(own, w), weights, target)
        if moved is None:
            break
        weights = moved / moved.sum()
    return PoolFit(weights / weights.sum(), gap=max(gap, 0.0))


def least_squares_pool(stack: Stored, target: Pooled, ridge: float = 0.0) -> PoolFit:
    """Minimise the mean squared distance of Σ w p to the target (N, C) over the simplex.

    A quadratic programme on the Gram matrix of the errors: for weights that sum to 1, the error
    of the pool is the pool of the errors.
    """

    def squares(part: slice) -> NDArray[np.float64]:
        errors = (exact(stack, part) - target[part]).reshape(len(stack), -1)
        return np.asarray(errors @ errors.T, np.float64)

    gram = sum(each(squares, parts_of(stack)), np.zeros((len(stack), len(stack)))) / len(target)
    return PoolFit(_simplex_least(gram + ridge * np.eye(len(stack))))


def _simplex_least(gram: NDArray[np.float64]) -> Vector:
    """Minimise wᵀGw over the simplex: non-negative least squares, scaled to sum 1.

    min |Rw|² with Σw = 1 is, up to scale, min |Rw|² + (Σw - 1)², w >= 0.
    """
    scale = float(np.trace(gram)) / len(gram) or 1.0
    root = cholesky(gram / scale + _JITTER * np.eye(len(gram)))
    rows = np.vstack([root, np.ones(len(gram))])
    weights = np.asarray(nnls(rows, np.append(np.zeros(len(gram)), 1.0))[0], np.float64)
    weights /= weights.sum()
    return weights


def _mixture_loss(own: NDArray[np.float64], weights: Vector) -> float:
    pooled = own @ weights
    if (pooled <= 0).any():
        return np.inf
    return float(weights.sum() - np.log(pooled).mean())
