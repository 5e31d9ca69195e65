"""Members over shards: each scores all of a shard's images, into a partition of its own.

A batch never crosses a shard, and on a GPU its last one is padded. So neither shards nor batches
show in the results of a net that scores an image alike in every batch, as those of the zoos do on
the CPU, to the bit; a net whose kernels round by the size of the batch may differ in its last bits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ensemble.images.loader import Shard, Wanted
from ensemble.images.reading import Hashed
from ensemble.inference.batches import Job, NonFiniteError
from ensemble.inference.executors.dispatch import Dispatcher
from ensemble.inference.executors.workers import Shards
from ensemble.inference.loop import Engine, Part, committing, unfinished, work_through
from ensemble.inference.orders import Scored, ShardOrder, ShardReply
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


def predict(
    engine: Engine,
    assignments: Sequence[Assignment],
    *,
    drop_nan: bool = False,
    dispatcher: Dispatcher | None = None,
) -> Tally:
    """Score what is not committed yet, and say what was odd.

    Args:
        engine: The image set, and what decodes it.
        assignments: The members; all have the same shard size.
        drop_nan: Leave out a member that gives NaN, instead of raising.
        dispatcher: The workers that score; None for this process.

    Raises:
        ScoreError: a member failed, or gave NaN and `drop_nan` is off; or a shard ended workers
            again and again.
        ProviderError: no worker is left that can start.
        StoreError: the disk refused a part.
    """
    todo: dict[int, list[Assignment]] = {}
    for assignment in assignments:
        for shard in unfinished(engine, assignment.partition, assignment.job.name):
            todo.setdefault(shard, []).append(assignment)
    todo = dict(sorted(todo.items()))  # members lack different shards; each is decoded once
    counts = {shard: len(_images(engine, shard, mine)) for shard, mine in todo.items()}
    left = sum(counts[shard] * len(mine) for shard, mine in todo.items())
    engine.progress.start(left, round(left / max(sum(counts.values()), 1)))
    sizes = {a.job.name: a.job.batch for a in assignments}
    work = _Work(engine, todo, drop_nan)
    if dispatcher is None:
        work.here()
    elif todo:
        work.elsewhere(dispatcher, sum(counts.values()))
    # a member that was dropped is left unfinished: its key must not look complete
    for assignment in assignments:
        if assignment.job.name not in work.dropped:
            assignment.partition.finish()
    return Tally(tuple(work.dropped), work.evaluations, dict(engine.odd), sizes | engine.batches)


@dataclass(slots=True)
class _Work:
    """Shards that are to be done, each with who lacks it; and what has been done of them."""

    engine: Engine
    todo: Mapping[int, Sequence[Assignment]]
    drop_nan: bool
    dropped: list[str] = field(default_factory=list)
    evaluations: int = 0

    def here(self) -> None:
        """Score the shards in this process, in order."""
        wanted = {shard: _wanted(self.engine, shard, mine) for shard, mine in self.todo.items()}
        work_through(self.engine, wanted, self._parts)

    def _parts(self, number: int, shard: Shard) -> Iterator[Part]:
        for assignment in self._left(number):
            job = assignment.job
            self.engine.watch.tell("score", job.name, number)
            try:
                found = score_shard(job, shard, self.engine.progress, self.engine.batches)
            except NonFiniteError:
                if not self.drop_nan:
                    raise
                if job.name not in self.dropped:  # another of its views may have been before
                    self.dropped.append(job.name)
                continue
            yield _part(assignment, number, found)
            self.evaluations += len(shard.images)

    def elsewhere(self, dispatcher: Dispatcher, images: int) -> None:
        """Have workers score the shards, so many images in all, and commit their replies here."""
        key = next(iter(self.todo.values()))[0].partition.key
        share = -(-images // len(dispatcher.names))

        def order(number: int) -> ShardOrder:
            names = tuple(assignment.job.name for assignment in self._left(number))
            self.engine.watch.tell("score", ", ".join(names), number)
            rows = _images(self.engine, number, self.todo[number])
            return ShardOrder(key, number, tuple(rows), names, share, drop_nan=self.drop_nan)

        def take(reply: ShardReply) -> None:
            self._note(reply)
            found = {scored.member: scored for scored in reply.scored}
            for assignment in self._left(reply.number):
                scored = found[assignment.job.name]
                writer.commit(_part(assignment, reply.number, scored))
                self.evaluations += len(scored.ids) + len(scored.lost)

        with committing(self.engine.watch) as writer:
            dispatcher.work_through(Shards(key, tuple(self.todo), order, take))

    def _left(self, number: int) -> list[Assignment]:
        """Return who lacks a shard and has not been dropped."""
        return [each for each in self.todo[number] if each.job.name not in self.dropped]

    def _note(self, reply: ShardReply) -> None:
        """Note who is dropped, what was odd, and the smallest batches, beside what is scored."""
        self.dropped += [name for name in reply.nan if name not in self.dropped]
        self.engine.odd.update(reply.odd)
        for name, batch in reply.batches.items():
            known = self.engine.batches.get(name, batch)
            self.engine.batches[name] = min(batch, known)


def _part(assignment: Assignment, number: int, found: Scored) -> Part:
    return Part(assignment.partition, number, found.ids, found.heads, found.lost)


def _images(engine: Engine, shard: int, assignments: Sequence[Assignment]) -> Sequence[Hashed]:
    return engine.images[assignments[0].partition.rows(shard)]


def _wanted(engine: Engine, shard: int, assignments: Sequence[Assignment]) -> Wanted:
    geometries = list(dict.fromkeys(assignment.job.geometry for assignment in assignments))
    return Wanted(_images(engine, shard, assignments), geometries)
