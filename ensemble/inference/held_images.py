"""Members in another precision or by another runtime, held on images of the run.

They are held against float32 by ONNX Runtime: noise does not show it all.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from ensemble.runtime.devices import available_threads
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
    scoring, inputs, resources = recipe.scoring, recipe.inputs, recipe.resources
    hows = [how_held(ready, scoring.device, scoring.precision) for ready in ready_members]
    todo = [(ready, how) for ready, how in zip(ready_members, hows, strict=True) if how]
    geometries = list(dict.fromkeys(ready.geometry for ready, _ in todo))
    pixels: dict[Geometry, list[Pixels]] = {}

    def decoded(geometry: Geometry) -> list[Pixels]:
        return first_pixels(images, inputs.decode, geometry, resources.probe_images)

    def held(each: tuple[ReadyMember, How]) -> tuple[How, Agreement]:
        ready, how = each
        return how, hold(ready, scoring.merge, how, np.stack(pixels[ready.geometry]))

    with ThreadPoolExecutor(resources.threads or available_threads()) as pool:
        pixels |= zip(geometries, pool.map(decoded, geometries), strict=True)
        found = list(pool.map(held, [each for each in todo if pixels[each[0].geometry]]))
    for how in dict.fromkeys(how for how, _ in found):
        told.warn(in_words(how, together(one for other, one in found if other == how)))


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
