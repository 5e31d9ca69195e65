"""Early exit over an image set: calibration, certificate and pace, into the store."""

import os
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import numpy as np

from ensemble.arrays import Indices
from ensemble.batches import Progress
from ensemble.card import Head
from ensemble.cast import Cast, Way, cast_of, open_plan
from ensemble.config import Recipe, Saving, exit_told
from ensemble.early import Engine, Known, leave
from ensemble.errors import UsageError
from ensemble.exitplan import ENDS, Plan, calibrated_of
from ensemble.exitrecord import Kept, certificate_of, record_of
from ensemble.exits.certificate import Certificate, draw, least_size
from ensemble.exits.course import Ends
from ensemble.exits.rules import why_not
from ensemble.files import sha256_json
from ensemble.fingerprints import SHARD, shard_size_of
from ensemble.pacing import (
    Work,
    check_budget,
    expected,
    left_of,
    pace_of,
    take_sample,
)
from ensemble.paths import natural_key
from ensemble.session import available_threads
from ensemble.store import Label, Partition, hold, key_of, load_partition, open_partition
from ensemble.votes import Entry, Votes, hashes_of
from ensemble.warmup import batch_size
from ensemble.watch import read_watch
from ensemble.weights import Weights

_SHARDS: Final = 2
"""How much larger than a plain shard one is here: the fuller a batch of what is left of it."""

_SMALLEST: Final = 256
_QUARTER: Final = 4
_CORRECTIONS: Final = 24


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


def score(work: Work, progress: Progress) -> Exited:
    """Evaluate images until their labels are certain, or certain enough; keep it in the store.

    Raises:
        ScoreError: a member failed, or gave NaN.
        UsageError: a budget too small for one evaluation an image, or another run at work here.
        StoreError: the disk refused.
    """
    recipe, saving, images = work.recipe, work.saving, work.images
    _check_calibration(saving, len(images))
    cast = cast_of(recipe, work.head, work.players, images)
    fingerprint = cast.fingerprint(saving)
    watch, size = read_watch(os.environ), _shard_size(work)
    with ExitStack() as held:
        held.enter_context(hold(recipe.store, [key_of(fingerprint)], watch.pid))
        partition = open_partition(
            recipe.store, fingerprint, images=len(images), shard_size=size,
            label=Label(f"labels, {exit_told(recipe)}", "early exit"),
        )  # fmt: skip
        plan = open_plan(partition, cast, saving)
        sample = None
        drawn = draw(sha256_json(fingerprint), len(images), plan.calibrated)
        if plan.calibrated:
            told = cast.sample(plan, [images[row] for row in drawn.tolist()])
            held.enter_context(hold(recipe.store, [key_of(told)], watch.pid))
            sample = open_partition(
                recipe.store, told, images=plan.calibrated, shard_size=size,
                label=Label("calibration", "early exit"),
            )  # fmt: skip
        threads = recipe.threads or available_threads()
        engine = Engine(images, recipe.decode, threads, progress, watch, {}, Counter())
        way = cast.way(plan, _batch_sizes(work, cast))
        check_budget(saving, way, plan.calibrated, len(images))
        rest = left_of(partition, drawn)
        fresh = left_of(sample, np.empty(0, np.int64)) if sample else 0
        progress.start(len(way.stages) * (fresh + rest), len(way.stages))
        sampled = take_sample(engine, way, plan, drawn, sample) if sample else None
        course = sampled.course if sampled else None
        certificate = certificate_of(saving, course, len(images), plan.calibrated)
        pace = pace_of(
            work, way, sampled, certificate, rest=rest, shard_size=partition.shard_size
        )  # fmt: skip
        if sampled is not None:
            progress.warn(expected(sampled, pace, rest))
        known = sampled.known if sampled else _nobody(way, work.head)
        made = leave(engine, way, partition, known, pace) + (sampled.made if sampled else 0)
    left = _Left(partition, sample.key if sample else None, certificate, made, engine.odd)
    return _read(work, cast, plan, left)


