"""Members over images: started, found, scored shard by shard into the store."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from ensemble.errors import MemberError, few
from ensemble.files import csv_tables
from ensemble.files.atomic import check_writable
from ensemble.files.paths import expand
from ensemble.images.reading import Hashed, hash_sources
from ensemble.images.sources import scan
from ensemble.inference.batch_size import batch_size
from ensemble.inference.fingerprint import ImageSet, fingerprint_of, shard_size_of
from ensemble.inference.loop import Engine
from ensemble.inference.predict import Assignment, Tally, predict
from ensemble.inference.probe import seconds_per_image
from ensemble.inference.ready import ReadyMember, job_of
from ensemble.inference.start import graph_views, open_members, shape_views, start_shaped
from ensemble.members.card import Head
from ensemble.members.member import Member
from ensemble.predictions.store import (
    Partition,
    hold,
    key_of,
    load_partition,
    open_partition,
)
from ensemble.predictions.stored import StoredPredictions
from ensemble.progress import Progress
from ensemble.recipe.resolve import Inputs, Recipe
from ensemble.records import View, hashes_of
from ensemble.runtime.devices import CPU, available_threads
from ensemble.runtime.wheels import check_wheels, installed
from ensemble.voting import vote, weights
from ensemble.worker import Watch, read_watch


def line_up(
    recipe: Recipe, policy: Sequence[View], progress: Progress, *, exits: bool = False
) -> list[ReadyMember]:
    """Open the members and start their sessions, each proven on a probe batch.

    With `exits` their graphs have no views where the host can make them; see `pixels.apart`.

    Raises:
        UsageError: members, weights or views that do not go together, or a store that cannot be
            written to.
        MemberError: a member is not usable.
        ProviderError: the device does not start, or two wheels of ONNX Runtime are installed.
    """
    check_wheels(installed())
    check_writable(recipe.resources.store, "--store")
    members = open_members(expand(recipe.inputs.members, ".onnx", "member"), recipe.inputs.head)
    hashes = hashes_of(m.identity for m in members)
    check_weights(recipe, members[0].card.head(recipe.inputs.head), hashes)
    shaped = [shape_views(member, policy) for member in members]
    start = partial(
        start_shaped,
        merge=recipe.scoring.merge,
        device=recipe.scoring.device,
        threads=recipe.resources.threads,
        batch=recipe.resources.batch_size,
        precision=recipe.scoring.precision,
        cache=recipe.resources.store / "engines",
    )
    inside = graph_views(recipe, shaped, members) if exits else shaped
    with ThreadPoolExecutor(recipe.resources.threads or available_threads()) as pool:
        players = list(pool.map(start, members, inside))
    _warn_of_cpu(recipe, [p for p in players if p.scorer.provider == CPU], len(players), progress)
    return players


def _warn_of_cpu(
    recipe: Recipe, there: Sequence[ReadyMember], members: int, progress: Progress
) -> None:
    """Say what runs on the CPU that might not, and why."""
    if not there:
        return
    if recipe.scoring.device == "auto":
        names = few([player.member.card.name for player in there])
        who = "" if len(there) == members else f"{names}: "
        progress.warn(f"{who}running on the CPU: {there[0].scorer.why_cpu}")
    if recipe.scoring.precision == "fp16":
        progress.warn("float16 is slower than float32 on the CPU: it pays on a GPU only")


def check_weights(recipe: Recipe, head: Head, members: Mapping[str, Sequence[str]]) -> None:
    """Check weights against the head and each family's member hashes, before any work.

    Raises:
        UsageError: they are for something else.
    """
    vote.check_vote(recipe.fusion.voting, recipe.fusion.weights, head.task)
    if recipe.fusion.weights is not None:
        weights.check_fits(recipe.fusion.weights, head.classes, members)


def find_images(
    inputs: Inputs, threads: int, progress: Progress
) -> tuple[list[Hashed], Mapping[str, int]]:
    """Find and hash the images; return them in the order of their ids, and what was skipped.

    Raises:
        UsageError: no images, or ids that are not unique.
    """
    found = scan(inputs.images, inputs.id_from)
    for reason, count in found.skipped.items():
        progress.warn(f"skipped {count} of the files: {reason}")
    odd = csv_tables.formula_like([source.id for source in found.images])
    if odd:
        progress.warn(f"{len(odd)} ids start with = + - or @, such as {odd[0]!r}: a spreadsheet "
                      f"would run them as formulas")  # fmt: skip
    return hash_sources(found.images, threads or available_threads()), found.skipped


def _assignment(
    recipe: Recipe,
    player: ReadyMember,
    fingerprint: Mapping[str, object],
    images: int,
    shard_size: int,
) -> Assignment:
    member = player.member
    partition = open_partition(
        recipe.resources.store,
        fingerprint,
        images=images,
        shard_size=shard_size,
        label=member.identity,
    )
    batch = player.batch
    if not all(partition.begun(shard) for shard in partition.shards):
        batch = batch_size(player, images, recipe.resources.store, fingerprint)
    return Assignment(job_of(player, batch), partition)


@dataclass(frozen=True, slots=True)
class MemberForecast:
    """What one member has to do: shards and evaluations, those that the store has, and the cost.

    `bytes` is what its new parts will take, `seconds` what its forwards will, by the speed of a
    small batch; decoding is not in it.
    """

    member: str
    provider: str
    key: str
    shards: int
    shards_stored: int
    evaluations: int
    evaluations_stored: int
    bytes: int
    seconds: float


def plan(
    recipe: Recipe, policy: Sequence[View], players: Sequence[ReadyMember], images: ImageSet
) -> list[MemberForecast]:
    """Return what `score_into_store` would do with members of these views; nothing is written.

    Raises:
        StoreError: a key.json of the store was edited.
    """
    size = shard_size_of(recipe.resources, [player.member for player in players])
    planned = []
    for player in players:
        provider = player.scorer.provider
        fingerprint = fingerprint_of(recipe, player.member, policy, provider, images)
        key = key_of(fingerprint)
        folder = recipe.resources.store / "predictions" / key
        partition = load_partition(recipe.resources.store, key)
        partition = partition or Partition(folder, key, fingerprint, len(images.images), size)
        planned.append(_planned(player, partition, images.images))
    return planned


def _planned(player: ReadyMember, partition: Partition, images: Sequence[Hashed]) -> MemberForecast:
    todo = [s for s in partition.shards if not partition.committed(s)]
    rows = [image for s in todo for image in images[partition.rows(s)]]
    columns = sum(partition.heads.values())
    return MemberForecast(
        member=player.member.card.name,
        provider=player.scorer.provider,
        key=partition.key,
        shards=len(partition.shards),
        shards_stored=len(partition.shards) - len(todo),
        evaluations=len(rows),
        evaluations_stored=len(images) - len(rows),
        bytes=sum(4 * (columns + 1) + len(image.source.id.encode()) for image in rows),
        seconds=len(rows) * seconds_per_image(player) if rows else 0.0,
    )


def score_into_store(
    recipe: Recipe, players: Sequence[ReadyMember], images: ImageSet, progress: Progress
) -> tuple[list[StoredPredictions], Tally]:
    """Score images with members, shard by shard, into the store.

    Members whose shards are cut alike share their pixels.

    Raises:
        ScoreError: a member failed, or gave NaN and is not to be dropped.
        MemberError: every member was dropped.
        UsageError: another run is making these predictions now.
        StoreError: the disk refused.
    """
    fingerprints = [
        fingerprint_of(recipe, p.member, p.policy, p.scorer.provider, images) for p in players
    ]
    watch = read_watch(os.environ)
    shard_size = shard_size_of(recipe.resources, [player.member for player in players])
    with hold(recipe.resources.store, [key_of(f) for f in fingerprints], watch.pid):
        assignments = [
            _assignment(recipe, player, fingerprint, len(images.images), shard_size)
            for player, fingerprint in zip(players, fingerprints, strict=True)
        ]
        tallies = _predict(recipe, assignments, images.images, progress, watch)
    warnings = sum((Counter(t.warnings) for t in tallies), Counter[str]())
    _warn_of_turns(warnings["exif turned"], progress)
    dropped = tuple(name for t in tallies for name in t.dropped)
    if len(dropped) == len(assignments):
        raise MemberError(f"every member gave NaN: {', '.join(dropped)}")
    for name in dropped:
        progress.warn(f"member {name} gave NaN and was dropped, as --on-nan drop-member says")
    entries = [
        entry_of(player.member, recipe.inputs.head, assignment.partition)
        for player, assignment in zip(players, assignments, strict=True)
        if assignment.job.name not in dropped
    ]
    sizes = {name: size for t in tallies for name, size in t.batch_sizes.items()}
    return entries, Tally(dropped, sum(t.evaluations for t in tallies), warnings, sizes)


def _warn_of_turns(count: int, progress: Progress) -> None:
    """Say that images were turned, which whoever trained a net may not have done."""
    if count:
        progress.warn(
            f"{count} images were turned as their EXIF orientation says. torchvision's and timm's "
            f"data sets do not turn images, OpenCV does: say --exif ignore where the training did "
            f"not"
        )


def _predict(
    recipe: Recipe,
    assignments: Sequence[Assignment],
    images: Sequence[Hashed],
    progress: Progress,
    watch: Watch,
) -> list[Tally]:
    """Score the members whose shards are cut alike together."""
    threads, drop = recipe.resources.threads or available_threads(), recipe.scoring.on_nan != "fail"
    tallies = []
    for size in dict.fromkeys(each.partition.shard_size for each in assignments):
        group = [each for each in assignments if each.partition.shard_size == size]
        engine = Engine(images, recipe.inputs.decode, threads, progress, watch)
        tallies.append(predict(engine, group, drop_nan=drop))
    return tallies


def entry_of(member: Member, head: str | None, partition: Partition) -> StoredPredictions:
    """Return a member's entry for the vote on a head."""
    return StoredPredictions(member.identity, partition, member.card.head(head))
