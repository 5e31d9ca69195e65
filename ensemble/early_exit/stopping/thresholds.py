"""Thresholds that keep to a budget: found by calibration, corrected as a run goes."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import numpy as np

from ensemble.arrays import Indices, Vector
from ensemble.early_exit.stopping.certificate import GRID
from ensemble.early_exit.stopping.trajectory import Cap, Trajectory
from ensemble.errors import UsageError

_DECODED: Final = 0.25
"""What an image takes at least, as a share of the dearest evaluation: it has to be decoded."""


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


class Pace(Protocol):
    """Decides how early the images of the next shard may end."""

    def threshold(self) -> float:
        """Return λ for the next shard."""

    def cap(self, images: int) -> Cap | None:
        """Return what the next shard, of so many images, may cost in all; None for any."""

    def note(self, images: int, evaluations: Indices) -> None:
        """So many images were done; those with pixels took so many evaluations, (n,)."""

    def skip(self, images: int, evaluations: Indices) -> None:
        """So many images of an earlier run need not be done; they took so many evaluations."""


@dataclass(frozen=True, slots=True)
class Steady:
    """The same λ for every shard."""

    value: float

    def threshold(self) -> float:
        """Return it."""
        return self.value

    def cap(self, images: int) -> None:
        """Set none."""

    def note(self, images: int, evaluations: Indices) -> None:
        """Take no notice."""

    def skip(self, images: int, evaluations: Indices) -> None:
        """Take no notice."""


@dataclass(slots=True, eq=False)
class Spending:
    """A budget in the unit of the costs: each image gets its share, and of what was saved.

    `course` are the calibrated images, `costs` (K,) those of the evaluations in order, and `limit`
    is the largest λ: what is certified costs no more. What was saved goes to all the rest; what
    was overspent is made up for over `horizon` images or more, so that the last shard does not pay
    for all of it.
    """

    trajectory: Trajectory
    costs: Vector
    budget: Budget
    limit: float = math.inf
    horizon: int = 1
    _share: float = field(init=False)

    def __post_init__(self) -> None:
        """Remember each image's share."""
        self._share = self.budget.per_image

    def threshold(self) -> float:
        """Return the most careful λ that the rest of the budget pays for; see `threshold_for`."""
        spare = self.budget.cost - self._share * self.budget.images
        over = self.horizon if spare < 0 else 1
        share = self._share + spare / max(self.budget.images, over)
        per_image = max(share, float(self.costs[0]))
        return min(self.limit, threshold_for(self.trajectory, self.costs, per_image, GRID))

    def cap(self, images: int) -> Cap:
        """Return what is left, but for the share of the images to come: no shard borrows it.

        Where the budget pays for the largest λ, it may: each image to come keeps one evaluation.
        """
        least, rest = float(self.costs[0]), self.budget.images - images
        kept = least if self.threshold() == self.limit else self._share
        return Cap(self.costs, max(self.budget.cost - kept * rest, least * images))

    def note(self, images: int, evaluations: Indices) -> None:
        """Take what was spent off the budget."""
        self.budget = self.budget.after(images, cost_of(evaluations, self.costs))

    def skip(self, images: int, evaluations: Indices) -> None:
        """Take what was spent off the budget."""
        self.note(images, evaluations)


@dataclass(slots=True, eq=False)
class Deadline:
    """A budget in seconds, by the clock: each shard gets its share of the time that is left.

    `until` is when the last shard is to be done, and `images` how many are left, without those that
    an earlier run has done. `ratio` is how many seconds of the clock a unit of cost takes, decoding
    included: after each shard what it took there, since an image that ends early is decoded all the
    same. For that the first evaluation counts for something even where the store has it: else a
    shard that takes no other would tell of a clock without end. `limit` is the largest λ.
    """

    trajectory: Trajectory
    costs: Vector
    until: float
    images: int
    ratio: float
    limit: float = math.inf
    clock: Callable[[], float] = time.monotonic
    _began: float = field(default=math.nan, init=False)

    def __post_init__(self) -> None:
        """Let the first evaluation cost what decoding does, about, where it costs less."""
        least = max(float(self.costs[0]), _DECODED * float(self.costs.max()))
        self.costs = np.append(least, self.costs[1:])

    def threshold(self) -> float:
        """Return the most careful λ that the time allows; 0, one evaluation an image, if none."""
        self._began = self.clock()
        left = max(self.until - self._began, 0.0) / max(self.images, 1)
        try:
            return min(
                self.limit, threshold_for(self.trajectory, self.costs, left / self.ratio, GRID)
            )
        except UsageError:
            return 0.0

    def cap(self, images: int) -> None:
        """Set none: the next thresholds make up for what a shard overspends."""

    def note(self, images: int, evaluations: Indices) -> None:
        """Count what was done since the last threshold, and how long it took."""
        self.images -= images
        cost = cost_of(evaluations, self.costs)
        if cost and not math.isnan(self._began):
            self.ratio = (self.clock() - self._began) / cost

    def skip(self, images: int, evaluations: Indices) -> None:
        """Take no notice: `images` are without them."""


def cost_of(evaluations: Indices, costs: Vector) -> float:
    """Return what images cost in all that took so many evaluations (n,) of costs (K,)."""
    return float(np.concatenate([[0.0], np.cumsum(costs)])[evaluations].sum())


def mean_cost(trajectory: Trajectory, costs: Vector, threshold: float) -> float:
    """Return what an image costs on average with a threshold; `costs` (K,) are those in order.

    A trajectory without images tells nothing, so each evaluation counts: no budget is overspent.
    Only the threshold 0 is known to end images after one.
    """
    taken = np.cumsum(costs)[trajectory.evaluations(threshold) - 1]
    return float(taken.mean()) if len(taken) else float(costs.sum())


def threshold_for(
    trajectory: Trajectory, costs: Vector, per_image: float, grid: Sequence[float] = ()
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
    tries = np.unique(np.append(grid if len(grid) else trajectory.z, [0.0, np.inf]))
    low, high = 0, len(tries) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if mean_cost(trajectory, costs, float(tries[middle])) <= per_image:
            low = middle
        else:
            high = middle - 1
    return float(tries[low])


def changed(trajectory: Trajectory, evaluations: Indices, thresholds: Vector) -> float:
    """Return the share of labels that differ from the full ensemble's, by the calibrated images.

    Args:
        trajectory: The calibrated images.
        evaluations: How many each image of the run took that is not calibrated, int64 (n,).
        thresholds: The λ it ended at, (n,); 0 where the budget was spent before.
    """
    if not trajectory.z.shape[1] or not len(evaluations):
        return 0.0
    stages = np.where(thresholds > 0, 0, evaluations)
    kinds, counts = np.unique(np.stack([thresholds, stages]), axis=1, return_counts=True)
    shares = [_differ(trajectory, float(at), int(stage)) for at, stage in kinds.T.tolist()]
    return float(np.average(shares, weights=counts))


def _differ(trajectory: Trajectory, threshold: float, stage: int) -> float:
    """Return the share that differs at λ; or after `stage` evaluations, of those that get there."""
    if not stage:
        return float(trajectory.disagree(threshold).mean())
    there = trajectory.evaluations(np.inf) >= stage
    differ = (trajectory.labels[stage - 1] != trajectory.labels[-1]).any(1)[there]
    return float(differ.mean()) if len(differ) else 0.0
