"""One member over images that are decoded: batch by batch, padded, halved, checked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ensemble.arrays import Pixels, Probs
from ensemble.errors import OutOfMemoryError, ScoreError
from ensemble.session import Scorer
from ensemble.spec import Geometry
from ensemble.store import Partition


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


class NonFiniteError(ScoreError):
    """A member gave NaN or infinity."""

    def __init__(self, member: str, image: str) -> None:
        super().__init__(
            f"member {member} gave NaN or infinity for image {image!r}. Export it again in "
            f"float32, or leave it out with --on-nan drop-member"
        )
        self.member = member


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


def score(job: Job, images: Rows, progress: Progress, batches: dict[str, int]) -> dict[str, Probs]:
    """Score images batch by batch; return each head's float32 rows of the good ones, in order.

    Args:
        job: The member.
        images: The images; the last batch is padded with black.
        progress: Told of every batch.
        batches: The members whose batches had to be halved, and what fits; written to.

    Raises:
        NonFiniteError: the member gave NaN or infinity.
        ScoreError: the member failed.
    """
    count = len(images.pixels)
    parts: dict[str, list[Probs]] = {name: [] for name in job.partition.heads}
    start = 0
    while start < count:
        size = batches.get(job.name, job.batch)
        batch = size if job.fixed_batch else min(size, count)
        rows = slice(start, min(start + batch, count))
        kept = images.good(rows)
        try:
            scores = _scored(job, images.pixels[rows], batch)
        except OutOfMemoryError:
            if job.fixed_batch or batch == 1:
                raise
            if job.name not in batches:
                progress.warn(f"member {job.name} ran out of memory at a batch of {batch}: it is "
                              f"halved until it fits, for the rest of the run")  # fmt: skip
            batches[job.name] = batch // 2
            continue
        for name, part in parts.items():
            found = scores[name][: len(kept)][kept]
            _check_finite(
                job, found, [i for i, ok in zip(images.ids[rows], kept, strict=True) if ok]
            )
            part.append(found)
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


def _check_finite(job: Job, scores: Probs, ids: Sequence[str]) -> None:
    finite = np.isfinite(scores).all(1)
    if not finite.all():
        raise NonFiniteError(job.name, ids[int(finite.argmin())])