def stored_entries(work: Work) -> list[Entry] | None:
    """Return the members' own predictions where the store has all of them, else None.

    Then every evaluation is there already, and no image need end early; unless an early exit of
    these settings has begun, which goes on as it began.

    Raises:
        StoreError: a key.json of the store was edited.
    """
    cast = cast_of(work.recipe, work.head, work.players, work.images)
    found = cast.whole()
    begun = load_partition(work.recipe.store, key_of(cast.fingerprint(work.saving)))
    if begun is not None or len(found) < len(cast.names):
        return None
    members = {player.member.card.name: player.member for player in work.players}
    return [
        Entry(m.card.name, m.card.family, m.card.fold, m.sha256, found[name], work.head)
        for name, m in members.items()
    ]


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What is known before the work: evaluations an image at most, and what is done of it.

    `calibrated` images get every evaluation, None where their cost is to decide; `views` are how
    many evaluations a member is; `shards` those of the labels.
    """

    stages: int
    calibrated: int | None
    views: int
    shards: int
    shards_stored: int


def foreseen(work: Work) -> Foreseen:
    """Return what is known before the work; nothing is measured or written.

    Raises:
        StoreError: a key.json of the store was edited.
    """
    cast = cast_of(work.recipe, work.head, work.players, work.images)
    fingerprint = cast.fingerprint(work.saving)
    key, size = key_of(fingerprint), _shard_size(work)
    partition = load_partition(work.recipe.store, key) or Partition(
        work.recipe.store / "predictions" / key, key, fingerprint, len(work.images), size
    )
    done = sum(partition.committed(shard) for shard in partition.shards)
    evaluations = cast.evaluations(dict.fromkeys(cast.names, 1.0))
    timed = work.saving.seconds is not None and not work.saving.calibration
    return Foreseen(
        stages=len(evaluations),
        calibrated=None if timed else calibrated_of(work.saving, len(work.images), evaluations),
        views=len(cast.policy) if cast.apart else 1,
        shards=len(partition.shards),
        shards_stored=done,
    )


def _check_calibration(saving: Saving, images: int) -> None:
    """Refuse a calibration that can certify nothing, whatever it finds."""
    if saving.epsilon is None or not saving.calibration or saving.rule == "budget":
        return
    least = least_size(images, saving.epsilon, saving.confidence)
    if saving.calibration < least:
        raise UsageError(
            f"--calibration {saving.calibration} can certify nothing: {100 * saving.epsilon:g} % "
            f"of {images} images needs {least} or more, or another --early-exit or --confidence"
        )


def _batch_sizes(work: Work, cast: Cast) -> dict[str, int]:
    count, store = len(work.images) // _QUARTER, work.recipe.store  # so much each has to do, about
    return {
        player.member.card.name: batch_size(player, count, store, cast.in_graph(player))
        for player in work.players
    }


def _shard_size(work: Work) -> int:
    """Return how many images a new shard has."""
    most = _SHARDS * SHARD
    if work.saving.rule == "budget":  # which is corrected after each shard; the last is no stub
        most = min(most, max(_SMALLEST, -(-len(work.images) // _CORRECTIONS)))
    return shard_size_of(work.recipe, [player.member for player in work.players], most)


def _nobody(way: Way, head: Head) -> Known:
    """Return the calibrated images of a run without calibration."""
    classes = len(head.classes)
    labels = np.empty((0, classes if head.task == "multilabel" else 1), np.int64)
    none = np.empty(0, np.int64)
    return Known(none, none, Ends(labels, none, np.empty((way.ledger.depth, 0, classes))))


def _read(work: Work, cast: Cast, plan: Plan, left: "_Left") -> Exited:
    """Return what the store now holds of the run, and what run.json is to say."""
    scores = left.partition.read(ENDS)
    votes = Votes(
        head=work.head,
        ids=scores.ids,
        ballots=(),
        quarantined=tuple(sorted(scores.quarantined, key=lambda q: natural_key(q.id))),
        members=tuple(cast.records()),
        hashes=hashes_of([(p.member.card.family, p.member.sha256) for p in work.players]),
    )
    record = record_of(
        cast.terms(work.saving), Kept(left.partition.key, left.sample, plan), left.certificate,
        scores.probs,
    )  # fmt: skip
    evaluations, labels = (scores.probs[:, at].astype(np.int64) for at in (0, slice(2, None)))
    return Exited(votes, labels, evaluations, record, left.made, left.odd)


@dataclass(frozen=True, slots=True, eq=False)
class _Left:
    """What a run leaves: partition, key of the calibration, certificate; and the work done."""

    partition: Partition
    sample: str | None
    certificate: Certificate | None
    made: int
    odd: Mapping[str, int]
