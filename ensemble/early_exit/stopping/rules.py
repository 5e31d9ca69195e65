"""From mean probabilities to labels, how clear they are, and when nothing can change them.

Each rule takes the sums S (n, C) over the evaluations done, or their mean, and tells labels,
margins and certainty. Labels are int64 (n, D): D is 1 for a classification head, and the number
of labels for a multilabel one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices, Pooled, Vector
from ensemble.records import TASKS, Task, Voting
from ensemble.voting.decision import Decision
from ensemble.voting.pools import LOG_FLOOR, by_cuts, cut, expected_level
from ensemble.voting.weights import Pool

SLACK: Final = 1e-5
"""The least lead that counts, as a share of all weight: more than float32 scores are off by."""

Flags = NDArray[np.bool_]


class Rule(Protocol):
    """How a mean becomes labels."""

    def labels(self, mean: Pooled) -> Indices:
        """Return the labels int64 (n, D) of mean probabilities (n, C)."""

    def margins(self, mean: Pooled) -> Vector:
        """Return how clear the labels are, float64 (n,), on the scale of probabilities."""

    def certain(self, sums: Pooled, rest: float, eta: float) -> Flags:
        """Tell, bool (n,), where no outcome of the remaining weight `rest` changes a label."""


@dataclass(frozen=True, slots=True, eq=False)
class Argmax:
    """The class with the largest θ_c p_c, the lowest of those that tie.

    `theta` float64 (C,), above 0. A temperature T that is applied before multipliers θ makes them
    θ^T here, and probabilities below `floor` count as `floor`, as `pools.tempered` has it.
    """

    theta: Vector
    floor: float = 0.0

    def labels(self, mean: Pooled) -> Indices:
        """Return the labels, int64 (n, 1)."""
        return np.asarray(self._lifted(mean).argmax(1)[:, None], np.int64)

    def margins(self, mean: Pooled) -> Vector:
        """Return the lead over the second, divided by the larger θ of the two, (n,)."""
        lifted = self._lifted(mean)
        first, other = _top_two(lifted)
        best, second = (np.take_along_axis(lifted, c, 1) for c in (first, other))
        larger = np.maximum(self.theta[first], self.theta[other])
        return np.asarray(((best - second) / larger)[:, 0], np.float64)

    def certain(self, sums: Pooled, rest: float, eta: float) -> Flags:
        """Tell where θ_l S_l - θ_c S_c > θ_c R + η max θ for every class c but the leader l."""
        return leads(self._lifted(sums), self._lifted(sums + rest), eta * self.theta.max())

    def _lifted(self, probs: Pooled) -> Pooled:
        return self.theta * np.maximum(probs, self.floor)


@dataclass(frozen=True, slots=True, eq=False)
class Cuts:
    """Ordered classes: `cuts` (C - 1,) of the mean place in `order`, as `pools.by_cuts` has it."""

    cuts: Vector
    order: Sequence[int] = ()

    def labels(self, mean: Pooled) -> Indices:
        """Return the labels, int64 (n, 1)."""
        return by_cuts(mean, self.cuts, self.order)[:, None]

    def margins(self, mean: Pooled) -> Vector:
        """Return the distance to the nearest cut, as a share of the range of the levels, (n,)."""
        away = abs(expected_level(mean, self.order)[:, None] - self.cuts).min(1)
        return np.asarray(away / len(self.cuts), np.float64)

    def certain(self, sums: Pooled, rest: float, eta: float) -> Flags:
        """Tell where the least and the largest level that can still come fall between two cuts."""
        level, top = expected_level(sums, self.order), len(self.cuts)
        low = cut(level - eta * top, self.cuts)
        return np.asarray(low == cut(level + (rest + eta) * top, self.cuts))


@dataclass(frozen=True, slots=True, eq=False)
class Thresholds:
    """Multilabel: each label is there where its mean is at least its threshold, (C,)."""

    thresholds: Vector

    def labels(self, mean: Pooled) -> Indices:
        """Return 1 for each label that is there, else 0, int64 (n, C)."""
        return np.asarray(mean >= self.thresholds, np.int64)

    def margins(self, mean: Pooled) -> Vector:
        """Return the distance of the least clear label to its threshold, (n,)."""
        return np.asarray(abs(mean - self.thresholds).min(1), np.float64)

    def certain(self, sums: Pooled, rest: float, eta: float) -> Flags:
        """Tell where each label has S ≥ τ + η already, or S + R + η < τ for good."""
        there = sums - eta >= self.thresholds
        return np.asarray((there | (sums + rest + eta < self.thresholds)).all(1))


def rule_of(decision: Decision, temperature: float, classes: int) -> Argmax | Cuts:
    """Return the rule of a linear pool with a temperature and a decision, as `voting.fuse` has it.

    A temperature alone never changes the argmax; before multipliers π_c^-τ it does. Cuts after a
    temperature are no rule on sums: `why_not` refuses them.
    """
    if decision.cut_points:
        return Cuts(np.array(decision.cut_points), decision.order)
    theta = np.ones(classes)
    if decision.prior_tau:
        theta = np.array(decision.prior) ** (-decision.prior_tau * temperature)
    return Argmax(theta, exp(LOG_FLOOR) if temperature != 1 else 0.0)


def slack(noise: float = 0.0) -> float:
    """Return η for scores that differ by up to `noise` from one forward to another.

    A lead is a difference of two sums, each off by up to `noise` times all weight (which is 1).
    """
    return max(SLACK, 2 * noise)


def leads(scores: Pooled, reach: Pooled, eta: float) -> Flags:
    """Tell where the largest of `scores` (n, C) is over every other class's `reach` by over η."""
    if scores.shape[1] == 1:
        return np.ones(len(scores), bool)
    leader = scores.argmax(1)[:, None]
    rivals = reach.copy()
    np.put_along_axis(rivals, leader, -np.inf, 1)
    lead = np.take_along_axis(scores, leader, 1)[:, 0] - rivals.max(1)
    return np.asarray(lead > eta)


def why_not(*, voting: Voting, pool: Pool, task: Task, labels: bool) -> str:
    """Return why no image may end early under these settings, with the alternative; else "".

    `labels` tells that labels alone are wanted: probabilities change when an image ends early.
    """
    if not labels:
        return (
            "probabilities change when an image ends early: the submission's columns and metrics "
            "such as log-loss or AUC need every evaluation. Use it for labels only"
        )
    if not TASKS[task].bounded:
        return "values of a regression have no bound, so nothing is certain early"
    if "rank" in (voting, pool):
        return (
            "a rank is no sum of the members' probabilities, so nothing is known early. Use the "
            "soft vote of a linear pool"
        )
    return ""


def why_not_lossless(*, voting: Voting, pool: Pool, temperature: float, decision: Decision) -> str:
    """Return why no exit of these settings keeps every label, with the alternative; else ""."""
    if voting == "geometric" or pool == "log-linear":
        return (
            "a geometric or log-linear pool has no bound: one member near 0 vetoes a class. Use a "
            "certified exit such as 0.5%, or the soft vote of a linear pool"
        )
    if decision.cut_points and temperature != 1:
        return "cuts after a temperature are no rule on sums. Use a certified exit such as 0.5%"
    return ""


def _top_two(scores: Pooled) -> Sequence[Indices]:
    """Return the classes of the largest and of the second score, each int64 (n, 1)."""
    first = scores.argmax(1)[:, None]
    others = scores.copy()
    np.put_along_axis(others, first, -np.inf, 1)
    return first, others.argmax(1)[:, None]
