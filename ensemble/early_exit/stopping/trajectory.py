"""Images on their way through the evaluations."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices, Pooled, Probs, Vector
from ensemble.early_exit.stopping.rules import Flags
from ensemble.early_exit.stopping.standing import Accumulator
from ensemble.errors import UsageError
from ensemble.voting.pools import Stack

_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Trajectory:
    """What n images look like after each of K evaluations: labels int64 (K, n, D), z (K, n)."""

    labels: NDArray[np.int64]
    z: NDArray[np.float64]

    def evaluations(self, threshold: float) -> Indices:
        """Return how many evaluations each image takes, int64 (n,): until z ≥ threshold."""
        return np.asarray((self.z >= threshold).argmax(0) + 1, np.int64)

    def labels_at(self, threshold: float) -> Indices:
        """Return the labels with which the images end, int64 (n, D)."""
        stages = self.evaluations(threshold) - 1
        return np.asarray(self.labels[stages, np.arange(len(stages))], np.int64)

    def disagree(self, threshold: float) -> Flags:
        """Tell, bool (n,), which images end with other labels than every evaluation gives."""
        return np.asarray((self.labels_at(threshold) != self.labels[-1]).any(1))


@dataclass(frozen=True, slots=True)
class Exits:
    """How images ended: labels int64 (n, D), evaluations int64 (n,), sums float64 (L, n, C)."""

    labels: Indices
    evaluations: Indices
    sums: Stack


@dataclass(frozen=True, slots=True, eq=False)
class Cap:
    """What images may cost in all: `most`, their evaluations in order costing `costs` (K,)."""

    costs: Vector
    most: float

    def onward(self, stage: int, alive: int, spent: float) -> int:
        """Return how many of the images alive this pays evaluation `stage` for."""
        cost = float(self.costs[stage]) if stage < len(self.costs) else 0.0
        if not cost or spent + cost * alive <= self.most:
            return alive
        return max(math.floor((self.most - spent) / cost + _ROUNDING), 0)


def follow(accumulator: Accumulator, scores: Iterable[Probs | Pooled]) -> Trajectory:
    """Follow images through all K evaluations: (K, n, C), or its stages one by one."""
    labels, z, sums = [], [], np.empty(0)
    for stage, probs in enumerate(scores):
        if not stage:
            sums = np.zeros((accumulator.depth, *probs.shape))
        accumulator.add(sums, stage, probs)
        standing = accumulator.standing(sums, stage + 1)
        labels.append(standing.labels)
        z.append(standing.z)
    return Trajectory(np.stack(labels), np.stack(z))


def run(
    accumulator: Accumulator,
    images: int,
    score: Callable[[int, Indices], Probs | Pooled],
    threshold: float = np.inf,
    cap: Cap | None = None,
) -> Exits:
    """Evaluate images until each has z ≥ threshold; those that are done leave the batches.

    Where a cap pays for no more, the images with the largest z end too, though it is below the
    threshold; of equal ones the later.

    Args:
        accumulator: What is summed.
        images: How many images: n.
        score: Gives (m, C) of evaluation `stage`, from 0, for rows int64 (m,).
        threshold: λ; infinite for the lossless rule.
        cap: What the images may cost in all, which pays for one evaluation of each; None for any.
    """
    alive = np.arange(images)
    sums = np.empty(0)
    rows, ends, spent = [], [], 0.0
    for stage in range(len(accumulator.weights)):
        probs = score(stage, alive)
        if not stage:
            sums = np.zeros((accumulator.depth, *probs.shape))
        accumulator.add(sums, stage, probs)
        standing = accumulator.standing(sums, stage + 1)
        onward = standing.z < threshold
        if cap is not None:
            spent += float(cap.costs[stage]) * len(alive)
            onward = _neediest(standing.z, onward, cap.onward(stage + 1, int(onward.sum()), spent))
        ended = ~onward
        rows.append(alive[ended])
        count = np.full(len(rows[-1]), stage + 1)
        ends.append(Exits(standing.labels[ended], count, sums[:, ended]))
        alive, sums = alive[onward], sums[:, onward]
        if not len(alive):
            break
    order = np.argsort(np.concatenate(rows))
    return Exits(
        np.concatenate([e.labels for e in ends])[order],
        np.concatenate([e.evaluations for e in ends])[order],
        np.concatenate([e.sums for e in ends], axis=1)[:, order],
    )


@dataclass(frozen=True, slots=True)
class Replay:
    """The rows at fault, int64 each, all empty where a run is right.

    `early` ended before the rule allowed it, `labels` have other labels than their sums say, and
    the sums of `sums` are not those of so many evaluations.
    """

    early: Indices
    labels: Indices
    sums: Indices


def replay(
    accumulator: Accumulator, ends: Exits, threshold: float = np.inf, tolerance: float | None = 2e-3
) -> Replay:
    """Apply the rule again to the stored sums.

    Whether an image could have ended earlier does not show in its last sums.

    Args:
        accumulator: As the run had it.
        ends: What the run stored.
        threshold: λ of the run; infinite for the lossless rule.
        tolerance: How far a row's scores of one evaluation may be from a sum of 1; None where
            they do not sum to 1 (multilabel).

    Raises:
        UsageError: a number of evaluations that is not 1 to K.
    """
    stages = len(accumulator.weights)
    if (
        len(ends.evaluations)
        and not 1 <= ends.evaluations.min() <= ends.evaluations.max() <= stages
    ):
        raise UsageError(f"evaluations of an image are 1 to {stages}; found others")
    early, labels, sums = (np.zeros(len(ends.evaluations), bool) for _ in range(3))
    for done in np.unique(ends.evaluations).tolist():
        rows = np.flatnonzero(ends.evaluations == done)
        standing = accumulator.standing(ends.sums[:, rows], done)
        early[rows] = ~(standing.z >= threshold)
        labels[rows] = (standing.labels != ends.labels[rows]).any(1)
        if tolerance is not None:
            sums[rows] = accumulator.off(ends.sums[:, rows], done) > tolerance
    return Replay(np.flatnonzero(early), np.flatnonzero(labels), np.flatnonzero(sums))


def _neediest(z: Vector, onward: Flags, most: int) -> Flags:
    """Return `onward`, bool (n,), with at most so many left: those with the smallest z."""
    kept = np.zeros(len(onward), bool)
    kept[np.argsort(np.where(onward, z, np.inf), kind="stable")[:most]] = True
    return np.asarray(onward & kept)
