"""What families and members say of the tasks of a label map, as nodes; see `task_columns`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ensemble.export.pack import pools
from ensemble.export.pack.joined import Given
from ensemble.export.pack.normal import normal
from ensemble.export.pack.pools import double
from ensemble.label_map import LabelMap
from ensemble.members.answers import Answer, answering
from ensemble.members.card import Card, Head
from ensemble.records import Ordinal
from ensemble.runtime.merges import Builder
from ensemble.voting.lift import TaskColumn, column_names

_ROUNDING = 1e-6
"""How far float32 may have thresholds rise that are equal; beyond it they are no thresholds."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the vote, whose `about` holds no numbers, and the tensor (N, C) that has them."""

    about: TaskColumn
    tensor: str


@dataclass(frozen=True, slots=True)
class _Told:
    """Who says something of a task or the label: its members' tensors (N, C), and its head."""

    name: str
    family: str
    tensors: tuple[str, ...]
    head: Head
    answer: Answer


def family_columns(
    build: Builder,
    cards: Sequence[Card],
    given: Given,
    label_map: LabelMap,
    spreads: Mapping[str, float],
) -> list[Column]:
    """Return what each family says of each task, by name; its folds are averaged first.

    Args:
        build: collects the nodes.
        cards: those of the members; the members of a family have heads of the same meaning.
        given: what the members say.
        label_map: the map.
        spreads: those of values by the column's name, as for `task_columns.family_columns`.
    """
    families: dict[str, list[Card]] = {}
    for card in sorted(cards, key=lambda card: (card.family, card.name)):
        families.setdefault(card.family, []).append(card)
    told = [
        _Told(family, family, tuple(given[card.name, head.name] for card in own), head, answer)
        for family, own in families.items()
        for head, answers in answering(own[0].heads, label_map, family)[0]
        for answer in answers
    ]
    return _columns(build, told, label_map, spreads)


def member_columns(
    build: Builder, cards: Sequence[Card], given: Given, label_map: LabelMap
) -> list[Column]:
    """Return what each member says of each task, by name; values are cut hard."""
    told = [
        _Told(card.name, card.family, (given[card.name, head.name],), head, answer)
        for card in cards
        for head, answers in answering(card.heads, label_map, card.name)[0]
        for answer in answers
    ]
    return _columns(build, told, label_map, None)


def _columns(
    build: Builder,
    told: Sequence[_Told],
    label_map: LabelMap,
    spreads: Mapping[str, float] | None,
) -> list[Column]:
    """Return the columns of those who say something; without spreads values are cut hard."""
    names = column_names([(each.name, each.answer.task) for each in told])
    found = []
    for name, each in zip(names, told, strict=True):
        spread = None if spreads is None else _spread(name, each.answer, label_map, spreads)
        tensor = _tensor(build, each, label_map, spread)
        about = TaskColumn(name, each.family, each.answer.task, np.empty((0, 0)))
        found.append(Column(about, tensor))
    return sorted(found, key=lambda column: column.about.name)


def _spread(
    name: str, answer: Answer, label_map: LabelMap, spreads: Mapping[str, float]
) -> float | None:
    task = label_map.task(answer.task or "")
    return spreads.get(name, task.spread if task else None)


def _tensor(build: Builder, told: _Told, label_map: LabelMap, spread: float | None) -> str:
    """Name what is said, (N, C) over the classes of a task, or over the labels."""
    answer, columns = told.answer, len(told.head.classes)
    parts = [pools.to_double(build, tensor) for tensor in told.tensors]
    if answer.kind == "thresholds":
        ordinal = told.head.ordinal or "conditional"
        sums = [_summed(build, part, answer, columns) for part in parts]
        count = len(answer.columns)
        return pools.mean_of(build, [_of_thresholds(build, s, count, ordinal) for s in sums])
    whole = _summed(build, pools.mean_of(build, parts), answer, columns)
    if answer.kind == "classes":
        return whole
    task = label_map.task(answer.task or "")
    cuts = task.cuts if task else ()
    return _of_values(build, whole, cuts, spread)


def _summed(build: Builder, tensor: str, answer: Answer, columns: int) -> str:
    """Name the sums of the groups of a head's columns."""
    matrix = np.zeros((columns, len(answer.columns)))
    for place, group in enumerate(answer.columns):
        matrix[list(group), place] = 1
    if matrix.shape[0] == matrix.shape[1] and np.array_equal(matrix, np.eye(columns)):
        return tensor
    return build.op("MatMul", tensor, double(build, matrix))


def _of_thresholds(build: Builder, tensor: str, count: int, ordinal: Ordinal) -> str:
    """Name the probabilities of count + 1 ordered classes by their thresholds, (N, count).

    NaN where cumulative thresholds rise, of which no class can have a probability.
    """
    steps = [build.cut(tensor, 1, place, place + 1) for place in range(count)]
    if ordinal == "conditional":
        for place in range(1, count):
            steps[place] = build.op("Mul", steps[place - 1], steps[place])
    none = build.op("Mul", steps[0], double(build, 0))
    every = build.op("Add", none, double(build, 1))
    above = build.op("Concat", every, *steps, axis=1)
    below = build.op("Concat", *steps, none, axis=1)
    found = build.op("Sub", above, below)
    risen = build.op("Less", found, double(build, -_ROUNDING))
    at_least = build.op("Max", found, double(build, 0))
    return build.op("Where", risen, double(build, np.nan), at_least)


def _of_values(build: Builder, tensor: str, cuts: Sequence[float], spread: float | None) -> str:
    """Name how likely each class of a value (N, 1) is; see `lift.value_probs`."""
    if spread is None:
        return pools.one_hot(build, pools.cut(build, tensor, cuts), len(cuts) + 1)
    ends = double(build, [-np.inf, *cuts, np.inf])
    away = build.op("Div", build.op("Sub", ends, tensor), double(build, spread))
    last = len(cuts) + 1
    low, high = build.cut(away, 1, 0, last), build.cut(away, 1, 1, last + 1)
    mirrored = build.op("Greater", low, double(build, 0))
    start = build.op("Where", mirrored, build.op("Neg", high), low)
    stop = build.op("Where", mirrored, build.op("Neg", low), high)
    return build.op("Sub", normal(build, stop), normal(build, start))


def to_label(build: Builder, tensor: str, places: Sequence[int]) -> str:
    """Name columns over the labels, (N, K): each has that of its task's class."""
    return build.op("Gather", tensor, build.integers(*places), axis=1)
