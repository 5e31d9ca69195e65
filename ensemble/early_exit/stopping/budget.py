"""A given cost, and the threshold that spends it: the images with the smallest z get more."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ensemble.arrays import Indices, Vector
from ensemble.early_exit.stopping.trajectory import Course
from ensemble.errors import UsageError


@dataclass(frozen=True, slots=True)
class Budget:
    """What may still be spent, in the unit of the costs, and on how many images."""

    cost: float
    images: int

    @property
    def per_image(self) -> float:
        """The mean cost that is left for an image."""
        return self.cost / max(self.images, 1)

    def after(self, images: int, cost: float) -> "Budget":
        """Return what is left after a shard: what it saved or overspent goes to the rest."""
        return replace(self, cost=self.cost - cost, images=self.images - images)


def mean_cost(course: Course, costs: Vector, threshold: float) -> float:
    """Return what an image costs on average with a threshold; `costs` (K,) are those in order.

    A course without images tells nothing, so each evaluation counts: no budget is overspent. Only
    the threshold 0 is known to end images after one.
    """
    taken = np.cumsum(costs)[course.evaluations(threshold) - 1]
    return float(taken.mean()) if len(taken) else float(costs.sum())


def threshold_for(
    course: Course, costs: Vector, per_image: float, grid: Sequence[float] = ()
) -> float:
    """Return the most careful threshold whose mean cost is at most `per_image`.

    A smaller threshold never costs more, so they are searched by halving: those of `grid`, or where
    there is none the values of z. Infinite where the lossless rule is cheap enough.

    Raises:
        UsageError: even one evaluation an image costs more.
    """
    if costs[0] > per_image:
        raise UsageError(
            f"the budget allows {per_image:.4g} an image, and the first evaluation alone costs "
            f"{costs[0]:.4g}"
        )
    tries = np.unique(np.append(grid if len(grid) else course.z, [0.0, np.inf]))
    low, high = 0, len(tries) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if mean_cost(course, costs, float(tries[middle])) <= per_image:
            low = middle
        else:
            high = middle - 1
    return float(tries[low])


def changed(course: Course, evaluations: Indices, thresholds: Vector) -> float:
    """Return the share of labels that differ from the full ensemble's, by the calibrated images.

    Args:
        course: The calibrated images.
        evaluations: How many each image of the run took that is not calibrated, int64 (n,).
        thresholds: The λ it ended at, (n,); 0 where the budget was spent before.
    """
    if not course.z.shape[1] or not len(evaluations):
        return 0.0
    stages = np.where(thresholds > 0, 0, evaluations)
    kinds, counts = np.unique(np.stack([thresholds, stages]), axis=1, return_counts=True)
    shares = [_differ(course, float(at), int(stage)) for at, stage in kinds.T.tolist()]
    return float(np.average(shares, weights=counts))


def _differ(course: Course, threshold: float, stage: int) -> float:
    """Return the share that differs at λ; or after `stage` evaluations, of those that get there."""
    if not stage:
        return float(course.disagree(threshold).mean())
    there = course.evaluations(np.inf) >= stage
    differ = (course.labels[stage - 1] != course.labels[-1]).any(1)[there]
    return float(differ.mean()) if len(differ) else 0.0
