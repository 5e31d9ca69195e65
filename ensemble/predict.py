"""The loop: shards, members, batches.

Each shard's images are decoded once, in threads, ahead of the scoring, and resized once for each
geometry; the members score them in turn, and each commits its part. A batch never crosses a
shard, and its last one is padded, so that neither shards nor batches show in the results.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from ensemble.arrays import Pixels, Probs
from ensemble.decode import decode
from ensemble.errors import ImageError, OutOfMemoryError, ScoreError
from ensemble.images import Hashed, read
from ensemble.preprocess import resize
from ensemble.session import Scorer
from ensemble.spec import DecodePolicy, Geometry, Quarantined
from ensemble.store import Partition
from ensemble.watch import Watch, crashes


class Progress(Protocol):
    """Told how far a run is, in evaluations: one image through one member, or one fit."""

    def start(self, total: int, members: int, unit: str = "images") -> None:
        """Begin: evaluations in all, of so many members, which make `unit` when they are one."""

    def advance(self, evaluations: int) -> None:
        """So many more are done."""

    def warn(self, message: str) -> None:
        """Something that the user should know, and that does not stop the run."""


@dataclass(frozen=True, slots=True)
class Job:
    """One member at work: its scorer, its geometry, its batch, and where its parts go."""

    name: str
    scorer: Scorer
    geometry: Geometry
    batch: int
    fixed_batch: bool
    partition: Partition


@dataclass(frozen=True, slots=True)
class Tally:
    """What happened: members dropped for NaN, evaluations done, and oddities of files, counted."""

    dropped: tuple[str, ...]
    evaluations: int
    warnings: Mapping[str, int]


class NonFiniteError(ScoreError):
    """A member gave NaN or infinity."""

    def __init__(self, member: str, image: str) -> None:
        super().__init__(
            f"member {member} gave NaN or infinity for image {image!r}. Export it again in "
            f"float32, or leave it out with --on-nan drop-member"
        )
        self.member = member


def predict(
    images: Sequence[Hashed],
    jobs: Sequence[Job],
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
        jobs: The members; all have the same shard size.
        policy: How files become pixels.
        progress: Told how far it is.
        threads: Threads that decode.
        drop_nan: Leave out a member that gives NaN, instead of raising.
        watch: Told what is being worked at, and which images to beware of.

    Raises:
        ScoreError: a member failed, or gave NaN and `drop_nan` is off.
        StoreError: the disk refused a part.
    """
    plan = [(s, [j for j in jobs if not j.partition.committed(s)]) for s in _shards(jobs)]
    plan = [(shard, todo) for shard, todo in plan if todo]
    _warn_of_torn(plan, progress)
    evaluations_left = sum(len(_rows(jobs, s)) * len(todo) for s, todo in plan)
    images_left = sum(len(_rows(jobs, s)) for s, _ in plan)
    progress.start(evaluations_left, round(evaluations_left / max(images_left, 1)))
    dropped: list[str] = []
    warnings: Counter[str] = Counter()
    evaluations = 0
    watch = watch or Watch()
    batches: dict[str, int] = {}
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
    try:
        for (shard, todo), pixels in _decoded_ahead(pool, plan, images, _loader(policy, watch)):
            for job in todo:
                if job.name in dropped:
                    continue
                watch.tell("score", job.name, shard)
                try:
                    heads = _score(job, pixels, progress, batches)
                except NonFiniteError:
                    if not drop_nan:
                        raise
                    dropped.append(job.name)
                    continue
                ids, lost = pixels.predicted(job.geometry), pixels.quarantined(job.geometry)
                job.partition.commit(shard, ids, heads, lost)
                watch.tell("commit")
                evaluations += len(pixels.images)
            warnings += pixels.warnings()
    finally:
        pool.shutdown(cancel_futures=True)
    for job in jobs:
        if job.name not in dropped:
            job.partition.finish()
    return Tally(tuple(dropped), evaluations, dict(warnings))


