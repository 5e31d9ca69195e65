"""Finding images, reading their bytes, and decoding them to RGB: strictly, or not at all.

JPEG is decoded by simplejpeg, whose strict mode refuses most damage that Pillow paints over; the
pixels are the same. The rest is decoded by Pillow, out of a short list of formats. Whatever a
decoder raises leaves this module as an `ImageError`.
"""

import csv
import errno
import fnmatch
import io
import os
import re
import struct
import time
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError, features

from ensemble.arrays import Pixels
from ensemble.errors import ImageError, UsageError
from ensemble.files import sha256_bytes, sha256_file
from ensemble.spec import DecodePolicy

IdFrom: TypeAlias = Literal["stem", "name", "path"]

_Noted: TypeAlias = tuple[Image.Image, list[str]]
_Decoder: TypeAlias = Callable[[bytes, str, DecodePolicy], _Noted]

# Pillow's own limit warns or raises in the midst of a decode, and cannot be set per call. Here
# `DecodePolicy.max_pixels` is checked before each decode, so Pillow's is switched off.
Image.MAX_IMAGE_PIXELS = None

EXTENSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "JPEG": ("jpg", "jpeg", "jpe"),
    "PNG": ("png",),
    "BMP": ("bmp",),
    "GIF": ("gif",),
    "TIFF": ("tif", "tiff"),
    "WEBP": ("webp",),
    "AVIF": ("avif",),
    "HEIC": ("heic", "heif"),
    "JPEG XL": ("jxl",),
}
"""The formats, and the extensions by which `scan` knows an image. Content decides the format."""


@dataclass(frozen=True, slots=True)
class Source:
    """One image to predict: its id, byte-exact, and its file."""

    id: str
    path: Path


@dataclass(frozen=True, slots=True)
class Scan:
    """The images that were found, in natural order of their ids, and what was skipped, and why."""

    images: tuple[Source, ...]
    skipped: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Hashed:
    """A source with the hash and size of its bytes: "" and -1 if it could not be read."""

    source: Source
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """An RGB image; `warnings` has any of "extension", "exif", "frames" and "truncated"."""

    image: Image.Image
    warnings: tuple[str, ...]


def scan(inputs: Sequence[str | Path], id_from: IdFrom = "stem") -> Scan:
    """Find the images of folders (with their subfolders), files, glob patterns and CSV lists.

    A CSV file has a column `path`, relative to its folder, or `id`, or both; an id alone names
    a file beside the CSV, with or without its extension. Links are followed only where they are
    named themselves.

    Raises:
        UsageError: an input without images, an id twice, or a name that is not UTF-8.
    """
    skipped: Counter[str] = Counter()
    images: list[Source] = []
    for given in inputs:
        found = list(_sources(str(given), id_from, skipped))
        if not found:
            reasons = ", ".join(f"{n} skipped: {reason}" for reason, n in skipped.items())
            raise UsageError(f"no images in {str(given)!r}{f' ({reasons})' if reasons else ''}")
        images += found
    if not images:
        raise UsageError("no images: name a folder, files, a glob pattern, or a CSV file")
    _check_ids(images)
    return Scan(tuple(sorted(images, key=_natural)), dict(skipped))


def hash_sources(sources: Sequence[Source], threads: int) -> list[Hashed]:
    """Hash the files on that many threads, in the order given.

    A file that cannot be read gets no hash; `read` will say why.
    """
    with ThreadPoolExecutor(max(1, threads)) as pool:
        return list(pool.map(_hashed, sources))


