"""Weights of a linear pool together with its temperature, by L-BFGS-B."""

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from scipy.optimize import minimize

from ensemble.arrays import Indices, Pooled, Vector
from ensemble.tuning.blocks import Packed, Stored, to_shares
from ensemble.tuning.convex import PoolFit
from ensemble.tuning.newton import FEW, curve_by_slopes, settled
from ensemble.voting.pools import LOG_FLOOR, Stack, clipped_logs

_LEAST_SUM: Final = 1e-3
_SHARPNESS: Final = (0.05, 20.0)
"""The least and the largest 1 / T."""

_Loss: TypeAlias = Callable[[Vector], tuple[float, Vector]]
"""Gives the loss of weights and 1 / T, (M + 1,), and its slope."""


def tempered_pool(stack: Stored, y: Indices, ridge: float) -> PoolFit:
    """Minimise the log-loss of softmax(log(Σ w p) / T) + ridge |w - 1/M|² over w >= 0 and T.

    L-BFGS-B from uniform weights. T leaves the argmax as it is. Logarithms are clipped as
    `pools.tempered`, which applies T, clips them; what is clipped does not pull at a weight. Of
    many rows a few are solved first, as for `log_linear_pool`.
    """
    start = np.append(np.full(len(stack), 1 / len(stack)), 1.0)
    loss, step = _tempered_loss(stack, y, ridge), len(y) // FEW
    if step > 1:
        few = _tempered_loss(stack[:, ::step], y[::step], ridge)
        start = _tempered(few, start)
        curve = curve_by_slopes(lambda point: few(point)[1], start)
        curve[:-1, :-1] += 1  # the scale of the weights does nothing, and is held
        found = settled(lambda point: loss(point)[1], start, curve, len(y))
        if found is not None and _SHARPNESS[0] < found[-1] < _SHARPNESS[1]:
            return _tempered_fit(found)
    return _tempered_fit(_tempered(loss, start))


def _tempered_fit(point: Vector) -> PoolFit:
    return PoolFit(point[:-1] / point[:-1].sum(), float(1 / point[-1]))


def _tempered(loss: _Loss, start: Vector) -> Vector:
    """Minimise the loss of weights and of 1 / T, from a start on."""
    bounds = [(0.0, None)] * (len(start) - 1) + [_SHARPNESS]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return np.asarray(found, np.float64)


def _tempered_loss(stack: Stored, y: Indices, ridge: float) -> _Loss:
    """Return what gives the loss of weights and 1 / T, (M + 1,), and its slope."""
    rows, uniform, probs = len(y), 1 / len(stack), Packed.of(stack, y)

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

    return loss


def _tempered_sums(
    probs: Stack, own: Indices, weights: Vector, sharpness: float
) -> tuple[Vector, Vector, Vector]:
    """Return the sums over a block of the loss (1,), the pull at weights (M,) and at 1 / T (1,)."""
    flat, rows = probs.reshape(len(probs), -1), np.arange(len(own))
    logs = clipped_logs((weights @ flat).reshape(probs.shape[1:]))
    error = sharpness * logs
    true = error[own, rows]
    lost = (to_shares(error) - true).sum(keepdims=True)
    error[own, rows] -= 1
    free = np.where(logs > LOG_FLOOR, error, 0)
    pull = flat @ (free / np.exp(logs)).ravel() - free.sum()
    return lost, pull, np.sum(error * logs, keepdims=True).ravel()


def temperature_of(pooled: Pooled, y: Indices) -> float:
    """Return the T that minimises the log-loss of `pools.tempered`."""
    return tempered_pool(pooled[None], y, 0.0).temperature
