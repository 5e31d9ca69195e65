"""Scorers without a model at work on images, and what they are assigned."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ensemble.arrays import Pixels, Probs
from ensemble.errors import OutOfMemoryError
from ensemble.images.reading import Hashed
from ensemble.inference.batches import Job
from ensemble.inference.loop import Engine
from ensemble.inference.predict import Assignment, predict
from ensemble.predictions.store import open_partition
from ensemble.progress import Quiet
from ensemble.records import DecodePolicy, Geometry, Size
from ensemble.runtime.scorer import FakeScorer, Scorer

COLUMNS = {"label": 3}
SMALL = Geometry(Size(8, 8), "squash", 1.0, "bilinear", 3, ())
LARGE = Geometry(Size(12, 10), "crop", 0.9, "bicubic", 3, ())


def assigned(
    tmp_path: Path, scorer: Scorer, *, name: str = "a", geometry: Geometry = SMALL, batch: int = 4,
    shard: int = 6, fixed: bool = False, lanes: int = 1,
) -> Assignment:  # fmt: skip
    heads = [{"name": "label", "classes": ["x", "y", "z"]}]
    fingerprint = {"member": name, "heads": heads}
    partition = open_partition(tmp_path / "store", fingerprint, images=11, shard_size=shard)
    return Assignment(Job(name, scorer, geometry, batch, fixed, COLUMNS, lanes), partition)


def run(hashed: list[Hashed], *assignments: Assignment, drop_nan: bool = False) -> int:
    engine = Engine(hashed, DecodePolicy(), 2, Quiet())
    return predict(engine, assignments, drop_nan=drop_nan).evaluations


@dataclass(frozen=True, slots=True)
class Tight:
    """A scorer whose memory holds so many images."""

    room: int
    inner: FakeScorer
    provider: str = "Tight"

    def score(self, images: Pixels) -> Mapping[str, Probs]:
        if len(images) > self.room:
            self.inner.calls.append(-len(images))
            raise OutOfMemoryError("Failed to allocate memory")
        return self.inner.score(images)
