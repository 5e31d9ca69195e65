"""The whole path: images and members in, a submission out. No maths and no terminal here."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from ensemble import lineup, publish, runs, submission, voting, weights
from ensemble.card import Head
from ensemble.config import Recipe, check_recipe
from ensemble.errors import MemberError, UsageError
from ensemble.files import sha256_json
from ensemble.images import Hashed, hash_sources, scan
from ensemble.members import Member
from ensemble.paths import expand
from ensemble.predict import Job, Progress, Tally, predict
from ensemble.publish import Entry, Poll, Submission
from ensemble.session import CPU, CUDA, available_threads, check_device, why_no_cuda
from ensemble.spec import View
from ensemble.store import Partition, key_of, load_partition, open_partition

ENGINE: Final = 1
"""The schema of the fingerprint: raised when the engine's predictions change."""

_SHARD: Final = 1024
_SHARD_BYTES: Final = 512 * 1024 * 1024


class Quiet:
    """A progress that says nothing."""

    def start(self, total: int, members: int) -> None:
        """Say nothing."""

    def advance(self, evaluations: int) -> None:
        """Say nothing."""

    def warn(self, message: str) -> None:
        """Say nothing."""


def run(recipe: Recipe, progress: Progress | None = None) -> Submission:
    """Score images with members, and write the submission.

    Raises:
        EnsembleError: see `ensemble.errors`; a leaf for each exit code.
    """
    began = time.time()
    progress = progress or Quiet()
    check_recipe(recipe)
    check_device(recipe.device)
    out = runs.claim(recipe)
    players = _line_up(recipe, progress)
    head = players[0].member.card.head(recipe.head)
    images, skipped = _find_images(recipe, progress)
    sample = publish.sample_for(recipe, head, [image.source.id for image in images])
    policy, image_set = lineup.read_policy(recipe.tta), _image_set(images)
    jobs = [_job(recipe, p, policy, image_set, len(images)) for p in players]
    tally = _predict(recipe, images, jobs, progress)
    entries = [
        _entry(player.member, recipe.head, job.partition)
        for player, job in zip(players, jobs, strict=True)
        if job.name not in tally.dropped
    ]
    facts = {
        "recipe_sha256": runs.recipe_hash(recipe),
        "provider": players[0].scorer.provider,
        "seconds": round(time.time() - began, 3),
        "evaluations": tally.evaluations,
        "dropped_members": list(tally.dropped),
        "skipped_files": dict(skipped),
        "odd_files": dict(tally.warnings),
    }
    return publish.publish(recipe, out, Poll(entries, sample, facts), progress)


def vote(
    recipe: Recipe, run_folder: Path | None = None, progress: Progress | None = None
) -> Submission:
    """Make a submission from what the store holds, with no model run.

    Args:
        recipe: How to vote and what to write; its members, images and views name the
            predictions unless `run_folder` does.
        run_folder: The folder of an earlier run, whose predictions are voted on again.
        progress: Told of warnings.

    Raises:
        UsageError: the store does not hold all predictions; says which are missing.
        EnsembleError: as for `run`.
    """
    progress = progress or Quiet()
    check_recipe(recipe)
    check_device(recipe.device)
    facts: dict[str, object] = {"provider": None, "evaluations": 0}
    keys: list[str] = []
    if run_folder is None:
        entries = _entries_of_members(recipe, progress)
    else:
        earlier = runs.read_run(run_folder)
        recipe = runs.carried(recipe, earlier)
        keys = [voter.key for voter in earlier.members]
        facts["run"] = str(run_folder)
        entries = publish.entries_of_run(earlier, recipe.store, recipe.head)
    _check_weights(recipe, [(e.family, e.sha256, e.head) for e in entries])
    out = runs.claim(recipe, keys)
    facts["recipe_sha256"] = runs.recipe_hash(recipe, keys)
    sample = publish.sample_for(recipe, entries[0].head, publish.scored_ids(entries))
    return publish.publish(recipe, out, Poll(entries, sample, facts), progress)


def _line_up(recipe: Recipe, progress: Progress) -> list[lineup.Player]:
    members = lineup.open_members(expand(recipe.members, ".onnx", "member"), recipe.head)
    _check_weights(recipe, [(m.card.family, m.sha256, m.card.head(recipe.head)) for m in members])
    policy = lineup.read_policy(recipe.tta)
    if recipe.device == "auto" and (reason := why_no_cuda()):
        progress.warn(f"running on the CPU: {reason}")
    return [
        lineup.start(
            member,
            policy,
            recipe.merge,
            device=recipe.device,
            threads=recipe.threads,
            batch=recipe.batch_size,
        )
        for member in members
    ]


