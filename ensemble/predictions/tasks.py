"""Predictions of several tasks: a part for each head, joined by id, read through a label map."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TypeVar

import numpy as np

from ensemble.arrays import Indices
from ensemble.errors import ContractError, UsageError, apart, few
from ensemble.files.paths import natural_key
from ensemble.label_map import LABEL, LabelMap
from ensemble.members.answers import check_answered
from ensemble.members.card import Head
from ensemble.predictions import task_file
from ensemble.predictions.run_record import RecordedMember
from ensemble.predictions.table import Predictions
from ensemble.predictions.task_columns import (
    answers_in,
    families_in,
    family_columns,
    member_columns,
)
from ensemble.records import Quarantined
from ensemble.voting.lift import TaskColumn

Value = TypeVar("Value")


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
        return family_columns(self.parts, self.label_map, spreads or {})

    def voters(self) -> list[TaskColumn]:
        """Return what each member says of each task, by name; values are cut hard."""
        return member_columns(self.parts, self.label_map)


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
    _check_answers(rows, label_map)
    return TaskPredictions(label_map, rows, quarantined)


def _check_answers(parts: Sequence[Predictions], label_map: LabelMap) -> None:
    """Check that each task is answered, and by no family twice."""
    answered: set[tuple[str, str | None]] = set()
    for part in parts:
        for family, answer in product(families_in(part), answers_in(part, label_map)):
            if (family, answer.task) in answered:
                raise UsageError(
                    f"family {family} answers {answer.task or LABEL} twice: give it once"
                )
            answered.add((family, answer.task))
    check_answered({task for _, task in answered}, label_map)


def _rows_of(
    first: Predictions, part: Predictions, ids: tuple[str, ...], lost: Mapping[str, Quarantined]
) -> Predictions:
    """Return a part with these rows, which are all that it has but for what is quarantined."""
    place = {name: row for row, name in enumerate(part.ids)}
    if place.keys() - lost.keys() != set(ids):
        raise _other_rows(first, part, ids, lost)
    rows = [place[name] for name in ids]
    return replace(
        part,
        ids=ids,
        families={name: probs[rows] for name, probs in part.families.items()},
        folds=None if part.folds is None else part.folds[rows],
    )


def _other_rows(
    first: Predictions, part: Predictions, ids: Collection[str], lost: Collection[str]
) -> ContractError:
    there = set(part.ids)
    lacking = [name for name in ids if name not in there]
    beyond = sorted(set(part.ids) - set(ids) - set(lost), key=natural_key)
    return ContractError(
        f"{few(families_in(first))} (head {first.output}) and {few(families_in(part))} (head "
        f"{part.output}) predict other rows: {apart(lacking, beyond)}. Nothing is left out by "
        f"itself"
    )


def _check_folds(parts: Sequence[Predictions]) -> None:
    told = [(part, part.folds) for part in parts if part.folds is not None]
    for part, folds in told[1:]:
        differ = np.flatnonzero(folds != told[0][1])
        if len(differ):
            raise UsageError(
                f"{few(families_in(told[0][0]))} and {few(families_in(part))} were split into "
                f"other folds: {part.ids[differ[0]]!r} is in two. Train them on the same folds.csv"
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
