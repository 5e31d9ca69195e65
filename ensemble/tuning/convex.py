"""Weights by convex optimisation: each problem has one optimum, and is solved to it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky
from scipy.optimize import minimize, nnls

from ensemble.arrays import Indices, Pooled, Vector
from ensemble.cores import each
from ensemble.tuning.blocks import Packed, Stored, exact, parts_of
from ensemble.tuning.newton import Bend, gap_of, lower_of, newton_step, shorter
from ensemble.voting.pools import LOG_FLOOR, Stack, clipped_logs

_TINY: Final = 1e-15
_LEAST_SUM: Final = 1e-3
_ROUNDS: Final = 100
_JITTER: Final = 1e-12
_FLAT: Final = 1e-9
_FEW: Final = 50_000
"""Of so many rows the optimum is near enough to that of more to begin with."""


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


def log_linear_pool(
    stack: Stored, y: Indices, ridge: float, offset: Vector | None = None
) -> PoolFit:
    """Minimise the log-loss of softmax(Σ β log p + rho offset) + ridge |β - mean β|² over β >= 0.

    Convex; by projected Newton. The sum of β is the inverse temperature. Logarithms are clipped
    as `pools.clipped_logs` does (Genest and Zidek 1986, on logarithmic pools). An `offset` (C,) is
    one more column, the same in each row, whose exponent rho comes last among the weights and is
    drawn to 0 as the others are to their mean.

    Of many rows it begins where a few of them, evenly spaced, have their optimum; it ends where
    all have theirs.
    """
    families, rows = len(stack), len(y)
    beta = np.append(np.full(families, 1 / families), [0.0] * (offset is not None))
    step = rows // _FEW
    if step > 1:
        beta = _log_linear(stack[:, ::step], y[::step], ridge, offset, beta).weights
    return _log_linear(stack, y, ridge, offset, beta)


def _log_linear(
    stack: Stored, y: Indices, ridge: float, offset: Vector | None, start: Vector
) -> PoolFit:
    """Go on from a start to the optimum of `log_linear_pool`."""
    families, rows = len(stack), len(y)
    centre = np.eye(len(start))
    centre[:families, :families] -= 1 / families
    penalty = 2 * ridge * centre
    logs = Packed.of(stack, y, lambda block, own: _relative_logs(block, own, offset))

    def bend(point: Vector) -> Bend:
        loss, slope, curve = logs.added(lambda block, _: _log_linear_sums(block, point))
        deviation = centre @ point
        value = float(loss[0]) / rows + ridge * float(deviation @ deviation)
        return Bend(value, slope / rows + penalty @ point, curve / rows + penalty)

    found = bend(start)
    beta = start
    for _ in range(_ROUNDS):
        if gap_of(beta, found.slope) <= _FLAT:
            break
        moved = lower_of(bend, found.value, beta, newton_step(beta, found.slope, found.curve))
        if moved is None:
            break
        beta, found = moved
    return PoolFit(beta, gap=gap_of(beta, found.slope))


def _relative_logs(block: Stack, own: Indices, offset: Vector | None) -> Stack:
    """Return how far the logarithms of probabilities (M, C, n) lie above that of the truth."""
    logs = clipped_logs(block)
    if offset is not None:
        column = np.broadcast_to(offset[:, None], (1, *logs.shape[1:]))
        logs = np.concatenate([logs, column])
    true = logs[:, own, np.arange(len(own))]
    logs -= true[:, None]
    return logs


def _log_linear_sums(logs: Stack, point: Vector) -> tuple[Vector, Vector, NDArray[np.float64]]:
    """Return the sums of the loss (1,), its slope (M,) and its curve (M, M) over a block."""
    members, flat = len(logs), logs.reshape(len(logs), -1)
    shares = (point @ flat).reshape(logs.shape[1:])
    loss = _to_shares(shares).sum(keepdims=True)
    weighted = logs * shares
    means = weighted.sum(1)
    curve = weighted.reshape(members, -1) @ flat.T - means @ means.T
    return loss, means.sum(1), curve


def tempered_pool(stack: Stored, y: Indices, ridge: float) -> PoolFit:
    """Minimise the log-loss of softmax(log(Σ w p) / T) + ridge |w - 1/M|² over w >= 0 and T.

    L-BFGS-B from uniform weights. T leaves the argmax as it is. Logarithms are clipped as
    `pools.tempered`, which applies T, clips them; what is clipped does not pull at a weight.
    """
    members, rows = len(stack), len(y)
    uniform = 1 / members
    probs = Packed.of(stack, y)

    def loss(point: Vector) -> tuple[float, Vector]:
        weights, sharpness = point[:-1], point[-1]
        whole = max(float(weights.sum()), _LEAST_SUM)
        lost, pull, turn = probs.added(
            lambda block, own: _tempered_sums(block, own, weights / whole, sharpness)
        )
        pull *= sharpness / (whole * rows)
        away = weights - uniform
        value = float(lost[0]) / rows + ridge * float(away @ away)
        return value, np.append(pull + 2 * ridge * away, turn / rows)

    start = np.append(np.full(members, uniform), 1.0)
    bounds = [(0.0, None)] * members + [(0.05, 20.0)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return PoolFit(found[:-1] / found[:-1].sum(), float(1 / found[-1]))


def _tempered_sums(
    probs: Stack, own: Indices, weights: Vector, sharpness: float
) -> tuple[Vector, Vector, Vector]:
    """Return the sums over a block of the loss (1,), the pull at weights (M,) and at 1 / T (1,)."""
    flat, rows = probs.reshape(len(probs), -1), np.arange(len(own))
    logs = clipped_logs((weights @ flat).reshape(probs.shape[1:]))
    error = sharpness * logs
    true = error[own, rows]
    lost = (_to_shares(error) - true).sum(keepdims=True)
    error[own, rows] -= 1
    free = np.where(logs > LOG_FLOOR, error, 0)
    pull = flat @ (free / np.exp(logs)).ravel() - free.sum()
    return lost, pull, np.sum(error * logs, keepdims=True).ravel()


def _to_shares(scores: NDArray[np.float64]) -> Vector:
    """Turn scores (C, n) into their softmax, in place; return the logarithm of its sums, (n,)."""
    top: Vector = scores.max(0)
    scores -= top
    np.exp(scores, out=scores)
    sums = scores.sum(0)
    scores /= sums
    top += np.log(sums)
    return top


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


def _mixture_loss(own: NDArray[np.float64], weights: Vector) -> float:
    pooled = own @ weights
    if (pooled <= 0).any():
        return np.inf
    return float(weights.sum() - np.log(pooled).mean())
