"""Evaluations of several tasks, as rows of an early exit, and what every one of them gives."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ensemble.early_exit.stopping.joint import Joint, joint_accumulator
from ensemble.early_exit.stopping.joint_vote import JointColumn, JointVote
from ensemble.early_exit.stopping.order import Evaluation, evaluations_of
from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.voting.joint import fuse_tasks
from ensemble.voting.joint_weights import JointWeights
from ensemble.voting.lift import TaskColumn, value_probs
from ensemble.voting.vote import Fused
from ensemble.voting.weights import Weights

Array = NDArray[np.float64]

KINDS, AGES = ("bag", "shoe", "top"), ("<30", "30-59", ">=60")
CUTS = (30.0, 60.0)
PAIRS = LabelMap(
    tuple(str(n) for n in range(9)),
    (LabelTask("age", AGES, CUTS, 5.0), LabelTask("kind", KINDS)),
    tuple((age, kind) for kind in KINDS for age in AGES),
)
HEADS = (
    JointColumn("ages", "ages", "age", merged=2),
    JointColumn("kinds", "kinds", "kind"),
    JointColumn("two/age", "two", "age", value=True, spread=5.0),
    JointColumn("two/kind", "two", "kind"),
)
WHOLE = JointColumn("whole", "whole", None)
ALL = (*HEADS, WHOLE)


def vote_of(
    columns: tuple[JointColumn, ...] = HEADS,
    label_map: LabelMap = PAIRS,
    weights: Weights | None = None,
) -> JointVote:
    alike = Weights({each.name: 1.0 for each in columns})
    return JointVote(label_map, columns, weights or alike)


def tuned(columns: tuple[JointColumn, ...], seed: int = 0, label_map: LabelMap = PAIRS) -> Weights:
    """Exponents, with a dependence."""
    rng = np.random.default_rng(seed)
    exponents = rng.uniform(0.2, 0.9, len(columns)).tolist()
    joint = JointWeights(label_map, {}, tuple(rng.normal(0, 0.3, len(label_map.labels))), 0.5)
    names = [each.name for each in columns]
    return Weights(dict(zip(names, exponents, strict=True)), pool="log-linear", joint=joint)


@dataclass(frozen=True)
class Seen:
    """Evaluations in order, their rows (K, n, W), and who makes them."""

    evaluations: list[Evaluation]
    rows: Array
    accumulator: Joint


def softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def seen(vote: JointVote, seed: int = 0, *, folds: int = 3, rows: int = 60,
         noise: float = 0.0) -> Seen:  # fmt: skip
    """Evaluations that mostly agree; some images are tied, turn half-way, or lie on a cut."""
    rng = np.random.default_rng(seed)
    families = vote.families
    voters = [(f"{name}-f{fold}", name) for name in families for fold in range(folds)]
    evaluations = evaluations_of(
        voters, vote.family_weights(), dict.fromkeys([name for name, _ in voters], 1.0)
    )
    turn = rng.integers(1, len(evaluations))
    level = rng.exponential(3.0, (rows, 1))
    truth = {t.name: rng.integers(len(t.classes), size=rows) for t in vote.label_map.tasks}
    places = np.array(vote.label_map.places)
    found = np.zeros((len(evaluations), rows, vote.width))
    for k, each in enumerate(evaluations):
        for column, part in zip(vote.columns, vote.parts, strict=True):
            if column.family != each.family:
                continue
            if column.value:
                drawn = np.array([15.0, 45.0, 75.0])[truth["age"]] + rng.normal(0, 9, rows)
                drawn[:6] = 30.0
                drawn[10:20] = 10.0 if k < turn else 85.0
                found[k, :, part] = drawn[:, None]
                continue
            width = part.stop - part.start
            if column.task is None:
                agree = [places[:, t] == truth[task.name][:, None]
                         for t, task in enumerate(vote.label_map.tasks)]  # fmt: skip
                logits = np.sum(agree, axis=0) * level
            else:
                logits = np.eye(width)[truth[column.task]] * level
            probs = softmax(logits + rng.normal(0, 1.0, (rows, width)))
            probs[:4] = 1 / width
            probs[4:10] = np.eye(width)[k % 2]
            probs[10:20] = np.eye(width)[0 if k < turn else -1]
            found[k, :, part] = probs
    exact = found.astype(np.float32).astype(np.float64)
    return Seen(evaluations, exact, joint_accumulator(evaluations, vote, noise))


def whole_vote(vote: JointVote, given: Seen, rows: Array | None = None) -> Fused:
    """What the vote itself makes of all evaluations, the folds of a family averaged first."""
    rows = given.rows if rows is None else rows
    columns = []
    for column, part in zip(vote.columns, vote.parts, strict=True):
        own = [k for k, each in enumerate(given.evaluations) if each.family == column.family]
        mean = np.mean(rows[own][:, :, part], axis=0)
        if column.value:
            mean = value_probs(mean[:, 0], CUTS, column.spread)
        columns.append(TaskColumn(column.name, column.family, column.task, mean))
    weights = vote.weights if vote.weights.joint else None
    return fuse_tasks(columns, (), vote.label_map, "soft", weights)


def without(label: str) -> LabelMap:
    """The map without one of its labels."""
    kept = [place for place, name in enumerate(PAIRS.labels) if name != label]
    return replace(
        PAIRS,
        labels=tuple(PAIRS.labels[place] for place in kept),
        rows=tuple(PAIRS.rows[place] for place in kept),
    )
