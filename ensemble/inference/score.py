"""Members that are ready over images, scored shard by shard into the store."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from ensemble.errors import MemberError
from ensemble.inference.batch_size import batch_size
from ensemble.inference.executors.dispatch import Dispatcher
from ensemble.inference.fingerprint import ImageSet, fingerprint_of, shard_for, shard_size_of
from ensemble.inference.loop import Engine
from ensemble.inference.predict import Assignment, Tally, predict
from ensemble.inference.ready import ReadyMember, job_of
from ensemble.members.answers import heads_read
from ensemble.predictions.store import hold, key_of, open_partition
from ensemble.predictions.stored import StoredPredictions
from ensemble.progress import Progress
from ensemble.recipe.resolve import Recipe, Resources
from ensemble.runtime.devices import available_threads
from ensemble.worker import read_watch


def score_into_store(
    recipe: Recipe,
    ready_members: Sequence[ReadyMember],
    images: ImageSet,
    progress: Progress,
    dispatcher: Dispatcher | None = None,
) -> tuple[list[StoredPredictions], Tally]:
    """Score images with members, shard by shard, into the store.

    Members whose shards are cut alike share their pixels. With a dispatcher its workers score.

    Raises:
        ScoreError: a member failed, or gave NaN and is not to be dropped.
        MemberError: every member was dropped.
        UsageError: another run is making these predictions now.
        StoreError: the disk refused.
    """
    fingerprints = [
        fingerprint_of(recipe, ready.member, ready.policy, ready.scorer.provider, images)
        for ready in ready_members
    ]
    watch = read_watch(os.environ)
    with hold(recipe.resources.store, [key_of(f) for f in fingerprints], watch.pid):
        workers = 1 if dispatcher is None else len(dispatcher.names)
        size = shard_size_of(
            recipe.resources,
            [ready.geometry for ready in ready_members],
            shard_for(len(images.images), workers),
        )
        assignments = _assignments(
            recipe.resources, ready_members, fingerprints, len(images.images), size
        )
        threads = recipe.resources.threads or available_threads()
        engine = partial(Engine, images.images, recipe.inputs.decode, threads, progress, watch)
        drop = recipe.scoring.on_nan != "fail"
        tally = _total(
            predict(engine(), group, drop_nan=drop, dispatcher=dispatcher)
            for group in _cut_alike(assignments)
        )
    _warn_of_turns(tally.warnings.get("exif turned", 0), progress)
    if {a.job.name for a in assignments} <= set(tally.dropped):
        raise MemberError(f"every member gave NaN: {', '.join(tally.dropped)}")
    for name in tally.dropped:
        progress.warn(f"member {name} gave NaN and was dropped, as --on-nan drop-member says")
    pairs = zip(ready_members, assignments, strict=True)
    kept = [(r.member, a.partition) for r, a in pairs if a.job.name not in tally.dropped]
    inputs = recipe.inputs
    return [
        StoredPredictions(m.identity, part, head)
        for m, part in kept
        for head in heads_read(m.card.heads, inputs.head, inputs.label_map, m.card.name)
    ], tally


def _assignments(
    resources: Resources,
    ready_members: Sequence[ReadyMember],
    fingerprints: Sequence[Mapping[str, object]],
    images: int,
    shard_size: int,
) -> list[Assignment]:
    """Open each member's partition, and size its batches where anything is left to score."""
    assignments = []
    for ready, fingerprint in zip(ready_members, fingerprints, strict=True):
        partition = open_partition(
            resources.store,
            fingerprint,
            images=images,
            shard_size=shard_size,
            label=ready.member.identity,
        )
        batch = ready.batch
        if not all(partition.begun(shard) for shard in partition.shards):
            batch = batch_size(ready, images, resources.store, fingerprint)
        assignments.append(Assignment(job_of(ready, batch), partition))
    return assignments


def _warn_of_turns(count: int, progress: Progress) -> None:
    """Say that images were turned, which whoever trained a net may not have done."""
    if count:
        progress.warn(
            f"{count} images were turned as their EXIF orientation says. torchvision's and timm's "
            f"data sets do not turn images, OpenCV does: say --exif ignore where the training did "
            f"not"
        )


def _cut_alike(assignments: Sequence[Assignment]) -> list[list[Assignment]]:
    """Group the members whose shards are cut alike: partitions keep the size they have."""
    sizes = dict.fromkeys(each.partition.shard_size for each in assignments)
    return [[a for a in assignments if a.partition.shard_size == size] for size in sizes]


def _total(tallies: Iterable[Tally]) -> Tally:
    """Add up what happened."""
    dropped: tuple[str, ...] = ()
    evaluations, warnings, sizes = 0, Counter[str](), dict[str, int]()
    for tally in tallies:
        dropped += tally.dropped
        evaluations += tally.evaluations
        warnings.update(tally.warnings)
        sizes |= tally.batch_sizes
    return Tally(dropped, evaluations, warnings, sizes)
