"""What an image costs, and an evaluation of it: measured, in seconds with all threads busy.

On the CPU the processor's own time is measured, over the threads: other programs do not show in
it, and decoding and scoring share the same cores. On a GPU it is the clock's.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import Final

from ensemble.arrays import Pixels
from ensemble.images.loader import Wanted, decoded_ahead, decoders
from ensemble.images.reading import Hashed, hash_sources
from ensemble.inference.probe import probe_images
from ensemble.inference.ready import ReadyMember
from ensemble.predictions.kept_views import Costs
from ensemble.recipe.resolve import Recipe
from ensemble.runtime.devices import CPU, available_threads
from ensemble.views.families import spelled
from ensemble.worker import Watch

SAMPLE: Final = 512
"""How many images are read to see what one costs."""

_ROUNDS: Final = 5
_LEAST_SECONDS: Final = 0.02
"""How long a round takes at least: a clock is coarse."""


@dataclass(frozen=True, slots=True)
class Clock:
    """A moment, by the time that the processor spent on this process, and by the clock."""

    spent: float
    at: float

    @staticmethod
    def now() -> "Clock":
        """Return this moment."""
        return Clock(time.process_time(), time.perf_counter())

    def since(self, threads: int, ready: ReadyMember) -> float:
        """Return the seconds that have gone: of the processor over the threads, or on a GPU."""
        if ready.scorer.provider == CPU:
            return (time.process_time() - self.spent) / threads
        return time.perf_counter() - self.at


@dataclass(frozen=True, slots=True)
class Timed:
    """What one evaluation of an image takes: a member of a family under its views."""

    family: str
    view: str
    seconds: float
    provider: str


def threads_of(recipe: Recipe) -> int:
    """Return how many threads a recipe's run has."""
    return recipe.resources.threads or available_threads()


def timed(ready: ReadyMember, rounds: int = _ROUNDS) -> Timed:
    """Measure what a member takes for an image in the views of its graph, all lanes busy.

    Raises:
        ScoreError: the member failed.
    """
    lanes, pixels = ready.scorer.lanes, probe_images((ready.batch, *ready.shape))
    with ThreadPoolExecutor(lanes) as pool:

        def score(batches: int) -> float:
            began = Clock.now()
            _flown(pool, ready.score, pixels, batches)
            return began.since(lanes, ready)

        score(lanes)  # the first is slow
        batches = lanes * max(1, round(_LEAST_SECONDS / max(score(lanes), 1e-6)))
        seconds = median(score(batches) for _ in range(rounds)) / (batches * len(pixels))
    return Timed(ready.member.card.family, spelled(ready.policy), seconds, ready.scorer.provider)


def image_seconds(
    recipe: Recipe, members: Sequence[ReadyMember], images: Sequence[Hashed]
) -> float:
    """Return what an image costs before any member looks at it: hashed, decoded and resized.

    It is the mean of about `SAMPLE` images at most, spread over all of them.
    """
    sample = images[:: max(1, len(images) // SAMPLE)][:SAMPLE]
    threads = threads_of(recipe)
    geometries = list(dict.fromkeys(ready.geometry for ready in members))
    began = Clock.now()
    hash_sources([image.source for image in sample], threads)
    with decoders(sample, threads) as pool:
        for shard in decoded_ahead(pool, [Wanted(sample, geometries)], recipe.inputs.decode,
                                   Watch()):  # fmt: skip
            shard.loaded()
    return began.since(threads, members[0]) / len(sample)


def costs_of(
    starts: Sequence[float], images: Sequence[float], evaluations: Sequence[Timed]
) -> Costs:
    """Return the costs of families and views: of several measurements the median.

    Args:
        starts: Seconds that a session took to start, measured some times.
        images: Seconds an image, measured some times.
        evaluations: Seconds of evaluations, those of a family and view some times.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for each in evaluations:
        found.setdefault(each.family, {}).setdefault(each.view, []).append(each.seconds)
    medians = {
        family: {view: median(seconds) for view, seconds in views.items()}
        for family, views in found.items()
    }
    return Costs(median(starts), median(images), medians, evaluations[0].provider)


def _flown(
    pool: ThreadPoolExecutor, score: Callable[[Pixels], object], pixels: Pixels, batches: int
) -> None:
    """Score a batch so many times, as many at once as there are threads."""
    list(pool.map(score, [pixels] * batches))
