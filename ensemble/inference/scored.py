"""A member over a shard: the one way to score it, whoever does."""

from functools import partial

from ensemble.images.loader import Shard
from ensemble.inference.batches import Job, Rows, score_in_batches
from ensemble.inference.orders import Scored
from ensemble.progress import Progress


def score_shard(job: Job, shard: Shard, progress: Progress, batches: dict[str, int]) -> Scored:
    """Score the images of a shard with a member, as their pixels arrive.

    Args:
        job: The member.
        shard: The shard, which is being decoded.
        progress: Told of every batch.
        batches: The members whose batches had to be halved, and what fits; written to.

    Raises:
        NonFiniteError: the member gave NaN or infinity.
        ScoreError: the member failed.
    """
    geometry = job.geometry
    rows = Rows(shard.pixels[geometry], shard.ids, partial(shard.good, geometry=geometry))
    heads = score_in_batches(job, rows, progress, batches)
    ids, lost = shard.predicted(geometry), shard.quarantined(geometry)
    return Scored(job.name, tuple(ids), heads, tuple(lost))
