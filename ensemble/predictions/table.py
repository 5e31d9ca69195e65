"""Predictions of the same rows, by families or their members: checked, and identified.

What is read is checked once, here: ids, classes, NaN and row sums.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Final

import numpy as np

from ensemble.arrays import Indices, Pooled, Probs
from ensemble.errors import UsageError, few
from ensemble.files.atomic import json_bytes, sha256_bytes
from ensemble.files.paths import natural_order
from ensemble.members.card import Head
from ensemble.predictions import oof_file
from ensemble.predictions.oof_file import OofFile
from ensemble.predictions.row_values import Rows, check_predicted, checked_values
from ensemble.predictions.run_record import RecordedMember
from ensemble.records import MemberId, Ordinal, Quarantined, Task, check_choice
from ensemble.voting.vote import Ballot

_IDS: Final = 1 << 14
"""Ids that are written as JSON at once."""


@dataclass(frozen=True, slots=True, repr=False)
class Predictions:
    """Predictions of the same rows: a column a family, or a column a member where a run made them.

    Args:
        ids: N ids, in any order.
        classes: C names.
        families: The columns by name, (N, C): float64 of families, float32 of members.
        folds: The fold of each row, int64 (N,), or None where the file does not say.
        members: The hashes of each family's members, where known.
        task: What the head predicts.
        quarantined: The images that have no prediction, and so no row.
        rescaled: How many rows were off 1 by more than float32 rounds; all are divided by their
            sum.
        deployed: Whether a run made them, with every fold of a family: no OOF.
        ordered: Whether all files that were joined have the classes in one order.
        notes: What a person should know of how the files were read, a line each.
        output: The name of the head.
        sources: Who made each column, in their order; empty where each is a family, and nobody
            asked. Of an early exit it names those who were asked, and there are no columns.
        views: The views of each family and their merge, as `merged_as` spells them, where known.
        ordinal: How the columns are thresholds of ordered classes; None where they are none.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    families: Mapping[str, Probs | Pooled]
    folds: Indices | None = None
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    task: Task = "classification"
    quarantined: tuple[Quarantined, ...] = ()
    rescaled: int = 0
    deployed: bool = False
    ordered: bool = True
    notes: tuple[str, ...] = ()
    output: str = "label"
    sources: tuple[RecordedMember, ...] = ()
    views: Mapping[str, str] = field(default_factory=dict)
    ordinal: Ordinal | None = None

    def __repr__(self) -> str:
        lost = f", {len(self.quarantined)} quarantined" if self.quarantined else ""
        return (
            f"<Oof of {len(self.ids)} rows, {len(self.classes)} classes ({self.task}): families "
            f"{few(list(self.families))}{lost}>"
        )

    def save(self, path: str | Path) -> None:
        """Write the OOF Parquet as `ensemble oof` does, and `<stem>.quarantine.csv` beside it.

        Raises:
            UsageError: a family is called id or fold, as a column of the file is.
            StoreError: the disk refused.
        """
        oof_file.save(Path(path), self)

    @staticmethod
    def load(path: str | Path) -> "Predictions":
        """Read what `save` or `ensemble oof` wrote.

        Raises:
            UsageError: the file cannot be read, or is no OOF Parquet.
        """
        return checked(path, table_from(oof_file.read(Path(path))))

    @property
    def head(self) -> Head:
        """The head as it comes out: probabilities, or values of a regression."""
        return Head(self.output, "probs", self.task, "none", self.classes, ordinal=self.ordinal)

    @property
    def ballots(self) -> list[Ballot]:
        """The columns as a vote takes them."""
        if not self.sources:
            return [Ballot(name, name, probs) for name, probs in self.families.items()]
        family = {each.member.name: each.member.family for each in self.sources}
        return [Ballot(name, family[name], probs) for name, probs in self.families.items()]

    @property
    def hashes(self) -> dict[str, tuple[str, ...]]:
        """The hashes of each family's members; none of a family whose members nobody knows."""
        names = [each.member.family for each in self.sources] or self.families
        return {name: self.members.get(name, ()) for name in names}

    def inputs(self) -> list[str]:
        """Return every id, predicted or quarantined, in its natural order."""
        return natural_order(self.ids, (q.id for q in self.quarantined))