def read(source: Hashed) -> bytes:
    """Read the bytes that were hashed; transient faults of the disk are tried again.

    Raises:
        ImageError: the file cannot be read, or it has changed.
    """
    path = source.source.path
    try:
        data = _read_patiently(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError("read", "unreadable", f"cannot read the file: {reason}") from error
    if sha256_bytes(data) != source.sha256:
        was = f"had {source.bytes} bytes" if source.sha256 else "could not be read"
        raise ImageError(
            "read", "changed", f"changed since the scan: it {was} then, {len(data)} bytes now"
        )
    return data


def decode(data: bytes, policy: DecodePolicy, suffix: str = "") -> Decoded:
    """Decode the first frame of an image file to RGB; safe to call from several threads.

    Alpha and EXIF orientation are treated as the policy says (a TIFF's orientation, which is part
    of the format, is always applied). 16-bit grey is scaled by 65535; 16-bit colour keeps its
    high byte. `suffix` is the file's extension; it decides nothing, but a wrong one is reported.

    Raises:
        ImageError: the file is not an image, not supported, too large, truncated or corrupt.
    """
    kind = _format(data)
    warnings = []
    if suffix and suffix.lower().lstrip(".") not in EXTENSIONS[kind]:
        warnings.append("extension")
    try:
        image, noted = _DECODERS.get(kind, _decode_other)(data, kind, policy)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError("decode", "too large", f"{kind}: not enough memory") from error
    except _FOREIGN as error:
        text = str(error)
        if isinstance(error, UnidentifiedImageError):
            text = "the header is damaged"
        cut = re.search("truncat|premature", text, re.IGNORECASE)
        fault = "truncated" if cut else "corrupt"
        raise ImageError("decode", fault, f"{fault} {kind} file: {text}") from error
    return Decoded(image, (*warnings, *noted))


# ---- finding


def _sources(given: str, id_from: IdFrom, skipped: Counter[str]) -> Iterator[Source]:
    path = Path(given)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", given):
        raise UsageError(f"{given!r} is a URL; images are read from paths only: download it first")
    if path.is_dir():
        files, base = _walk(path), path
    elif path.is_file() and path.suffix.lower() == ".csv":
        yield from _listed(path, id_from)
        return
    elif path.is_file():
        files, base = iter([(path, _unwanted(path.name))]), path.parent
    elif any(c in given for c in "*?["):
        files, base = _glob(path)
    else:
        raise UsageError(f"no such file or folder: {given!r}")
    for file, reason in files:
        if reason:
            skipped[reason] += 1
        else:
            yield Source(_id(file.relative_to(base), id_from), file)


def _walk(folder: Path, depth: int | None = None) -> Iterator[tuple[Path, str]]:
    """Yield each file below a folder with the reason to skip it, or ""."""
    try:
        with os.scandir(folder) as stream:
            entries = sorted(stream, key=lambda entry: entry.name)
    except OSError as error:
        raise UsageError(f"cannot list the folder {str(folder)!r}: {error.strerror}") from error
    for entry in entries:
        path, reason = Path(entry.path), _unwanted(entry.name)
        if entry.is_symlink():
            yield path, "symbolic link"
        elif not entry.is_dir():
            yield path, reason or ("" if entry.is_file() else "not a regular file")
        elif reason != "other extension":
            yield path, reason or "folder named like an image"
        elif depth is None or depth > 1:
            yield from _walk(path, None if depth is None else depth - 1)


def _unwanted(name: str) -> str:
    if name.lower() in ("thumbs.db", "desktop.ini", ".ds_store", "__macosx"):
        return "system file"
    if name.startswith("."):
        return "hidden"
    extension = Path(name).suffix.lower().lstrip(".")
    return "" if any(extension in known for known in EXTENSIONS.values()) else "other extension"


def _glob(pattern: Path) -> tuple[Iterator[tuple[Path, str]], Path]:
    """Expand a pattern; unlike the standard glob, `**` follows no links, so loops are harmless."""
    fixed = next(i for i, part in enumerate(pattern.parts) if any(c in part for c in "*?["))
    base, wanted = Path(*pattern.parts[:fixed]), pattern.parts[fixed:]
    if not base.is_dir():
        raise UsageError(f"no such folder: {str(base)!r}, of the pattern {str(pattern)!r}")
    found = _walk(base, None if "**" in wanted else len(wanted))
    return (f for f in found if _matches(f[0].relative_to(base).parts, wanted)), base


def _matches(parts: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(_matches(parts[i:], wanted[1:]) for i in range(len(parts) + 1))
    first = bool(parts) and fnmatch.fnmatchcase(parts[0], wanted[0])
    return first and _matches(parts[1:], wanted[1:])


def _listed(table: Path, id_from: IdFrom) -> Iterator[Source]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"cannot read {str(table)!r} as a UTF-8 CSV file: {error}") from error
    columns = [c for c in ("id", "path") if rows and c in rows[0]]
    if not columns:
        raise UsageError(f"{str(table)!r}: expected a row, and a column `id` or `path`")
    beside = {} if "path" in columns else _by_name(table.parent)
    for number, row in enumerate(rows, 1):
        bad = [c for c in columns if not row[c] or "\0" in row[c] or "://" in row[c]]
        if bad:
            raise UsageError(f"{str(table)!r}, row {number}, {bad[0]}: found {row[bad[0]]!r}")
        if "path" in columns:
            name = row["id"] if "id" in columns else _id(Path(row["path"]), id_from)
            yield Source(name, table.parent / row["path"])
        elif len(files := beside.get(row["id"], [])) == 1:
            yield Source(row["id"], files[0])
        else:
            raise UsageError(
                f"{str(table)!r}, row {number}: {len(files)} images beside the file are named "
                f"{row['id']!r}; expected one. Or add a column `path`"
            )


def _by_name(folder: Path) -> dict[str, list[Path]]:
    names: dict[str, list[Path]] = {}
    for file, reason in _walk(folder, depth=1):
        if not reason:
            names.setdefault(file.name, []).append(file)
            names.setdefault(file.stem, []).append(file)
    return names


def _id(path: Path, id_from: IdFrom) -> str:
    return {"stem": path.stem, "name": path.name, "path": path.as_posix()}[id_from]


def _natural(source: Source) -> tuple[list[tuple[int, str]], str]:
    """Order by runs of digits and of other text: 2 before 10; ties by the plain string."""
    runs = re.split("([0-9]+)", source.id)
    digits = [r.lstrip("0") if i % 2 else r for i, r in enumerate(runs)]
    return [(len(r) if i % 2 else 0, r) for i, r in enumerate(digits)], source.id


def _check_ids(images: Sequence[Source]) -> None:
    seen: dict[str, Source] = {}
    twins = []
    for image in images:
        for text in (image.id, str(image.path)):
            if not _is_utf8(text):
                raise UsageError(f"the name {text!r} is not UTF-8; rename the file")
        other = seen.setdefault(unicodedata.normalize("NFC", image.id), image)
        if other.id != image.id:
            raise UsageError(
                f"{str(other.path)!r} and {str(image.path)!r} have ids that differ only in their "
                f"Unicode form ({other.id!a}, {image.id!a}); rename one"
            )
        if other is not image:
            twins.append(f"  {image.id!r}: {other.path} and {image.path}")
    if twins:
        more = f"\n  and {len(twins) - 10} more" if len(twins) > 10 else ""
        raise UsageError(
            f"{len(twins)} ids are given twice; tell them apart with --id-from path (or name):\n"
            + "\n".join(twins[:10]) + more
        )  # fmt: skip


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)


