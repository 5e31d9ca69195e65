"""Images that calibrate an int8 member, and images that judge it: divided by hash, and decoded."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ensemble.arrays import Pixels
from ensemble.errors import ImageError, UsageError
from ensemble.images.loader import load_pixels
from ensemble.images.reading import Hashed
from ensemble.progress import Progress
from ensemble.records import DecodePolicy, Geometry
from ensemble.runtime.devices import available_threads


def divide(images: Sequence[Hashed], calibration: int) -> tuple[list[Hashed], list[Hashed]]:
    """Divide images into those that calibrate, at most half, and those that judge.

    Raises:
        UsageError: fewer than two images that differ.
    """
    readable = sorted((i for i in images if i.sha256), key=lambda i: (i.sha256, i.source.id))
    firsts = {image.sha256: image for image in reversed(readable)}
    hashes = sorted(firsts)
    if len(hashes) < 2:
        raise UsageError(f"{len(hashes)} images that differ: some calibrate and others judge")
    chosen = hashes[: min(calibration, len(hashes) // 2)]
    apart = set(chosen)
    return [firsts[h] for h in chosen], [i for i in images if i.sha256 not in apart]


def calibration_pixels(
    images: Sequence[Hashed], geometry: Geometry, policy: DecodePolicy, progress: Progress
) -> Pixels:
    """Return what can be decoded, uint8 (N, H, W, C), as a run does it.

    Raises:
        UsageError: none of the images can be decoded.
    """
    found = decoded(images, geometry, policy)
    good = [pixels for pixels in found if not isinstance(pixels, ImageError)]
    bad = [error for error in found if isinstance(error, ImageError)]
    if not good:
        raise UsageError(f"none of the images that calibrate can be used: {bad[0]}")
    if bad:
        progress.warn(f"{len(bad)} images cannot be used to calibrate: {bad[0]}")
    return np.stack(good)


def decoded(
    images: Sequence[Hashed], geometry: Geometry, policy: DecodePolicy
) -> list[Pixels | ImageError]:
    """Return what a member takes of each image, uint8 (H, W, C), or why it cannot be used."""

    def load(image: Hashed) -> Pixels | ImageError:
        try:
            return load_pixels(image, policy, geometry)
        except ImageError as error:
            return error

    with ThreadPoolExecutor(available_threads()) as pool:
        return list(pool.map(load, images))
