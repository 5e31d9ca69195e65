"""What is summed over the evaluations, and what it means after each.

An accumulator keeps sums float64 (L, n, C) of n images. `add` books one evaluation; `standing`
tells the label of the pool over what is done, and the statistic z = m_k / b_k: the margin over the
bridge (`order.bridges`), and infinite where the lossless rule fires or all is done. So the images
with z ≥ λ end: λ = ∞ is the lossless rule alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ensemble.arrays import Indices, Pooled, Probs, Vector
from ensemble.early_exit.stopping.order import Evaluation, shares, spent
from ensemble.early_exit.stopping.rules import (
    Argmax,
    Rule,
    Thresholds,
    leads,
    rule_of,
    slack,
)
from ensemble.early_exit.stopping.standing import Accumulator, Standing, off_by, statistic
from ensemble.errors import UsageError
from ensemble.records import TASKS, Task, Voting
from ensemble.voting import pools
from ensemble.voting.pools import Stack, winners
from ensemble.voting.weights import Weights


@dataclass(frozen=True, slots=True, eq=False)
class Soft:
    """A linear pool: one sum, Σ w p. The margin is that of its mean so far.

    `eta` is the least lead that counts; see `rules.slack`.
    """

    weights: Vector
    rule: Rule
    eta: float

    @property
    def depth(self) -> int:
        """One sum."""
        return 1

    def add(self, sums: Stack, stage: int, probs: Probs | Pooled) -> None:
        """Add w p."""
        sums[0] += self.weights[stage] * probs.astype(np.float64)

    def standing(self, sums: Stack, done: int) -> Standing:
        """Return labels and z; the lossless rule is that of `rule`."""
        spend = spent(self.weights)[done]
        mean = sums[0] / spend
        certain = self.rule.certain(sums[0], 1 - spend, self.eta)
        z = statistic(self.weights, done, self.rule.margins(mean), certain)
        return Standing(self.rule.labels(mean), z)

    def off(self, sums: Stack, done: int) -> Vector:
        """Return how far the sums are from the weight done, as a share, (n,)."""
        return off_by(self.weights, done, sums)


@dataclass(frozen=True, slots=True, eq=False)
class Families:
    """Any pool of family means: log-linear, geometric. There is no lossless rule.

    `family` int64 (K,) is the family of each evaluation, 0 to F - 1, and `exponents` (F,) what
    `pool` takes beside a stack of means. After k evaluations each family stands for the weighted
    mean of its own so far. A family without any is left out, and the exponents of the others are
    raised in proportion to the same sum. The margin is that of the pooled probabilities.
    """

    weights: Vector
    family: Indices
    exponents: Vector
    pool: Callable[[Stack, Vector], Pooled]
    rule: Rule

    @property
    def depth(self) -> int:
        """A sum a family."""
        return len(self.exponents)

    def add(self, sums: Stack, stage: int, probs: Probs | Pooled) -> None:
        """Add w p to the sum of the family."""
        sums[self.family[stage]] += self.weights[stage] * probs.astype(np.float64)

    def standing(self, sums: Stack, done: int) -> Standing:
        """Return the labels of the pool so far, and z."""
        spend = np.bincount(self.family[:done], self.weights[:done], len(self.exponents))
        there = spend > 0
        raised = self.exponents[there] * self.exponents.sum() / self.exponents[there].sum()
        probs = self.pool(sums[there] / spend[there, None, None], raised)
        z = statistic(self.weights, done, self.rule.margins(probs), np.zeros(len(probs), bool))
        return Standing(self.rule.labels(probs), z)

    def off(self, sums: Stack, done: int) -> Vector:
        """Return how far the sums are from the weight done, as a share, (n,)."""
        return off_by(self.weights, done, sums)


@dataclass(frozen=True, slots=True, eq=False)
class Hard:
    """A hard vote: a member votes for the argmax of its mean over the views, with its weight.

    `member` int64 (K,) is the member of each evaluation, 0 to M - 1. A vote is frozen once no
    remaining view can change it; the frozen votes then decide by the same rule, always by more
    than what is open. Ties go to the largest summed probability, then to the lowest class. The
    margin is that of the votes of the members that have begun.
    """

    weights: Vector
    member: Indices
    eta: float

    @property
    def depth(self) -> int:
        """A sum a member."""
        return int(self.member.max()) + 1

    def add(self, sums: Stack, stage: int, probs: Probs | Pooled) -> None:
        """Add w p to the sum of the member."""
        sums[self.member[stage]] += self.weights[stage] * probs.astype(np.float64)

    def standing(self, sums: Stack, done: int) -> Standing:
        """Return the labels of the votes so far, and z."""
        total = np.bincount(self.member, self.weights, self.depth)
        spend = np.bincount(self.member[:done], self.weights[:done], self.depth)
        begun = np.flatnonzero(spend > 0)
        votes = np.zeros_like(sums[0])
        firm = np.zeros_like(sums[0])
        for m in begun:
            ballot = np.eye(sums.shape[2])[sums[m].argmax(1)] * total[m]
            rest = max(total[m] - spend[m], 0.0)
            frozen = leads(sums[m], sums[m] + rest, self.eta * total[m])
            votes += ballot
            firm += ballot * frozen[:, None]
        shares = votes / total[begun].sum()
        open_weight = 1 - firm.sum(1, keepdims=True)
        certain = leads(firm, firm + open_weight, self.eta)
        margins = Argmax(np.ones(sums.shape[2])).margins(shares)
        labels = winners(shares, sums.sum(0))[:, None]
        return Standing(labels, statistic(self.weights, done, margins, certain))

    def off(self, sums: Stack, done: int) -> Vector:
        """Return how far the sums are from the weight done, as a share, (n,)."""
        return off_by(self.weights, done, sums)


def accumulator_of(
    evaluations: Sequence[Evaluation],
    voting: Voting,
    weights: Weights,
    classes: int,
    *,
    noise: float = 0.0,
    task: Task = "classification",
) -> Accumulator:
    """Return the accumulator of a head: after all evaluations, labels as of `voting.fuse`.

    Args:
        evaluations: In the order to make them, none of weight 0.
        voting: The vote.
        weights: Family weights, with their pool, temperature and decision.
        classes: The number of classes.
        noise: How far a score may differ from one forward to another; see `rules.slack`.
        task: "classification" or "multilabel"; a label is given from its threshold on, from 0.5
            where the decision has none.

    Raises:
        UsageError: a vote of ranks, which needs every family, or a head without labels.
    """
    if not TASKS[task].bounded:
        raise UsageError("a regression has no labels, so none of it is known early")
    if "rank" in (voting, weights.pool):
        raise UsageError("a vote of ranks cannot end early; use the soft vote of another pool")
    share = shares([e.weight for e in evaluations])
    if voting == "hard":
        return Hard(share, _places([e.member for e in evaluations]), slack(noise))
    linear = voting == "soft" and weights.pool == "linear"
    rule = _rule(weights, classes, task, linear=linear)
    if linear and (weights.temperature == 1 or not weights.decision.cut_points):
        return Soft(share, rule, slack(noise))
    return _families(evaluations, share, weights, _pool_of(voting, weights, task), rule)


def _rule(weights: Weights, classes: int, task: Task, *, linear: bool) -> Rule:
    """Return the rule by which pooled probabilities become labels."""
    if TASKS[task].several:
        return Thresholds(np.array(weights.decision.thresholds or (0.5,) * classes))
    return rule_of(weights.decision, weights.temperature if linear else 1.0, classes)


def _families(
    evaluations: Sequence[Evaluation],
    share: Vector,
    weights: Weights,
    pool: Callable[[Stack, Vector], Pooled],
    rule: Rule,
) -> Families:
    """Return the accumulator of family means, the families in the order of their names."""
    names = sorted({e.family for e in evaluations})
    exponents = np.array([weights.families[name] for name in names])
    return Families(share, _places([e.family for e in evaluations]), exponents, pool, rule)


def _places(names: Sequence[str]) -> Indices:
    """Number names in their sorted order, int64 (K,)."""
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _pool_of(voting: Voting, weights: Weights, task: Task) -> Callable[[Stack, Vector], Pooled]:
    """Return what pools the families as `voting.fuse` does."""
    if TASKS[task].several:
        return pools.geometric if voting == "geometric" else pools.log_linear_labels
    if voting == "geometric":
        return pools.geometric_or_linear
    pool = pools.log_linear if weights.pool == "log-linear" else pools.linear
    return lambda stack, vector: pools.tempered(pool(stack, vector), weights.temperature)
