"""What an early exit does with a shard: evaluations over the images that have not ended.

An evaluation is a member under one view, made by turning the pixels on the host, or a member with
all its views. A shard is decoded once; its images go through the evaluations together, and those
that end leave the batches. What is committed of an image are its sums, by which its exit can be
checked again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices, Probs, Vector
from ensemble.early_exit.plan import ENDS, SUMS
from ensemble.early_exit.schedule import LiveEvaluation, Schedule
from ensemble.early_exit.stopping.thresholds import Pace, cost_of
from ensemble.early_exit.stopping.trajectory import Cap, Exits, replay, run
from ensemble.images.loader import Shard, Wanted
from ensemble.inference.batches import Rows, score_in_batches
from ensemble.inference.loop import Engine, Part, unfinished, work_through
from ensemble.members.card import Head
from ensemble.predictions.store import Partition
from ensemble.records import TASKS, Quarantined
from ensemble.views.pixels import HostView


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """The calibrated images, by their places in the image set, ascending.

    `drawn` int64 (n_cal,) are all of them; `rows` (n,) those that have pixels, and `ends` how they
    ended; `lost` are the others.
    """

    drawn: Indices
    rows: Indices
    ends: Exits
    lost: Sequence[Quarantined] = ()


def nobody(schedule: Schedule, head: Head) -> Calibrated:
    """Return the calibrated images of a run without calibration."""
    labels = np.empty((0, TASKS[head.task].labels(len(head.classes))), np.int64)
    width = schedule.stages[0].lift.width
    none = np.empty(0, np.int64)
    return Calibrated(
        none, none, Exits(labels, none, np.empty((schedule.accumulator.depth, 0, width)))
    )


def calibrate(
    engine: Engine, schedule: Schedule, names: Sequence[str], rows: Indices, partition: Partition
) -> None:
    """Give some images every evaluation, and commit each one's scores, shard by shard.

    Args:
        engine: The image set, and what decodes it.
        schedule: The evaluations.
        names: The head that keeps the scores of each of them.
        rows: The images that are calibrated, int64 (n,), ascending.
        partition: Of the calibrated images, with those heads.

    Raises:
        ScoreError: a member failed, or gave NaN.
        StoreError: the disk refused a part.
    """
    todo = unfinished(engine, partition, partition.label.name)
    places = {number: rows[partition.rows(number)] for number in todo}

    def work(number: int, shard: Shard) -> Iterator[Part]:
        at, heads = _arrived(engine, schedule, number, places[number], shard), {}
        for name, stage in zip(names, schedule.stages, strict=True):
            engine.watch.tell("score", stage.job.name, number)
            heads[name] = _scores(engine, stage, at, np.arange(len(at.places)))
        yield Part(partition, number, _ids(engine, at.places), heads, at.lost)

    work_through(engine, _wanted(engine, schedule, places), work)
    partition.finish()


def leave(
    engine: Engine, schedule: Schedule, partition: Partition, known: Calibrated, pace: Pace
) -> int:
    """Evaluate images until they may end, and commit how they ended, shard by shard.

    Args:
        engine: The image set, and what decodes it.
        schedule: The evaluations.
        partition: Of all images, with the heads `SUMS` and `ENDS`.
        known: The calibrated images, which need nothing more.
        pace: Decides each shard's threshold.

    Returns:
        How many evaluations were made; those that the store has do not count.

    Raises:
        ScoreError: a member failed, or gave NaN.
        StoreError: the disk refused a part.
    """
    todo = unfinished(engine, partition, partition.label.name)
    if done := len(partition.shards) - len(todo):
        told = f"going on: {done} of {len(partition.shards)} shards are done"
        engine.progress.warn(told if todo else "every label is in the store already")
    rows = {n: np.arange(len(engine.images))[partition.rows(n)] for n in partition.shards}
    fresh = {n: np.setdiff1d(each, known.drawn, assume_unique=True) for n, each in rows.items()}
    # a resume must spend as the unbroken run would: the pace is told of what is done already
    for number in sorted(set(partition.shards) - set(todo)):
        pace.skip(len(fresh[number]), _fresh_ends(engine, partition, number, known))
    made = 0

    def work(number: int, shard: Shard) -> Iterator[Part]:
        nonlocal made
        threshold = pace.threshold()
        at = _arrived(engine, schedule, number, fresh[number], shard)
        ends = _ends(engine, schedule, at, threshold, pace.cap(len(fresh[number])))
        made += round(cost_of(ends.evaluations, schedule.paid))
        pace.note(len(fresh[number]), ends.evaluations)
        # calibrated images are committed with their shard, at λ = ∞: they got every evaluation
        own = np.isin(known.rows, rows[number])
        parts = [
            (at.places, ends, _thresholds(schedule, ends, threshold)),
            (known.rows[own], _picked(known.ends, own), np.full(own.sum(), np.inf)),
        ]
        mine = set(_ids(engine, rows[number]))
        lost = [*at.lost, *(q for q in known.lost if q.id in mine)]
        yield _part(engine, partition, number, parts, lost)

    work_through(engine, _wanted(engine, schedule, {n: fresh[n] for n in todo}), work)
    partition.finish()
    return made


def _wanted(engine: Engine, schedule: Schedule, places: Mapping[int, Indices]) -> dict[int, Wanted]:
    """Return the images of each shard, at these places of the image set."""
    geometries = list(dict.fromkeys(stage.job.geometry for stage in schedule.stages))
    return {
        number: Wanted([engine.images[i] for i in rows.tolist()], geometries)
        for number, rows in places.items()
    }


def _ids(engine: Engine, places: Indices) -> list[str]:
    return [engine.images[place].source.id for place in places.tolist()]


@dataclass(frozen=True, slots=True, eq=False)
class _At:
    """A shard at work: its number, its pixels, and which of its images every member can score.

    These are at `rows` of the shard and at `places` of the image set, int64 (n,); `lost` are the
    others, and why.
    """

    number: int
    shard: Shard
    rows: Indices
    places: Indices
    lost: Sequence[Quarantined]


def _arrived(engine: Engine, schedule: Schedule, number: int, places: Indices, shard: Shard) -> _At:
    """Wait for a shard; count the evaluations of the images that are lost as done."""
    names, kept = shard.ids, shard.whole()
    good = [ok and name not in schedule.missing for name, ok in zip(names, kept, strict=True)]
    rows = np.flatnonzero(good)
    missing = {name: schedule.missing[name] for name in names if name in schedule.missing}
    lost = {each.id: each for each in shard.lost()} | missing
    engine.progress.advance(len(lost) * len(schedule.stages))
    return _At(number, shard, rows, places[rows], list(lost.values()))


def _ends(engine: Engine, schedule: Schedule, at: _At, threshold: float, cap: Cap | None) -> Exits:
    """Run the images of a shard through the evaluations; count the evaluations saved as done."""
    stages, before = len(schedule.stages), len(at.places)

    def scores(stage: int, rows: Indices) -> Probs:
        nonlocal before  # what ended since the last stage counts as done, with all it saves
        engine.watch.tell("score", schedule.stages[stage].job.name, at.number)
        engine.progress.advance((before - len(rows)) * (stages - stage))
        before = len(rows)
        return _scores(engine, schedule.stages[stage], at, rows)

    ends = run(schedule.accumulator, len(at.places), scores, threshold, cap)
    last = int(ends.evaluations.max(initial=0))
    engine.progress.advance(before * (stages - last))
    return ends


def _scores(engine: Engine, stage: LiveEvaluation, at: _At, rows: Indices) -> Probs:
    """Return the rows of scores of some of a shard's images, float32 (m, W)."""
    if not len(rows):
        return np.empty((0, stage.lift.width), np.float32)
    if stage.stored is not None:
        engine.progress.advance(len(rows))
        return stage.stored[at.places[rows]]
    mine = at.rows[rows]
    pixels = HostView(at.shard.pixels[stage.job.geometry], mine, stage.view)
    ids = [at.shard.images[row].source.id for row in mine.tolist()]
    images = Rows(pixels, ids, lambda part: [True] * len(ids[part]))
    scores = score_in_batches(stage.job, images, engine.progress, engine.batches)
    return stage.lift.rows(scores)


