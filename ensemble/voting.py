"""Voting: fold members to families, families to one prediction.

The folds of a family are averaged arithmetically first; weights belong to families and bind by
name. Everything is float64, in the order of the names, so that neither the order of the
arguments nor of the files changes a bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ensemble import pools
from ensemble.arrays import Indices, Pooled, Probs
from ensemble.errors import UsageError
from ensemble.spec import Task, Voting
from ensemble.weights import Decision, Weights, check_families


@dataclass(frozen=True, slots=True)
class Ballot:
    """One member's predictions: its family, and float32 (N, C) in the order of the rows."""

    name: str
    family: str
    probs: Probs


@dataclass(frozen=True, slots=True)
class Fused:
    """What a vote gives: probabilities float64 (N, C), classes int64 (N,), families (N, C) each.

    For a hard vote the probabilities are the shares of the votes. For multilabel and regression
    heads `labels` is empty: there is no single class.
    """

    probs: Pooled
    labels: Indices
    families: Mapping[str, Pooled]


def fuse(ballots: Sequence[Ballot], voting: Voting, weights: Weights | None, task: Task) -> Fused:
    """Fuse the members' predictions of the same rows.

    Args:
        ballots: The members, in any order; their rows and classes are the same.
        voting: "soft" (weighted mean), "geometric" (weighted mean of logarithms, then
            renormalised for classification; where the families exclude every class between
            them, as soft) or "hard" (each member votes for its argmax with
            its family's weight divided by the family's members; ties go to the largest summed
            probability, then to the lowest class index).
        weights: A weight for each family, by name; None weighs families alike. A log-linear pool,
            a temperature and a decision rule go with a soft vote only.
        task: What the head predicts.

    Raises:
        UsageError: weights that do not name the families exactly, or a vote without a meaning
            for the task or the weights.
    """
    check_vote(voting, weights, task)
    ordered = sorted(ballots, key=lambda b: (b.family, b.name))
    families = family_means(ordered)
    weights = weights or Weights(dict.fromkeys(families, 1.0))
    check_families(weights, families)
    share = weights.families
    stack = np.stack([families[name] for name in families])
    vector = np.array([share[name] for name in families])
    if voting == "hard":
        probs, labels = _hard(ordered, share)
        return Fused(probs, labels, families)
    probs = pools.linear(stack, vector)
    if voting == "geometric" and task == "classification":
        probs = pools.geometric_or_linear(stack, vector)
    elif voting == "geometric":
        probs = pools.geometric(stack, vector)
    elif weights.pool == "log-linear":
        probs = pools.log_linear(stack, vector)
    elif weights.temperature != 1:
        probs = pools.tempered(probs, weights.temperature)
    labels = decide(probs, weights.decision) if task == "classification" else np.empty(0, np.int64)
    return Fused(probs, labels, families)


def decide(probs: Pooled, decision: Decision) -> Indices:
    """Return the label of each row, int64 (N,), of probabilities (N, C)."""
    if decision.cut_points:
        return pools.cut(pools.expected_level(probs), np.array(decision.cut_points))
    if decision.prior_tau:
        probs = pools.with_prior(probs, np.array(decision.prior), decision.prior_tau)
    return np.asarray(probs.argmax(1), np.int64)


def family_means(ballots: Sequence[Ballot]) -> dict[str, Pooled]:
    """Return each family's mean over its members, float64 (N, C), by name in sorted order."""
    names = sorted({b.family for b in ballots})
    return {
        name: np.mean([b.probs.astype(np.float64) for b in ballots if b.family == name], axis=0)
        for name in names
    }


def _hard(ballots: Sequence[Ballot], share: Mapping[str, float]) -> tuple[Pooled, Indices]:
    sizes = {f: sum(b.family == f for b in ballots) for f in share}
    vector: NDArray[np.float64] = np.array([share[b.family] / sizes[b.family] for b in ballots])
    stack = np.stack([b.probs.astype(np.float64) for b in ballots])
    votes = pools.vote_shares(stack, vector)
    return votes, pools.winners(votes, pools.linear(stack, vector))


def check_vote(voting: Voting, weights: Weights | None, task: Task) -> None:
    """Check that a vote has a meaning for the task and the weights.

    Raises:
        UsageError: it has none.
    """
    plain = weights is None or weights.plain
    if voting != "soft" and not plain:
        raise UsageError(
            f"these weights carry a pool, temperature or decision rule of a soft vote: they do not "
            f"go with --voting {voting}"
        )
    if task != "classification" and not plain:
        raise UsageError(f"these weights were tuned for classes; this head is {task}")
    if voting == "hard" and task != "classification":
        raise UsageError(f"a hard vote needs classes; this head is {task}. Use --voting soft")
    if voting == "geometric" and task == "regression":
        raise UsageError("a geometric vote needs probabilities; use --voting soft for regression")
