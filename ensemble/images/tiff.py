"""TIFF files of other bands than a picture has: read as they are, uncompressed or deflated."""

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ensemble.errors import ImageError, counted
from ensemble.images.limits import check_size
from ensemble.records import DecodePolicy

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_OFFSETS, _ORIENTATION, _SAMPLES, _ROWS, _COUNTS = 273, 274, 277, 278, 279
_PLANAR, _PREDICTOR, _TILE_WIDTH, _FORMAT = 284, 317, 322, 339
_SIZES: Final = {1: 1, 3: 2, 4: 4, 16: 8}
_CODES: Final = {1: "B", 3: "H", 4: "I", 16: "Q"}
_COMPRESSIONS: Final = {5: "LZW", 7: "JPEG", 32773: "PackBits", 34925: "LZMA", 50000: "Zstandard"}
_DEFLATED: Final = (8, 32946)
_MOST_TAGS: Final = 4096
_REMEDY: Final = "write it with 8 or 16 bits in strips, uncompressed or deflated, or as .npy"


@dataclass(frozen=True, slots=True)
class Tiff:
    """What the first directory of a TIFF file says: its size, its bands, and how they are kept.

    `more` tells that another directory follows it: another frame, or the same at another size.
    """

    order: str
    tags: Mapping[int, tuple[int, ...]]
    more: bool

    def one(self, tag: int, default: int = 0) -> int:
        """Return the first value of a tag."""
        values = self.tags.get(tag, ())
        return values[0] if values else default

    @property
    def bands(self) -> int:
        """The samples of a pixel."""
        return self.one(_SAMPLES, 1)


