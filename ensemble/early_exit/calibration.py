"""How early images may end: the calibration, what it certifies, and the pace that follows."""

import math
import time
from dataclasses import dataclass
from typing import Final

import numpy as np

from ensemble.arrays import Indices, Vector
from ensemble.early_exit.evaluate import Calibrated, calibrate
from ensemble.early_exit.plan import ExitPlan, column_of
from ensemble.early_exit.record import describe_changes, describe_spent
from ensemble.early_exit.schedule import Schedule
from ensemble.early_exit.setup import ExitJob
from ensemble.early_exit.stopping.certificate import Certificate
from ensemble.early_exit.stopping.thresholds import Budget, Deadline, Pace, Spending, Steady
from ensemble.early_exit.stopping.trajectory import Exits, Trajectory, follow
from ensemble.errors import UsageError
from ensemble.inference.fingerprint import SHARD, shard_size_of
from ensemble.inference.loop import Engine
from ensemble.predictions.store import Partition

_HORIZON: Final = 4
"""Shards over which a budget of evaluations makes up for what was overspent."""

_SHARDS: Final = 2
"""How much larger than a plain shard one is here: the fuller a batch of what is left of it."""

_SMALLEST: Final = 64
_CORRECTIONS: Final = 24

_RESERVE: Final = 0.02
_RESERVE_SECONDS: Final = 1.0
_NONE: Final = np.empty(0, np.int64)
_MARGIN: Final = 1.1


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """The calibrated images: how they ended, how they went, and what that took now.

    `made` evaluations of `fresh` images, in `seconds`.
    """

    known: Calibrated
    trajectory: Trajectory
    made: int
    fresh: int
    seconds: float


def take_sample(
    engine: Engine, schedule: Schedule, plan: ExitPlan, drawn: Indices, partition: Partition
) -> Calibration:
    """Give the drawn images every evaluation."""
    began = time.monotonic()  # a clock is told only of what is evaluated now, not of a resume's
    todo = [shard for shard in partition.shards if not partition.committed(shard)]
    rows = [partition.rows(shard) for shard in todo]
    fresh = sum(row.stop - row.start for row in rows)
    names = [column_of(evaluation) for evaluation in plan.evaluations]
    calibrate(engine, schedule, names, drawn, partition)
    seconds = time.monotonic() - began
    held = partition.read_heads(names)
    stack = np.stack([scores.probs for scores in held])
    trajectory = follow(schedule.accumulator, stack)
    # the sums of images that got all evaluations, as an early exit would have left them
    sums = np.zeros((schedule.accumulator.depth, *stack.shape[1:]))
    for stage, probs in enumerate(stack):
        schedule.accumulator.add(sums, stage, probs)
    place = {engine.images[row].source.id: row for row in drawn.tolist()}
    good = np.array([place[name] for name in held[0].ids], np.int64)
    ends = Exits(trajectory.labels[-1], np.full(len(good), len(stack)), sums)
    known = Calibrated(drawn, good, ends, held[0].quarantined)
    return Calibration(known, trajectory, fresh * round(schedule.paid.sum()), fresh, seconds)


