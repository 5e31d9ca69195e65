"""How early images may end: the calibration, what it certifies, and the pace that follows."""

import math
import time
from dataclasses import dataclass
from typing import Final

import numpy as np

from ensemble.arrays import Indices
from ensemble.cast import Cast, Way
from ensemble.config import Saving
from ensemble.early import Engine, Known, calibrate
from ensemble.errors import UsageError
from ensemble.exitplan import Plan, column_of
from ensemble.exits.budget import Budget
from ensemble.exits.certificate import Certificate, least_size
from ensemble.exits.course import Course, Ends, follow
from ensemble.exits.pace import Deadline, Pace, Spending, Steady
from ensemble.fingerprints import SHARD, shard_size_of
from ensemble.store import Partition

_HORIZON: Final = 4
"""Shards over which a budget of evaluations makes up for what was saved or overspent."""

_SHARDS: Final = 2
"""How much larger than a plain shard one is here: the fuller a batch of what is left of it."""

_SMALLEST: Final = 256
_CORRECTIONS: Final = 24

_RESERVE: Final = 0.02
_RESERVE_SECONDS: Final = 1.0
_NONE: Final = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done: who takes part, and how evaluations are to be saved.

    `began` is when the command began, by `time.monotonic`: a time budget counts from there.
    """

    cast: Cast
    saving: Saving
    began: float


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """The calibrated images: how they ended, how they went, and what that took now.

    `made` evaluations of `fresh` images, in `seconds`.
    """

    known: Known
    course: Course
    made: int
    fresh: int
    seconds: float


def check_calibration(saving: Saving, images: int) -> None:
    """Refuse a calibration that can certify nothing, whatever it finds.

    Raises:
        UsageError: says how many it takes.
    """
    if saving.epsilon is None or not saving.calibration or saving.rule == "budget":
        return
    least = least_size(images, saving.epsilon, saving.confidence)
    if saving.calibration < least:
        raise UsageError(
            f"--calibration {saving.calibration} can certify nothing: {100 * saving.epsilon:g} % "
            f"of {images} images needs {least} or more, or another --early-exit or --confidence"
        )


def check_budget(saving: Saving, plan: Plan, images: int) -> None:
    """Refuse a budget of evaluations that the calibration, and one of each other image, exceed.

    Raises:
        UsageError: says how many it takes.
    """
    if saving.evaluations is None:
        return
    paid = [float(e.member not in plan.stored) for e in plan.evaluations]
    each, calibrated = sum(paid), plan.calibrated
    least = (each * calibrated + paid[0] * (images - calibrated)) / images
    if saving.evaluations < least:
        raise UsageError(
            f"a budget of {saving.evaluations:g} evaluations an image is too small: {calibrated} "
            f"of {images} images are calibrated with all {each:g}, and the others take "
            f"{paid[0]:g} or more; give {math.ceil(100 * least) / 100:g} or more, or a smaller "
            f"--calibration"
        )


def take_sample(
    engine: Engine, way: Way, plan: Plan, drawn: Indices, partition: Partition
) -> Sampled:
    """Give the drawn images every evaluation."""
    began = time.monotonic()
    todo = [shard for shard in partition.shards if not partition.committed(shard)]
    rows = [partition.rows(shard) for shard in todo]
    fresh = sum(row.stop - row.start for row in rows)
    names = [column_of(evaluation) for evaluation in plan.evaluations]
    calibrate(engine, way, names, drawn, partition)
    seconds = time.monotonic() - began
    held = partition.read_heads(names)
    stack = np.stack([scores.probs for scores in held])
    course = follow(way.ledger, stack)
    sums = np.zeros((way.ledger.depth, *stack.shape[1:]))
    for stage, probs in enumerate(stack):
        way.ledger.add(sums, stage, probs)
    place = {engine.images[row].source.id: row for row in drawn.tolist()}
    good = np.array([place[name] for name in held[0].ids], np.int64)
    ends = Ends(course.labels[-1], np.full(len(good), len(stack)), sums)
    known = Known(drawn, good, ends, held[0].quarantined)
    return Sampled(known, course, fresh * round(way.paid.sum()), fresh, seconds)


def shard_size_for(work: Work) -> int:
    """Return how many images a new shard has."""
    most, cast = _SHARDS * SHARD, work.cast
    if work.saving.rule == "budget":  # which is corrected after each shard; the last is no stub
        most = min(most, max(_SMALLEST, -(-len(cast.images) // _CORRECTIONS)))
    return shard_size_of(cast.recipe, [player.member for player in cast.players], most)


def left_of(partition: Partition, drawn: Indices = _NONE) -> int:
    """Return how many images the shards have that are not done yet, without the drawn ones."""
    todo = [shard for shard in partition.shards if not partition.committed(shard)]
    rows = [np.arange(partition.images)[partition.rows(shard)] for shard in todo]
    return sum(len(np.setdiff1d(each, drawn, assume_unique=True)) for each in rows)


def pace_of(
    work: Work,
    way: Way,
    sampled: Sampled | None,
    certificate: Certificate | None,
    *,
    rest: int,
    shard_size: int,
) -> Pace:
    """Return what decides the thresholds: what is certified, and what a budget pays for.

    `rest` images are still to be done, in shards of `shard_size`. A budget of evaluations is told
    of those that are done, and a clock is not: it pays for the rest alone.
    """
    saving, images = work.saving, len(work.cast.images)
    limit = certificate.bound if certificate else math.inf
    if saving.rule != "budget" or sampled is None:
        return Steady(limit)
    if saving.evaluations is None:
        return _deadline(work, way, sampled, limit, rest)
    drawn = len(sampled.known.drawn)
    budget = Budget(saving.evaluations * images - way.paid.sum() * drawn, images - drawn)
    return Spending(sampled.course, way.paid, budget, limit, horizon=_HORIZON * shard_size)


def _deadline(work: Work, way: Way, sampled: Sampled, limit: float, rest: int) -> Deadline:
    """Return the pace of a time budget; a little of it is kept for the vote and the files."""
    seconds = work.saving.seconds or 0.0
    until = work.began + seconds * (1 - _RESERVE) - _RESERVE_SECONDS
    done = float(way.costs.sum()) * sampled.fresh
    ratio = sampled.seconds / done if done else 1.0
    now, least = time.monotonic(), float(way.costs[0]) * ratio * rest
    if rest and until - now < least:
        needed = (now - work.began + least + _RESERVE_SECONDS) / (1 - _RESERVE)
        raise UsageError(
            f"a time budget of {seconds:.0f} s is too small: one evaluation of each of the {rest} "
            f"images that are left takes about {least:.1f} s, so give {math.ceil(1.1 * needed)}s "
            f"or more; what is done is kept"
        )
    return Deadline(sampled.course, way.costs, until, rest, ratio, limit)


def expected(sampled: Sampled, pace: Pace, rest: int) -> str:
    """Say beforehand what the run expects."""
    course, threshold = sampled.course, pace.threshold()
    seen, drawn = course.z.shape[1], len(sampled.known.drawn)
    if not seen and rest and not isinstance(pace, Steady):
        return (
            f"none of the {drawn} calibrated images can be decoded, so what other thresholds "
            f"cost is unknown: images get one evaluation, or all where the budget pays for all; "
            f"another --calibration draws others"
        )
    if not seen or not rest:
        return f"{drawn} images got every evaluation, and {rest} are left"
    mean = course.evaluations(threshold).mean()
    differ = int(course.disagree(threshold).sum())
    return (
        f"expecting {mean:.2f} of {len(course.z)} evaluations for each of {rest} images; so many "
        f"would give another label to {differ} of the {seen} that got all"
    )
