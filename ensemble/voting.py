"""Voting: fold members to families, families to one prediction.

The folds of a family are averaged arithmetically first; weights belong to families and bind by
name. Everything is float64, in the order of the names, so that neither the order of the
arguments nor of the files changes a bit.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ensemble import pools
from ensemble.arrays import Indices, Pooled, Probs
from ensemble.errors import UsageError
from ensemble.spec import Task, Voting


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


def fuse(
    ballots: Sequence[Ballot], voting: Voting, weights: Mapping[str, float] | None, task: Task
) -> Fused:
    """Fuse the members' predictions of the same rows.

    Args:
        ballots: The members, in any order; their rows and classes are the same.
        voting: "soft" (weighted mean), "geometric" (weighted mean of logarithms, then
            renormalised for classification; where the families exclude every class between
            them, as soft) or "hard" (each member votes for its argmax with
            its family's weight divided by the family's members; ties go to the largest summed
            probability, then to the lowest class index).
        weights: A weight for each family, by name; None weighs families alike.
        task: What the head predicts.

    Raises:
        UsageError: weights that do not name the families exactly, or a vote without a meaning
            for the task.
    """
    _check_task(voting, task)
    ordered = sorted(ballots, key=lambda b: (b.family, b.name))
    families = family_means(ordered)
    share = family_weights(weights, families)
    stack = np.stack([families[name] for name in families])
    vector = np.array([share[name] for name in families])
    if voting == "hard":
        probs, labels = _hard(ordered, share)
        return Fused(probs, labels, families)
    probs = pools.linear(stack, vector)
    if voting == "geometric":
        probs = _geometric(stack, vector, probs, task)
    labels = probs.argmax(1) if task == "classification" else np.empty(0, np.int64)
    return Fused(probs, labels, families)


def family_means(ballots: Sequence[Ballot]) -> dict[str, Pooled]:
    """Return each family's mean over its members, float64 (N, C), by name in sorted order."""
    names = sorted({b.family for b in ballots})
    return {
        name: np.mean([b.probs.astype(np.float64) for b in ballots if b.family == name], axis=0)
        for name in names
    }


def family_weights(
    weights: Mapping[str, float] | None, families: Collection[str]
) -> dict[str, float]:
    """Return the weight of each family.

    Raises:
        UsageError: a family without a weight, a weight without a family, or weights that are
            negative, not finite or all zero.
    """
    if weights is None:
        return dict.fromkeys(sorted(families), 1.0)
    missing, unknown = sorted(set(families) - set(weights)), sorted(set(weights) - set(families))
    if missing or unknown:
        raise UsageError(
            f"weights bind by family name: no weight for {missing}, no family for {unknown}; "
            f"the families here are {sorted(families)}"
        )
    wrong = {f: w for f, w in weights.items() if not np.isfinite(w) or w < 0}
    if wrong or sum(weights.values()) <= 0:
        raise UsageError(
            f"weights must be finite, at least 0, and not all 0; found {wrong or dict(weights)}"
        )
    return {name: float(weights[name]) for name in sorted(families)}


def _geometric(
    stack: pools.Stack, weights: NDArray[np.float64], linear: Pooled, task: Task
) -> Pooled:
    """Pool; where the families exclude every class between them, the linear pool decides."""
    probs = pools.geometric(stack, weights)
    if task != "classification":
        return probs
    empty = probs.sum(1, keepdims=True) == 0
    return pools.normalised(np.where(empty, linear, probs))


def _hard(ballots: Sequence[Ballot], share: Mapping[str, float]) -> tuple[Pooled, Indices]:
    sizes = {f: sum(b.family == f for b in ballots) for f in share}
    vector: NDArray[np.float64] = np.array([share[b.family] / sizes[b.family] for b in ballots])
    stack = np.stack([b.probs.astype(np.float64) for b in ballots])
    votes = pools.vote_shares(stack, vector)
    return votes, pools.winners(votes, pools.linear(stack, vector))


def _check_task(voting: Voting, task: Task) -> None:
    if voting == "hard" and task != "classification":
        raise UsageError(f"a hard vote needs classes; this head is {task}. Use --voting soft")
    if voting == "geometric" and task == "regression":
        raise UsageError("a geometric vote needs probabilities; use --voting soft for regression")