# ---- reading

_TRANSIENT: Final = (errno.EIO, errno.EAGAIN, errno.EINTR, errno.ESTALE)
_PAUSES: Final = (0.05, 0.2)


def _hashed(source: Source) -> Hashed:
    try:
        return Hashed(source, sha256_file(source.path), source.path.stat().st_size)
    except (OSError, ValueError):
        return Hashed(source, "", -1)


def _read_patiently(path: Path) -> bytes:
    for pause in _PAUSES:
        try:
            return path.read_bytes()
        except OSError as error:
            if error.errno not in _TRANSIENT:
                raise
            time.sleep(pause)
    return path.read_bytes()


# ---- decoding

_FOREIGN: Final = (
    OSError, SyntaxError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError,
    EOFError, AssertionError, RuntimeError, Warning, struct.error, zlib.error,
)  # fmt: skip
"""What Pillow and simplejpeg raise for files that are damaged."""

_MAGIC: Final = (
    (b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"), (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"), (b"BM", "BMP"), (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
)  # fmt: skip
_EOI: Final = b"\xff\xd9"
_SOS: Final = b"\xff\xda"
_TURNS: Final[Mapping[int, Image.Transpose]] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _format(data: bytes) -> str:
    """Tell the format by the first bytes; refuse what cannot be decoded."""
    head = data[:64]
    kind = next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        kind = "WEBP"
    elif head[4:8] == b"ftyp":
        heic = re.search(b"hei|hev|mif|msf", head)
        kind = "AVIF" if b"avi" in head[8:] else "HEIC" if heic else ""
    if not data:
        raise ImageError("decode", "empty", "the file is empty")
    if not kind:
        start = data[:16].decode("ascii", "backslashreplace")
        known = ", ".join(EXTENSIONS)
        raise ImageError("decode", "not an image", f"not an image: starts with {start!r} ({known})")
    if kind in ("HEIC", "JPEG XL") or not _built_in(kind):
        raise ImageError(
            "decode", "unsupported",
            f"{kind} is not supported: convert the file to JPEG or PNG first (with pillow-heif, "
            f"libheif or djxl), or install a Pillow that reads it",
        )  # fmt: skip
    return kind


def _built_in(kind: str) -> bool:
    return kind not in ("AVIF", "WEBP") or bool(features.check(kind.lower()))


def _check_size(width: int, height: int, policy: DecodePolicy) -> None:
    if width * height > policy.max_pixels:
        raise ImageError(
            "decode", "too large",
            f"{height}x{width} pixels, over the limit of {policy.max_pixels} (--max-pixels)",
        )  # fmt: skip


def _decode_jpeg(data: bytes, kind: str, policy: DecodePolicy) -> _Noted:
    height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    _check_size(width, height, policy)
    space = "CMYK" if colours in ("CMYK", "YCCK") else "RGB"
    notes = []
    try:
        pixels = simplejpeg.decode_jpeg(data, space, strict=True)
    except ValueError:
        # Entropy-coded bytes hold no marker: without an EOI past the last SOS, the end is missing.
        if not policy.allow_truncated or data.find(_EOI, max(data.rfind(_SOS), 0)) >= 0:
            raise
        pixels = simplejpeg.decode_jpeg(data, space, strict=False)
        notes.append("truncated")
    if space == "CMYK":  # Adobe's inks are inverted; Pillow inverts them all, and so does this
        image = Image.frombuffer("CMYK", (width, height), 255 - pixels, "raw", "CMYK", 0, 1)
        image = image.convert("RGB")
    else:
        image = Image.fromarray(pixels)
    return _turned(image, _jpeg_exif(data), policy, notes), notes


def _decode_png(data: bytes, kind: str, policy: DecodePolicy) -> _Noted:
    cut = _check_chunks(data)
    if cut and not policy.allow_truncated:
        raise ImageError("decode", "truncated", "truncated PNG file: its last chunk is missing")
    image, notes = _decode_other(data, kind, policy, cut=cut)
    return image, notes + ["truncated"] * cut


def _decode_other(data: bytes, kind: str, policy: DecodePolicy, *, cut: bool = False) -> _Noted:
    image = Image.open(io.BytesIO(data), formats=[kind])
    _check_size(image.width, image.height, policy)
    _check_depth(image)
    try:
        image.load()
    except OSError:
        if not cut:
            raise
        image.tile = []  # what was decoded before the end stands, the rest is black
    notes = ["frames"] * bool(getattr(image, "is_animated", False))
    exif = image.info.get("exif", b"")
    return _turned(_rgb(image, policy), exif, policy, notes), notes


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


def _turned(image: Image.Image, exif: bytes, policy: DecodePolicy, notes: list[str]) -> Image.Image:
    if not exif or policy.exif == "ignore":
        return image
    try:
        turn = _TURNS.get(_orientation(exif.removeprefix(b"Exif\0\0")))
    except (struct.error, KeyError):
        notes.append("exif")
        return image
    return image if turn is None else image.transpose(turn)


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


def _jpeg_exif(data: bytes) -> bytes:
    """Return the EXIF segment of a JPEG file, found by its markers, or nothing."""
    at = 2
    while data[at : at + 1] == b"\xff" and data[at : at + 2] != _SOS:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0xFF:  # a fill byte
            end = at + 1
        elif data[at + 1] == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            return data[at + 10 : end]
        at = end
    return b""


_DECODERS: Final[Mapping[str, _Decoder]] = {"JPEG": _decode_jpeg, "PNG": _decode_png}
