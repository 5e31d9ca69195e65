"""A contact sheet of crops: the least certain boxes first, since looking is the check they need."""

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

from PIL import Image, ImageDraw

from ensemble.boxes import Box
from ensemble.errors import ImageError
from ensemble.images.loader import load_image
from ensemble.images.reading import Hashed
from ensemble.records import DecodePolicy

MOST: Final = 100
"""The most tiles of a sheet."""

_COLUMNS: Final = 10
_SIDE: Final = 144
_GAP: Final = 6
_FRAME: Final = 2
_TEXT: Final = 28
_LETTERS: Final = 24
_COLOURS: Final = {"sure": "#2e9e4f", "centred": "#d98a00", "fallback": "#d03030"}
_OTHER: Final = "#3060d0"


@dataclass(frozen=True, slots=True)
class Tile:
    """An image, the box that was chosen of it, and its score."""

    image: Hashed
    box: Box
    score: float


def contact_sheet(tiles: Sequence[Tile], policy: DecodePolicy, threads: int) -> bytes:
    """Return a PNG with the images of the lowest scores, at most `MOST`, their boxes drawn.

    Under each stand its id, and its score and rule. What is odd in an id is written as "?". An
    image of bands is a grey tile.
    """
    shown = sorted(tiles, key=lambda tile: tile.score)[:MOST]
    columns, width, height = min(_COLUMNS, max(1, len(shown))), _SIDE + _GAP, _SIDE + _TEXT
    rows = -(-len(shown) // columns)
    sheet = Image.new("RGB", (columns * width + _GAP, max(1, rows) * height + _GAP), "white")
    with ThreadPoolExecutor(max(1, threads)) as pool:
        pictures = pool.map(partial(_picture, policy=policy), shown)
        for number, (tile, picture) in enumerate(zip(shown, pictures, strict=True)):
            left = _GAP + number % columns * width
            top = _GAP + number // columns * height
            sheet.paste(picture, (left, top))
            words = ImageDraw.Draw(sheet)
            words.multiline_text((left, top + _SIDE), _words(tile), "black", spacing=1)
    stream = io.BytesIO()
    sheet.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _picture(tile: Tile, policy: DecodePolicy) -> Image.Image:
    """Return an image with its box, as large as a tile lets it be."""
    canvas = Image.new("RGB", (_SIDE, _SIDE), "#dddddd")
    try:
        image = load_image(tile.image, policy).image
    except ImageError:
        return canvas
    scale = _SIDE / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    offset = (_SIDE - size[0]) // 2, (_SIDE - size[1]) // 2
    canvas.paste(image.resize(size, Image.Resampling.BILINEAR), offset)
    left, top = (round(side * scale) - _FRAME for side in (tile.box.left, tile.box.top))
    right = max(left + _FRAME, round(tile.box.right * scale) - 1) + _FRAME
    bottom = max(top + _FRAME, round(tile.box.bottom * scale) - 1) + _FRAME
    # around the box, since a frame inside a small one would hide what is to be looked at
    corners = (left + offset[0], top + offset[1], right + offset[0], bottom + offset[1])
    shown = [min(max(corner, 0), _SIDE - 1) for corner in corners]
    ImageDraw.Draw(canvas).rectangle(shown, outline=colour_of(tile.box), width=_FRAME)
    return canvas


def colour_of(box: Box) -> str:
    """Return the colour of a box's frame, by the rule that chose it."""
    return _COLOURS.get(box.rule, _OTHER)


def _words(tile: Tile) -> str:
    name = "".join(c if c.isascii() and c.isprintable() else "?" for c in tile.image.source.id)
    name = name if len(name) <= _LETTERS else f"{name[: _LETTERS - 2]}.."
    return f"{name}\n{tile.score:.2f} {tile.box.rule}"
