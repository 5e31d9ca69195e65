"""Which format an image file has, told by its first bytes, and what to do with others."""

import re
from typing import Final

from PIL import features

from ensemble.errors import ImageError
from ensemble.records import EXTENSIONS

_MAGIC: Final = (
    (b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"), (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"), (b"BM", "BMP"), (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"), (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"), (b"\x93NUMPY", "NPY"), (b"\x1f\x8b", "gzip"),
)  # fmt: skip

_POINTER: Final = b"version https://git-lfs"

_CONVERT: Final = {
    "HEIC": "convert the file to JPEG or PNG first, with pillow-heif or libheif",
    "JPEG XL": "convert the file to JPEG or PNG first, with djxl",
    "JPEG2000": "convert the file to PNG or TIFF first, with Pillow or opj_decompress",
    "DICOM": "write its pixels, windowed, as 8- or 16-bit PNG first, with pydicom",
    "gzip": "unpack the file first, with gunzip",
    "NPY": "an array has bands, for a member of 2 or 4 to 16 channels; save a picture as PNG",
}
"""What is known and not decoded to RGB, and what to do."""


def format_of(data: bytes) -> str:
    """Tell the format of an image file by its first bytes, as `EXTENSIONS` names it.

    Raises:
        ImageError: the file is empty, no image, or of a format that is not decoded to RGB.
    """
    kind = next((kind for magic, kind in _MAGIC if data.startswith(magic)), "")
    kind = kind or _contained(data[:132])
    if not data:
        raise ImageError("decode", "empty", "the file is empty")
    if not kind:
        start = data[:16].decode("ascii", "backslashreplace")
        known = ", ".join(EXTENSIONS)
        if data.startswith(_POINTER):
            known = "a git-lfs pointer: fetch the file that it stands for, with git lfs pull"
        raise ImageError("decode", "not an image", f"not an image: starts with {start!r} ({known})")
    if kind in _CONVERT or not _built_in(kind):
        remedy = _CONVERT.get(kind, "convert it to PNG, or install a Pillow that reads it")
        raise ImageError("decode", "unsupported", f"{kind} is not supported: {remedy}")
    return kind


def _contained(head: bytes) -> str:
    """Tell formats that are named within a container's first bytes."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[128:132] == b"DICM":
        return "DICOM"
    if head[4:8] != b"ftyp":
        return ""
    heic = re.search(b"hei|hev|mif|msf", head[:64])
    return "AVIF" if b"avi" in head[8:64] else "HEIC" if heic else ""


def _built_in(kind: str) -> bool:
    return kind not in ("AVIF", "WEBP") or bool(features.check(kind.lower()))
