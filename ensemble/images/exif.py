"""The orientation that a file asks for, and turning pixels by it."""

import struct
from collections.abc import Mapping
from typing import Final

from PIL import Image

from ensemble.records import DecodePolicy

TURNS: Final[Mapping[object, Image.Transpose]] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

BACK: Final[Mapping[object, int]] = {6: 8, 8: 6}
"""The orientation that undoes another; the rest undo themselves."""

ON_ITS_SIDE: Final = (5, 6, 7, 8)
"""The orientations that swap height and width."""

SOS: Final = b"\xff\xda"


def turned(image: Image.Image, exif: bytes, policy: DecodePolicy, notes: list[str]) -> Image.Image:
    if not exif or policy.exif == "ignore":
        return image
    try:
        turn = TURNS.get(_orientation(exif.removeprefix(b"Exif\0\0")))
    except (struct.error, KeyError):
        notes.append("exif")
        return image
    if turn is None:
        return image
    notes.append("exif turned")
    return image.transpose(turn)


def is_on_its_side(exif: bytes) -> bool:
    """Tell whether the orientation of an EXIF segment swaps height and width; see `turned`."""
    try:
        return bool(exif) and _orientation(exif.removeprefix(b"Exif\0\0")) in ON_ITS_SIDE
    except (struct.error, KeyError):
        return False


def jpeg_exif(data: bytes) -> bytes:
    """Return the EXIF segment of a JPEG file, found by its markers, or nothing."""
    at = 2
    while at + 1 < len(data) and data[at] == 0xFF and data[at : at + 2] != SOS:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0xFF:  # a fill byte
            end = at + 1
        elif data[at + 1] == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            return data[at + 10 : end]
        at = end
    return b""


def _orientation(exif: bytes) -> int:
    """Read the tag 0x0112 of a TIFF structure's first directory; 1 (upright) if it has none."""
    order = {b"II*\0": "<", b"MM\0*": ">"}[exif[:4]]
    (start,) = struct.unpack_from(f"{order}I", exif, 4)
    (count,) = struct.unpack_from(f"{order}H", exif, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", exif, entry)
        if tag == 0x0112:
            return int(struct.unpack_from(order + ("I" if kind == 4 else "H"), exif, entry + 8)[0])
    return 1
