"""Decoding image files to RGB: strictly, or not at all.

JPEG is decoded by simplejpeg, whose strict mode refuses most damage that Pillow paints over; the
pixels are the same. The rest is decoded by Pillow, out of a short list of formats. Whatever a
decoder raises leaves this module as an `ImageError`.
"""

import io
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from ensemble.arrays import Pixels
from ensemble.errors import ImageError
from ensemble.images.exif import BACK, SOS, TURNS, jpeg_exif, turned
from ensemble.images.formats import format_of
from ensemble.images.jpeg import frame_of, unusual_kind, without_padding
from ensemble.images.limits import check_size
from ensemble.images.tiff import check_tiff
from ensemble.records import EXTENSIONS, DecodePolicy

_Noted: TypeAlias = tuple[Image.Image, list[str]]
_Decoder: TypeAlias = Callable[[bytes, str, DecodePolicy], _Noted]

# Pillow's own limit warns or raises in the midst of a decode, and cannot be set per call. Here
# `DecodePolicy.max_pixels` is checked before each decode, so Pillow's is switched off.
Image.MAX_IMAGE_PIXELS = None

# Pillow warns of odd metadata, which decides no pixel; whether an image is refused must not depend
# on the warning filters of whoever runs this.
warnings.filterwarnings("ignore", module=r"PIL\.")


@dataclass(frozen=True, slots=True)
class Decoded:
    """An RGB image; `warnings` tells what was odd about its file.

    Any of "extension", "exif" (malformed), "exif turned", "frames", "padding" and "truncated".
    """

    image: Image.Image
    warnings: tuple[str, ...]


def decode(data: bytes, policy: DecodePolicy, suffix: str = "") -> Decoded:
    """Decode the first frame of an image file to RGB; safe to call from several threads.

    Alpha and EXIF orientation are treated as the policy says. 16-bit grey is scaled by 65535;
    16-bit colour keeps its high byte. `suffix` is the file's extension; it decides nothing, but a
    wrong one is reported.

    Raises:
        ImageError: the file is not an image, not supported, too large, truncated or corrupt.
    """
    kind = format_of(data)
    odd = []
    if suffix and suffix.lower().lstrip(".") not in EXTENSIONS[kind]:
        odd.append("extension")
    try:
        image, noted = _DECODERS.get(kind, _decode_other)(data, kind, policy)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError("decode", "too large", f"{kind}: not enough memory") from error
    except FOREIGN as error:
        text = str(error)
        if isinstance(error, UnidentifiedImageError):
            text = "the header is damaged"
        cut = re.search("truncat|premature", text, re.IGNORECASE)
        fault = "truncated" if cut else "corrupt"
        raise ImageError("decode", fault, f"{fault} {kind} file: {text}") from error
    return Decoded(image, (*odd, *noted))


FOREIGN: Final = (
    OSError, SyntaxError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError,
    EOFError, AssertionError, RuntimeError, Warning, struct.error, zlib.error,
)  # fmt: skip
"""What Pillow and simplejpeg raise for files that are damaged."""

_EOI: Final = b"\xff\xd9"


def _decode_jpeg(data: bytes, kind: str, policy: DecodePolicy) -> _Noted:
    """Decode strictly; a file with nothing worse than padding without it, rare kinds by Pillow."""
    notes: list[str] = []
    for _ in range(_PADDINGS):
        try:
            image, more = _decode_strictly(data, policy)
        except ValueError as error:
            odd = "subsampling" in str(error) and frame_of(data) is not None
            if odd or unusual_kind(data):
                return _by_pillow(data, kind, policy)
            cleaned = without_padding(data, str(error))
            if cleaned is None:
                raise
            data, notes = cleaned, ["padding"]
        else:
            return image, more + notes
    raise ImageError("decode", "corrupt", f"corrupt JPEG file: padding in over {_PADDINGS} places")


_PADDINGS: Final = 64


def _by_pillow(data: bytes, kind: str, policy: DecodePolicy) -> _Noted:
    """Let Pillow try a JPEG of a kind that simplejpeg does not read."""
    try:
        return _decode_other(data, kind, policy)
    except ImageError:
        raise
    except FOREIGN as error:
        raise ImageError(
            "decode", "unsupported",
            f"{unusual_kind(data) or 'this subsampling of'} JPEG is not supported: convert the "
            f"file to PNG first, with a tool that reads it (for 12 bits and lossless, "
            f"imagecodecs or GDAL)",
        ) from error  # fmt: skip


