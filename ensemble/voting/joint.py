"""A vote on several tasks that comes to one label: soft, hard, or by tuned weights."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ensemble.arrays import Indices, Pooled
from ensemble.errors import UsageError
from ensemble.label_map import LabelMap
from ensemble.records import Voting
from ensemble.voting import pools
from ensemble.voting.blend import Blend, blend_of
from ensemble.voting.fits import check_families, check_label_map
from ensemble.voting.lift import TaskColumn, class_places, groups_of, lifted, product_of_tasks
from ensemble.voting.vote import Fused
from ensemble.voting.weights import Weights


def fuse_tasks(
    columns: Sequence[TaskColumn],
    voters: Sequence[TaskColumn],
    label_map: LabelMap,
    voting: Voting,
    weights: Weights | None,
) -> Fused:
    """Fuse what families say of the tasks of a label map into one label.

    Args:
        columns: The families, in any order; their rows are the same.
        voters: The same of each member, whose votes a hard vote counts: within each task, a family
            as one; a member that says the label votes for its classes.
        label_map: The labels.
        voting: "soft" or "hard".
        weights: Of `ensemble tune-weights --label-map`; None for the product of the tasks' means.

    Raises:
        UsageError: another voting, or weights that are not of these columns.
    """
    _check_voting(voting, weights)
    ordered = sorted(columns, key=lambda each: each.name)
    stack, said = lifted(ordered, label_map), {each.name: each.probs for each in ordered}
    if weights is None:
        probs = product_of_tasks(stack, groups_of(ordered, label_map), class_places(label_map))
        if voting == "hard":
            return Fused(*_hard(voters, label_map, probs), said)
        return Fused(probs, np.asarray(probs.argmax(1), np.int64), said)
    check_families(weights, said)
    blend = joint_blend(weights, ordered, label_map)
    probs = blend.probs(stack)
    return Fused(probs, blend.labels(probs), said)


def check_joint(voting: Voting, weights: Weights | None, label_map: LabelMap | None) -> None:
    """Check that weights are of this label map, or of none, and that the vote is one of tasks.

    Raises:
        UsageError: they are not; says what to give or to leave out.
    """
    if label_map is not None:
        _check_voting(voting, weights)
    check_label_map(weights, label_map)


def _check_voting(voting: Voting, weights: Weights | None) -> None:
    if voting not in ("soft", "hard") or (voting == "hard" and weights is not None):
        raise UsageError(f"--voting {voting}: with a label map it is soft, or hard without weights")


def joint_blend(weights: Weights, columns: Sequence[TaskColumn], label_map: LabelMap) -> Blend:
    """Return weights as a vote applies them to lifted columns in this order."""
    joint = weights.joint
    plain = blend_of(weights, [each.name for each in columns], "classification", "soft")
    if len(label_map.tasks) == 1:
        return plain
    return replace(
        plain,
        groups=groups_of(columns, label_map),
        places=class_places(label_map),
        dependence=np.array(joint.dependence) if joint and joint.dependence else None,
        rho=joint.rho if joint else 0.0,
    )


def _hard(
    voters: Sequence[TaskColumn], label_map: LabelMap, ties: Pooled
) -> tuple[Pooled, Indices]:
    """Return how each label fares in the votes on its tasks, (N, K), and the label that wins.

    Labels that fare alike are told apart by `ties` (N, K), then by the lower index.
    """
    places = class_places(label_map)
    shares = []
    for t, task in enumerate(label_map.tasks):
        own = [each for each in voters if each.task in (task.name, None)]
        sizes = Counter(each.family for each in own)
        total = np.zeros((len(ties), len(task.classes)))
        for each in sorted(own, key=lambda each: (each.family, each.name)):
            best = each.probs.argmax(1)
            votes = np.eye(len(task.classes))[places[best, t] if each.task is None else best]
            total += votes / sizes[each.family]
        shares.append((total / len(sizes))[:, places[:, t]])
    found = np.asarray(np.mean(shares, axis=0))
    return found, pools.winners(found, ties)