def shard_size_for(work: ExitJob) -> int:
    """Return how many images a new shard has."""
    most, setup = _SHARDS * SHARD, work.setup
    if work.saving.rule == "budget":  # which is corrected after each shard; the last is no stub
        most = min(most, max(_SMALLEST, -(-len(setup.images) // _CORRECTIONS)))
    geometries = [ready.geometry for ready in setup.ready_members]
    return shard_size_of(setup.recipe.resources, geometries, most)


def left_of(partition: Partition, drawn: Indices = _NONE) -> int:
    """Return how many images the shards have that are not done yet, without the drawn ones."""
    todo = [shard for shard in partition.shards if not partition.committed(shard)]
    rows = [np.arange(partition.images)[partition.rows(shard)] for shard in todo]
    return sum(len(np.setdiff1d(each, drawn, assume_unique=True)) for each in rows)


def pace_of(
    work: ExitJob,
    schedule: Schedule,
    sampled: Calibration | None,
    certificate: Certificate | None,
    *,
    rest: int,
    shard_size: int,
) -> Pace:
    """Return what decides the thresholds: what is certified, and what a budget pays for.

    `rest` images are still to be done, in shards of `shard_size`. A budget of evaluations is told
    of those that are done, and a clock is not: it pays for the rest alone.
    """
    saving, images = work.saving, len(work.setup.images)
    limit = certificate.bound if certificate else math.inf
    if saving.seconds is not None:
        check_clock(work, schedule, sampled, rest)
    if saving.rule != "budget" or sampled is None:
        return Steady(limit)
    if saving.evaluations is None:
        until, ratio = _until(work, saving.seconds or 0.0), _ratio(schedule, sampled)
        return Deadline(sampled.trajectory, schedule.costs, until, rest, ratio, limit)
    # what the drawn images took is spent already; the pace shares out the remainder
    drawn = len(sampled.known.drawn)
    budget = Budget(saving.evaluations * images - schedule.paid.sum() * drawn, images - drawn)
    return Spending(sampled.trajectory, schedule.paid, budget, limit, horizon=_HORIZON * shard_size)


def _until(work: ExitJob, seconds: float) -> float:
    """Return when the last shard is to be done; a little is kept for the vote and the files."""
    return work.began + seconds * (1 - _RESERVE) - _RESERVE_SECONDS


def _ratio(schedule: Schedule, sampled: Calibration | None) -> float:
    """Return how many seconds of the clock a unit of cost took."""
    done = float(schedule.costs.sum()) * sampled.fresh if sampled else 0.0
    return sampled.seconds / done if sampled and done else 1.0


def check_clock(work: ExitJob, schedule: Schedule, sampled: Calibration | None, rest: int) -> None:
    """Refuse a time budget that one evaluation of each image that is left exceeds.

    Raises:
        UsageError: says how long it takes, and how long where the calibration is done already.
    """
    seconds, now = work.saving.seconds or 0.0, time.monotonic()
    least = float(schedule.costs[0]) * _ratio(schedule, sampled) * rest
    if not rest or _until(work, seconds) - now >= least:
        return
    spent = sampled.seconds if sampled and sampled.fresh else 0.0
    anew, again = (_enough(now - work.began + least - saved) for saved in (0.0, spent))
    advice = f"give {anew}s or more; what is done is kept"
    if again < anew:
        advice = (
            f"{_describe_seconds(spent)} went on the calibration, which is kept: run again with "
            f"{again}s or more, or give {anew}s from the start"
        )
    over, takes, kept = map(
        _describe_seconds, (now - work.began, least, seconds * _RESERVE + _RESERVE_SECONDS)
    )
    raise UsageError(
        f"a time budget of {seconds:g} s is too small: {over} are over, one evaluation of each of "
        f"the {rest} images that are left takes {takes}, and {kept} are kept for the files; "
        f"{advice}"
    )


def _enough(seconds: float) -> int:
    """Return a time budget, in whole seconds, that leaves so many for the work."""
    return math.ceil(_MARGIN * (seconds + _RESERVE_SECONDS) / (1 - _RESERVE))


def _describe_seconds(seconds: float) -> str:
    """Return seconds as one says them: two digits or more."""
    digits = 0 if seconds >= 10 else 1 if seconds >= 1 else 2
    return "less than 0.01 s" if seconds < 0.005 else f"{seconds:.{digits}f} s"


def expected(sampled: Calibration, pace: Pace, rest: int, paid: Vector) -> str:
    """Say beforehand what the run expects."""
    trajectory, threshold = sampled.trajectory, pace.threshold()
    seen, drawn = trajectory.z.shape[1], len(sampled.known.drawn)
    if not seen and rest and not isinstance(pace, Steady):
        return (
            f"none of the {drawn} calibrated images can be decoded, so what other thresholds "
            f"cost is unknown: images get one evaluation, or all where the budget pays for all; "
            f"another --calibration draws others"
        )
    if not seen or not rest:
        return f"{drawn} images got every evaluation, and {rest} are left"
    took = describe_spent(trajectory.evaluations(threshold), paid)
    changed = int(trajectory.disagree(threshold).sum())
    what = "threshold" if isinstance(pace, Steady) else "budget"
    told = describe_changes(changed, seen, what)
    return f"expecting {took} for each of {rest} images; {told}"