def _decode_strictly(data: bytes, policy: DecodePolicy) -> _Noted:
    height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    check_size(height, width, policy)
    if not policy.allow_truncated:
        _check_length(data, width, height)
    space = "CMYK" if colours in ("CMYK", "YCCK") else "RGB"
    notes: list[str] = []
    try:
        pixels = simplejpeg.decode_jpeg(data, space, strict=True)
    except ValueError:
        # Entropy-coded bytes hold no marker: without an EOI past the last SOS, the end is missing.
        if not policy.allow_truncated or data.find(_EOI, max(data.rfind(SOS), 0)) >= 0:
            raise
        pixels = simplejpeg.decode_jpeg(data, space, strict=False)
        notes.append("truncated")
    if space == "CMYK":  # Adobe's inks are inverted; Pillow inverts them all, and so does this
        image = Image.frombuffer("CMYK", (width, height), 255 - pixels, "raw", "CMYK", 0, 1)
        image = image.convert("RGB")
    else:
        image = Image.fromarray(pixels)
    return turned(image, jpeg_exif(data), policy, notes), notes


def _check_length(data: bytes, width: int, height: int) -> None:
    """Refuse a JPEG too short for its pixels before memory is taken for them.

    Huffman codes have a bit or more for each block of 8x8 pixels; arithmetic ones may have less.
    """
    arithmetic = b"\xff\xc9" in data or b"\xff\xca" in data
    if not arithmetic and len(data) * 8 < (width // 8) * (height // 8):
        raise ImageError(
            "decode", "truncated",
            f"truncated JPEG file: {len(data)} bytes cannot hold {height}x{width} pixels",
        )  # fmt: skip


def _decode_png(data: bytes, kind: str, policy: DecodePolicy) -> _Noted:
    cut = _check_chunks(data)
    if cut and not policy.allow_truncated:
        raise ImageError("decode", "truncated", "truncated PNG file: its last chunk is missing")
    image, notes = _decode_other(data, kind, policy, cut=cut)
    return image, notes + ["truncated"] * cut


def _decode_other(data: bytes, kind: str, policy: DecodePolicy, *, cut: bool = False) -> _Noted:
    try:
        image = Image.open(io.BytesIO(data), formats=[kind])
    except UnidentifiedImageError:
        if kind == "TIFF":
            check_tiff(data)
        raise
    check_size(image.height, image.width, policy)
    _check_depth(image)
    # Pillow turns a TIFF as it loads it; the same tag tells how to turn it back.
    stored = getattr(image, "tag_v2", {}).get(0x0112)
    turn = TURNS.get(BACK.get(stored, stored))
    try:
        image.load()
    except OSError:
        if not cut:
            raise
        image.tile = []  # what was decoded before the end stands, the rest is black
    notes = ["frames"] * bool(getattr(image, "is_animated", False))
    if turn is not None and policy.exif == "apply":
        notes.append("exif turned")
    if turn is not None and policy.exif == "ignore":
        return _rgb(image, policy).transpose(turn), notes
    exif = image.info.get("exif", b"")
    return turned(_rgb(image, policy), exif, policy, notes), notes


def _check_chunks(data: bytes) -> bool:
    """Check each CRC of a PNG file (Pillow skips those of pixels); True if its end is missing."""
    view, at = memoryview(data), 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(view[at : at + 4], "big")
        if end > len(data):
            return True
        name = bytes(view[at + 4 : at + 8])
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            raise ImageError("decode", "corrupt", f"corrupt PNG file: bad CRC in chunk {name!r}")
        if name == b"IEND":
            return False
        at = end
    return True


def _check_depth(image: ImageFile.ImageFile) -> None:
    twelve = "I;12" in str(image.tile)
    if twelve or image.mode in ("I", "F"):
        depth = "12-bit grey" if twelve else "32-bit" if image.mode == "I" else "float"
        raise ImageError(
            "decode", "unsupported",
            f"{depth} pixels have no fixed range: convert the image to 8 or 16 bits",
        )  # fmt: skip


def _rgb(image: Image.Image, policy: DecodePolicy) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        if policy.alpha != "drop":
            image = Image.alpha_composite(Image.new("RGBA", image.size, policy.alpha), image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(grey: NDArray[np.uint16]) -> Pixels:
    """Scale 0..65535 to 0..255, rounded: 65535 / 255 is 257, so no value lies half-way."""
    return ((grey.astype(np.uint32) + 128) // 257).astype(np.uint8)


_DECODERS: Final[Mapping[str, _Decoder]] = {"JPEG": _decode_jpeg, "PNG": _decode_png}
