"""Voting: fold members to families, families to one prediction.

The folds of a family are averaged arithmetically first; weights belong to families and bind by
name. Everything is float64, in the order of the names, so that neither the order of the
arguments nor of the files changes a bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices, Pooled, Probs
from ensemble.errors import UsageError
from ensemble.records import TASKS, Task, Voting
from ensemble.voting import pools
from ensemble.voting.blend import blend_of
from ensemble.voting.fits import check_families
from ensemble.voting.weights import Weights

_NEEDS: Final = {"hard": "classes", "geometric": "probabilities"}
"""What a vote needs that not every task has."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """One member's predictions: its family, and floats (N, C) in the order of the rows."""

    name: str
    family: str
    probs: Probs | Pooled


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
            them, as soft), "rank" (weighted mean of ranks among the OOF predictions that the
            weights were tuned on: scores in 0 to 1 that do not sum to 1) or "hard" (each member
            votes for its argmax with its family's weight divided by the family's members; ties go
            to the largest summed probability, then to the lowest class index).
        weights: A weight for each family, by name; None weighs families alike. A pool other than
            the linear one, a temperature and a decision rule go with a soft vote only.
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
    if voting == "hard":
        return Fused(*_hard(ordered, weights.families), families)
    blend = blend_of(weights, list(families), task, voting)
    probs = blend.probs(np.stack(list(families.values())))
    return Fused(probs, blend.labels(probs), families)


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


def _check_rank(voting: Voting, weights: Weights | None, task: Task) -> None:
    if not TASKS[task].single:
        raise UsageError(f"a rank vote gives ranks of classes; this head is {task}")
    if weights is None or weights.ranks.keys() != weights.families.keys():
        raise UsageError(
            "a rank vote ranks among out-of-fold predictions: it needs a weights.json that holds "
            "them, by `ensemble tune-weights --pool rank`"
        )
    if voting not in ("soft", "rank") or weights.pool == "log-linear" or weights.ruled:
        raise UsageError(
            f"these weights belong to a {weights.pool} pool with its own temperature or rule: they "
            f"do not go with --voting {voting}. Tune them with --pool rank"
        )
    _check_task(weights, task)


def check_vote(voting: Voting, weights: Weights | None, task: Task) -> None:
    """Check that a vote has a meaning for the task and the weights.

    Raises:
        UsageError: it has none.
    """
    if voting == "rank" or (weights is not None and weights.pool == "rank"):
        _check_rank(voting, weights, task)
        return
    if weights is not None:
        if voting != "soft" and not weights.plain:
            raise UsageError(
                f"these weights carry a pool, temperature or decision rule of a soft vote: they "
                f"do not go with --voting {voting}. Say --weights uniform to vote without them"
            )
        _check_task(weights, task)
    if voting not in TASKS[task].votings:
        raise UsageError(
            f"a {voting} vote needs {_NEEDS[voting]}; this head is {task}. Use --voting soft"
        )


def _check_task(weights: Weights, task: Task) -> None:
    """Check that what the weights carry has a meaning for the task."""
    tuned = weights.task or task
    if tuned != task or (_decide_classes(weights) and not TASKS[task].single):
        what = weights.task or "classification"
        raise UsageError(f"these weights were tuned for {what}; this head is {task}")
    if weights.decision.thresholds and not TASKS[task].several:
        raise UsageError(f"thresholds decide the labels of a multilabel head; this head is {task}")
    if weights.pool == "log-linear" and not TASKS[task].bounded:
        raise UsageError("a log-linear pool needs probabilities; this head is regression")


def _decide_classes(weights: Weights) -> bool:
    """Tell whether weights carry what only a row with one label has."""
    rule = weights.decision
    return bool(weights.temperature != 1 or rule.prior_tau or rule.cut_points)
