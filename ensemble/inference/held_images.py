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
from ensemble.inference.ready import ReadyMember
from ensemble.inference.start import hold
from ensemble.progress import Listener
from ensemble.recipe.resolve import Recipe
from ensemble.records import DecodePolicy, Geometry, Precision
from ensemble.runtime.agreement import Agreement, How, how_computed, together
from ensemble.runtime.float16 import is_quantised


def hold_on_images(
    recipe: Recipe, ready_members: Sequence[ReadyMember], images: Sequence[Hashed], told: Listener
) -> None:
    """Hold members against float32 on the first images that can be decoded, and say how far off.

    Noise, on which each was proven when it started, is not like photographs: its edges are
    everywhere, and nothing in it is bright as a whole. In float32 by ONNX Runtime there is nothing
    to hold. `recipe.resources.probe_images` are taken.

    Raises:
        MemberError: the precision or the runtime does not suit a member.
    """
    scoring, count = recipe.scoring, recipe.resources.probe_images
    pixels: dict[Geometry, list[Pixels]] = {}
    found: dict[How, list[Agreement]] = {}
    for ready in ready_members:
        how = how_held(ready, scoring.device, scoring.precision)
        if how is None:
            continue
        geometry = ready.geometry
        if geometry not in pixels:
            pixels[geometry] = first_pixels(images, recipe.inputs.decode, geometry, count)
        if taken := pixels[geometry]:
            found.setdefault(how, []).append(hold(ready, scoring.merge, how, np.stack(taken)))
    for how, agreements in found.items():
        told.warn(in_words(how, together(agreements)))


def how_held(ready: ReadyMember, device: str, precision: Precision) -> How | None:
    """Return what a member is held by where it computes; None where it is float32 as ever."""
    return how_computed(device, precision, quantised=is_quantised(ready.member.model))


def in_words(how: How, found: Agreement) -> str:
    """Say how far off members are on images."""
    labels = f"{found.changed} of {found.labels} labels of single members change, and "
    return (
        f"{how.text}, on images of the run: {labels if found.labels else ''}values differ from "
        f"float32 by {found.difference:.2g} at most"
    )


def first_pixels(
    images: Sequence[Hashed], policy: DecodePolicy, geometry: Geometry, count: int
) -> list[Pixels]:
    """Return what a member takes of the first images that can be decoded, uint8 (H, W, C) each."""
    return list(islice(_decoded(images, policy, geometry), count))


def _decoded(
    images: Sequence[Hashed], policy: DecodePolicy, geometry: Geometry
) -> Iterator[Pixels]:
    """Yield what a member takes of each image, uint8 (H, W, C); those that cannot be used apart."""
    for image in images:
        try:
            yield load_pixels(image, policy, geometry)
        except ImageError:  # the run quarantines it
            continue
