"""Predictions of several tasks: a part for each head, joined by id, read through a label map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from ensemble.arrays import Indices, Pooled
from ensemble.errors import ContractError, UsageError, few
from ensemble.files.paths import natural_key
from ensemble.label_map import LABEL, LabelMap
from ensemble.members.answers import Answer, answers_of, check_answered
from ensemble.members.card import Head
from ensemble.predictions import task_file
from ensemble.predictions.run_record import RecordedMember
from ensemble.predictions.table import Predictions
from ensemble.records import Ordinal, Quarantined
from ensemble.voting.lift import TaskColumn, column_names, summed, threshold_probs, value_probs
from ensemble.voting.vote import Ballot, family_means

Value = TypeVar("Value")

_ROUNDING: Final = 1e-6
"""How far float32 may have thresholds rise that are equal."""


@dataclass(frozen=True, slots=True, repr=False)
class TaskPredictions:
    """Predictions of the same rows by heads of several tasks.

    `parts` have one head each, and the same ids in the same order, none of which any part has
    quarantined. `quarantined` are the images without a row.
    """

    label_map: LabelMap
    parts: tuple[Predictions, ...]
    quarantined: tuple[Quarantined, ...] = ()

    def __repr__(self) -> str:
        names = few([each.name for each in self.columns()])
        return (
            f"<Predictions of {len(self.ids)} rows for the tasks {few(self.label_map.names)}: "
            f"{names}; {len(self.quarantined)} quarantined>"
        )

    def save(self, path: str | Path) -> None:
        """Write the OOF Parquet as `ensemble oof` does, and `<stem>.quarantine.csv` beside it.

        Raises:
            UsageError: two columns of one name.
            StoreError: the disk refused.
        """
        task_file.save(Path(path), self.parts, self.quarantined)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the rows."""
        return self.parts[0].ids

    @property
    def folds(self) -> Indices | None:
        """The fold of each row, int64 (N,), or None where no file says."""
        return next((part.folds for part in self.parts if part.folds is not None), None)

    @property
    def label(self) -> Predictions:
        """What is known of the label's predictions before a vote: ids, labels and who took part."""
        return Predictions(
            ids=self.ids,
            classes=self.label_map.labels,
            families={},
            folds=self.folds,
            members=_joined([part.hashes for part in self.parts]),
            quarantined=self.quarantined,
            rescaled=sum(part.rescaled for part in self.parts),
            deployed=any(part.deployed for part in self.parts),
            notes=tuple(note for part in self.parts for note in part.notes),
            output=LABEL,
            sources=_sources(self.parts),
            views=_joined([part.views for part in self.parts]),
        )

    def columns(self, spreads: Mapping[str, float] | None = None) -> list[TaskColumn]:
        """Return what each family says of each task, by name; its folds are averaged first.

        Args:
            spreads: Those of values by the column's name; without one a value has its task's, and
                without that it is cut hard.
        """
        families = [_families(part, self.label_map) for part in self.parts]
        return _columns(self, families, spreads or {})

    def voters(self) -> list[TaskColumn]:
        """Return what each member says of each task, by name; values are cut hard."""
        found = _columns(self, [_ballots(part, self.label_map) for part in self.parts], {})
        return [replace(each, probs=_cut_hard(each, self.label_map), values=None) for each in found]


def joint_head(label_map: LabelMap) -> Head:
    """Return the head of the labels, as it comes out of a vote."""
    return Head(LABEL, "probs", "classification", "none", label_map.labels)


