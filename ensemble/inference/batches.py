"""One member over images that are decoded: in batches, some at once, padded, halved, checked."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np

from ensemble.arrays import Pixels, Probs
from ensemble.errors import OutOfMemoryError, ScoreError
from ensemble.progress import Progress
from ensemble.records import Geometry
from ensemble.runtime.devices import PADDED
from ensemble.runtime.scorer import Scorer, score_as


@dataclass(frozen=True, slots=True)
class Job:
    """One member at work: its scorer, its geometry, its batch, and the columns of each head.

    `lanes` is how many batches are scored at once. NaN and infinity are refused where the scores
    have to be `finite`; of a detector they are looked at, image by image, where boxes are chosen.
    """

    name: str
    scorer: Scorer
    geometry: Geometry
    batch: int
    fixed_batch: bool
    heads: Mapping[str, int]
    lanes: int = 1
    finite: bool = True


class NonFiniteError(ScoreError):
    """A member gave NaN or infinity."""

    def __init__(self, member: str, image: str) -> None:
        super().__init__(
            f"member {member} gave NaN or infinity for image {image!r}. Export it again in "
            f"float32, or leave it out with --on-nan drop-member"
        )
        self.member = member
        self._said = (member, image)

    def __reduce__(self) -> tuple[type["NonFiniteError"], tuple[str, str]]:
        """Pickle what it was made of: workers of other processes raise it too."""
        return type(self), self._said


class Sliced(Protocol):
    """Images that can be cut out by rows."""

    def __len__(self) -> int:
        """Return the number of images."""

    def __getitem__(self, part: slice, /) -> Pixels:
        """Return some images, uint8 (n, H, W, C)."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Images to score: uint8 (N, H, W, C) of the member's geometry, and their ids.

    `pixels` need only be an array as far as slices go. `good` waits for the pixels of some rows,
    and tells which of them there are.
    """

    pixels: "Sliced"
    ids: Sequence[str]
    good: Callable[[slice], list[bool]]


def score_in_batches(
    job: Job, images: Rows, progress: Progress, batches: dict[str, int]
) -> dict[str, Probs]:
    """Score images batch by batch; return each head's float32 rows of the good ones, in order.

    Several batches are under way at once, one a lane. They are looked at in order, so that the
    first that fails is the one that is told of. Without memory the batch is halved, and there is
    one lane, for the rest of the run.

    Args:
        job: The member.
        images: The images; the last batch is padded with black.
        progress: Told of every batch.
        batches: The members whose batches had to be halved, and what fits; written to.

    Raises:
        NonFiniteError: the member gave NaN or infinity.
        ScoreError: the member failed.
    """
    parts: dict[str, list[Probs]] = {name: [] for name in job.heads}
    done, count = 0, len(images.pixels)
    while done < count:
        batch, lanes = _batch_and_lanes(job, count, batches)
        try:
            for flight in _flown(job, images, range(done, count, batch), lanes):
                _keep(job, flight, images.ids, parts)
                progress.advance(flight.rows.stop - flight.rows.start)
                done = flight.rows.stop
        except OutOfMemoryError:
            if lanes == 1 and (job.fixed_batch or batch == 1):
                raise  # nothing smaller is left; else what is done stays, and the rest is tried so
            _halve(job, batch, progress, batches)
    return {name: np.concatenate(part) for name, part in parts.items()}


def _batch_and_lanes(job: Job, count: int, batches: Mapping[str, int]) -> tuple[int, int]:
    """Return how many of the images go into a batch, and how many batches are scored at once.

    Few images are shared out among the lanes, where no batch need be full.
    """
    size = batches.get(job.name, job.batch)
    lanes = 1 if job.name in batches else job.lanes
    padded = job.fixed_batch or job.scorer.provider in PADDED
    return size if padded else min(size, -(-count // lanes)), lanes


def _halve(job: Job, batch: int, progress: Progress, batches: dict[str, int]) -> None:
    """Note the batch to try after one that did not fit; say so the first time."""
    if job.name not in batches:
        progress.warn(
            f"member {job.name} ran out of memory at a batch of {batch}: smaller ones, one at a "
            f"time, for the rest of the run"
        )
    batches[job.name] = batch if job.fixed_batch else max(1, batch // 2)


@dataclass(frozen=True, slots=True)
class _Flight:
    """A batch that is back: its rows, which of them have pixels, and its scores, padding too."""

    rows: slice
    kept: list[bool]
    scores: Mapping[str, Probs]


@cache
def _pool(lanes: int) -> ThreadPoolExecutor:
    """Return the threads that score; they are kept, for a shard may come in a hundred pieces."""
    return ThreadPoolExecutor(lanes, thread_name_prefix="score")


if hasattr(os, "register_at_fork"):  # a child has the pools, and none of their threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def _flown(job: Job, images: Rows, starts: range, lanes: int) -> Iterator[_Flight]:
    """Yield the batches in order, with so many at work, and as many waiting, where there are lanes.

    When one fails, the others are waited for: they hold memory.
    """
    pool, room = _pool(lanes), 2 * lanes if lanes > 1 else 1
    flying: deque[tuple[slice, list[bool], Future[Mapping[str, Probs]]]] = deque()
    try:
        for start in starts:
            rows = slice(start, min(start + starts.step, starts.stop))
            kept = images.good(rows)
            flying.append((rows, kept, pool.submit(_scored, job, images.pixels[rows], starts.step)))
            if len(flying) == room:
                rows, kept, scores = flying.popleft()
                yield _Flight(rows, kept, scores.result())
        while flying:
            rows, kept, scores = flying.popleft()
            yield _Flight(rows, kept, scores.result())
    finally:
        # a batch that flies on would take its memory from the smaller one that is tried next
        wait([scores for _, _, scores in flying if not scores.cancel()])


def _keep(job: Job, flight: _Flight, ids: Sequence[str], parts: dict[str, list[Probs]]) -> None:
    """Append the scores of the images that have pixels, all of them finite where they must be."""
    names = [i for i, ok in zip(ids[flight.rows], flight.kept, strict=True) if ok]
    for name, part in parts.items():
        found = flight.scores[name][: len(flight.kept)][flight.kept]
        if job.finite:
            _check_finite(job, found, names)
        part.append(found)


def _scored(job: Job, images: Pixels, batch: int) -> Mapping[str, Probs]:
    missing = batch - len(images)
    if missing:
        padding = np.zeros((missing, *images.shape[1:]), np.uint8)
        images = np.concatenate([images, padding])
    scores = score_as(job.name, job.scorer, images)
    for name, columns in job.heads.items():
        if scores[name].shape != (batch, columns):
            raise ScoreError(
                f"member {job.name}, head {name!r}: expected {(batch, columns)} scores, found "
                f"{scores[name].shape}"
            )
    return scores


def _check_finite(job: Job, scores: Probs, ids: Sequence[str]) -> None:
    finite = np.isfinite(scores).all(1)
    if not finite.all():
        raise NonFiniteError(job.name, ids[int(finite.argmin())])
