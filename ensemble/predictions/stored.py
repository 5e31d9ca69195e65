"""What is voted on: each member's predictions, from the store or from elsewhere, joined by id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ensemble.arrays import Pooled
from ensemble.errors import ContractError, MemberError, UsageError, few
from ensemble.files.atomic import sha256_bytes, sha256_json
from ensemble.files.paths import natural_key
from ensemble.members.card import Head, read_heads
from ensemble.members.together import check_agree
from ensemble.predictions.run_record import RecordedMember
from ensemble.predictions.store import Partition, Scores, load_partition
from ensemble.predictions.table import Oof
from ensemble.records import MemberId, Quarantined, hashes_of
from ensemble.voting import vote


@dataclass(frozen=True, slots=True)
class StoredPredictions:
    """One member's stored predictions, and its head that is voted on.

    `scores` are read already where the store was asked whether it has them.
    """

    member: MemberId
    partition: Partition
    head: Head
    scores: Scores | None = None


@dataclass(frozen=True, slots=True)
class Votes:
    """The members' predictions of the same rows, joined by id.

    `ids` are the N rows that every ballot has, `quarantined` the images that some member lacks.
    `hashes` are those of each family's member files, where they are known.
    """

    head: Head
    ids: tuple[str, ...]
    ballots: tuple[vote.Ballot, ...]
    quarantined: tuple[Quarantined, ...]
    members: tuple[RecordedMember, ...]
    hashes: Mapping[str, Sequence[str]]

    def inputs(self) -> list[str]:
        """Return every id, predicted or quarantined, in its natural order."""
        return sorted([*self.ids, *(q.id for q in self.quarantined)], key=natural_key)


def entries_of_run(
    members: Sequence[RecordedMember], store: Path, head: str, where: Path
) -> list[StoredPredictions]:
    """Return the stored predictions that an earlier run was made of.

    Args:
        members: What the run recorded of each.
        store: Where the predictions are kept.
        head: The head to vote on.
        where: The folder of the run.

    Raises:
        UsageError: the store no longer holds the predictions.
        MemberError: the members cannot vote together on the head.
    """
    entries = []
    for recorded in members:
        name, key = recorded.member.name, recorded.key or ""
        partition = load_partition(store, key)
        held = partition and read_heads(partition.fingerprint["heads"], name)
        found = next((h for h in held or () if h.name == head), None)
        if partition is not None and found is None:
            known = [h.name for h in held or ()]
            raise MemberError(f"member {name} has no head {head!r}; its heads: {known}")
        scores = None if partition is None else partition.found(head)
        if partition is None or found is None or scores is None:
            raise UsageError(
                f"{where}: the store {store} no longer holds the predictions of "
                f"{name} ({key}); run again"
            )
        entries.append(StoredPredictions(recorded.member, partition, found, scores))
    check_agree([(e.member.name, e.head) for e in entries])
    return entries


def votes_of(entries: Sequence[StoredPredictions]) -> Votes:
    """Read stored predictions, join them by id, and leave out what any member has quarantined.

    Raises:
        ContractError: a member lacks a row that the others have.
        StoreError: a shard is missing or torn.
    """
    scores = [entry.scores or entry.partition.read(entry.head.name) for entry in entries]
    lost = {q.id: q for s in scores for q in s.quarantined}
    ids = tuple(i for i in scores[0].ids if i not in lost)
    ballots = []
    for entry, held in zip(entries, scores, strict=True):
        probs = held.probs
        if held.ids != ids:
            place = {name: row for row, name in enumerate(held.ids)}
            absent = [i for i in ids if i not in place]
            if absent:
                raise ContractError(f"{entry.member.name} has no prediction for {few(absent)}")
            probs = probs[[place[i] for i in ids]]
        ballots.append(vote.Ballot(entry.member.name, entry.member.family, probs))
    quarantined = tuple(lost[name] for name in sorted(lost, key=natural_key))
    members = tuple(RecordedMember(entry.member, entry.partition.key) for entry in entries)
    hashes = hashes_of(entry.member for entry in entries)
    return Votes(entries[0].head, ids, tuple(ballots), quarantined, members, hashes)


def votes_from(predictions: Oof, classes: Sequence[str] = ()) -> Votes:
    """Return predictions made elsewhere as votes, one a family.

    Args:
        predictions: The families, joined by id.
        classes: The order that the classes are to have; empty for that of the predictions.

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
    head = Head("label", "probs", predictions.task, "none", order)
    return Votes(
        head=head,
        ids=predictions.ids,
        ballots=tuple(vote.Ballot(name, name, probs) for name, probs in families.items()),
        quarantined=predictions.quarantined,
        members=tuple(
            RecordedMember(
                MemberId(name, name, None, _digest(name, head, predictions.ids, probs)), None
            )
            for name, probs in families.items()
        ),
        hashes={name: predictions.members.get(name, ()) for name in families},
    )  # fmt: skip


def _digest(family: str, head: Head, ids: Sequence[str], probs: Pooled) -> str:
    """Return the SHA-256 of predictions: of their family, task, classes, ids and numbers."""
    numbers = np.ascontiguousarray(probs, np.float64).tobytes()
    return sha256_json([family, head.task, list(head.classes), list(ids), sha256_bytes(numbers)])
