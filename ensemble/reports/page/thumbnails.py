"""Small pictures of images as text that stands in a page: JPEG, in data URIs."""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

from PIL import Image, ImageDraw

from ensemble.boxes import Box
from ensemble.errors import ImageError
from ensemble.images.loader import load_image
from ensemble.images.reading import Hashed, hash_sources
from ensemble.images.sources import Source
from ensemble.records import DecodePolicy
from ensemble.reports.contact_sheet import colour_of

SIDE: Final = 112
"""The longer side of a thumbnail, in pixels; smaller images are left as they are."""

ROOM: Final = 6_500_000
"""Bytes that all pictures of a page may have together, as text."""

_QUALITY: Final = 80
_FRAME: Final = 2


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture as a data URI with its size in pixels; or why there is none."""

    uri: str = ""
    lacking: str = ""
    width: int = 0
    height: int = 0

    @property
    def small(self) -> bool:
        """Whether the image is so small that it is enlarged to be seen."""
        return 0 < max(self.width, self.height) < SIDE // 2


@dataclass(frozen=True, slots=True)
class Images:
    """Where the images of a page are: their sources by id, how they are decoded, their boxes.

    `missing` says why there are none where nobody could find any.
    """

    sources: Mapping[str, Source]
    policy: DecodePolicy
    boxes: Mapping[str, Box]
    missing: str = ""


def thumbnails(
    images: Images, ids: Iterable[str], threads: int, room: int = ROOM
) -> dict[str, Thumbnail]:
    """Return the picture of each id, in their order, until there is no more room.

    Args:
        images: Where they are.
        ids: Those that are shown, the most important first; each is made once.
        threads: How many decode.
        room: The bytes that they may have together, as text.
    """
    wanted = list(dict.fromkeys(ids))
    there = [images.sources[name] for name in wanted if name in images.sources]
    hashed = {each.source.id: each for each in hash_sources(there, threads)}
    made = dict(zip(hashed, _made(images, list(hashed.values()), threads), strict=True))
    found, used = {}, 0
    for name in wanted:
        thumbnail = made.get(name, Thumbnail(lacking=images.missing or "no such image was found"))
        used += len(thumbnail.uri)
        found[name] = thumbnail if used <= room else Thumbnail(lacking="left out: too large a page")
    return found


def _made(images: Images, hashed: Sequence[Hashed], threads: int) -> list[Thumbnail]:
    make = partial(_thumbnail, images=images)
    with ThreadPoolExecutor(max(1, threads)) as pool:
        return list(pool.map(make, hashed))


def _thumbnail(image: Hashed, images: Images) -> Thumbnail:
    try:
        picture = load_image(image, images.policy).image.convert("RGB")
    except ImageError as error:
        return Thumbnail(lacking=str(error))
    scale = min(1.0, SIDE / max(picture.size))
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    small = picture if size == picture.size else picture.resize(size, Image.Resampling.LANCZOS)
    if (box := images.boxes.get(image.source.id)) is not None:
        small = _boxed(small, box, scale)
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=_QUALITY, optimize=True)
    text = base64.b64encode(stream.getvalue()).decode("ascii")
    return Thumbnail(f"data:image/jpeg;base64,{text}", "", *small.size)


def _boxed(picture: Image.Image, box: Box, scale: float) -> Image.Image:
    """Return a picture with its box drawn, in the colour of the rule that chose it."""
    drawn, edge = picture.copy(), (picture.width - 1, picture.height - 1) * 2
    sides = [min(max(round(side * scale), 0), most)
             for side, most in zip(box.sides, edge, strict=True)]  # fmt: skip
    ImageDraw.Draw(drawn).rectangle(sides, outline=colour_of(box), width=_FRAME)
    return drawn
