"""What is voted on from the store: each member's predictions, joined by id."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from ensemble.arrays import Probs
from ensemble.errors import ContractError, UsageError, few
from ensemble.files.paths import natural_key
from ensemble.label_map import LabelMap
from ensemble.members.answers import heads_read
from ensemble.members.card import Head
from ensemble.members.card_json import read_heads
from ensemble.members.together import check_agree
from ensemble.predictions.run_record import RecordedMember
from ensemble.predictions.store import Partition, Scores, load_partition
from ensemble.predictions.table import Predictions
from ensemble.predictions.tasks import TaskPredictions, join_tasks
from ensemble.records import MemberId, Merge, Quarantined, Task, View, hashes_of
from ensemble.views.families import merged_as, views_told
from ensemble.views.merging import merge_views
from ensemble.views.spelling import spell


@dataclass(frozen=True, slots=True)
class StoredPredictions:
    """One member's stored predictions, and its head that is voted on.

    `scores` are read already where the store was asked whether it has them.
    """

    member: MemberId
    partition: Partition
    head: Head
    scores: Scores | None = None


def entries_of_run(
    members: Sequence[RecordedMember],
    store: Path,
    head: str,
    where: Path,
    label_map: LabelMap | None = None,
) -> list[StoredPredictions]:
    """Return the stored predictions that an earlier run was made of.

    Args:
        members: What the run recorded of each.
        store: Where the predictions are kept.
        head: The head to vote on.
        label_map: In place of a head, those that answer its tasks.
        where: The folder of the run.

    Raises:
        UsageError: the store no longer holds the predictions.
        MemberError: the members cannot vote together on the head.
    """
    entries = [
        entry
        for recorded in members
        for entry in _entries_of(recorded, store, head, where, label_map)
    ]
    if label_map is None:
        check_agree([(e.member.name, e.head) for e in entries])
    return entries


def _entries_of(
    recorded: RecordedMember, store: Path, head: str, where: Path, label_map: LabelMap | None
) -> list[StoredPredictions]:
    name, key = recorded.member.name, recorded.key or ""
    partition = load_partition(store, key)
    if partition is not None:
        heads = read_heads(partition.fingerprint["heads"], name)
        read = heads_read(heads, head, label_map, f"member {name}")
        found = [(each, partition.found(each.name)) for each in read]
        if all(scores is not None for _, scores in found):
            return [StoredPredictions(recorded.member, partition, *each) for each in found]
    raise UsageError(
        f"{where}: the store {store} no longer holds the predictions of {name} ({key}); run again"
    )


def read_predictions(entries: Sequence[StoredPredictions]) -> Predictions:
    """Read stored predictions, join them by id, and leave out what any member has quarantined.

    Raises:
        ContractError: a member lacks a row that the others have, or two are called alike.
        StoreError: a shard is missing or torn.
    """
    scores = [entry.scores or entry.partition.read(entry.head.name) for entry in entries]
    lost = _lost_of(scores)
    ids = tuple(i for i in scores[0].ids if i not in lost)
    _check_names(entries)
    apart: dict[str, list[Probs]] = {}
    for entry, held in zip(entries, scores, strict=True):
        name = entry.member.name
        apart.setdefault(name, []).append(_rows_of(name, held, ids))
    head = entries[0].head
    return Predictions(
        ids=ids,
        classes=head.classes,
        families={
            name: _merged(views, _merge_of(entries[0]), head.task) for name, views in apart.items()
        },
        members=hashes_of({entry.member.name: entry.member for entry in entries}.values()),
        task=head.task,
        quarantined=tuple(lost.values()),
        deployed=True,
        output=head.name,
        sources=tuple(RecordedMember(entry.member, entry.partition.key) for entry in entries),
        views=views_of(entries),
        ordinal=head.ordinal,
    )


def read_tasks(entries: Sequence[StoredPredictions], label_map: LabelMap) -> TaskPredictions:
    """Read stored predictions of several heads, and join them through a label map.

    Raises:
        EnsembleError: as for `read_predictions` and `tasks.join_tasks`.
    """
    return join_tasks([read_predictions(own) for own in by_head(entries)], label_map)


def by_head(entries: Sequence[StoredPredictions]) -> list[list[StoredPredictions]]:
    """Return entries apart by what their heads are called and hold, each with at least one."""
    apart: dict[object, list[StoredPredictions]] = {}
    for entry in entries:
        key = entry.head.name, entry.head.task, entry.head.classes, entry.head.ordinal
        apart.setdefault(key, []).append(entry)
    return list(apart.values())


def views_of(entries: Sequence[StoredPredictions]) -> dict[str, str]:
    """Return the views of each family and their merge; see `merged_as`."""
    told: dict[str, dict[str, View]] = {}
    for entry in entries:
        views = views_told(entry.partition.fingerprint["views"])
        told.setdefault(entry.member.family, {}).update({spell(view): view for view in views})
    merge = _merge_of(entries[0])
    return {family: merged_as(tuple(views.values()), merge) for family, views in told.items()}


def _merge_of(entry: StoredPredictions) -> Merge:
    return cast(Merge, entry.partition.fingerprint["merge"])


def _check_names(entries: Sequence[StoredPredictions]) -> None:
    """Check that no two members are called alike; views of one that are apart are one member."""
    seen: dict[str, str] = {}
    for entry in entries:
        if seen.setdefault(entry.member.name, entry.member.sha256) != entry.member.sha256:
            raise ContractError(f"members are called alike: {entry.member.name}")
    told = [(e.member.name, str(e.partition.fingerprint["views"])) for e in entries]
    if twice := [name for name, views in told if told.count((name, views)) > 1]:
        raise ContractError(f"members are called alike: {few(twice)}")


def _merged(views: Sequence[Probs], merge: Merge, task: Task) -> Probs:
    """Return a member's predictions, float32 (N, C), of its views that were kept apart."""
    if len(views) == 1:
        return views[0]
    stack = np.stack(views, dtype=np.float64)
    return merge_views(stack, merge, task).astype(np.float32)


def _lost_of(scores: Sequence[Scores]) -> dict[str, Quarantined]:
    """Return what any of the scores lacks, by id, in the natural order of the ids."""
    lost = {q.id: q for held in scores for q in held.quarantined}
    return {name: lost[name] for name in sorted(lost, key=natural_key)}


def _rows_of(name: str, held: Scores, ids: tuple[str, ...]) -> Probs:
    """Return the rows of `ids`, float32 (N, C), of what the store holds of a member."""
    if held.ids == ids:
        return held.probs
    place = {found: row for row, found in enumerate(held.ids)}
    if absent := [i for i in ids if i not in place]:
        raise ContractError(f"{name} has no prediction for {few(absent)}")
    return held.probs[[place[i] for i in ids]]
