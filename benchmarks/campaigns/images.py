"""Mutated images: pixels of the right shape, or a typed quarantine, and nothing else.

    python benchmarks/campaigns/images.py --count 100000 --seed 20

Seeds in every format that is read are made on the spot, and damaged: bytes flipped, files cut,
spliced with another, headers swapped, dimensions edited, chunks doubled; PNG checksums are mended
half of the time, so that the damage reaches the decoder. Each goes through `decode` and `resize`
in a child process. What ends a child is counted and its bytes are saved below benchmarks/work.
"""

import io
import random
import struct
import sys
import warnings
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, features

sys.path.insert(0, str(Path(__file__).parents[1]))

from campaigns.trials import WORK, Damage, Mutant, Outcome, asked_of, damaged, run_seeded

from ensemble.errors import ImageError
from ensemble.images.decode import decode
from ensemble.images.resize import resize
from ensemble.records import DecodePolicy, Geometry, Size

POLICIES = (
    DecodePolicy(),
    DecodePolicy(allow_truncated=True),
    DecodePolicy(alpha="white", exif="ignore"),
    DecodePolicy(alpha="black", max_pixels=1_000_000),
)
GEOMETRIES = (
    Geometry(Size(32, 32), "crop", 0.875, "bicubic", 3, ()),
    Geometry(Size(28, 20), "pad", 1.0, "bilinear", 3, (120, 10, 250)),
    Geometry(Size(24, 36), "squash", 1.0, "nearest", 1, ()),
)