def read_tiff(data: bytes) -> Tiff:
    """Read the first directory of a TIFF or BigTIFF file.

    Raises:
        ImageError: it is damaged.
    """
    order = "<" if data[:2] == b"II" else ">"
    try:
        big = struct.unpack_from(order + "H", data, 2)[0] == 43
        (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
        (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
        first, size = start + (8 if big else 2), 20 if big else 12
        places = range(first, first + size * min(count, _MOST_TAGS), size)
        tags = dict(_tag(data, at, order, big=big) for at in places)
    except (struct.error, OverflowError) as error:
        raise ImageError("decode", "corrupt", f"corrupt TIFF file: {error}") from error
    end = first + size * count
    return Tiff(order, tags, any(data[end : end + (8 if big else 4)]))


def check_tiff(data: bytes) -> None:
    """Say why Pillow does not know a TIFF file, unless its header is damaged.

    Raises:
        ImageError: it is of a kind that is not read as a picture.
    """
    tiff = read_tiff(data)
    bits = "/".join(map(str, dict.fromkeys(tiff.tags.get(_BITS, ()))))
    if not (tiff.one(_WIDTH) and tiff.one(_HEIGHT) and bits):
        return
    raise ImageError(
        "decode", "unsupported",
        f"a TIFF of {tiff.bands} bands of {bits} bits (photometric {tiff.one(_PHOTOMETRIC)}) is no "
        f"picture of 1 or 3 channels: write the three bands that the member takes, or use a member "
        f"of {tiff.bands} channels",
    )  # fmt: skip


def tiff_bands(data: bytes, policy: DecodePolicy) -> tuple[NDArray[np.generic], int]:
    """Return the bands of a TIFF file, uint8 or uint16 (H, W, C), and its orientation from 1 to 8.

    Raises:
        ImageError: it is kept in another way, too large, truncated or damaged.
    """
    tiff = read_tiff(data)
    height, width, bands = tiff.one(_HEIGHT), tiff.one(_WIDTH), tiff.bands
    check_size(height, width, policy)
    kind = _kind(tiff)
    planes, together = (bands, 1) if tiff.one(_PLANAR, 1) == 2 else (1, bands)
    strips = _strips(data, tiff, _lengths(tiff, planes, width * together * kind.itemsize))
    planar = np.frombuffer(b"".join(strips), kind).reshape(planes, height, width, together)
    pixels = planar.transpose(1, 2, 0, 3).reshape(height, width, bands)
    pixels = pixels.astype(kind.newbyteorder("="))
    if tiff.one(_COMPRESSION, 1) in _DEFLATED and tiff.one(_PREDICTOR, 1) == 2:
        # each sample is kept as its step from the one to its left
        pixels = np.cumsum(pixels, axis=1, dtype=pixels.dtype)
    return pixels, tiff.one(_ORIENTATION, 1)


def _kind(tiff: Tiff) -> np.dtype[np.generic]:
    """Return the type of a sample; refuse what is not read here."""
    bits, compression = set(tiff.tags.get(_BITS, (1,))), tiff.one(_COMPRESSION, 1)
    formats = set(tiff.tags.get(_FORMAT, (1,)))
    faults = [
        (bits not in ({8}, {16}) or formats != {1}, f"samples of {sorted(bits)} bits"),
        (tiff.one(_FILL_ORDER, 1) != 1, "bits in reversed order"),
        (_TILE_WIDTH in tiff.tags, "tiles"),
        (compression not in (1, *_DEFLATED),
         f"{_COMPRESSIONS.get(compression, compression)} compression"),
        (tiff.one(_PREDICTOR, 1) not in (1, 2), "a predictor of floats"),
    ]  # fmt: skip
    for wrong, what in faults:
        if wrong:
            raise ImageError(
                "decode", "unsupported",
                f"a TIFF of {tiff.bands} bands with {what} is not supported: {_REMEDY}",
            )  # fmt: skip
    return np.dtype("u1" if bits == {8} else f"{tiff.order}u2")


def _lengths(tiff: Tiff, planes: int, row: int) -> list[int]:
    """Return how many bytes each strip has: so many rows of so many bytes, plane by plane."""
    height, found = tiff.one(_HEIGHT), len(tiff.tags.get(_OFFSETS, ()))
    rows = min(tiff.one(_ROWS, height), height)
    if not (rows and row and planes):
        raise ImageError("decode", "corrupt", "corrupt TIFF file: its directory tells of no pixels")
    wanted = planes * -(-height // rows)
    if found != wanted:
        fault = "truncated" if found < wanted else "corrupt"
        raise ImageError(
            "decode", fault,
            f"{fault} TIFF file: {counted(found, 'strip')}, where {height} rows, {rows} a strip, "
            f"have {wanted}",
        )  # fmt: skip
    return [min(rows, height - at) * row for at in range(0, height, rows)] * planes


def _strips(data: bytes, tiff: Tiff, lengths: Sequence[int]) -> list[bytes]:
    """Return the strips, each of its length: what is beyond that is padding, or a bomb."""
    offsets, counts = tiff.tags.get(_OFFSETS, ()), tiff.tags.get(_COUNTS, ())
    strips = [data[at : at + size] for at, size in zip(offsets, counts, strict=False)]
    if tiff.one(_COMPRESSION, 1) in _DEFLATED:
        strips = list(map(_inflated, strips, lengths))
    short = any(len(strip) < length for strip, length in zip(strips, lengths, strict=False))
    if short or len(strips) < len(lengths):
        raise ImageError("decode", "truncated", "truncated TIFF file: its strips are too short")
    return [strip[:length] for strip, length in zip(strips, lengths, strict=True)]


def _inflated(strip: bytes, length: int) -> bytes:
    try:  # with room for one byte more the end of the stream is reached, and its checksum compared
        return zlib.decompressobj().decompress(strip, length + 1)
    except zlib.error as error:
        raise ImageError("decode", "corrupt", f"corrupt TIFF file: {error}") from error


def _tag(data: bytes, at: int, order: str, *, big: bool) -> tuple[int, tuple[int, ...]]:
    tag, kind, count = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, at)
    size = _SIZES.get(kind, 0)
    if not size or size * count > len(data):
        return tag, ()
    place, room = (at + 12, 8) if big else (at + 8, 4)
    if size * count > room:
        (place,) = struct.unpack_from(order + ("Q" if big else "I"), data, place)
    return tag, struct.unpack_from(f"{order}{count}{_CODES[kind]}", data, place)
