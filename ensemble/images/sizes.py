"""The sizes of images as they are decoded, told by their headers where those suffice."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import simplejpeg

from ensemble.errors import ImageError
from ensemble.images.bands import decode_bands
from ensemble.images.decode import decode
from ensemble.images.exif import is_on_its_side, jpeg_exif
from ensemble.images.reading import Hashed, read
from ensemble.records import DecodePolicy, Size

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"


def sizes_of(images: Sequence[Hashed], policy: DecodePolicy, threads: int) -> list[Size | None]:
    """Return the size of each image, its orientation treated as the policy says, in their order.

    It is None for a file that cannot be read or decoded. A file whose header is whole has a size,
    be its pixels damaged or not.
    """
    with ThreadPoolExecutor(max(1, threads)) as pool:
        return list(pool.map(partial(size_of, policy=policy), images))


def size_of(image: Hashed, policy: DecodePolicy) -> Size | None:
    """Return the size of an image as it is decoded; None where that fails."""
    try:
        data = read(image)
        return _of_header(data, policy) or _of_pixels(data, policy)
    except ImageError:
        return None


def _of_header(data: bytes, policy: DecodePolicy) -> Size | None:
    """Read the size of a JPEG or a PNG; None for other files, and those that are odd."""
    if data.startswith(_PNG) and b"eXIf" not in data:
        width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
        return Size(height, width) if width and height else None
    if not data.startswith(_JPEG):
        return None
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    on_its_side = policy.exif == "apply" and is_on_its_side(jpeg_exif(data))
    return Size(width, height) if on_its_side else Size(height, width)


def _of_pixels(data: bytes, policy: DecodePolicy) -> Size:
    """Decode the image; one of bands is no picture, and has a reader of its own."""
    try:
        image = decode(data, policy).image
    except ImageError:
        image = decode_bands(data, policy, None).bands[0]
    return Size(image.height, image.width)