Oof = Predictions
"""The public name, of when out-of-fold predictions were all that was read."""


def in_order(predictions: Predictions, classes: Sequence[str]) -> Predictions:
    """Return predictions with their columns in the order of `classes`; empty for their own.

    Raises:
        UsageError: the predictions have other classes.
    """
    order = tuple(classes) or predictions.classes
    if sorted(order) != sorted(predictions.classes):
        raise UsageError(
            f"the predictions have the classes {few(predictions.classes)}; the weights were tuned "
            f"for {few(order)}"
        )
    columns = [predictions.classes.index(name) for name in order]
    families = {name: probs[:, columns] for name, probs in predictions.families.items()}
    return replace(predictions, classes=order, families=families)


def identified(predictions: Predictions) -> Predictions:
    """Return predictions of families with each told by a SHA-256: of its task, ids and numbers."""
    numbers = {
        name: sha256_bytes(np.ascontiguousarray(probs, np.float64).tobytes())
        for name, probs in predictions.families.items()
    }
    return identified_by(predictions, numbers)


def identified_by(predictions: Predictions, numbers: Mapping[str, str]) -> Predictions:
    """Do so with the SHA-256 of each family's numbers, float64 (N, C), by its name."""
    head = predictions.head
    about = json_bytes([head.task, list(head.classes)])[1:-1]
    ids = b",".join(
        json_bytes(predictions.ids[start : start + _IDS])[1:-1]
        for start in range(0, len(predictions.ids), _IDS)
    )
    told = {
        name: sha256_bytes(b"[%b,%b,[%b],%b]" % (json_bytes(name), about, ids, json_bytes(digest)))
        for name, digest in numbers.items()
    }
    sources = [
        RecordedMember(MemberId(name, name, None, digest), None) for name, digest in told.items()
    ]
    return replace(predictions, sources=tuple(sources))


def table_from(file: OofFile) -> Predictions:
    """Return what an OOF Parquet holds, unchecked."""
    return Predictions(**{each.name: getattr(file, each.name) for each in fields(file)})


def describe_rescaling(rows: int) -> str:
    """Return the line that tells of rescaled rows."""
    return (
        f"{rows} rows do not sum to 1 exactly, as in float16 or rounded files: each is divided by "
        f"its sum"
    )


def checked(path: object, oof: Predictions) -> Predictions:
    """Check names and numbers; rows that nearly sum to 1 are divided by their sum, and counted.

    Raises:
        UsageError: ids or classes that are empty or stand there twice, or predictions that are
            none; `path` names them.
    """
    if not oof.ids or not oof.classes or not oof.families:
        raise UsageError(f"{path}: expected an id column, classes and rows")
    check_choice(f"{path}: task", oof.task, Task)
    _check_names(path, "ids", oof.ids)
    _check_names(path, "classes", oof.classes)
    families, rescaled, notes = {}, 0, list(oof.notes)
    for name, probs in oof.families.items():
        if probs.shape != (len(oof.ids), len(oof.classes)):
            raise UsageError(
                f"{path}: {name} has {probs.shape}; expected {len(oof.ids)} rows and "
                f"{len(oof.classes)} classes"
            )
        rows = Rows(f"{path}: {name}", oof.ids, oof.classes, oof.folds, oof.task)
        families[name], count, odd = checked_values(rows, probs.astype(np.float64))
        rescaled, notes = rescaled + count, [*notes, *odd]
    return replace(oof, families=families, rescaled=rescaled, notes=tuple(notes))


def refuse_unpredicted(oof: Predictions) -> None:
    """Refuse folds that were never predicted, once the folds are known.

    Raises:
        UsageError: names the family and the folds; see `row_values.check_predicted`.
    """
    for name, probs in oof.families.items():
        check_predicted(
            Rows(name, oof.ids, oof.classes, oof.folds, oof.task), probs.astype(np.float64)
        )


def _check_names(path: object, what: str, names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UsageError(f"{path}: {what} stand there twice: {few(twice)}")
    if "" in names:
        raise UsageError(f"{path}: {what}: number {names.index('') + 1} is empty")
