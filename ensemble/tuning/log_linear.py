"""Exponents of a log-linear pool, by Newton's method: a convex problem."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices, Vector
from ensemble.tuning.blocks import Packed, Stored, to_shares
from ensemble.tuning.convex import PoolFit
from ensemble.tuning.newton import FEW, Bend, gap_of, lower_of, newton_step, settled
from ensemble.voting.pools import Stack, clipped_logs

_ROUNDS: Final = 100
_FLAT: Final = 1e-9


def log_linear_pool(
    stack: Stored, y: Indices, ridge: float, offset: Vector | None = None
) -> PoolFit:
    """Minimise the log-loss of softmax(Σ β log p + rho offset) + ridge |β - mean β|² over β >= 0.

    Convex; by projected Newton. The sum of β is the inverse temperature. Logarithms are clipped
    as `pools.clipped_logs` does (Genest and Zidek 1986, on logarithmic pools). An `offset` (C,) is
    one more column, the same in each row, whose exponent rho comes last among the weights and is
    drawn to 0 as the others are to their mean.

    Of many rows a few, evenly spaced, are solved, and the rest of the way is that of `settled`.
    """
    families, rows = len(stack), len(y)
    start = np.append(np.full(families, 1 / families), [0.0] * (offset is not None))
    problem = _LogLinear.of(stack, y, ridge, offset)
    step = rows // FEW
    if step > 1:
        few = _LogLinear.of(stack[:, ::step], y[::step], ridge, offset)
        start, near = few.optimum(start)
        found = settled(problem.slope, start, near.curve, rows)
        if found is not None:
            return PoolFit(found)
    beta, last = problem.optimum(start)
    return PoolFit(beta, gap=gap_of(beta, last.slope))


@dataclass(frozen=True, slots=True, eq=False)
class _LogLinear:
    """The loss of `log_linear_pool`: relative logarithms of probabilities, and the penalty (K, K).

    The penalty is half the ridge's curve.
    """

    logs: Packed
    penalty: NDArray[np.float64]
    rows: int

    @classmethod
    def of(cls, stack: Stored, y: Indices, ridge: float, offset: Vector | None) -> "_LogLinear":
        families = len(stack)
        centre = np.eye(families + (offset is not None))
        centre[:families, :families] -= 1 / families
        logs = Packed.of(stack, y, lambda block, own: _relative_logs(block, own, offset))
        return cls(logs, ridge * centre, len(y))

    def slope(self, point: Vector) -> Vector:
        """Return the slope at a point (K,)."""
        (slope,) = self.logs.added(lambda block, _: [_log_linear_slope(block, point)])
        return np.asarray(slope / self.rows + 2 * self.penalty @ point, np.float64)

    def bend(self, point: Vector) -> Bend:
        """Return how the loss bends at a point (K,)."""
        loss, slope, curve = self.logs.added(lambda block, _: _log_linear_sums(block, point))
        value = float(loss[0]) / self.rows + float(point @ self.penalty @ point)
        return Bend(
            value,
            slope / self.rows + 2 * self.penalty @ point,
            curve / self.rows + 2 * self.penalty,
        )

    def optimum(self, start: Vector) -> tuple[Vector, Bend]:
        """Return the optimum from a start on, and how the loss bends there."""
        beta, found = start, self.bend(start)
        for _ in range(_ROUNDS):
            if gap_of(beta, found.slope) <= _FLAT:
                break
            target = newton_step(beta, found.slope, found.curve)
            moved = lower_of(self.bend, found.value, beta, target)
            if moved is None:
                break
            beta, found = moved
        return beta, found


def _relative_logs(block: Stored, own: Indices, offset: Vector | None) -> Stored:
    """Return how far the logarithms of probabilities (M, C, n) lie above that of the truth."""
    logs = clipped_logs(block)
    if offset is not None:
        column = np.broadcast_to(offset.astype(logs.dtype)[:, None], (1, *logs.shape[1:]))
        logs = np.concatenate([logs, column])
    true = logs[:, own, np.arange(len(own))]
    logs -= true[:, None]
    return logs


def _log_linear_sums(logs: Stack, point: Vector) -> tuple[Vector, Vector, NDArray[np.float64]]:
    """Return the sums of the loss (1,), its slope (M,) and its curve (M, M) over a block."""
    members, flat = len(logs), logs.reshape(len(logs), -1)
    shares = (point @ flat).reshape(logs.shape[1:])
    loss = to_shares(shares).sum(keepdims=True)
    weighted = logs * shares
    means = weighted.sum(1)
    curve = weighted.reshape(members, -1) @ flat.T - means @ means.T
    return loss, means.sum(1), curve


def _log_linear_slope(logs: Stack, point: Vector) -> Vector:
    """Return the sums over a block of the loss's slope (M,)."""
    flat = logs.reshape(len(logs), -1)
    shares = (point @ flat).reshape(logs.shape[1:])
    to_shares(shares)
    return flat @ shares.ravel()
