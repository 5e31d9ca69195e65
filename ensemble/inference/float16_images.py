"""Members in float16, held against float32 on images of the run: noise does not show it all."""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from ensemble.arrays import Pixels
from ensemble.errors import ImageError
from ensemble.images.loader import load_pixels
from ensemble.images.reading import Hashed
from ensemble.inference.probe import HALVES
from ensemble.inference.ready import ReadyMember
from ensemble.inference.start import hold_float16
from ensemble.recipe.resolve import Recipe
from ensemble.records import DecodePolicy, Geometry


def hold_on_images(
    recipe: Recipe, ready_members: Sequence[ReadyMember], images: Sequence[Hashed]
) -> None:
    """Hold members in float16 against float32 on the first images that can be decoded.

    Noise, on which each was proven when it started, is not like photographs: its edges are
    everywhere, and nothing in it is bright as a whole. In float32 there is nothing to hold.

    Raises:
        MemberError: float16 does not suit a member.
    """
    if recipe.scoring.precision != "fp16":
        return
    held: dict[Geometry, list[Pixels]] = {}
    for ready in ready_members:
        geometry = ready.geometry
        if geometry not in held:
            good = _decoded(images, recipe.inputs.decode, geometry)
            held[geometry] = list(islice(good, HALVES))
        if found := held[geometry]:
            hold_float16(ready, recipe.scoring.merge, recipe.scoring.device, np.stack(found))


def _decoded(
    images: Sequence[Hashed], policy: DecodePolicy, geometry: Geometry
) -> Iterator[Pixels]:
    """Yield what a member takes of each image, uint8 (H, W, C); those that cannot be used apart."""
    for image in images:
        try:
            yield load_pixels(image, policy, geometry)
        except ImageError:  # the run quarantines it
            continue
