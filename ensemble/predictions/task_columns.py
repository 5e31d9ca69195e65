"""What heads of several tasks say, in columns: of each family or member, for each task it answers.

Values are cut, and thresholds become the probabilities of the classes that they part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from ensemble.arrays import Pooled
from ensemble.errors import ContractError, few
from ensemble.label_map import LabelMap
from ensemble.members.answers import Answer, answers_of
from ensemble.predictions.table import Predictions
from ensemble.records import Ordinal
from ensemble.voting.lift import TaskColumn, column_names, summed, threshold_probs, value_probs
from ensemble.voting.vote import Ballot, family_means

_ROUNDING: Final = 1e-6
"""How far float32 may have thresholds rise that are equal."""


def family_columns(
    parts: Sequence[Predictions], label_map: LabelMap, spreads: Mapping[str, float]
) -> list[TaskColumn]:
    """Return what each family says of each task, by name; its folds are averaged first.

    Args:
        parts: Predictions of one head each, of the same ids in the same order.
        label_map: The map.
        spreads: Those of values by the column's name; without one a value has its task's, and
            without that it is cut hard.

    Raises:
        ContractError: cumulative thresholds that rise.
        MemberError: a head that is no task of the map.
    """
    return _columns(parts, [_families(part, label_map) for part in parts], label_map, spreads)


def member_columns(parts: Sequence[Predictions], label_map: LabelMap) -> list[TaskColumn]:
    """Return what each member says of each task, as `family_columns`; values are cut hard."""
    found = _columns(parts, [_ballots(part, label_map) for part in parts], label_map, {})
    return [replace(each, probs=_cut_hard(each, label_map), values=None) for each in found]


def answers_in(part: Predictions, label_map: LabelMap) -> tuple[Answer, ...]:
    """Return what the head of a part answers.

    Raises:
        MemberError: a head that is no task of the map.
    """
    return answers_of(part.head, label_map, few(families_in(part)))


def families_in(part: Predictions) -> list[str]:
    """Return the names of a part's families, in order."""
    return sorted({each.family for each in part.ballots})


def _families(part: Predictions, label_map: LabelMap) -> list[Ballot]:
    """Return what each family says, its folds averaged: probabilities, or values."""
    ballots = _ballots(part, label_map)
    return [Ballot(name, name, probs) for name, probs in family_means(ballots).items()]


def _ballots(part: Predictions, label_map: LabelMap) -> list[Ballot]:
    """Return what each member says, thresholds as the probabilities of their classes."""
    if part.ordinal is None:
        return part.ballots
    (answer,) = answers_in(part, label_map)
    return [
        replace(ballot, probs=_of_thresholds(part, part.ordinal, ballot, answer))
        for ballot in part.ballots
    ]


def _of_thresholds(part: Predictions, ordinal: Ordinal, ballot: Ballot, answer: Answer) -> Pooled:
    """Return the probabilities of the ordered classes of a head of thresholds.

    Raises:
        ContractError: cumulative thresholds that rise, of which no class can have a probability.
    """
    given = summed(ballot.probs.astype(np.float64), answer.columns)
    found = threshold_probs(given, ordinal)
    odd = np.flatnonzero((found < -_ROUNDING).any(1))
    if odd.size:
        raise ContractError(
            f"{ballot.name}, id {part.ids[odd[0]]!r}: the thresholds of {answer.task} must not "
            f"rise, and are {few(given[odd[0]].tolist())}. Is the head conditional (CORN)? Its "
            f"card says {ordinal}"
        )
    return np.maximum(found, 0.0)


def _columns(
    parts: Sequence[Predictions],
    ballots: Sequence[Sequence[Ballot]],
    label_map: LabelMap,
    spreads: Mapping[str, float],
) -> list[TaskColumn]:
    told = [
        (ballot, answer)
        for part, own in zip(parts, ballots, strict=True)
        for answer in answers_in(part, label_map)
        for ballot in own
    ]
    named = column_names([(ballot.name, answer.task) for ballot, answer in told])
    found = [
        _column(name, ballot, answer, label_map, spreads)
        for name, (ballot, answer) in zip(named, told, strict=True)
    ]
    return sorted(found, key=lambda each: each.name)


def _column(
    name: str,
    ballot: Ballot,
    answer: Answer,
    label_map: LabelMap,
    spreads: Mapping[str, float],
) -> TaskColumn:
    probs = ballot.probs.astype(np.float64)
    if answer.kind == "thresholds":
        return TaskColumn(name, ballot.family, answer.task, probs)
    if answer.kind == "classes":
        return TaskColumn(name, ballot.family, answer.task, summed(probs, answer.columns))
    task = label_map.task(answer.task or "")
    values = probs[:, answer.columns[0][0]]
    cuts, own = (task.cuts, task.spread) if task else ((), None)
    found = value_probs(values, cuts, spreads.get(name, own))
    return TaskColumn(name, ballot.family, answer.task, found, values)


def _cut_hard(column: TaskColumn, label_map: LabelMap) -> Pooled:
    task = label_map.task(column.task or "")
    if column.values is None or task is None:
        return column.probs
    return value_probs(column.values, task.cuts, None)
