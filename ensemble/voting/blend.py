"""How families become one prediction: one value, which tuning finds and a vote applies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ensemble.arrays import Indices, Pooled, Vector
from ensemble.records import TASKS, Task, Voting
from ensemble.voting import pools
from ensemble.voting.decision import Decision
from ensemble.voting.lift import product_of_tasks
from ensemble.voting.pools import Knots, Stack
from ensemble.voting.weights import Pool, Weights


@dataclass(frozen=True, slots=True, eq=False)
class Blend:
    """How families become one prediction.

    `weights` (M,) sum to 1 in a linear pool and one of ranks that were tuned, are any numbers of
    one that was given, and are the exponents of a log-linear one. `ranks` (M, C, K) are the
    quantiles among which a pool of ranks ranks. `geometric` takes the weighted mean of logarithms
    in place of a linear pool.

    Of tasks that are lifted onto K labels, `groups` (M,) are the columns' tasks and `places` (K, T)
    the classes of each label; a linear pool is then the product of the tasks' means, see
    `lift.product_of_tasks`. A log-linear pool adds `rho` times the `dependence` (K,), see
    `lift.dependence`.
    """

    pool: Pool
    weights: Vector
    temperature: float = 1.0
    decision: Decision = field(default_factory=Decision)
    ranks: Knots | None = None
    task: Task = "classification"
    geometric: bool = False
    groups: tuple[int, ...] = ()
    places: Indices | None = None
    dependence: Vector | None = None
    rho: float = 0.0

    def probs(self, stack: Stack) -> Pooled:
        """Return the probabilities of families (M, N, C), before any decision rule."""
        return pools.tempered(self._pooled(stack), self.temperature)

    def predicted(self, stack: Stack) -> Pooled:
        """Return what a metric is to see: probabilities after the decision rule."""
        return self.decided(self.probs(stack))

    def decided(self, probs: Pooled) -> Pooled:
        """Return what a metric is to see, (N, C), of probabilities (N, C)."""
        rule = self.decision
        if rule.thresholds:
            return labels_given(probs, rule)
        if rule.cut_points:
            return np.eye(probs.shape[1])[decide(probs, rule)]
        return _without_prior(probs, rule)

    def labels(self, probs: Pooled) -> Indices:
        """Return the label of each row, int64 (N,); none where the task has no single label."""
        single = TASKS[self.task].single
        return decide(probs, self.decision) if single else np.empty(0, np.int64)

    def _pooled(self, stack: Stack) -> Pooled:
        if self.places is not None and self.pool == "linear":
            return product_of_tasks(stack, self.groups, self.places)
        if self.dependence is not None:
            return pools.log_linear(stack, self.weights, self.rho * self.dependence)
        if self.ranks is not None:
            return pools.linear(pools.ranked(stack, self.ranks), self.weights)
        several = TASKS[self.task].several
        if self.geometric:
            mean = pools.geometric if several else pools.geometric_or_linear
            return mean(stack, self.weights)
        if self.pool == "log-linear":
            pool = pools.log_linear_labels if several else pools.log_linear
            return pool(stack, self.weights)
        return pools.linear(stack, self.weights)


def blend_of(weights: Weights, families: Sequence[str], task: Task, voting: Voting) -> Blend:
    """Return weights as a vote applies them to families (M,) in this order."""
    ranked = "rank" in (voting, weights.pool)
    ranks = np.array([weights.ranks[name] for name in families]) if ranked else None
    return Blend(
        pool=weights.pool,
        weights=np.array([weights.families[name] for name in families]),
        temperature=weights.temperature,
        decision=weights.decision,
        ranks=ranks,
        task=task,
        geometric=voting == "geometric",
    )


def shares_of(blend: Blend, families: Sequence[str]) -> Mapping[str, float]:
    """Return the weight of each family, by its name."""
    return {name: float(w) for name, w in zip(families, blend.weights, strict=True)}


def decide(probs: Pooled, decision: Decision) -> Indices:
    """Return the label of each row, int64 (N,), of probabilities (N, C)."""
    if decision.cut_points:
        return pools.by_cuts(probs, np.array(decision.cut_points), decision.order)
    return np.asarray(_without_prior(probs, decision).argmax(1), np.int64)


def best_first(probs: Pooled, decision: Decision) -> Indices:
    """Return the classes of each row from the likeliest, int64 (N, C); ties go to the lower class.

    Where cuts of the mean class decide the label, the likelihood orders all the same.
    """
    order = np.argsort(-_without_prior(probs, decision), axis=1, kind="stable")
    return np.asarray(order, np.int64)


def labels_given(probs: Pooled, decision: Decision) -> Pooled:
    """Return 1.0 where a label is given, else 0.0, of multilabel probabilities (N, C).

    A label is given from its threshold on, from 0.5 where the decision has none.
    """
    cuts = np.array(decision.thresholds or (0.5,))
    return np.asarray(probs >= cuts, np.float64)


def _without_prior(probs: Pooled, decision: Decision) -> Pooled:
    """Divide probabilities by a power of the classes' shares, where the rule says so."""
    if not decision.prior_tau:
        return probs
    return pools.with_prior(probs, np.array(decision.prior), decision.prior_tau)