def _thresholds(schedule: Schedule, ends: Exits, threshold: float) -> Vector:
    """Return the threshold each image ended at, (n,): 0 where it had to end before λ let it."""
    found = np.full(len(ends.evaluations), threshold)
    found[replay(schedule.accumulator, ends, threshold, None).early] = 0.0
    return found


def _picked(ends: Exits, rows: NDArray[np.bool_]) -> Exits:
    return Exits(ends.labels[rows], ends.evaluations[rows], ends.sums[:, rows])


def _fresh_ends(engine: Engine, partition: Partition, number: int, known: Calibrated) -> Indices:
    """Return how many evaluations a committed shard took for the images not calibrated."""
    calibrated = {engine.images[row].source.id for row in known.drawn.tolist()}
    scores = partition.read(ENDS, [number])
    mine = [name not in calibrated for name in scores.ids]
    return np.asarray(scores.probs[mine, 0], np.int64)


def _part(
    engine: Engine,
    partition: Partition,
    number: int,
    parts: Sequence[tuple[Indices, Exits, Vector]],
    lost: Sequence[Quarantined],
) -> Part:
    """Return a shard's part: its images in the order of the image set."""
    rows = np.concatenate([places for places, _, _ in parts])
    order = np.argsort(rows)
    sums = np.concatenate([ends.sums for _, ends, _ in parts], axis=1)
    sheets = [np.column_stack([ends.evaluations, at, ends.labels]) for _, ends, at in parts]
    heads = {
        SUMS: sums.transpose(1, 0, 2).reshape(len(rows), sums.shape[0] * sums.shape[2])[order],
        ENDS: np.concatenate(sheets).astype(np.float64)[order],
    }
    return Part(partition, number, _ids(engine, rows[order]), heads, lost)
