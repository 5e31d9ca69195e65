"""The batch size of a member, found by a short warm-up before its first shard, and remembered.

The best size depends on the net, the views and the processor's cache: one image where the
activations of a net fill the cache, dozens where a net is small. Sizes are tried in turns, as
many batches at once as a run has, for at most a hundredth of the time that the run will take; a
run that is too short for that keeps the size that the number of pixels suggests.
"""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from ensemble.arrays import Pixels, Probs
from ensemble.errors import OutOfMemoryError
from ensemble.files.atomic import publish_json, sha256_json
from ensemble.inference.probe import probe_images
from ensemble.inference.ready import ReadyMember
from ensemble.inference.remembered import remembered

_DECIDES: Final = ("member", "views", "merge", "precision", "provider")
_SHARE: Final = 0.01
_ROUNDS: Final = 5
_GAIN: Final = 0.97
"""A size replaces the one that was guessed if it needs less than this share of its time."""


def batch_size(
    ready: ReadyMember, images: int, store: Path, fingerprint: Mapping[str, object]
) -> int:
    """Return the batch size to score so many images with.

    It is what was asked for; else what the store remembers; else what a warm-up finds, which the
    store then remembers; else, for few images, the size that `start` guessed. A size with
    which an output changes by a bit is never found.

    Args:
        ready: The member, with the sizes that are worth a try.
        images: How many images will be scored.
        store: Where it is remembered, in `batch-sizes`.
        fingerprint: Of the predictions that the member's graph makes.

    Raises:
        ScoreError: the member failed.
        StoreError: the disk refused.
    """
    if len(ready.sizes) < 2:
        return ready.batch
    decides = [fingerprint.get(name) for name in _DECIDES]
    key = sha256_json([decides, ready.scorer.lanes])[:16]
    path = store / "batch-sizes" / f"{key}.json"
    known = remembered(path, "batch")
    if known is not None and known in ready.sizes:
        return int(known)
    best, seconds = _best(ready, images)
    if seconds:
        rates = {str(size): round(1 / each, 2) for size, each in seconds.items()}
        publish_json(path, {"batch": best, "images_per_second": rates})
    return best


def tuned(ready: ReadyMember, images: int) -> int:
    """Return the batch size to score so many images with where no store remembers one.

    Raises:
        ScoreError: the member failed.
    """
    return ready.batch if len(ready.sizes) < 2 else _best(ready, images)[0]


def _best(ready: ReadyMember, images: int) -> tuple[int, dict[int, float]]:
    """Return the size that a warm-up finds, and the seconds of each; none where it cannot tell."""
    seconds: dict[int, float] = {}
    with suppress(OutOfMemoryError):  # the run will halve the batch, and say so
        seconds = _tried(ready, images)
    if ready.batch not in seconds:  # it has nothing to be compared with
        return ready.batch, {}
    best = min(seconds, key=lambda size: seconds[size])
    return (best if seconds[best] <= _GAIN * seconds[ready.batch] else ready.batch), seconds


def _tried(ready: ReadyMember, images: int) -> dict[int, float]:
    """Return the seconds an image of each size, all lanes busy; none where time is too short."""
    evaluations = _SHARE * images / ready.scorer.lanes
    if evaluations < 3 * sum(ready.sizes):  # known before anything is scored
        return {}
    pixels = probe_images((ready.sizes[-1], *ready.shape))
    ready.score(pixels[: ready.batch])
    began = time.perf_counter()
    outputs = ready.score(pixels[: ready.batch])
    left = evaluations * (time.perf_counter() - began) / ready.batch
    sizes = [size for size in ready.sizes if _same(ready, pixels[:size], outputs)]
    best = dict.fromkeys(sizes, np.inf)
    began = time.perf_counter()
    with ThreadPoolExecutor(ready.scorer.lanes) as pool:
        for _ in range(_ROUNDS):
            for size in sizes:
                best[size] = min(best[size], _seconds(pool, ready, pixels[:size]))
            if time.perf_counter() - began > left:
                break
    return best


def _same(ready: ReadyMember, pixels: Pixels, outputs: Mapping[str, Probs]) -> bool:
    """Tell whether a size fits into memory, and gives the very outputs of the size guessed."""
    try:
        found = ready.score(pixels)
    except OutOfMemoryError:
        return False
    rows = min(ready.batch, len(pixels))
    return all(
        np.array_equal(found[name][:rows], outputs[name][:rows], equal_nan=True) for name in outputs
    )


def _seconds(pool: ThreadPoolExecutor, ready: ReadyMember, pixels: Pixels) -> float:
    lanes = ready.scorer.lanes
    began = time.perf_counter()
    try:
        list(pool.map(ready.score, [pixels] * lanes))
    except OutOfMemoryError:
        return np.inf
    return (time.perf_counter() - began) / (lanes * len(pixels))
