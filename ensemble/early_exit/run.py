"""Early exit over an image set: calibration, certificate and pace, into the store."""

import os
from collections.abc import Mapping
from contextlib import ExitStack

from ensemble.arrays import Indices
from ensemble.early_exit.calibration import (
    expected,
    left_of,
    pace_of,
    shard_size_for,
    take_sample,
)
from ensemble.early_exit.checks import check_budget, check_calibration
from ensemble.early_exit.evaluate import leave, nobody
from ensemble.early_exit.plan import ExitPlan
from ensemble.early_exit.planning import open_plan
from ensemble.early_exit.record import ExitRun, certificate_of
from ensemble.early_exit.result import Exited, result_of
from ensemble.early_exit.schedule import schedule_of
from ensemble.early_exit.setup import ExitJob, ExitSetup
from ensemble.early_exit.stopping.certificate import draw_sample
from ensemble.files.atomic import sha256_json
from ensemble.inference.loop import Engine
from ensemble.members.answers import heads_read
from ensemble.predictions.store import (
    Partition,
    hold,
    key_of,
    load_partition,
    open_partition,
)
from ensemble.predictions.stored import StoredPredictions
from ensemble.progress import Progress
from ensemble.records import MemberId
from ensemble.runtime.devices import available_threads
from ensemble.worker import read_watch


def run_early_exit(work: ExitJob, progress: Progress) -> Exited:
    """Evaluate images until their labels are certain, or certain enough; keep it in the store.

    Raises:
        ScoreError: a member failed, or gave NaN.
        UsageError: a budget too small for one evaluation an image, or another run at work here.
        StoreError: the disk refused.
    """
    setup, saving, count = work.setup, work.saving, len(work.setup.images)
    check_calibration(saving, count)
    fingerprint, size = setup.fingerprint(saving), shard_size_for(work)
    with ExitStack() as held:
        partition = _opened(
            held, setup, fingerprint, images=count, shard_size=size,
            name=f"labels, {setup.recipe.saved}",
        )  # fmt: skip
        plan = open_plan(partition, setup, saving)
        check_budget(saving, plan, count)
        # drawn by the hash of all that decides: nobody can choose, and a resume draws the same
        drawn = draw_sample(sha256_json(fingerprint), count, plan.calibrated)
        sample = _sample(held, setup, plan, drawn, size)
        engine = _engine(setup, progress)
        schedule = schedule_of(setup, plan)
        # what a resume finds done is neither shown as work nor paid for by a clock
        rest, fresh = left_of(partition, drawn), left_of(sample) if sample else 0
        progress.start(len(schedule.stages) * (fresh + rest), len(schedule.stages))
        sampled = take_sample(engine, schedule, plan, drawn, sample) if sample else None
        trajectory = sampled.trajectory if sampled else None
        # a certificate holds for thresholds chosen before the other images are seen
        certificate = certificate_of(saving, trajectory, count, plan.calibrated)
        pace = pace_of(
            work, schedule, sampled, certificate, rest=rest, shard_size=partition.shard_size
        )  # fmt: skip
        if sampled is not None:
            progress.warn(expected(sampled, pace, rest, schedule.paid))
        known = sampled.known if sampled else nobody(schedule, setup.head)
        made = leave(engine, schedule, partition, known, pace) + (sampled.made if sampled else 0)
    run = ExitRun(partition, sample, plan, trajectory, certificate)
    return result_of(work, run, made, engine.odd)


def _engine(setup: ExitSetup, progress: Progress) -> Engine:
    """Return what decodes the images, and who is told."""
    inputs, threads = setup.recipe.inputs, setup.recipe.resources.threads or available_threads()
    return Engine(setup.images, inputs.decode, threads, progress, read_watch(os.environ))


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
    inputs = setup.recipe.inputs
    return [
        StoredPredictions(ready.member.identity, found[card.name], head)
        for ready in setup.ready_members
        for card in (ready.member.card,)
        for head in heads_read(card.heads, setup.head.name, inputs.label_map, card.name)
    ]
