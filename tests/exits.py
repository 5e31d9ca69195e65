"""Evaluations that mostly agree, images whose z grows, and the ledgers that follow them."""

import numpy as np
from numpy.typing import NDArray

from ensemble.early_exit.stopping.accumulators import Families, Soft
from ensemble.early_exit.stopping.order import shares
from ensemble.early_exit.stopping.rules import Argmax, rule_of, slack
from ensemble.early_exit.stopping.standing import Standing
from ensemble.early_exit.stopping.trajectory import Cap, Trajectory, follow, run
from ensemble.voting import pools
from ensemble.voting.decision import Decision

K = 10
ONES = np.ones(K)
PRIOR = Decision(prior_tau=0.7, prior=(0.6, 0.3, 0.08, 0.02))


def scores(seed: int, k: int = 8, rows: int = 60, classes: int = 4) -> NDArray[np.float32]:
    """Evaluations (K, n, C) that mostly agree; some rows are ties, some nearly."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=rows)
    logits = rng.normal(0, 1.5, (k, rows, classes)) + 3 * np.eye(classes)[truth]
    probs = np.exp(logits - logits.max(2, keepdims=True))
    probs /= probs.sum(2, keepdims=True)
    probs[:, :5] = 1 / classes
    probs[: k // 2, 5:15], probs[k // 2 :, 5:15] = np.eye(classes)[0], np.eye(classes)[1]
    probs[0, 10:15] += 1e-6 * rng.normal(size=(5, classes))
    return np.clip(probs, 0, 1).astype(np.float32)


def log_linear(k: int = 8) -> Families:
    family = np.arange(k) % 2
    exponents = np.array([0.9, 0.5])
    weights = shares((exponents[family] / (k // 2)).tolist())
    return Families(weights, family, exponents, pools.log_linear, rule_of(PRIOR, 1.0, 4))


def simulated(seed: int, rows: int, k: int = 10, classes: int = 3) -> Trajectory:
    """Images from clear to doubtful, seen by K evaluations with errors of their own."""
    rng = np.random.default_rng(seed)
    level = rng.exponential(2.5, (1, rows, 1)) * np.eye(classes)[rng.integers(classes, size=rows)]
    powers = np.exp(level + rng.normal(0, 0.7, (k, rows, classes)))
    accumulator = Soft(np.full(k, 1 / k), Argmax(np.ones(classes)), slack())
    return follow(accumulator, powers / powers.sum(2, keepdims=True))


def trajectory(images: int = 400) -> Trajectory:
    """Images whose z grows with every evaluation, each at a pace of its own."""
    rng = np.random.default_rng(1)
    z = np.cumsum(rng.exponential(1, (K, images)), 0)
    z[-1] = np.inf
    return Trajectory(np.zeros((K, images, 1), np.int64), z)


class Steps:
    """An accumulator for which the scores of an evaluation are the images' z after it."""

    depth, weights = 1, ONES

    def add(self, sums: np.ndarray, stage: int, probs: np.ndarray) -> None:
        sums[0] = probs

    def standing(self, sums: np.ndarray, done: int) -> Standing:
        return Standing(np.zeros((sums.shape[1], 1), np.int64), sums[0, :, 0])

    def off(self, sums: np.ndarray, done: int) -> np.ndarray:
        return np.zeros(sums.shape[1])


def taken(trajectory: Trajectory, threshold: float, cap: Cap | None) -> np.ndarray:
    """Run a shard of images, and return how many evaluations each took."""
    z, n = trajectory.z, trajectory.z.shape[1]
    return run(Steps(), n, lambda k, rows: z[k, rows, None], threshold, cap).evaluations
