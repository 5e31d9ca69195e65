"""Decoding small files: one thread beside one a core.

    python benchmarks/speed/files.py

Crops of real photographs, as PNG and JPEG files of several sizes, are decoded and resized as a run
does it; the least of some turns. Most of the time of a tiny file is Python's, whose lock is passed
from thread to thread; from what size on threads pay is `_SMALL` in ensemble/images/loader.py.
Writes results/files.md. Takes half a minute.
"""

import argparse
import datetime
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from racers import CORES
from run import photographs

from ensemble.images.loader import Wanted, decoded_ahead, decoders
from ensemble.images.reading import Hashed, hash_sources
from ensemble.images.sources import scan
from ensemble.records import DecodePolicy, Geometry, Size
from ensemble.worker import Watch

RESULTS = Path(__file__).parents[1] / "results"
SIDES, KINDS, CROP, COUNT, TURNS = (28, 32, 64, 96, 128, 256), ("png", "jpg"), 256, 800, 4


def write(folder: Path, side: int, kind: str) -> list[Hashed]:
    """Write crops of photographs, and return them hashed."""
    random = np.random.default_rng(0)
    photos = [Image.open(path).convert("RGB") for path in photographs(100)]
    for number in range(COUNT):
        photo = photos[number % len(photos)]
        x, y = (int(random.integers(0, length - CROP)) for length in photo.size)
        crop = photo.crop((x, y, x + CROP, y + CROP)).resize((side, side))
        crop.save(folder / f"{number}.{kind}")
    return hash_sources(scan([folder]).images, CORES)


def seconds(images: Sequence[Hashed], geometry: Geometry, threads: int) -> float:
    """Return what it takes to decode and resize all of them."""
    as_if = [Hashed(image.source, image.sha256, 1 << 20) for image in images]  # no pool of one
    began = time.perf_counter()
    with decoders(as_if, threads) as pool:
        for shard in decoded_ahead(pool, [Wanted(images, [geometry])], DecodePolicy(), Watch()):
            shard.loaded()
    return time.perf_counter() - began


def row(side: int, kind: str) -> str:
    """Return a row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        images = write(Path(folder), side, kind)
        geometry = Geometry(Size(side, side), "crop", 0.875, "bicubic", 3, ())
        times = [[seconds(images, geometry, n) for n in (1, CORES)] for _ in range(TURNS)]
    one, all_cores = (1e6 * min(column) / COUNT for column in zip(*times, strict=True))
    size = sum(image.bytes for image in images) / COUNT
    return (f"| {side}x{side} {kind} | {size:.0f} | {one:.0f} | {all_cores:.0f} | "
            f"{one / all_cores:.2f}x |")  # fmt: skip


def main() -> None:
    """Print the table and write it."""
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    today = datetime.datetime.now(datetime.UTC).date()
    lines = [
        "# Decoding small files", "",
        f"`python benchmarks/speed/files.py` on {today}, {CORES} cores, load "
        f"{os.getloadavg()[0]:.1f} at the start. Microseconds an image, decoded and resized, the "
        f"least of {TURNS} turns over {COUNT} crops of photographs.", "",
        f"| files | bytes | one thread | {CORES} threads | quicker by |", "|---|---|---|---|---|",
    ]  # fmt: skip
    lines += [row(side, kind) for side in SIDES for kind in KINDS]
    text = "\n".join([*lines, ""])
    print(text)
    (RESULTS / "files.md").write_text(text)


if __name__ == "__main__":
    main()
