"""Early exit over an image set: calibration, certificate and pace, into the store."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import numpy as np

from ensemble.arrays import Indices
from ensemble.early_exit.calibration import (
    check_budget,
    check_calibration,
    expected,
    left_of,
    pace_of,
    shard_size_for,
    take_sample,
)
from ensemble.early_exit.evaluate import Calibrated, leave
from ensemble.early_exit.plan import ENDS, ExitPlan
from ensemble.early_exit.record import Kept, Seen, certificate_of, record_of
from ensemble.early_exit.setup import ExitJob, ExitSetup, Schedule, open_plan
from ensemble.early_exit.stopping.certificate import Certificate, draw_sample
from ensemble.early_exit.stopping.rules import why_not
from ensemble.early_exit.stopping.trajectory import Exits, Trajectory
from ensemble.errors import UsageError
from ensemble.files.atomic import sha256_json
from ensemble.files.paths import natural_key
from ensemble.inference.batch_size import batch_size
from ensemble.inference.loop import Engine
from ensemble.members.card import Head
from ensemble.predictions.run_record import RecordedMember
from ensemble.predictions.store import (
    Partition,
    hold,
    key_of,
    load_partition,
    open_partition,
)
from ensemble.predictions.stored import StoredPredictions, Votes
from ensemble.progress import Progress
from ensemble.recipe.resolve import Recipe, Saving
from ensemble.records import TASKS, MemberId, hashes_of
from ensemble.runtime.devices import available_threads
from ensemble.voting.weights import Weights
from ensemble.worker import read_watch

_QUARTER: Final = 4


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
    weights = recipe.fusion.weights or Weights({})
    exact = saving.rule == "lossless"
    reason = why_not(
        voting=recipe.fusion.voting if exact or recipe.fusion.voting != "geometric" else "soft",
        pool=weights.pool if exact or weights.pool != "log-linear" else "linear",
        task=head.task,
        temperature=weights.temperature if exact else 1.0,
        decision=weights.decision,
        labels=labels,
    )
    if reason:
        raise UsageError(f"early exit: {reason}")
    if recipe.scoring.on_nan == "drop-member":
        raise UsageError(
            "early exit: a member that is dropped half-way would change what was decided before; "
            "use --on-nan fail, and leave the member out"
        )


def run_early_exit(work: ExitJob, progress: Progress) -> Exited:
    """Evaluate images until their labels are certain, or certain enough; keep it in the store.

    Raises:
        ScoreError: a member failed, or gave NaN.
        UsageError: a budget too small for one evaluation an image, or another run at work here.
        StoreError: the disk refused.
    """
    setup, saving = work.setup, work.saving
    recipe, images = setup.recipe, setup.images
    check_calibration(saving, len(images))
    fingerprint, size = setup.fingerprint(saving), shard_size_for(work)
    with ExitStack() as held:
        partition = _opened(
            held, setup, fingerprint, images=len(images), shard_size=size,
            name=f"labels, {recipe.saved}",
        )  # fmt: skip
        plan = open_plan(partition, setup, saving)
        check_budget(saving, plan, len(images))
        drawn = draw_sample(sha256_json(fingerprint), len(images), plan.calibrated)
        sample = _sample(held, setup, plan, drawn, size)
        threads, watch = recipe.resources.threads or available_threads(), read_watch(os.environ)
        engine = Engine(images, recipe.inputs.decode, threads, progress, watch)
        schedule = setup.schedule(plan, _batch_sizes(setup))
        rest = left_of(partition, drawn)
        fresh = left_of(sample) if sample else 0
        progress.start(len(schedule.stages) * (fresh + rest), len(schedule.stages))
        sampled = take_sample(engine, schedule, plan, drawn, sample) if sample else None
        trajectory = sampled.trajectory if sampled else None
        certificate = certificate_of(saving, trajectory, len(images), plan.calibrated)
        pace = pace_of(
            work, schedule, sampled, certificate, rest=rest, shard_size=partition.shard_size
        )  # fmt: skip
        if sampled is not None:
            progress.warn(expected(sampled, pace, rest, schedule.paid))
        known = sampled.known if sampled else _nobody(schedule, setup.head)
        made = leave(engine, schedule, partition, known, pace) + (sampled.made if sampled else 0)
    left = _Left(
        partition, sample.key if sample else None, trajectory, certificate, made, engine.odd
    )
    return _read(work, plan, left)


def _sample(
    held: ExitStack, setup: ExitSetup, plan: ExitPlan, drawn: Indices, shard_size: int
) -> Partition | None:
    """Open the calibration, where some images are drawn for one."""
    if not len(drawn):
        return None
    told = setup.sample(plan, [setup.images[row] for row in drawn.tolist()])
    return _opened(
        held, setup, told, images=len(drawn), shard_size=shard_size, name="calibration"
    )  # fmt: skip


def _opened(
    held: ExitStack,
    setup: ExitSetup,
    fingerprint: Mapping[str, object],
    *,
    images: int,
    shard_size: int,
    name: str,
) -> Partition:
    """Open what an early exit keeps, and keep other runs from it as long as `held` lasts."""
    store, pid = setup.recipe.resources.store, read_watch(os.environ).pid
    held.enter_context(hold(store, [key_of(fingerprint)], pid))
    label = MemberId(name, "early exit")
    return open_partition(store, fingerprint, images=images, shard_size=shard_size, label=label)


def stored_entries(work: ExitJob) -> list[StoredPredictions] | None:
    """Return the members' own predictions where the store has all of them, else None.

    Then every evaluation is there already, and no image need end early; unless an early exit of
    these settings has begun, which goes on as it began.

    Raises:
        StoreError: a key.json of the store was edited.
    """
    setup = work.setup
    found = setup.whole()
    begun = load_partition(setup.recipe.resources.store, key_of(setup.fingerprint(work.saving)))
    if begun is not None or len(found) < len(setup.names):
        return None
    members = [ready.member.identity for ready in setup.ready_members]
    return [StoredPredictions(m, found[m.name], setup.head) for m in members]


def _batch_sizes(setup: ExitSetup) -> dict[str, int]:
    count, store = (
        len(setup.images) // _QUARTER,
        setup.recipe.resources.store,
    )  # so much each has to do, about
    return {
        ready.member.card.name: batch_size(ready, count, store, setup.in_graph(ready))
        for ready in setup.ready_members
    }


def _nobody(schedule: Schedule, head: Head) -> Calibrated:
    """Return the calibrated images of a run without calibration."""
    classes = len(head.classes)
    labels = np.empty((0, TASKS[head.task].labels(classes)), np.int64)
    none = np.empty(0, np.int64)
    return Calibrated(
        none, none, Exits(labels, none, np.empty((schedule.accumulator.depth, 0, classes)))
    )


def _read(work: ExitJob, plan: ExitPlan, left: "_Left") -> Exited:
    """Return what the store now holds of the run, and what run.json is to say."""
    scores, setup = left.partition.read(ENDS), work.setup
    votes = Votes(
        head=setup.head,
        ids=scores.ids,
        ballots=(),
        quarantined=tuple(sorted(scores.quarantined, key=lambda q: natural_key(q.id))),
        members=tuple(RecordedMember(p.member.identity, None) for p in setup.ready_members),
        hashes=hashes_of(p.member.identity for p in setup.ready_members),
    )
    record = record_of(
        setup.terms(work.saving), Kept(left.partition.key, left.sample, plan),
        Seen(left.certificate, left.trajectory), scores.probs,
    )  # fmt: skip
    evaluations, labels = (scores.probs[:, at].astype(np.int64) for at in (0, slice(2, None)))
    return Exited(votes, labels, evaluations, record, left.made, left.odd)


@dataclass(frozen=True, slots=True, eq=False)
class _Left:
    """What a run leaves: partition, calibration, certificate; and the work done."""

    partition: Partition
    sample: str | None
    trajectory: Trajectory | None
    certificate: Certificate | None
    made: int
    odd: Mapping[str, int]
