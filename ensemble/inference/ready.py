"""A member that has started and is proven: ready to score."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from ensemble.arrays import Pixels, Probs
from ensemble.inference.batches import Job
from ensemble.members.member import Member
from ensemble.records import Geometry, View
from ensemble.runtime.scorer import Session, score_as
from ensemble.views.pixels import jitters_of

BatchSize: TypeAlias = int | Literal["auto"]


@dataclass(frozen=True, slots=True)
class ReadyMember:
    """A member with its views, ready to score; `batch` is fixed where the export froze it.

    `policy` are the views that its graph makes and merges, and `views` those that it is to be
    scored under: in an early exit the host may make them. `sizes` are batch sizes that are worth
    a try, in order, `batch` among them; none where it was given. `seconds` are what an image took
    one thread when it was proven, beside the proofs of others: a guess, 0 where there is none.
    """

    member: Member
    scorer: Session
    policy: tuple[View, ...]
    batch: int
    fixed_batch: bool
    views: tuple[View, ...]
    sizes: tuple[int, ...] = ()
    seconds: float = 0.0

    @property
    def geometry(self) -> Geometry:
        """How images become its input: a part for each jitter of the views of its graph."""
        return replace(self.member.card.preprocess.geometry, jitters=jitters_of(self.policy))

    @property
    def shape(self) -> tuple[int, int, int]:
        """The height, width and channels of an image as its graph takes it."""
        geometry = self.geometry
        return geometry.height, geometry.size.width, geometry.channels

    def score(self, images: Pixels) -> Mapping[str, Probs]:
        """Return each head's float32 (N, C) of uint8 images (N, H, W, C); see `score_as`."""
        return score_as(self.member.card.name, self.scorer, images)


def job_of(ready: ReadyMember, batch: int) -> Job:
    """Return a member at work, in batches of so many images."""
    card = ready.member.card
    return Job(
        name=card.name,
        scorer=ready.scorer,
        geometry=ready.geometry,
        batch=batch,
        fixed_batch=ready.fixed_batch,
        heads={head.name: head.columns for head in card.heads},
        finite=not any(head.boxes for head in card.heads),
        lanes=ready.scorer.lanes,
    )
