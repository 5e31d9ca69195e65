"""The loop: shards, members, batches.

Each shard's images are decoded once, in threads, ahead of the scoring, and resized once for each
geometry; the members score them in turn, and each part is committed while the next is scored. A
batch never crosses a shard, and on a GPU its last one is padded. So neither shards nor batches show
in the results of a net that scores an image alike in every batch, as those of the zoos do on the
CPU, to the bit; a net whose kernels round by the size of the batch may differ in its last bits.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from ensemble.arrays import Probs
from ensemble.images.loader import Shard, Wanted, decoded_ahead, decoders
from ensemble.images.reading import Hashed
from ensemble.inference.batches import Job, NonFiniteError, Rows, score, warn_if_torn
from ensemble.predictions.store import Partition
from ensemble.progress import Progress
from ensemble.records import DecodePolicy
from ensemble.worker import Watch


@dataclass(frozen=True, slots=True)
class Duty:
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
    images: Sequence[Hashed],
    duties: Sequence[Duty],
    policy: DecodePolicy,
    progress: Progress,
    *,
    threads: int,
    drop_nan: bool = False,
    watch: Watch | None = None,
) -> Tally:
    """Score what is not committed yet, and say what was odd.

    Args:
        images: The image set, in the order of its ids.
        duties: The members; all have the same shard size.
        policy: How files become pixels.
        progress: Told how far it is.
        threads: Threads that decode, at most.
        drop_nan: Leave out a member that gives NaN, instead of raising.
        watch: Told what is being worked at, and which images to beware of.

    Raises:
        ScoreError: a member failed, or gave NaN and `drop_nan` is off.
        StoreError: the disk refused a part.
    """
    plan = [(s, [d for d in duties if not d.partition.committed(s)]) for s in _shards(duties)]
    plan = [(shard, todo) for shard, todo in plan if todo]
    for shard, todo in plan:
        for duty in todo:
            warn_if_torn(progress, duty.partition, shard, duty.job.name)
    evaluations_left = sum(len(_rows(duties, s)) * len(todo) for s, todo in plan)
    images_left = sum(len(_rows(duties, s)) for s, _ in plan)
    progress.start(evaluations_left, round(evaluations_left / max(images_left, 1)))
    dropped: list[str] = []
    warnings: Counter[str] = Counter()
    evaluations = 0
    watch = watch or Watch()
    batches: dict[str, int] = {}
    pool = decoders(images, threads)
    writer = _Writer(watch)
    try:
        shards = decoded_ahead(pool, _wanted(plan, images), policy, watch)
        for (shard, todo), pixels in zip(plan, shards, strict=True):
            for duty in todo:
                job = duty.job
                if job.name in dropped:
                    continue
                watch.tell("score", job.name, shard)
                try:
                    heads = score(job, _rows_for(job, pixels), progress, batches)
                except NonFiniteError:
                    if not drop_nan:
                        raise
                    dropped.append(job.name)
                    continue
                writer.commit(duty, shard, pixels, heads)
                evaluations += len(pixels.images)
            warnings += pixels.warnings()
        writer.settle()
    finally:
        pool.shutdown(cancel_futures=True)
        writer.pool.shutdown()
    for duty in duties:
        if duty.job.name not in dropped:
            duty.partition.finish()
    sizes = {d.job.name: batches.get(d.job.name, d.job.batch) for d in duties}
    return Tally(tuple(dropped), evaluations, dict(warnings), sizes)


@dataclass(slots=True)
class _Writer:
    """Commits parts in order, one at most behind the scoring: a disk that syncs stops nobody."""

    watch: Watch
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "commit"))
    writing: Future[None] | None = None

    def commit(self, duty: Duty, shard: int, pixels: Shard, heads: Mapping[str, Probs]) -> None:
        """Begin to commit a part, once the one before it is on the disk."""
        self.settle()
        self.writing = self.pool.submit(self._commit, duty, shard, pixels, heads)

    def settle(self) -> None:
        """Wait for what is being committed, and raise what it raised."""
        if self.writing is not None:
            self.writing.result()

    def _commit(self, duty: Duty, shard: int, pixels: Shard, heads: Mapping[str, Probs]) -> None:
        geometry = duty.job.geometry
        ids, lost = pixels.predicted(geometry), pixels.quarantined(geometry)
        duty.partition.commit(shard, ids, heads, lost)
        self.watch.tell("commit")


def _wanted(plan: Sequence[tuple[int, list[Duty]]], images: Sequence[Hashed]) -> list[Wanted]:
    return [
        Wanted(
            images[duties[0].partition.rows(shard)],
            list(dict.fromkeys(duty.job.geometry for duty in duties)),
        )
        for shard, duties in plan
    ]


def _rows_for(job: Job, shard: Shard) -> Rows:
    good = partial(shard.good, geometry=job.geometry)
    return Rows(shard.pixels[job.geometry], shard.ids, good)


def _shards(duties: Sequence[Duty]) -> range:
    return duties[0].partition.shards if duties else range(0)


def _rows(duties: Sequence[Duty], shard: int) -> range:
    rows = duties[0].partition.rows(shard)
    return range(rows.start, rows.stop)
