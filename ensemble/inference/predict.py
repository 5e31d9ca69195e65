"""Members over shards: each scores all of a shard's images, into a partition of its own.

A batch never crosses a shard, and on a GPU its last one is padded. So neither shards nor batches
show in the results of a net that scores an image alike in every batch, as those of the zoos do on
the CPU, to the bit; a net whose kernels round by the size of the batch may differ in its last bits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ensemble.images.loader import Shard, Wanted
from ensemble.inference.batches import Job, NonFiniteError
from ensemble.inference.loop import Engine, Part, unfinished, work_through
from ensemble.inference.scored import score_shard
from ensemble.predictions.store import Partition


@dataclass(frozen=True, slots=True)
class Assignment:
    """A member at work, and the partition that its parts go into."""

    job: Job
    partition: Partition


@dataclass(frozen=True, slots=True)
class Tally:
    """What happened: members dropped for NaN, evaluations done, and oddities of files, counted.

    `batch_sizes` are those of each member at the end.
    """

    dropped: tuple[str, ...]
    evaluations: int
    warnings: Mapping[str, int]
    batch_sizes: Mapping[str, int] = field(default_factory=dict)


def predict(engine: Engine, assignments: Sequence[Assignment], *, drop_nan: bool = False) -> Tally:
    """Score what is not committed yet, and say what was odd.

    Args:
        engine: The image set, and what decodes it.
        assignments: The members; all have the same shard size.
        drop_nan: Leave out a member that gives NaN, instead of raising.

    Raises:
        ScoreError: a member failed, or gave NaN and `drop_nan` is off.
        StoreError: the disk refused a part.
    """
    todo: dict[int, list[Assignment]] = {}
    for assignment in assignments:
        for shard in unfinished(engine, assignment.partition, assignment.job.name):
            todo.setdefault(shard, []).append(assignment)
    todo = dict(sorted(todo.items()))  # members lack different shards; each is decoded once
    wanted = {shard: _wanted(engine, shard, mine) for shard, mine in todo.items()}
    left = sum(len(wanted[shard].images) * len(mine) for shard, mine in todo.items())
    images = sum(len(each.images) for each in wanted.values())
    engine.progress.start(left, round(left / max(images, 1)))
    dropped: list[str] = []
    evaluations = 0

    def work(number: int, shard: Shard) -> Iterator[Part]:
        nonlocal evaluations
        for assignment in todo[number]:
            job = assignment.job
            if job.name in dropped:
                continue
            engine.watch.tell("score", job.name, number)
            try:
                found = score_shard(job, shard, engine.progress, engine.batches)
            except NonFiniteError:
                if not drop_nan:
                    raise
                dropped.append(job.name)
                continue
            yield Part(assignment.partition, number, found.ids, found.heads, found.lost)
            evaluations += len(shard.images)

    work_through(engine, wanted, work)
    # a member that was dropped is left unfinished: its key must not look complete
    for assignment in assignments:
        if assignment.job.name not in dropped:
            assignment.partition.finish()
    sizes = {a.job.name: engine.batches.get(a.job.name, a.job.batch) for a in assignments}
    return Tally(tuple(dropped), evaluations, dict(engine.odd), sizes)


def _wanted(engine: Engine, shard: int, assignments: Sequence[Assignment]) -> Wanted:
    geometries = list(dict.fromkeys(assignment.job.geometry for assignment in assignments))
    return Wanted(engine.images[assignments[0].partition.rows(shard)], geometries)