def _check_weights(recipe: Recipe, voters: Sequence[tuple[str, str, Head]]) -> None:
    """Check weights against the family, hash and head of each member, before any work."""
    head = voters[0][2]
    voting.check_vote(recipe.voting, recipe.weights, head.task)
    if recipe.weights is None:
        return
    families: dict[str, list[str]] = {}
    for family, sha256, _ in voters:
        families.setdefault(family, []).append(sha256)
    weights.check_fits(recipe.weights, head.classes, families)


def _find_images(recipe: Recipe, progress: Progress) -> tuple[list[Hashed], Mapping[str, int]]:
    found = scan(recipe.images, recipe.id_from)
    for reason, count in found.skipped.items():
        progress.warn(f"skipped {count} of the files: {reason}")
    threads = recipe.threads or available_threads()
    odd = submission.formula_like([source.id for source in found.images])
    if odd:
        progress.warn(f"{len(odd)} ids start with = + - or @, such as {odd[0]!r}: a spreadsheet "
                      f"would run them as formulas")  # fmt: skip
    return hash_sources(found.images, threads), found.skipped


def _fingerprint(
    recipe: Recipe, member: Member, policy: Sequence[View], provider: str, images: str
) -> dict[str, object]:
    return {
        "engine": ENGINE,
        "member": member.sha256,
        "preprocess": asdict(member.card.preprocess),
        "heads": [asdict(head) for head in member.card.heads],
        "views": [[asdict(op) for op in view.ops] for view in policy],
        "merge": recipe.merge,
        "decode": asdict(recipe.decode),
        "precision": "fp32",
        "provider": provider,
        "images": images,
    }


def _image_set(images: Sequence[Hashed]) -> str:
    return sha256_json([[image.source.id, image.bytes, image.sha256] for image in images])


def _job(
    recipe: Recipe, player: lineup.Player, policy: Sequence[View], image_set: str, images: int
) -> Job:
    member = player.member
    fingerprint = _fingerprint(recipe, member, policy, player.scorer.provider, image_set)
    partition = open_partition(
        recipe.store,
        fingerprint,
        images=images,
        shard_size=_shard_size(recipe, member),
    )
    geometry = member.card.preprocess.geometry
    return Job(
        member.card.name, player.scorer, geometry, player.batch, player.fixed_batch, partition
    )


def _shard_size(recipe: Recipe, member: Member) -> int:
    if recipe.shard_size:
        return recipe.shard_size
    pre = member.card.preprocess
    bytes_per_image = pre.size.height * pre.size.width * len(pre.mean)
    return max(1, min(_SHARD, _SHARD_BYTES // bytes_per_image))


def _predict(
    recipe: Recipe, images: Sequence[Hashed], jobs: Sequence[Job], progress: Progress
) -> Tally:
    """Score group by group: members whose shards are cut alike share their pixels."""
    tallies = []
    for size in dict.fromkeys(job.partition.shard_size for job in jobs):
        group = [job for job in jobs if job.partition.shard_size == size]
        tallies.append(
            predict(
                images,
                group,
                recipe.decode,
                progress,
                threads=recipe.threads or available_threads(),
                drop_nan=recipe.on_nan == "drop-member",
            )
        )
    warnings = sum((Counter(t.warnings) for t in tallies), Counter[str]())
    dropped = tuple(name for t in tallies for name in t.dropped)
    if len(dropped) == len(jobs):
        raise MemberError(f"every member gave NaN: {', '.join(dropped)}")
    for name in dropped:
        progress.warn(f"member {name} gave NaN and was dropped, as --on-nan drop-member says")
    return Tally(dropped, sum(t.evaluations for t in tallies), warnings)


def _entries_of_members(recipe: Recipe, progress: Progress) -> list[Entry]:
    members = lineup.open_members(expand(recipe.members, ".onnx", "member"), recipe.head)
    policy = lineup.read_policy(recipe.tta)
    for member in members:
        lineup.shape_views(member, policy)
    images, _ = _find_images(recipe, progress)
    image_set = _image_set(images)
    missing: list[str] = []
    for provider in _providers(recipe.device):
        entries, missing = [], []
        for m in members:
            fingerprint = _fingerprint(recipe, m, policy, provider, image_set)
            partition = load_partition(recipe.store, key_of(fingerprint))
            if partition is None or not partition.complete():
                missing.append(m.card.name)
                continue
            entries.append(_entry(m, recipe.head, partition))
        if not missing:
            return entries
    raise UsageError(
        f"the store {recipe.store} lacks predictions of {', '.join(missing)} for these images "
        f"and --tta {recipe.tta}; make them with `ensemble run`"
    )


def _entry(member: Member, head: str | None, partition: Partition) -> Entry:
    card = member.card
    return Entry(card.name, card.family, card.fold, member.sha256, partition, card.head(head))


def _providers(device: str) -> tuple[str, ...]:
    if device == "auto":
        return (CUDA, CPU)
    return (CPU,) if device == "cpu" else (CUDA,)
