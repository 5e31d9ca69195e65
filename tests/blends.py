"""Out-of-fold predictions whose best blend is known."""

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices
from ensemble.pools import Stack


def binary(probs: NDArray[np.float64]) -> Stack:
    """Probabilities of the second class, (M, N), as a stack (M, N, 2)."""
    return np.stack([1 - probs, probs], -1)


def golden() -> tuple[Stack, Indices]:
    """Four families of unequal strength and unequal sharpness, 2000 rows, two classes."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 2000)
    z = 2 * y - 1
    strength = ((1, 1.5), (0.8, 1.2), (0.5, 0.8), (0.2, 2))
    return binary(
        np.stack([1 / (1 + np.exp(-(a * z + rng.normal(0, s, 2000)))) for a, s in strength])
    ), y


def noise(members: int = 40, rows: int = 300) -> tuple[Stack, Indices]:
    """Families of uniform noise: no blend is better than another."""
    rng = np.random.default_rng(1)
    return binary(rng.random((members, rows))), rng.integers(0, 2, rows)


def tied() -> tuple[Stack, Indices]:
    """Few rows and many ties between blends."""
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, 40)
    return binary(np.clip(y + rng.normal(0, 0.7, (5, 40)), 0.01, 0.99)), y


def many(families: int, rows: int, classes: int, seed: int = 0) -> tuple[Stack, Indices]:
    """Families that share most of their errors, as real ones do."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, rows)
    shared = rng.normal(0, 1.2, (rows, classes))
    shared[np.arange(rows), y] += 2.2
    scores = shared + rng.normal(0, 1, (families, rows, classes)) * rng.uniform(
        0.4, 1.6, (families, 1, 1)
    )
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True), y
