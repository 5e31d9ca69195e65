"""From a decoded image to a member's input pixels: timm's evaluation transform, to the pixel."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from PIL import Image

from ensemble.arrays import Boxes, Pixels
from ensemble.errors import ImageError
from ensemble.records import Geometry, Interpolation, Size

MAX_PIXELS: Final = 200_000_000
"""The most pixels an image may have after it is resized, before it is cropped."""

_FILTERS: Final[dict[Interpolation, Image.Resampling]] = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def resize(image: Image.Image, geometry: Geometry) -> Pixels:
    """Return the image as a member takes it, uint8 (H, W, C), contiguous.

    Equal, pixel for pixel, to what `timm.data.transforms_factory.transforms_imagenet_eval` does
    before it normalises, with crop_mode "center", "squash" or "border" (timm 1.0; its Resize
    and CenterCrop are torchvision's). Grey members get grey pixels before the resize, as with
    timm's input_img_mode "L".

    Args:
        image: mode RGB, or L for a grey geometry; of any size.
        geometry: the target.

    Raises:
        ImageError: the image is so narrow that it would be resized to over `MAX_PIXELS`.
    """
    image = in_channels(image, geometry)
    size = _scaled(Size(image.height, image.width), geometry)
    if size.height * size.width > MAX_PIXELS:
        raise ImageError(
            "decode", "too large",
            f"{image.height}x{image.width} pixels would be resized to {size} to fill a crop of "
            f"{geometry.size}: crop the image first, or use a member whose fit is squash or pad",
        )  # fmt: skip
    if image.size != (size.width, size.height):
        image = image.resize((size.width, size.height), _FILTERS[geometry.interpolation])
    pixels = np.array(_centred(image, geometry))
    return pixels.reshape(geometry.size.height, geometry.size.width, geometry.channels)


def in_channels(image: Image.Image, geometry: Geometry) -> Image.Image:
    """Return an image as it is, or turned grey for a grey geometry."""
    return image.convert("L") if geometry.channels == 1 and image.mode != "L" else image


def resize_bands(bands: Sequence[Image.Image], geometry: Geometry) -> Pixels:
    """Return bands, mode L and one a channel, as a member takes them: as `resize`, each alone.

    Raises:
        ImageError: as for `resize`.
    """
    fills = [geometry.fill[number : number + 1] for number in range(len(bands))]
    parts = [
        resize(band, replace(geometry, channels=1, fill=fill))
        for band, fill in zip(bands, fills, strict=True)
    ]
    return np.concatenate(parts, axis=2)


def back_to_image(boxes: Boxes, source: Size, geometry: Geometry) -> Boxes:
    """Return boxes in the pixels of the image that `resize` was given: its inverse.

    Args:
        boxes: float64 (K, 4): left, top, right, bottom in pixels of the member's input.
        source: the size of the image.
        geometry: what the image was resized for; without a crop.
    """
    scaled = _scaled(source, geometry)
    left = _margin(scaled.width, geometry.size.width)
    top = _margin(scaled.height, geometry.size.height)
    x, y = source.width / scaled.width, source.height / scaled.height
    offset, scale = np.array([left, top, left, top]), np.array([x, y, x, y])
    return np.asarray((boxes + offset) * scale, np.float64)


def _scaled(source: Size, geometry: Geometry) -> Size:
    """Return the size before the crop, with timm's and torchvision's roundings.

    timm's ResizeKeepRatio may round the short side of a narrow image to 0, and fail: here it
    is 1.
    """
    target = Size(
        max(1, math.floor(geometry.size.height / geometry.crop_pct)),
        max(1, math.floor(geometry.size.width / geometry.crop_pct)),
    )
    if geometry.fit == "squash":
        return target
    if geometry.fit == "crop" and target.height == target.width:
        return _short_side(source, target.height)
    ratios = (source.height / target.height, source.width / target.width)
    ratio = max(ratios) if geometry.fit == "pad" else min(ratios)
    return Size(max(1, round(source.height / ratio)), max(1, round(source.width / ratio)))


def _short_side(source: Size, side: int) -> Size:
    """Resize as torchvision does to one number: the long side is cut to a whole pixel."""
    if source.width <= source.height:
        return Size(int(side * source.height / source.width), side)
    return Size(side, int(side * source.width / source.height))


def _centred(image: Image.Image, geometry: Geometry) -> Image.Image:
    """Cut or pad each side to the target around the centre; `fill` is the colour of the border."""
    height, width = geometry.size.height, geometry.size.width
    if image.size == (width, height):
        return image
    left, top = _margin(image.width, width), _margin(image.height, height)
    if not geometry.fill or (image.width >= width and image.height >= height):
        return image.crop((left, top, left + width, top + height))  # a border would be black
    canvas = Image.new(image.mode, (width, height), geometry.fill)
    canvas.paste(image, (-left, -top))
    return canvas


def _margin(side: int, target: int) -> int:
    """Return where the target begins on a side: negative where it is longer, and is padded."""
    return -((target - side) // 2) if target > side else round((side - target) / 2)
