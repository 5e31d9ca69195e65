"""JPEG files: which kind one is, and what of libjpeg's warnings is harmless.

libjpeg warns of bytes that it skips. Between the segments of the header, and as a run of one value
before a marker, they are padding: every pixel is there. Other bytes that a scan leaves over may as
well be what a damaged scan lost, and stay a fault.
"""

import re
from collections.abc import Iterator
from typing import Final

from ensemble.images.exif import SOS

_EXTRANEOUS: Final = re.compile(r"(\d+) extraneous bytes before marker 0x([0-9a-f]{2})")
_FRAMES: Final = {
    0xC3: "lossless", 0xC5: "hierarchical", 0xC6: "hierarchical", 0xC7: "lossless hierarchical",
    0xCB: "lossless arithmetic", 0xCD: "hierarchical arithmetic", 0xCE: "hierarchical arithmetic",
    0xCF: "lossless hierarchical arithmetic",
}  # fmt: skip
"""Frames that decoders for pictures do not read; the others are baseline, extended, progressive."""

_SEQUENTIAL: Final = (0xC0, 0xC1)
_NO_FRAMES: Final = (0xC4, 0xC8, 0xCC)
_JFIF: Final = b"JFIF\0"


def unusual_kind(data: bytes) -> str:
    """Name a kind of JPEG that few decoders read, such as "12-bit" or "lossless"; "" for others."""
    at = frame_of(data)
    if at is None:
        return ""
    kinds = [_FRAMES.get(data[at + 1], "")]
    kinds += [f"{data[at + 4]}-bit"] if data[at + 4] != 8 else []
    kinds += [f"{data[at + 9]}-channel"] if data[at + 9] not in (1, 3, 4) else []
    return " ".join(kind for kind in kinds if kind)


def frame_of(data: bytes) -> int | None:
    """Return where the frame's header begins, which tells its kind; None where it is missing."""
    found = next((at for at in _segments(data) if _is_frame(data[at + 1])), None)
    return found if found is not None and found + 10 <= len(data) else None


def without_padding(data: bytes, warning: str) -> bytes | None:
    """Return a file without the padding that libjpeg warned of; None where it is no padding."""
    header = _clean_header(data)
    if header != data:
        return header
    found = _EXTRANEOUS.search(warning)
    if found is None:
        return None
    count, marker = int(found[1]), bytes((0xFF, int(found[2], 16)))
    at = data.find(marker, max(data.find(SOS), 0))
    while at > 0:
        run = _run_before(data, at)
        if run >= count:
            kept = 1 if run > 1 else 0  # the scan itself may end in such a byte
            return data[: at - run + kept] + data[at:]
        at = data.find(marker, at + 1)
    return None


def _run_before(data: bytes, at: int) -> int:
    """Count the bytes of one value that end before a place."""
    start = at
    while start > 0 and data[start - 1] == data[at - 1]:
        start -= 1
    return at - start


def _segments(data: bytes) -> Iterator[int]:
    """Where each segment of the header begins, SOS too; what lies between them is passed over."""
    at = 2
    while 0 <= at < len(data) - 4:
        if data[at] != 0xFF or data[at + 1] in (0, 0xFF):
            at = data.find(b"\xff", at + 1)
            continue
        yield at
        if data[at : at + 2] == SOS:
            return
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def _clean_header(data: bytes) -> bytes:
    """Return the file without bytes between its segments, and with sound versions and bounds.

    A JFIF version that is not known decides nothing, nor do the spectral bounds of a scan that is
    not progressive: libjpeg warns of both and goes on as with these.
    """
    parts, sequential, end = [data[:2]], False, 2
    for at in _segments(data):
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        segment = data[at:end]
        sequential = sequential or segment[1] in _SEQUENTIAL
        if segment[4:9] == _JFIF and segment[1] == 0xE0:
            segment = segment[:9] + b"\x01" + segment[10:]
        if segment[:2] == SOS and sequential:
            segment = segment[:-3] + b"\0\x3f\0"
        parts.append(segment)
    return b"".join(parts) + data[end:]


def _is_frame(marker: int) -> bool:
    return 0xC0 <= marker <= 0xCF and marker not in _NO_FRAMES