@cache
def seeds() -> dict[str, bytes]:
    """Return a small clean file of every kind, by name."""
    small = np.random.default_rng(20).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    rgb = Image.fromarray(small).resize((48, 40), Image.Resampling.BICUBIC)
    rgba = rgb.convert("RGBA")
    rgba.putalpha(rgb.convert("L"))
    deep = Image.fromarray(np.linspace(0, 65535, 48 * 40).reshape(40, 48).astype(np.uint16))
    frames = {"save_all": True, "append_images": [rgb.rotate(90), rgb.rotate(180)]}
    exif = Image.Exif()
    exif[0x0112] = 6
    made = {
        "jpeg": _saved(rgb, "JPEG"),
        "jpeg exif": _saved(rgb, "JPEG", exif=exif.tobytes()),
        "jpeg progressive": _saved(rgb, "JPEG", progressive=True),
        "jpeg grey": _saved(rgb.convert("L"), "JPEG"),
        "jpeg cmyk": _saved(rgb.convert("CMYK"), "JPEG"),
        "png 1": _saved(rgb.convert("1"), "PNG"),
        "png 2": _saved(rgb.quantize(4), "PNG", bits=2),
        "png 4": _saved(rgb.quantize(16), "PNG", bits=4, transparency=1),
        "png 8": _saved(rgb, "PNG"),
        "png 16": _saved(deep, "PNG"),
        "png palette": _saved(rgb.quantize(200), "PNG"),
        "png alpha": _saved(rgba, "PNG", exif=exif.tobytes()),
        "png interlaced": _interlaced(np.asarray(rgb.convert("L"))),
        "png animated": _saved(rgb, "PNG", **frames),
        "bmp": _saved(rgb, "BMP"),
        "bmp palette": _saved(rgb.quantize(16), "BMP"),
        "gif": _saved(rgb.quantize(64), "GIF"),
        "gif animated": _saved(rgb, "GIF", **frames),
        "tiff": _saved(rgb, "TIFF"),
        "tiff pages": _saved(rgb, "TIFF", **frames),
        "tiff 16": _saved(deep, "TIFF"),
        "tiff float": _saved(rgb.convert("F"), "TIFF"),
        "tiff cmyk": _saved(rgb.convert("CMYK"), "TIFF", compression="tiff_lzw"),
        "tiff tiled": _tiled(np.asarray(rgb)),
        "webp": _saved(rgb, "WEBP", exif=exif.tobytes()),
        "webp lossless": _saved(rgba, "WEBP", lossless=True),
        "webp animated": _saved(rgb, "WEBP", **frames),
    }
    for name in ("packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "jpeg", "zstd"):
        made[f"tiff {name}"] = _saved(rgb, "TIFF", compression=name)
    made["tiff group4"] = _saved(rgb.convert("1"), "TIFF", compression="group4")
    if features.check("avif"):
        made["avif"] = _saved(rgb, "AVIF")
        made["avif animated"] = _saved(rgb, "AVIF", **frames)
    return made


def mutant(seed: int, number: int) -> Mutant:
    """Return the damaged file of that number; the same for the same seed, always."""
    rng = random.Random(f"{seed}/{number}")
    name = rng.choice(list(seeds()))
    data = bytearray(seeds()[name])
    data = damaged(data, _DAMAGES, rng)
    if data[:4] == b"\x89PNG" and rng.random() < 0.5:
        data = _mend_checksums(data)
    return Mutant(name, bytes(data))


def trial(seed: int, number: int) -> Outcome:
    """Decode and resize one mutant."""
    made = mutant(seed, number)
    policy = POLICIES[number % len(POLICIES)]
    geometry = GEOMETRIES[number % len(GEOMETRIES)]
    group = made.name.partition(" ")[0]
    noise: list[object] = []
    warnings.showwarning = lambda message, *_: noise.append(message)
    try:
        pixels = resize(decode(made.data, policy).image, geometry)
    except ImageError as error:
        result, allowed = f"quarantined: {error.kind}", True
    except Exception as error:
        return Outcome(group, type(error).__name__, allowed=False, detail=str(error)[:200])
    else:
        shape = (geometry.size.height, geometry.size.width, geometry.channels)
        allowed = pixels.shape == shape and pixels.dtype == np.uint8
        result = "pixels" if allowed else "wrong pixels"
    if noise:
        return Outcome(group, "a Python warning", allowed=False, detail=str(noise[0])[:200])
    return Outcome(group, result, allowed)


def save_poison(seed: int, numbers: Sequence[int]) -> None:
    """Write the bytes of mutants, for study."""
    for number in numbers:
        folder = WORK / "poison"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{seed}-{number}.bin").write_bytes(mutant(seed, number).data)


def main() -> None:
    """Print the tally."""
    asked = asked_of(__doc__, 100_000)
    seeds()
    tally = run_seeded(trial, asked)
    save_poison(asked.seed, [number for number, _ in tally.faults])
    raise SystemExit(bool(tally.faults))


# ---- damage


def _flip(data: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        data[_place(data, rng)] ^= 1 << rng.randrange(8)
    return data


def _overwrite(data: bytearray, rng: random.Random) -> bytearray:
    at, length = _place(data, rng), rng.choice((1, 2, 4, 16, 200))
    data[at : at + length] = rng.choice(
        (bytes(length), b"\xff" * length, rng.randbytes(length), b"\x7f" + b"\xff" * (length - 1))
    )
    return data


def _cut(data: bytearray, rng: random.Random) -> bytearray:
    return data[: rng.randrange(1, len(data) + 1)] or data


def _remove(data: bytearray, rng: random.Random) -> bytearray:
    at = _place(data, rng)
    del data[at : at + rng.choice((1, 3, 20, 100))]
    return data or bytearray(b"\0")


def _splice(data: bytearray, rng: random.Random) -> bytearray:
    other = rng.choice(list(seeds().values()))
    return data[: _place(data, rng)] + other[rng.randrange(len(other)) :]


def _swap_header(data: bytearray, rng: random.Random) -> bytearray:
    other, length = rng.choice(list(seeds().values())), rng.choice((4, 12, 33, 64))
    return bytearray(other[:length]) + data[length:]


def _double(data: bytearray, rng: random.Random) -> bytearray:
    """Repeat a stretch: a chunk of a PNG, else any bytes."""
    spans = _chunks(data) if data[:4] == b"\x89PNG" else []
    at = _place(data, rng)
    start, end = rng.choice(spans) if spans else (at, at + rng.choice((8, 50, 300)))
    again = data[start:end] * rng.choice((1, 1, 40))
    return data[:end] + again + data[end:]


def _resize_header(data: bytearray, rng: random.Random) -> bytearray:
    """Say another width or height where the format keeps it."""
    value = rng.choice((0, 1, 2, 47, 49, 255, 4096, 9_000, 30_000, 65_535, 2**31 - 1, 2**32 - 1))
    for at, form in rng.sample(places := _sizes(data), len(places))[: rng.choice((1, 2))]:
        size = struct.calcsize(form)
        if at + size <= len(data):
            struct.pack_into(form, data, at, min(value, 256**size - 1))
    return data


def _sizes(data: bytearray) -> list[tuple[int, str]]:
    """Return where the dimensions lie, and how they are written."""
    if data[:4] == b"\x89PNG":
        return [(16, ">I"), (20, ">I")]
    if data[:2] == b"BM":
        return [(18, "<I"), (22, "<I")]
    if data[:3] == b"GIF":
        return [(6, "<H"), (8, "<H"), *_after(data, b"\x2c", (5, 7), "<H")]
    if data[:2] == b"\xff\xd8":
        return [p for m in (0xC0, 0xC2) for p in _after(data, bytes((0xFF, m)), (5, 7), ">H")]
    if data[:2] in (b"II", b"MM"):
        return _tiff_sizes(data)
    if data[8:12] == b"WEBP":
        return [(24, "<H"), (26, "<H"), (27, "<H"), (21, "<H")]
    return _after(data, b"ispe", (8, 12), ">I")


def _after(data: bytearray, mark: bytes, gaps: Sequence[int], form: str) -> list[tuple[int, str]]:
    at = data.find(mark)
    return [] if at < 0 else [(at + gap, form) for gap in gaps]


def _tiff_sizes(data: bytearray) -> list[tuple[int, str]]:
    order = "<" if data[:2] == b"II" else ">"
    start = struct.unpack_from(f"{order}I", data, 4)[0] if len(data) > 8 else len(data)
    tags = (256, 257, 258, 259, 273, 277, 278, 279, 322, 323)
    found = []
    for at in range(start + 2, min(start + 2 + 12 * 40, len(data) - 12), 12):
        if struct.unpack_from(f"{order}H", data, at)[0] in tags:
            kind = struct.unpack_from(f"{order}H", data, at + 2)[0]
            found.append((at + 8, order + ("I" if kind == 4 else "H")))
    return found


_DAMAGES: tuple[Damage, ...] = (
    _flip, _flip, _overwrite, _overwrite, _cut, _remove, _splice, _swap_header, _double,
    _resize_header, _resize_header,
)  # fmt: skip


def _place(data: bytearray, rng: random.Random) -> int:
    """Choose a byte; half of the time one near the start, where headers are."""
    return rng.randrange(min(len(data), 64) if rng.random() < 0.5 else len(data))


def _chunks(data: bytearray) -> list[tuple[int, int]]:
    spans, at = [], 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            break
        spans.append((at, end))
        at = end
    return spans


def _mend_checksums(data: bytearray) -> bytearray:
    for at, end in _chunks(data):
        data[end - 4 : end] = struct.pack(">I", zlib.crc32(data[at + 4 : end - 4]))
    return data


# ---- seeds that Pillow does not write


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _interlaced(grey: np.ndarray) -> bytes:
    """Write an Adam7 PNG of 8-bit grey."""
    steps = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
             (1, 0, 2, 1))  # fmt: skip
    rows = b"".join(
        b"\0" + row.tobytes() for y, x, dy, dx in steps for row in grey[y::dy, x::dx] if row.size
    )
    header = struct.pack(">IIBBBBB", grey.shape[1], grey.shape[0], 8, 0, 0, 0, 1)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = (struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b))
              for n, b in parts)  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _tiled(rgb: np.ndarray) -> bytes:
    """Write an uncompressed TIFF of 16x16 tiles."""
    height, width, side = rgb.shape[0], rgb.shape[1], 16
    padded = np.pad(rgb, ((0, -height % side), (0, -width % side), (0, 0)))
    tiles = [
        padded[y : y + side, x : x + side].tobytes()
        for y in range(0, padded.shape[0], side)
        for x in range(0, padded.shape[1], side)
    ]
    count, body = len(tiles), b"".join(tiles)
    offsets = struct.pack(f"<{count}I", *(8 + len(tiles[0]) * i for i in range(count)))
    sizes = struct.pack(f"<{count}I", *map(len, tiles))
    bits = struct.pack("<3H", 8, 8, 8)
    at = 8 + len(body)
    tags = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, at), (259, 3, 1, 1),
            (262, 3, 1, 2), (277, 3, 1, 3), (284, 3, 1, 1), (322, 3, 1, side), (323, 3, 1, side),
            (324, 4, count, at + 6), (325, 4, count, at + 6 + len(offsets))]  # fmt: skip
    extra = bits + offsets + sizes
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", at + len(extra)) + body + extra + directory


if __name__ == "__main__":
    main()
