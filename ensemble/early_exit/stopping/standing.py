"""What an accumulator is: it keeps sums of scores, and tells what they mean."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ensemble.arrays import Indices, Pooled, Probs, Vector
from ensemble.early_exit.stopping.order import bridges
from ensemble.early_exit.stopping.rules import Flags
from ensemble.voting.pools import Stack


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of n images: labels int64 (n, D), z float64 (n,)."""

    labels: Indices
    z: Vector


class Accumulator(Protocol):
    """Sums over evaluations, and what they mean."""

    @property
    def weights(self) -> Vector:
        """The shares (K,) of the evaluations, in their order."""

    @property
    def depth(self) -> int:
        """How many sums an image has: L."""

    def add(self, sums: Stack, stage: int, probs: Probs | Pooled) -> None:
        """Add the scores (n, C) of evaluation `stage`, from 0, to sums (L, n, C), in place."""

    def standing(self, sums: Stack, done: int) -> Standing:
        """Return what sums mean after the first `done` evaluations, 1 to K."""

    def off(self, sums: Stack, done: int) -> Vector:
        """Return how far sums are from those of so many evaluations, as a share, (n,).

        Of scores that sum to 1 in each row.
        """


def statistic(weights: Vector, done: int, margins: Vector, certain: Flags) -> Vector:
    """Return z (n,) after the first `done` evaluations: infinite where all is certain."""
    if done == len(weights):
        return np.full(len(margins), np.inf)
    return np.where(certain, np.inf, margins / bridges(weights)[done])


def off_by(weights: Vector, done: int, sums: Stack) -> Vector:
    """Return how far sums (L, n, C) of rows that sum to 1 are from the weight done, as a share."""
    weight = weights[:done].sum()
    return np.asarray(abs(sums.sum((0, 2)) - weight) / weight, np.float64)
