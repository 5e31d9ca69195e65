"""The vote as nodes behind the members: fold means, pool, temperature, decision, constraints."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ensemble.export.pack import pools
from ensemble.export.pack.blend import decided, pooled, product
from ensemble.export.pack.columns import Column, family_columns, member_columns, to_label
from ensemble.export.pack.joined import Given
from ensemble.export.pack.pools import double
from ensemble.label_map import LabelMap
from ensemble.members.card import Card, Head
from ensemble.recipe.resolve import Fusion
from ensemble.records import TASKS, Merge
from ensemble.runtime.merges import Builder
from ensemble.voting.blend import blend_of
from ensemble.voting.constraints import subspace_of
from ensemble.voting.joint import joint_blend
from ensemble.voting.lift import class_places, groups_of
from ensemble.voting.weights import Weights


@dataclass(frozen=True, slots=True)
class VoteRule:
    """How members become a label: the merge of their views, the vote, and what is voted on.

    With a label map that is the `head` of its labels, and members answer its tasks.
    """

    merge: Merge
    fusion: Fusion
    head: Head
    label_map: LabelMap | None = None


@dataclass(frozen=True, slots=True)
class Voted:
    """What a vote gives: float64 (N, C), and a label int64 (N,), or bool (N, C) of several.

    `heard` are the tensors (N, C) that were voted on.
    """

    probs: str
    labels: str | None
    heard: tuple[str, ...]


def voted(build: Builder, cards: Sequence[Card], given: Given, rule: VoteRule) -> Voted:
    """Add the nodes of a vote; see `voting.vote.fuse` and `voting.joint.fuse_tasks`.

    Args:
        build: collects the nodes.
        cards: those of the members.
        given: what the members say.
        rule: how they vote; it was checked.
    """
    fusion, head = rule.fusion, rule.head
    if rule.label_map is not None:
        return _voted_tasks(build, cards, given, fusion, rule.label_map)
    members = {card.name: pools.to_double(build, given[card.name, head.name]) for card in cards}
    families = _by_family(cards)
    weights = fusion.weights or Weights(dict.fromkeys(families, 1.0))
    if fusion.voting == "hard":
        return _hard(build, members, families, weights, len(head.classes))
    means = {name: pools.mean_of(build, [members[each] for each in own])
             for name, own in families.items()}  # fmt: skip
    blend = blend_of(weights, list(means), head.task, fusion.voting)
    probs = pooled(build, blend, list(means.values()))
    labels = decided(build, blend, probs, len(head.classes))
    heard = tuple(mean for name, mean in means.items() if weights.families[name])
    return Voted(_constrained(build, probs, fusion, head), labels, heard)


def _voted_tasks(
    build: Builder, cards: Sequence[Card], given: Given, fusion: Fusion, label_map: LabelMap
) -> Voted:
    joint = fusion.weights.joint if fusion.weights else None
    columns = family_columns(build, cards, given, label_map, joint.spreads if joint else {})
    about, heard = [each.about for each in columns], tuple(each.tensor for each in columns)
    stack = [_lifted(build, each, label_map) for each in columns]
    if fusion.weights is None:
        probs = product(build, stack, groups_of(about, label_map), class_places(label_map))
        if fusion.voting == "hard":
            return _hard_tasks(build, member_columns(build, cards, given, label_map),
                               label_map, Voted(probs, None, heard))  # fmt: skip
        return Voted(probs, pools.best(build, probs), heard)
    blend = joint_blend(fusion.weights, about, label_map)
    probs = pooled(build, blend, stack)
    labels = decided(build, blend, probs, len(label_map.labels))
    if blend.pool != "linear" or blend.places is None:
        heard = tuple(heard[place] for place in np.flatnonzero(blend.weights))
    return Voted(probs, labels, heard)


def _by_family(cards: Sequence[Card]) -> dict[str, list[str]]:
    """Return the names of each family's members, both in the order of the names."""
    families: dict[str, list[str]] = {}
    for card in sorted(cards, key=lambda card: (card.family, card.name)):
        families.setdefault(card.family, []).append(card.name)
    return families


def _hard(
    build: Builder,
    members: Mapping[str, str],
    families: Mapping[str, Sequence[str]],
    weights: Weights,
    classes: int,
) -> Voted:
    """Each member votes for its best class, with its family's weight by its members."""
    shares = {name: weights.families[family] / len(own)
              for family, own in families.items() if weights.families[family]
              for name in own}  # fmt: skip
    vector = np.array(list(shares.values()))
    heard = [members[name] for name in shares]
    votes = [pools.one_hot(build, pools.best(build, each), classes) for each in heard]
    probs = pools.linear(build, pools.stacked(build, votes), vector)
    ties = pools.linear(build, pools.stacked(build, heard), vector)
    return Voted(probs, pools.winners(build, probs, ties), tuple(heard))


def _constrained(build: Builder, values: str, fusion: Fusion, head: Head) -> str:
    """Name the nearest values that fulfil all constraints; see `constraints.Subspace`."""
    if TASKS[head.task].bounded or not fusion.constraints:
        return values
    found = subspace_of(fusion.constraints, head.classes)
    sides = build.op("MatMul", values, double(build, found.matrix.T))
    away = build.op("Sub", sides, double(build, found.offsets))
    back = build.op("MatMul", away, double(build, np.linalg.pinv(found.matrix).T))
    return build.op("Sub", values, back)


def _lifted(build: Builder, column: Column, label_map: LabelMap) -> str:
    """Name a column over the labels, (N, K)."""
    if column.about.task is None:
        return column.tensor
    task = label_map.names.index(column.about.task)
    return to_label(build, column.tensor, [row[task] for row in label_map.places])


def _hard_tasks(
    build: Builder, voters: Sequence[Column], label_map: LabelMap, ties: Voted
) -> Voted:
    """Each member votes for its best class of each task, a family as one; see `voting.joint`."""
    places, shares = class_places(label_map), []
    for t, task in enumerate(label_map.tasks):
        own = [each for each in voters if each.about.task in (task.name, None)]
        own.sort(key=lambda each: (each.about.family, each.about.name))
        sizes = Counter(each.about.family for each in own)
        votes = []
        for each in own:
            best = pools.best(build, each.tensor)
            if each.about.task is None:
                best = build.op("Gather", build.integers(*places[:, t].tolist()), best, axis=0)
            votes.append(pools.one_hot(build, best, len(task.classes)))
        counts = np.array([1 / sizes[each.about.family] for each in own])
        stack = pools.stacked(build, votes)
        mean = pools.weighted(build, stack, counts / len(sizes))
        shares.append(to_label(build, mean, places[:, t].tolist()))
    probs = pools.mean_of(build, shares)
    return Voted(probs, pools.winners(build, probs, ties.probs), ties.heard)
