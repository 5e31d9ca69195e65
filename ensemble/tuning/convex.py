"""Weights by convex optimisation: each problem has one optimum, and is solved to it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize, nnls

from ensemble.arrays import Indices, Pooled, Vector
from ensemble.voting.pools import LOG_FLOOR, Stack, clipped_logs

Loss: TypeAlias = Callable[[Vector], float]

_TINY: Final = 1e-15
_LEAST_SUM: Final = 1e-3
_ROUNDS: Final = 100
_HALVINGS: Final = 40
_JITTER: Final = 1e-12


@dataclass(frozen=True, slots=True)
class PoolFit:
    """Weights (M,), at least 0; the temperature; and how far the loss may be from its optimum."""

    weights: Vector
    temperature: float = 1.0
    gap: float = 0.0


def own_probs(stack: Stack, y: Indices) -> NDArray[np.float64]:
    """Return what each family gives the true class, float64 (N, M)."""
    rows = np.arange(len(y))
    return np.ascontiguousarray(stack[:, rows, y].T)


def linear_pool(stack: Stack, y: Indices, tolerance: float = 1e-10) -> PoolFit:
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
        target = _newton_step(weights, 1 - pull, ratios.T @ ratios / len(own))
        moved = _shorter(lambda w: _mixture_loss(own, w), weights, target)
        if moved is None:
            break
        weights = moved / moved.sum()
    return PoolFit(weights / weights.sum(), gap=max(gap, 0.0))


def log_linear_pool(
    stack: Stack, y: Indices, ridge: float, offset: Vector | None = None
) -> PoolFit:
    """Minimise the log-loss of softmax(Σ β log p + rho offset) + ridge |β - mean β|² over β >= 0.

    Convex; by projected Newton. The sum of β is the inverse temperature. Logarithms are clipped
    as `pools.clipped_logs` does (Genest and Zidek 1986, on logarithmic pools). An `offset` (C,) is
    one more column, the same in each row, whose exponent rho comes last among the weights and is
    drawn to 0 as the others are to their mean.
    """
    logs = clipped_logs(stack)
    families, rows = logs.shape[:2]
    if offset is not None:
        logs = np.concatenate([logs, np.broadcast_to(offset, (1, *logs.shape[1:]))])
    logs = np.ascontiguousarray(logs)  # a stack cut by rows need not be
    members = len(logs)
    own = logs[:, np.arange(rows), y]
    centre = np.eye(members)
    centre[:families, :families] -= 1 / families
    penalty = 2 * ridge * centre
    beta: Vector = np.full(members, 1 / families)
    beta[families:] = 0.0

    def loss(point: Vector) -> float:
        scores = np.tensordot(point, logs, 1)
        deviation = centre @ point
        return float(np.mean(_log_sum(scores) - point @ own)) + ridge * float(deviation @ deviation)

    gap = np.inf
    for _ in range(_ROUNDS):
        scores = np.tensordot(beta, logs, 1)
        shares = np.exp(scores - _log_sum(scores)[:, None])
        means = np.einsum("mnc,nc->mn", logs, shares)
        slope = (means - own).mean(1) + penalty @ beta
        rooted = (logs * np.sqrt(shares)).reshape(members, -1)
        curve = (rooted @ rooted.T - means @ means.T) / rows + penalty
        gap = _gap(beta, slope)
        if gap <= 1e-9:
            break
        moved = _shorter(loss, beta, _newton_step(beta, slope, curve))
        if moved is None:
            break
        beta = moved
    return PoolFit(beta, gap=gap)


def tempered_pool(stack: Stack, y: Indices, ridge: float) -> PoolFit:
    """Minimise the log-loss of softmax(log(Σ w p) / T) + ridge |w - 1/M|² over w >= 0 and T.

    L-BFGS-B from uniform weights. T leaves the argmax as it is. Logarithms are clipped as
    `pools.tempered`, which applies T, clips them; what is clipped does not pull at a weight.
    """
    members = len(stack)
    rows = np.arange(len(y))
    uniform = 1 / members

    def loss(point: Vector) -> tuple[float, Vector]:
        weights, sharpness = point[:-1], point[-1]
        whole = max(float(weights.sum()), _LEAST_SUM)
        logs = clipped_logs(np.tensordot(weights / whole, stack, 1))
        scores = sharpness * logs
        total = _log_sum(scores)
        error = np.exp(scores - total[:, None])
        error[rows, y] -= 1
        free = np.where(logs > LOG_FLOOR, error, 0)
        pull = np.einsum("mnc,nc->m", stack, free / np.exp(logs)) - free.sum()
        pull *= sharpness / (whole * len(y))
        away = weights - uniform
        value = float(np.mean(total - scores[rows, y])) + ridge * float(away @ away)
        return value, np.append(pull + 2 * ridge * away, np.sum(error * logs) / len(y))

    start = np.append(np.full(members, uniform), 1.0)
    bounds = [(0.0, None)] * members + [(0.05, 20.0)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return PoolFit(found[:-1] / found[:-1].sum(), float(1 / found[-1]))


def least_squares_pool(stack: Stack, target: Pooled, ridge: float = 0.0) -> PoolFit:
    """Minimise the mean squared distance of Σ w p to the target (N, C) over the simplex.

    A quadratic programme on the Gram matrix of the errors: for weights that sum to 1, the error
    of the pool is the pool of the errors.
    """
    errors = (stack - target).reshape(len(stack), -1)
    gram = errors @ errors.T / len(target)
    return PoolFit(_simplex_least(gram + ridge * np.eye(len(stack))))


def temperature_of(pooled: Pooled, y: Indices) -> float:
    """Return the T that minimises the log-loss of `pools.tempered`."""
    return tempered_pool(pooled[None], y, 0.0).temperature


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


def _newton_step(point: Vector, slope: Vector, curve: NDArray[np.float64]) -> Vector:
    """Minimise the quadratic model around `point` over the non-negative orthant."""
    jitter = _JITTER * max(float(np.trace(curve)) / len(curve), _JITTER)
    lower = cholesky(curve + jitter * np.eye(len(curve)), lower=True)
    goal = lower.T @ point - solve_triangular(lower, slope, lower=True)
    target, _ = nnls(lower.T, goal)
    return np.asarray(target, np.float64)


def _shorter(loss: Loss, point: Vector, target: Vector) -> Vector | None:
    """Return the first point towards the target that lowers the loss, or None."""
    before, step = loss(point), 1.0
    for _ in range(_HALVINGS):
        moved = point + step * (target - point)
        if loss(moved) < before:
            return moved
        step /= 2
    return None


def _mixture_loss(own: NDArray[np.float64], weights: Vector) -> float:
    pooled = own @ weights
    if (pooled <= 0).any():
        return np.inf
    return float(weights.sum() - np.log(pooled).mean())


def _gap(point: Vector, slope: Vector) -> float:
    """Return how far the first-order conditions of min f, x >= 0, are from being met."""
    inward = np.where(point > 0, np.abs(slope), np.maximum(-slope, 0))
    return float(inward.max())


def _log_sum(scores: Pooled) -> Vector:
    top: Vector = scores.max(1)
    top += np.log(np.exp(scores - top[:, None]).sum(1))
    return top
