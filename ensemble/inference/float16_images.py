"""Members in another precision or by another runtime, held on images of the run.

They are held against float32 by ONNX Runtime: noise does not show it all.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from ensemble.arrays import Pixels
from ensemble.errors import ImageError
from ensemble.images.loader import load_pixels
from ensemble.images.reading import Hashed
from ensemble.inference.probe import HALVES
from ensemble.inference.ready import ReadyMember
from ensemble.inference.start import hold
from ensemble.recipe.resolve import Recipe
from ensemble.records import DecodePolicy, Geometry
from ensemble.runtime.agreement import how_computed
from ensemble.runtime.float16 import is_quantised


def hold_on_images(
    recipe: Recipe, ready_members: Sequence[ReadyMember], images: Sequence[Hashed]
) -> None:
    """Hold members against float32 on the first images that can be decoded.

    Noise, on which each was proven when it started, is not like photographs: its edges are
    everywhere, and nothing in it is bright as a whole. In float32 by ONNX Runtime there is nothing
    to hold.

    Raises:
        MemberError: the precision or the runtime does not suit a member.
    """
    scoring = recipe.scoring
    held: dict[Geometry, list[Pixels]] = {}
    for ready in ready_members:
        quantised = is_quantised(ready.member.model)
        how = how_computed(scoring.device, scoring.precision, quantised=quantised)
        if how is None:
            continue
        geometry = ready.geometry
        if geometry not in held:
            good = _decoded(images, recipe.inputs.decode, geometry)
            held[geometry] = list(islice(good, HALVES))
        if found := held[geometry]:
            hold(ready, scoring.merge, how, np.stack(found))


def _decoded(
    images: Sequence[Hashed], policy: DecodePolicy, geometry: Geometry
) -> Iterator[Pixels]:
    """Yield what a member takes of each image, uint8 (H, W, C); those that cannot be used apart."""
    for image in images:
        try:
            yield load_pixels(image, policy, geometry)
        except ImageError:  # the run quarantines it
            continue
