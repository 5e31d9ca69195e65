"""From members and weights to evaluations in order, and the ledger of their vote."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ensemble.arrays import Indices, Pooled, Vector
from ensemble.early_exit.stopping.accumulators import Families, Hard, Ledger, Soft
from ensemble.early_exit.stopping.order import Evaluation, ordered, shares
from ensemble.early_exit.stopping.rules import Rule, Thresholds, rule_of, slack
from ensemble.errors import UsageError
from ensemble.records import Task, Voting
from ensemble.voting import pools
from ensemble.voting.pools import Stack
from ensemble.voting.weights import Weights


def evaluations_of(
    voters: Sequence[tuple[str, str]],
    weights: Mapping[str, float],
    costs: Mapping[str, float],
    views: int = 1,
) -> list[Evaluation]:
    """Return the evaluations of members in the order to make them.

    Args:
        voters: Name and family of each member.
        weights: Each family's weight, by name; its members and views share it evenly.
        costs: What one evaluation of each member costs, by name, in any unit.
        views: How many views are evaluated one by one; 1 where a member takes all its views.

    Raises:
        UsageError: a weight or a cost that cannot be.
    """
    families = [family for _, family in voters]
    parts = {family: families.count(family) * views for family in families}
    return ordered(
        [
            Evaluation(name, family, view, weights[family] / parts[family], costs[name])
            for name, family in voters
            for view in range(views)
        ]
    )


def ledger_of(
    evaluations: Sequence[Evaluation],
    voting: Voting,
    weights: Weights,
    classes: int,
    *,
    noise: float = 0.0,
    task: Task = "classification",
) -> Ledger:
    """Return the ledger of a head: after all evaluations, labels as of `voting.fuse`.

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
    if task == "regression":
        raise UsageError("a regression has no labels, so none of it is known early")
    if "rank" in (voting, weights.pool):
        raise UsageError("a vote of ranks cannot end early; use the soft vote of another pool")
    share = shares([e.weight for e in evaluations])
    if voting == "hard":
        return Hard(share, _places([e.member for e in evaluations]), slack(noise))
    linear = voting == "soft" and weights.pool == "linear"
    rule: Rule = rule_of(weights.decision, weights.temperature if linear else 1.0, classes)
    if task == "multilabel":
        rule = Thresholds(np.array(weights.decision.thresholds or (0.5,) * classes))
    on_sums = weights.temperature == 1 or not weights.decision.cut_points
    if linear and on_sums:
        return Soft(share, rule, slack(noise))
    names = sorted({e.family for e in evaluations})
    exponents = np.array([weights.families[name] for name in names])
    family = _places([e.family for e in evaluations])
    return Families(share, family, exponents, _pool_of(voting, weights, task), rule)


def _places(names: Sequence[str]) -> Indices:
    """Number names in their sorted order, int64 (K,)."""
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _pool_of(voting: Voting, weights: Weights, task: Task) -> Callable[[Stack, Vector], Pooled]:
    """Return what pools the families as `voting.fuse` does."""
    if task == "multilabel":
        return pools.geometric if voting == "geometric" else pools.log_linear_labels
    if voting == "geometric":
        return pools.geometric_or_linear
    pool = pools.log_linear if weights.pool == "log-linear" else pools.linear
    return lambda stack, vector: pools.tempered(pool(stack, vector), weights.temperature)
