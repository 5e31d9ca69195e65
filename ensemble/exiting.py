"""Early exit over an image set: calibration, certificate and pace, into the store."""

import math
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from ensemble import lineup
from ensemble.arrays import Indices
from ensemble.batches import Progress
from ensemble.card import Head
from ensemble.config import Recipe, Saving
from ensemble.early import Engine, Known, calibrate, leave
from ensemble.errors import UsageError
from ensemble.exitplan import ENDS, Cast, Plan, Way, cast_of, column_of, open_plan
from ensemble.exits.budget import Budget
from ensemble.exits.certificate import Certificate, calibration_size, certify, draw
from ensemble.exits.course import Course, Ends, follow
from ensemble.exits.pace import Deadline, Pace, Spending, Steady
from ensemble.exits.rules import why_not
from ensemble.files import sha256_json
from ensemble.fingerprints import SHARD, shard_size_of
from ensemble.images import Hashed
from ensemble.paths import natural_key
from ensemble.session import available_threads
from ensemble.store import Label, Partition, hold, key_of, open_partition
from ensemble.votes import Votes, hashes_of
from ensemble.warmup import batch_size
from ensemble.watch import read_watch
from ensemble.weights import Weights

_SHARDS: Final = 2
"""How much larger than a plain shard one is here: the fuller a batch of what is left of it."""

_SAMPLE: Final = 300
"""Images that a budget without a certificate is calibrated on."""

_QUARTER: Final = 4
_SMALLEST: Final = 256
_CORRECTIONS: Final = 24
_RESERVE: Final = 0.02
_RESERVE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Exited:
    """What an early exit found.

    `votes` name who is predicted, and hold no ballots; `labels` are int64 (N, D), `evaluations`
    int64 (N,). `record` is what run.json says, `made` how many evaluations were made now, and
    `odd` what was odd about files, counted.
    """

    votes: Votes
    labels: Indices
    evaluations: Indices
    record: Mapping[str, object]
    made: int
    odd: Mapping[str, int]