def join_tasks(parts: Sequence[Predictions], label_map: LabelMap) -> TaskPredictions:
    """Join the predictions of heads by id; what any has quarantined has no row.

    Raises:
        ContractError: parts that predict other rows; names them.
        UsageError: other folds, a task that no part answers, or one that a family answers twice.
        MemberError: a head that is no task of the map.
    """
    ordered = sorted(parts, key=lambda part: (part.output, *sorted(part.families)))
    lost = {q.id: q for part in ordered for q in part.quarantined}
    first = tuple(name for name in ordered[0].ids if name not in lost)
    rows = tuple(_rows_of(ordered[0], part, first, lost) for part in ordered)
    _check_folds(rows)
    quarantined = tuple(lost[name] for name in sorted(lost, key=natural_key))
    joined = TaskPredictions(label_map, rows, quarantined)
    answered = [
        (family, answer.task)
        for part in rows
        for family in _names(part)
        for answer in _answers(part, label_map)
    ]
    if twice := [pair for pair in answered if answered.count(pair) > 1]:
        family, task = twice[0]
        raise UsageError(f"family {family} answers {task or LABEL} twice: give it once")
    check_answered({task for _, task in answered}, label_map)
    return joined


def _answers(part: Predictions, label_map: LabelMap) -> tuple[Answer, ...]:
    return answers_of(part.head, label_map, few(_names(part)))


def _names(part: Predictions) -> list[str]:
    return sorted({each.family for each in part.ballots})


def _families(part: Predictions, label_map: LabelMap) -> list[Ballot]:
    """Return what each family says, its folds averaged: probabilities, or values."""
    ballots = _ballots(part, label_map)
    return [Ballot(name, name, probs) for name, probs in family_means(ballots).items()]


def _ballots(part: Predictions, label_map: LabelMap) -> list[Ballot]:
    """Return what each member says, thresholds as the probabilities of their classes."""
    if part.ordinal is None:
        return part.ballots
    (answer,) = _answers(part, label_map)
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
    given: TaskPredictions, ballots: Sequence[Sequence[Ballot]], spreads: Mapping[str, float]
) -> list[TaskColumn]:
    told = [
        (ballot, answer)
        for part, own in zip(given.parts, ballots, strict=True)
        for answer in _answers(part, given.label_map)
        for ballot in own
    ]
    named = column_names([(ballot.name, answer.task) for ballot, answer in told])
    found = [
        _column(name, ballot, answer, given.label_map, spreads)
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


def _rows_of(
    first: Predictions, part: Predictions, ids: tuple[str, ...], lost: Mapping[str, Quarantined]
) -> Predictions:
    """Return a part with these rows, which are all that it has but for what is quarantined."""
    place = {name: row for row, name in enumerate(part.ids)}
    lacking = [name for name in ids if name not in place]
    beyond = sorted(set(part.ids) - set(ids) - set(lost), key=natural_key)
    if lacking or beyond:
        raise ContractError(
            f"{few(_names(first))} (head {first.output}) and {few(_names(part))} (head "
            f"{part.output}) predict other rows: only the first has {few(lacking) or 'none'}; only "
            f"the second has {few(beyond) or 'none'}. Nothing is left out by itself"
        )
    rows = [place[name] for name in ids]
    return replace(
        part,
        ids=ids,
        families={name: probs[rows] for name, probs in part.families.items()},
        folds=None if part.folds is None else part.folds[rows],
    )


def _check_folds(parts: Sequence[Predictions]) -> None:
    told = [(part, part.folds) for part in parts if part.folds is not None]
    for part, folds in told[1:]:
        differ = np.flatnonzero(folds != told[0][1])
        if len(differ):
            raise UsageError(
                f"{few(_names(told[0][0]))} and {few(_names(part))} were split into other folds: "
                f"{part.ids[differ[0]]!r} is in two. Train them on the same folds.csv"
            )


def _joined(given: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for each in given:
        found |= each
    return dict(sorted(found.items()))


def _sources(parts: Sequence[Predictions]) -> tuple[RecordedMember, ...]:
    """Return who made the predictions, each once, by name; of views kept apart each its own."""
    every = [each for part in parts for each in part.sources]
    found = {(each.member.name, each.member.sha256, each.key or ""): each for each in every}
    return tuple(found[key] for key in sorted(found, key=lambda key: (natural_key(key[0]), key)))