@dataclass(frozen=True, slots=True)
class _Shard:
    """The pixels of a shard as they arrive, with one future an image."""

    images: Sequence[Hashed]
    pixels: Mapping[Geometry, Pixels]
    futures: list[Future["_Loaded"]]

    def good(self, rows: slice, geometry: Geometry) -> list[bool]:
        """Wait for the rows, and tell which have pixels."""
        return [geometry not in f.result().lost for f in self.futures[rows]]

    def predicted(self, geometry: Geometry) -> list[str]:
        good = self.good(slice(None), geometry)
        return [i.source.id for i, ok in zip(self.images, good, strict=True) if ok]

    def quarantined(self, geometry: Geometry) -> list[Quarantined]:
        lost = [f.result().lost for f in self.futures]
        return [found[geometry] for found in lost if geometry in found]

    def warnings(self) -> Counter[str]:
        return Counter(w for f in self.futures for w in f.result().warnings)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What became of one image: the geometries that lost it and why, and what was odd."""

    lost: Mapping[Geometry, Quarantined]
    warnings: tuple[str, ...] = ()


def _decoded_ahead(
    pool: ThreadPoolExecutor,
    plan: Sequence[tuple[int, list[Job]]],
    images: Sequence[Hashed],
    load: "_Load",
) -> Iterator[tuple[tuple[int, list[Job]], _Shard]]:
    """Yield each shard of the plan while the next one is being decoded."""
    ahead = _begin(pool, plan[0], images, load) if plan else None
    for number, step in enumerate(plan):
        current, ahead = ahead, None
        if number + 1 < len(plan):
            ahead = _begin(pool, plan[number + 1], images, load)
        if current is not None:
            yield step, current


def _begin(
    pool: ThreadPoolExecutor,
    step: tuple[int, list[Job]],
    images: Sequence[Hashed],
    load: "_Load",
) -> _Shard:
    shard, jobs = step
    chosen = images[jobs[0].partition.rows(shard)]
    pixels = {g: _blank(g, len(chosen)) for g in dict.fromkeys(j.geometry for j in jobs)}
    futures = [pool.submit(load, image, pixels, row) for row, image in enumerate(chosen)]
    return _Shard(chosen, pixels, futures)


_Load: TypeAlias = Callable[[Hashed, Mapping[Geometry, Pixels], int], _Loaded]


def _loader(policy: DecodePolicy, watch: Watch) -> _Load:
    """Return what decodes an image into its row, and tells when it begins and ends."""

    def load(image: Hashed, pixels: Mapping[Geometry, Pixels], row: int) -> _Loaded:
        watch.tell("begin", image.source.id)
        loaded = _load(image, policy, pixels, row, watch)
        watch.tell("end", image.source.id)
        return loaded

    return load


def _check_harmless(
    watch: Watch, image: Hashed, policy: DecodePolicy, geometries: tuple[Geometry, ...]
) -> None:
    """Refuse an image on which a worker died, if it also ends a process of its own."""
    name = image.source.id
    suspect = name in watch.suspects
    if name in watch.poison or (suspect and crashes(_load_alone, image, policy, geometries)):
        watch.tell("poison", name)
        raise ImageError("decode", "crash", "the decoder crashes on it, in a process of its own")


def _load_alone(image: Hashed, policy: DecodePolicy, geometries: tuple[Geometry, ...]) -> None:
    with suppress(ImageError):
        decoded = decode(read(image), policy, image.source.path.suffix)
        for geometry in geometries:
            resize(decoded.image, geometry)


def _load(
    image: Hashed,
    policy: DecodePolicy,
    pixels: Mapping[Geometry, Pixels],
    row: int,
    watch: Watch,
) -> _Loaded:
    try:
        data = read(image)
        _check_harmless(watch, image, policy, tuple(pixels))
        decoded = decode(data, policy, image.source.path.suffix)
    except ImageError as error:
        for array in pixels.values():
            array[row] = 0
        return _Loaded(dict.fromkeys(pixels, _quarantined(image, error)))
    lost = {}
    for geometry, array in pixels.items():
        try:
            array[row] = resize(decoded.image, geometry)
        except ImageError as error:
            array[row] = 0
            lost[geometry] = _quarantined(image, error)
    return _Loaded(lost, decoded.warnings)


def _quarantined(image: Hashed, error: ImageError) -> Quarantined:
    source = image.source
    path, sha256 = str(source.path), image.sha256
    return Quarantined(source.id, path, error.stage, error.kind, str(error), sha256, image.bytes)


def _score(
    job: Job, shard: _Shard, progress: Progress, batches: dict[str, int]
) -> dict[str, Probs]:
    """Score a shard batch by batch; return each head's rows of the images that decoded.

    `batches` remembers the members whose batches had to be halved.
    """
    count = len(shard.images)
    parts: dict[str, list[Probs]] = {name: [] for name in job.partition.heads}
    start = 0
    while start < count:
        size = batches.get(job.name, job.batch)
        batch = size if job.fixed_batch else min(size, count)
        rows = slice(start, min(start + batch, count))
        good = shard.good(rows, job.geometry)
        try:
            scores = _scored(job, shard.pixels[job.geometry][rows], batch)
        except OutOfMemoryError:
            if job.fixed_batch or batch == 1:
                raise
            if job.name not in batches:
                progress.warn(f"member {job.name} ran out of memory at a batch of {batch}: it is "
                              f"halved until it fits, for the rest of the run")  # fmt: skip
            batches[job.name] = batch // 2
            continue
        for name, part in parts.items():
            kept = scores[name][: len(good)][good]
            _check_finite(job, kept, shard.images[rows], good)
            part.append(kept)
        progress.advance(rows.stop - rows.start)
        start = rows.stop
    return {name: np.concatenate(part) for name, part in parts.items()}


def _scored(job: Job, images: Pixels, batch: int) -> Mapping[str, Probs]:
    missing = batch - len(images)
    if missing:
        padding = np.zeros((missing, *images.shape[1:]), np.uint8)
        images = np.concatenate([images, padding])
    try:
        scores = job.scorer.score(images)
    except OutOfMemoryError as error:
        raise OutOfMemoryError(
            f"member {job.name}, batch of {batch}: {error}. Use fewer views, or another --device"
        ) from error
    except ScoreError as error:
        raise ScoreError(f"member {job.name}, batch of {batch}: {error}") from error
    for name, columns in job.partition.heads.items():
        if scores[name].shape != (batch, columns):
            raise ScoreError(
                f"member {job.name}, head {name!r}: expected {(batch, columns)} scores, found "
                f"{scores[name].shape}"
            )
    return scores


def _check_finite(job: Job, scores: Probs, images: Sequence[Hashed], good: list[bool]) -> None:
    finite = np.isfinite(scores).all(1)
    if not finite.all():
        scored = [image for image, ok in zip(images, good, strict=True) if ok]
        raise NonFiniteError(job.name, scored[int(finite.argmin())].source.id)


def _blank(geometry: Geometry, count: int) -> Pixels:
    size = geometry.size
    return np.empty((count, size.height, size.width, geometry.channels), np.uint8)


def _shards(jobs: Sequence[Job]) -> range:
    return jobs[0].partition.shards if jobs else range(0)


def _rows(jobs: Sequence[Job], shard: int) -> range:
    rows = jobs[0].partition.rows(shard)
    return range(rows.start, rows.stop)


def _warn_of_torn(plan: Sequence[tuple[int, list[Job]]], progress: Progress) -> None:
    for shard, todo in plan:
        for job in todo:
            if job.partition.torn(shard):
                progress.warn(
                    f"shard {shard} of {job.name} in the store is torn or was edited: it is "
                    f"computed again ({job.partition.folder})"
                )