def check(recipe: Recipe, saving: Saving, head: Head, *, labels: bool) -> None:
    """Refuse early exit where it has no meaning, before any work; `labels` tells what is wanted.

    Raises:
        UsageError: says why, and what to do instead.
    """
    weights = recipe.weights or Weights({})
    exact = saving.rule == "lossless"
    reason = why_not(
        voting=recipe.voting if exact or recipe.voting != "geometric" else "soft",
        pool=weights.pool if exact or weights.pool != "log-linear" else "linear",
        task=head.task,
        temperature=weights.temperature if exact else 1.0,
        decision=weights.decision,
        labels=labels,
    )
    if reason:
        raise UsageError(f"early exit: {reason}")
    if recipe.on_nan == "drop-member":
        raise UsageError(
            "early exit: a member that is dropped half-way would change what was decided before; "
            "use --on-nan fail, and leave the member out"
        )


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done: the settings, the members at work, the images.

    `began` is when the command began, by `time.monotonic`: a time budget counts from there.
    """

    recipe: Recipe
    saving: Saving
    head: Head
    players: Sequence[lineup.Player]
    images: Sequence[Hashed]
    began: float


def score(work: Work, progress: Progress) -> Exited:
    """Evaluate images until their labels are certain, or certain enough; keep it in the store.

    Raises:
        ScoreError: a member failed, or gave NaN.
        UsageError: a budget too small for one evaluation an image, or another run at work here.
        StoreError: the disk refused.
    """
    recipe, saving, images = work.recipe, work.saving, work.images
    cast = cast_of(recipe, work.head, work.players, images)
    stages = len(cast.evaluations(dict.fromkeys(cast.names, 1.0)))
    calibrated = calibrated_of(saving, len(images), stages)
    fingerprint = cast.fingerprint(saving, calibrated)
    drawn = draw(sha256_json(fingerprint), len(images), calibrated)
    sample = cast.sample([images[row] for row in drawn.tolist()])
    watch = read_watch(os.environ)
    with hold(recipe.store, [key_of(fingerprint), key_of(sample)], watch.pid):
        partition = open_partition(
            recipe.store, fingerprint, images=len(images), shard_size=_shard_size(work),
            label=Label("labels", "early exit"),
        )  # fmt: skip
        plan = open_plan(partition, cast)
        threads = recipe.threads or available_threads()
        engine = Engine(images, recipe.decode, threads, progress, watch, {}, Counter())
        sizes = {
            player.member.card.name: batch_size(
                player, len(images), recipe.store, cast.in_graph(player)
            )
            for player in work.players
        }
        way = cast.way(plan, sizes)
        progress.start(stages * _left(partition, calibrated), stages)
        sampled = _sample(engine, way, plan, drawn, _opened(recipe, sample, calibrated))
        pace, certificate = _pace(work, way, sampled)
        if sampled is not None:
            progress.warn(_expected(sampled.course, pace, len(images) - calibrated))
        known = sampled.known if sampled else _nobody(way, work.head)
        made = leave(engine, way, partition, known, pace) + (sampled.made if sampled else 0)
    kept = _Kept(partition, key_of(sample) if sampled else None, certificate, made, engine.odd)
    return _read(work, cast, plan, kept)


def foreseen(work: Work) -> dict[str, int]:
    """Return what is known before the work: evaluations an image at most, and calibrated images.

    Raises:
        StoreError: a key.json of the store was edited.
    """
    cast = cast_of(work.recipe, work.head, work.players, work.images)
    stages = len(cast.evaluations(dict.fromkeys(cast.names, 1.0)))
    calibrated = calibrated_of(work.saving, len(work.images), stages)
    return {"stages": stages, "calibrated": calibrated}


@dataclass(frozen=True, slots=True, eq=False)
class _Sampled:
    """The calibrated images: how they ended and went, and what it took: evaluations, seconds."""

    known: Known
    course: Course
    made: int
    seconds: float


def calibrated_of(saving: Saving, images: int, stages: int) -> int:
    """Return how many of the images get every one of so many evaluations."""
    if saving.rule == "lossless":
        return 0
    if saving.calibration:
        return min(saving.calibration, images)
    if saving.epsilon is not None:
        return calibration_size(images, saving.epsilon, saving.confidence)
    most = images // _QUARTER
    if saving.evaluations is not None:  # the calibration is to take a quarter of the budget at most
        most = min(most, math.floor(saving.evaluations * images / stages) // _QUARTER)
    return max(1, min(_SAMPLE, most))


def _shard_size(work: Work) -> int:
    """Return how many images a new shard has."""
    most = _SHARDS * SHARD
    if work.saving.rule == "budget":  # which is corrected after each shard
        most = min(most, max(_SMALLEST, len(work.images) // _CORRECTIONS))
    return shard_size_of(work.recipe, [player.member for player in work.players], most)


def _opened(recipe: Recipe, sample: Mapping[str, object], calibrated: int) -> Partition | None:
    if not calibrated:
        return None
    return open_partition(
        recipe.store, sample, images=calibrated, shard_size=max(calibrated, 1),
        label=Label("calibration", "early exit"),
    )  # fmt: skip


def _left(partition: Partition, calibrated: int) -> int:
    """Return how many images are still to be done, about."""
    todo = [shard for shard in partition.shards if not partition.committed(shard)]
    rows = [partition.rows(shard) for shard in todo]
    return sum(row.stop - row.start for row in rows) if rows else calibrated


def _sample(
    engine: Engine, way: Way, plan: Plan, drawn: Indices, partition: Partition | None
) -> _Sampled | None:
    """Give the drawn images every evaluation; None where no image is drawn."""
    if partition is None:
        return None
    began = time.monotonic()
    todo = [shard for shard in partition.shards if not partition.committed(shard)]
    made = len(way.stages) * sum(
        partition.rows(shard).stop - partition.rows(shard).start for shard in todo
    )
    names = [column_of(evaluation) for evaluation in plan.evaluations]
    calibrate(engine, dict(zip(names, way.stages, strict=True)), drawn, partition)
    seconds = time.monotonic() - began
    held = [partition.read(name) for name in names]
    stack = np.stack([scores.probs for scores in held])
    course = follow(way.ledger, stack)
    sums = np.zeros((way.ledger.depth, *stack.shape[1:]))
    for stage, probs in enumerate(stack):
        way.ledger.add(sums, stage, probs)
    place = {engine.images[row].source.id: row for row in drawn.tolist()}
    rows = np.array([place[name] for name in held[0].ids], np.int64)
    ends = Ends(course.labels[-1], np.full(len(rows), len(stack)), sums)
    return _Sampled(Known(drawn, rows, ends, held[0].quarantined), course, made, seconds)


def _pace(work: Work, way: Way, sampled: _Sampled | None) -> tuple[Pace, Certificate | None]:
    """Return what decides the thresholds, and what is certified."""
    saving, images = work.saving, len(work.images)
    certificate = _certificate(saving, sampled.course if sampled else None, images)
    if saving.rule != "budget" or sampled is None:
        return Steady(certificate.bound if certificate else math.inf), certificate
    drawn, stages = len(sampled.known.drawn), len(way.stages)
    rest = images - drawn
    if saving.evaluations is not None:
        left = saving.evaluations * images - stages * drawn
        if left < rest:
            raise UsageError(
                f"a budget of {saving.evaluations:g} evaluations an image is too small: "
                f"{drawn} calibrated images take {stages} each, which leaves "
                f"{left / max(rest, 1):.2f} for each of the others. Allow more, or give a smaller "
                f"--calibration"
            )
        return Spending(sampled.course, np.ones(stages), Budget(left, rest)), certificate
    return _deadline(work, way, sampled, rest), certificate


def _certificate(saving: Saving, course: Course | None, images: int) -> Certificate | None:
    if saving.epsilon is None:
        return None
    if course is None:
        return Certificate(images, 0, None, 0, saving.epsilon, saving.confidence, 1.0)
    return certify(course, images, saving.epsilon, saving.confidence)


def _deadline(work: Work, way: Way, sampled: _Sampled, rest: int) -> Deadline:
    """Return the pace of a time budget; a little of it is kept for the vote and the files."""
    seconds = work.saving.seconds or 0.0
    until = work.began + seconds * (1 - _RESERVE) - _RESERVE_SECONDS
    done = way.costs.sum() * sampled.made / len(way.stages)
    ratio = sampled.seconds / done if done else 1.0
    left, least = until - time.monotonic(), float(way.costs[0]) * ratio * rest
    if left < least:
        raise UsageError(
            f"a time budget of {seconds:.0f} s is too small: {max(left, 0):.0f} s are left for "
            f"{rest} images, and one evaluation of each takes about {least:.0f} s"
        )
    return Deadline(sampled.course, way.costs, until, rest, ratio)


def _expected(course: Course, pace: Pace, rest: int) -> str:
    """Say beforehand what the run expects."""
    stages, threshold = len(course.z), pace.threshold()
    mean = course.evaluations(threshold).mean()
    differ = int(course.disagree(threshold).sum())
    return (
        f"expecting {mean:.2f} of {stages} evaluations for each of {rest} images; so many would "
        f"give another label to {differ} of the {course.z.shape[1]} that got all"
    )


def _nobody(way: Way, head: Head) -> Known:
    """Return the calibrated images of a run without calibration."""
    classes = len(head.classes)
    labels = np.empty((0, classes if head.task == "multilabel" else 1), np.int64)
    none = np.empty(0, np.int64)
    return Known(none, none, Ends(labels, none, np.empty((way.ledger.depth, 0, classes))))


def _read(work: Work, cast: Cast, plan: Plan, kept: "_Kept") -> Exited:
    """Return what the store now holds of the run, and what run.json is to say."""
    scores = kept.partition.read(ENDS)
    evaluations = scores.probs[:, 0].astype(np.int64)
    thresholds = scores.probs[:, 1]
    votes = Votes(
        head=work.head,
        ids=scores.ids,
        ballots=(),
        quarantined=tuple(sorted(scores.quarantined, key=lambda q: natural_key(q.id))),
        members=tuple(cast.records()),
        hashes=hashes_of([(p.member.card.family, p.member.sha256) for p in work.players]),
    )
    holds = _holds(kept.certificate, float(thresholds.min(initial=math.inf)))
    mean = float(evaluations.mean()) if len(evaluations) else 0.0
    stages = len(plan.evaluations)
    record = {
        "rule": work.saving.rule,
        "key": kept.partition.key,
        "calibration": kept.sample,
        "stages": stages,
        "evaluations_per_image": mean,
        "certificate": asdict(kept.certificate) if kept.certificate and holds else None,
        "task": work.head.task,
        "words": _words(work, kept.certificate, holds=holds, mean=mean, stages=stages),
    }
    labels = scores.probs[:, 2:].astype(np.int64)
    return Exited(votes, labels, evaluations, record, kept.made, kept.odd)


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """What was kept: the partition, the calibration's key, the certificate; and the work done."""

    partition: Partition
    sample: str | None
    certificate: Certificate | None
    made: int
    odd: Mapping[str, int]


def _holds(certificate: Certificate | None, least: float) -> bool:
    """Tell whether a certificate covers a run whose least threshold is `least`."""
    return certificate is not None and least >= certificate.bound


def _words(
    work: Work, certificate: Certificate | None, *, holds: bool, mean: float, stages: int
) -> str:
    """Say in words what was done, and what is certain about it."""
    took = f"{mean:.2f} of {stages} evaluations an image"
    if work.saving.rule == "lossless":
        return f"{took}; every label is the full ensemble's"
    if certificate is None:
        return f"{took}; nothing is certified, for no share such as --early-exit 0.5% was asked for"
    if not holds:
        return (
            f"{took}; the budget ended images earlier than a certificate for "
            f"{100 * certificate.epsilon:.3g} % allows, so nothing is certified"
        )
    return f"{took}; {certificate}"
