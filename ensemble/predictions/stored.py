"""What is voted on from the store: each member's predictions, joined by id."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa

from ensemble.arrays import Indices, Probs
from ensemble.errors import ContractError, UsageError, few
from ensemble.files.parquet import places, text_column
from ensemble.files.paths import natural_key
from ensemble.label_map import LabelMap
from ensemble.members.answers import heads_read
from ensemble.members.card import Head
from ensemble.members.card_json import read_heads
from ensemble.members.together import check_agree
from ensemble.predictions.run_record import RecordedMember
from ensemble.predictions.slices import BallotSlices, row_slices
from ensemble.predictions.store import HeldRows, Partition, load_partition
from ensemble.predictions.table import Predictions
from ensemble.predictions.tasks import TaskPredictions, join_tasks
from ensemble.records import MemberId, Merge, Quarantined, View, hashes_of
from ensemble.views.families import merged_as, views_told
from ensemble.views.merging import merge_views
from ensemble.views.spelling import spell
from ensemble.voting.vote import Ballot


@dataclass(frozen=True, slots=True)
class StoredPredictions:
    """One member's stored predictions, and its head that is voted on.

    `held` are its rows, known already where the store was asked whether it has them.
    """

    member: MemberId
    partition: Partition
    head: Head
    held: HeldRows | None = None


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
        held = partition.found_rows()
        if held is not None:
            return [StoredPredictions(recorded.member, partition, each, held) for each in read]
    raise UsageError(
        f"{where}: the store {store} no longer holds the predictions of {name} ({key}); run again"
    )


def read_predictions(entries: Sequence[StoredPredictions]) -> Predictions:
    """Read stored predictions, join them by id, and leave out what any member has quarantined.

    Raises:
        ContractError: a member lacks a row that the others have, or two are called alike.
        StoreError: a shard is missing or torn.
    """
    found = _joined(entries)
    views: dict[str, list[Probs]] = {}
    for entry, rows in zip(entries, found.rows, strict=True):
        own = _taken(entry.partition.read(entry.head.name).probs, rows)
        views.setdefault(entry.member.name, []).append(own)
    families = {name: _merged(own, entries[0]) for name, own in views.items()}
    return replace(found.about, families=families)


def read_in_slices(entries: Sequence[StoredPredictions]) -> tuple[Predictions, BallotSlices]:
    """Read which rows stored predictions have, joined in the same way, and how to read the numbers.

    Raises:
        EnsembleError: as for `read_predictions`.
    """
    found = _joined(entries)

    def slices(rows: int) -> Iterator[Sequence[Ballot]]:
        members = zip(entries, found.held, found.rows, strict=True)
        for some in zip(*(_slices_of(*member, rows) for member in members), strict=True):
            yield _ballots(entries, some)

    return found.about, slices


@dataclass(frozen=True, slots=True, eq=False)
class _Joined:
    """What members have in common, with no families, and where each has the rows of it.

    `rows` are int64 (N,) each, or None where a member holds these rows and no others.
    """

    about: Predictions
    held: Sequence[HeldRows]
    rows: Sequence[Indices | None]


def _joined(entries: Sequence[StoredPredictions]) -> _Joined:
    held = [entry.held or entry.partition.read_rows() for entry in entries]
    lost = _lost_of(held)
    _check_names(entries)
    ids = tuple(i for i in held[0].ids.to_pylist() if i not in lost)
    wanted, head = text_column(ids), entries[0].head
    about = Predictions(
        ids=ids,
        classes=head.classes,
        families={},
        members=hashes_of({entry.member.name: entry.member for entry in entries}.values()),
        task=head.task,
        quarantined=tuple(lost.values()),
        deployed=True,
        output=head.name,
        sources=tuple(RecordedMember(entry.member, entry.partition.key) for entry in entries),
        views=views_of(entries),
        ordinal=head.ordinal,
    )
    pairs = zip(entries, held, strict=True)
    rows = [_rows_of(entry.member.name, each, wanted) for entry, each in pairs]
    return _Joined(about, held, rows)


def _slices_of(
    entry: StoredPredictions, held: HeldRows, rows: Indices | None, size: int
) -> Iterator[Probs]:
    """Yield the rows of a member slice by slice; of rows in another order all are read at once."""
    read = entry.partition.read
    at_once = rows is not None and bool((np.diff(rows) < 0).any())
    whole = read(entry.head.name).probs if at_once else None
    for at in row_slices(len(held.ids) if rows is None else len(rows), size):
        wanted = np.arange(at.start, at.stop) if rows is None else rows[at]
        if whole is not None:
            yield whole[wanted]
            continue
        ends = wanted[[0, -1]] if len(wanted) else [0, 0]
        place = np.searchsorted(held.ends, ends, side="right") - 1
        first, last = np.minimum(place, len(held.ends) - 2).tolist()
        probs = read(entry.head.name, range(first, last + 1)).probs
        yield probs[wanted - held.ends[first]]


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


def _ballots(entries: Sequence[StoredPredictions], probs: Sequence[Probs]) -> list[Ballot]:
    """Return a ballot for each member, float32 (N, C): of views that were kept apart, merged."""
    views: dict[MemberId, list[Probs]] = {}
    for entry, own in zip(entries, probs, strict=True):
        views.setdefault(entry.member, []).append(own)
    return [Ballot(m.name, m.family, _merged(own, entries[0])) for m, own in views.items()]


def _merged(views: Sequence[Probs], first: StoredPredictions) -> Probs:
    if len(views) == 1:
        return views[0]
    stack = np.stack(views, dtype=np.float64)
    return merge_views(stack, _merge_of(first), first.head.task).astype(np.float32)


def _lost_of(held: Sequence[HeldRows]) -> dict[str, Quarantined]:
    """Return what any member lacks, by id, in the natural order of the ids."""
    lost = {q.id: q for each in held for q in each.quarantined}
    return {name: lost[name] for name in sorted(lost, key=natural_key)}


def _rows_of(name: str, held: HeldRows, ids: pa.StringArray) -> Indices | None:
    """Return the rows of `ids` among those that the store holds of a member."""
    if held.ids.equals(ids):
        return None
    rows = places(ids, held.ids)
    if absent := [ids[row].as_py() for row in np.flatnonzero(rows < 0).tolist()]:
        raise ContractError(f"{name} has no prediction for {few(absent)}")
    return rows


def _taken(probs: Probs, rows: Indices | None) -> Probs:
    return probs if rows is None else probs[rows]
