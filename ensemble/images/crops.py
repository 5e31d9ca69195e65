"""A box of an image, widened and cut out; beyond the border it is padded, never stretched."""

import math
from dataclasses import dataclass

from PIL import Image

from ensemble.boxes import Box, Crop, Jitter
from ensemble.errors import ImageError
from ensemble.images.resize import MAX_PIXELS
from ensemble.records import (
    Geometry,
    Size,
)


@dataclass(frozen=True, slots=True)
class Region:
    """Whole pixels of an image, from `left` and `top` on; they may lie over its border."""

    left: int
    top: int
    size: Size


def region_of(box: Box, crop: Crop, jitter: Jitter = (0.0, 0.0, 0.0)) -> Region:
    """Return the pixels that a box has when it is widened: at least one, halves rounded up."""
    across, down, wider = jitter
    own_width, own_height = box.right - box.left, box.bottom - box.top
    factor = 1 + 2 * (crop.margin + wider)
    width, height = own_width * factor, own_height * factor
    if crop.square:
        width = height = max(width, height)
    size = Size(max(1, _rounded(height)), max(1, _rounded(width)))
    left = _rounded((box.left + box.right - size.width) / 2 + across * own_width)
    top = _rounded((box.top + box.bottom - size.height) / 2 + down * own_height)
    return Region(left, top, size)


def cut_out(
    image: Image.Image, box: Box | None, geometry: Geometry, jitter: Jitter = (0.0, 0.0, 0.0)
) -> Image.Image:
    """Return the part of an image that a geometry wants: its box, widened; or all of it.

    Args:
        image: as it was decoded, of any mode that has the geometry's channels.
        box: the part; None where the image has none.
        geometry: says whether there is a crop, how a box is widened, and the colour of a border.
        jitter: how the box is moved, and widened besides.

    Raises:
        ImageError: the image has no box, or the widened box has over `MAX_PIXELS`.
    """
    if geometry.crop is None:
        return image
    if box is None:
        raise ImageError("decode", "no box", "no box of it was given, and members see boxes")
    return _cut(image, region_of(box, geometry.crop, jitter), geometry.border)


def boxed(image: Image.Image, box: Box | None) -> Image.Image:
    """Return the box of an RGB image as it is, black beyond the border; all of it without a box.

    Raises:
        ImageError: the box has over `MAX_PIXELS`.
    """
    if box is None:
        return image
    return _cut(image, region_of(box, Crop(0.0, square=False)), (0, 0, 0))


def _cut(image: Image.Image, region: Region, border: tuple[int, ...]) -> Image.Image:
    width, height = region.size.width, region.size.height
    if width * height > MAX_PIXELS:
        raise ImageError(
            "decode", "too large",
            f"its box has {region.size} pixels with its margin, and at most {MAX_PIXELS} can be "
            f"cut out: give a smaller box or a smaller --margin",
        )  # fmt: skip
    left, top = region.left, region.top
    right, bottom = left + width, top + height
    if left >= 0 and top >= 0 and right <= image.width and bottom <= image.height:
        return image.crop((left, top, right, bottom))
    canvas = Image.new(image.mode, (width, height), border)
    canvas.paste(image, (-left, -top))
    return canvas


def _rounded(value: float) -> int:
    return math.floor(value + 0.5)
