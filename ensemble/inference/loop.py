"""The loop over shards: decoded ahead, worked at in turn, committed one part behind.

What is done with a shard is handed in: `predict` lets each member score all of it, an early exit
lets images leave. A part is what a shard gives one partition.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from ensemble.arrays import Pooled, Probs
from ensemble.images.loader import Shard, Wanted, decoded_ahead, decoders
from ensemble.images.reading import Hashed
from ensemble.predictions.store import Partition
from ensemble.progress import Progress
from ensemble.records import DecodePolicy, Quarantined
from ensemble.worker import Watch


@dataclass(frozen=True, slots=True)
class Engine:
    """What a loop over shards needs: the image set, how it is decoded, and who is told.

    `batches` are the members whose batches had to be halved; see `batches.score`. `odd` counts what
    was odd about files. Both are written to.
    """

    images: Sequence[Hashed]
    policy: DecodePolicy
    threads: int
    progress: Progress
    watch: Watch = field(default_factory=Watch)
    batches: dict[str, int] = field(default_factory=dict)
    odd: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What a shard gives one partition: a row of each head for each id, and what has none."""

    partition: Partition
    shard: int
    ids: Sequence[str]
    heads: Mapping[str, Probs | Pooled]
    lost: Sequence[Quarantined]


Work: TypeAlias = Callable[[int, Shard], Iterable[Part]]


def unfinished(engine: Engine, partition: Partition, name: str) -> list[int]:
    """Return the shards that are not committed; say which of them are torn."""
    todo = [shard for shard in partition.shards if not partition.committed(shard)]
    for shard in todo:
        if partition.torn(shard):
            engine.progress.warn(
                f"shard {shard} of {name} in the store is torn or was edited: it is computed "
                f"again ({partition.folder})"
            )
    return todo


def work_through(engine: Engine, wanted: Mapping[int, Wanted], work: Work) -> None:
    """Decode each shard that is wanted, by its number, work at it, and commit its parts.

    Raises:
        StoreError: the disk refused a part.
        Exception: what the work raises.
    """
    # decoding runs a shard ahead and commits one part behind, so neither disk nor CPU waits
    pool = decoders(engine.images, engine.threads)
    shards = decoded_ahead(pool, list(wanted.values()), engine.policy, engine.watch)
    with committing(engine.watch) as writer:
        try:
            for number, shard in zip(wanted, shards, strict=True):
                for part in work(number, shard):
                    writer.commit(part)
                engine.odd.update(shard.warnings())
        finally:
            pool.shutdown(cancel_futures=True)  # what is decoded ahead is of no use now


@contextmanager
def committing(watch: Watch) -> Iterator["Writer"]:
    """Commit parts while the block runs; one that is being written at its end is waited for.

    Raises:
        StoreError: the disk refused a part.
    """
    writer = Writer(watch)
    try:
        yield writer
        writer.settle()
    finally:
        writer.pool.shutdown()


@dataclass(slots=True)
class Writer:
    """Commits parts in order, one at most behind the work: a disk that syncs stops nobody."""

    watch: Watch
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "commit"))
    writing: Future[None] | None = None

    def commit(self, part: Part) -> None:
        """Begin to commit a part, once the one before it is on the disk."""
        self.settle()
        self.writing = self.pool.submit(self._commit, part)

    def settle(self) -> None:
        """Wait for what is being committed, and raise what it raised."""
        if self.writing is not None:
            self.writing.result()

    def _commit(self, part: Part) -> None:
        part.partition.commit(part.shard, part.ids, part.heads, part.lost)
        self.watch.tell("commit")
