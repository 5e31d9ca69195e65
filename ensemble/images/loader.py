"""Shards of images: decoded once, in threads, ahead of the scoring, and resized once a geometry."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from ensemble.arrays import Pixels
from ensemble.errors import ImageError
from ensemble.images.decode import Decoded, decode
from ensemble.images.input import input_of
from ensemble.images.reading import Hashed, read, readers
from ensemble.records import DecodePolicy, Geometry, Quarantined
from ensemble.worker import Watch, crashes


@dataclass(frozen=True, slots=True)
class Wanted:
    """The images of a shard, and the geometries that its members take."""

    images: Sequence[Hashed]
    geometries: Sequence[Geometry]


@dataclass(frozen=True, slots=True)
class Shard:
    """The pixels of a shard as they arrive, with one future a run of so many images."""

    images: Sequence[Hashed]
    pixels: Mapping[Geometry, Pixels]
    futures: list[Future[list["_Loaded"]]]
    each: int

    def loaded(self, rows: slice = slice(None)) -> list["_Loaded"]:
        """Wait for the rows, and tell what became of each."""
        start, stop, _ = rows.indices(len(self.images))
        first = start // self.each
        found = [each for f in self.futures[first : -(-stop // self.each)] for each in f.result()]
        return found[start - first * self.each : stop - first * self.each]

    def good(self, rows: slice, geometry: Geometry) -> list[bool]:
        """Wait for the rows, and tell which have pixels."""
        return [geometry not in each.lost for each in self.loaded(rows)]

    @property
    def ids(self) -> list[str]:
        """The ids of the images, in order."""
        return [image.source.id for image in self.images]

    def whole(self) -> list[bool]:
        """Wait for all rows, and tell which have pixels in every geometry."""
        return [not each.lost for each in self.loaded()]

    def lost(self) -> list[Quarantined]:
        """Return the images that lack pixels in some geometry, and why."""
        return [next(iter(each.lost.values())) for each in self.loaded() if each.lost]

    def predicted(self, geometry: Geometry) -> list[str]:
        """Return the ids of the images that have pixels."""
        good = self.good(slice(None), geometry)
        return [name for name, ok in zip(self.ids, good, strict=True) if ok]

    def quarantined(self, geometry: Geometry) -> list[Quarantined]:
        """Return the images that have none, and why."""
        lost = [each.lost for each in self.loaded()]
        return [found[geometry] for found in lost if geometry in found]

    def warnings(self) -> Counter[str]:
        """Count what was odd about the files."""
        return Counter(w for each in self.loaded() for w in each.warnings)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What became of one image: the geometries that lost it and why, and what was odd."""

    lost: Mapping[Geometry, Quarantined]
    warnings: tuple[str, ...] = ()


_SMALL: Final = 2400
"""Bytes of a file, on average, below which one thread decodes faster than several: most of the time
is then Python's, whose lock takes long to pass from one to the other. Measured
by benchmarks/speed/files.py."""


def decoders(images: Sequence[Hashed], threads: int) -> ThreadPoolExecutor:
    """Return the threads that decode images: so many, or one where the files are tiny.

    Of images far away there are more, for each mostly waits.
    """
    tiny = sum(image.bytes for image in images) < _SMALL * len(images)
    count = readers((image.source for image in images), 1 if tiny else threads)
    return ThreadPoolExecutor(count, thread_name_prefix="decode")


def decoded_ahead(
    pool: ThreadPoolExecutor, wanted: Sequence[Wanted], policy: DecodePolicy, watch: Watch
) -> Iterator[Shard]:
    """Yield each shard that is wanted, while the next one is being decoded.

    Args:
        pool: Where the decoding is done.
        wanted: The shards, in order.
        policy: How files become pixels.
        watch: Told of each image as its decoding begins and ends.
    """
    ahead = begin(pool, wanted[0], policy, watch) if wanted else None
    for following in (*wanted[1:], None):
        current, ahead = ahead, None
        if following is not None:
            ahead = begin(pool, following, policy, watch)
        if current is not None:
            yield current


def load_image(image: Hashed, policy: DecodePolicy) -> Decoded:
    """Read an image, which is hashed again, and decode it as a run does.

    Raises:
        ImageError: it cannot be read or decoded, or is another file by now.
    """
    return decode(read(image), policy, image.source.path.suffix)


def load_pixels(image: Hashed, policy: DecodePolicy, geometry: Geometry) -> Pixels:
    """Return what a member takes of an image, uint8 (H, W, C).

    Raises:
        ImageError: as for `load_image`, or it does not suit the geometry.
    """
    return input_of(read(image), image, policy)(geometry)[0]


def begin(pool: ThreadPoolExecutor, wanted: Wanted, policy: DecodePolicy, watch: Watch) -> Shard:
    """Begin to decode a shard; see `decoded_ahead`."""
    count, load = len(wanted.images), partial(_load_run, policy, watch)
    pixels = {g: _blank(g, count) for g in wanted.geometries}
    each = min(_TOGETHER, max(1, count // _RUNS))
    futures = [
        pool.submit(load, wanted.images, pixels, range(start, min(start + each, count)))
        for start in range(0, count, each)
    ]
    return Shard(wanted.images, pixels, futures, each)


_TOGETHER: Final = 8
_RUNS: Final = 64
"""A shard is cut into so many runs of images at least, that all threads have work."""


def _load_run(
    policy: DecodePolicy,
    watch: Watch,
    images: Sequence[Hashed],
    pixels: Mapping[Geometry, Pixels],
    rows: range,
) -> list[_Loaded]:
    """Decode a run of images into their rows, and tell which one is being decoded."""
    loaded, told = [], ""
    for row in rows:
        name = images[row].source.id
        watch.tell("next", told, name)
        told = name
        loaded.append(_load(images[row], policy, pixels, row, watch))
    watch.tell("next", told, "")
    return loaded


def _check_harmless(
    watch: Watch, image: Hashed, policy: DecodePolicy, geometries: tuple[Geometry, ...]
) -> None:
    """Refuse an image on which a worker died, if it also ends a process of its own."""
    name = image.source.id
    suspect = name in watch.suspects
    if name in watch.poison or (suspect and crashes(_load_alone, image, policy, geometries)):
        watch.tell("poison", name)
        raise ImageError("decode", "crash", "the decoder crashes on it, in a process of its own")


def crashing(
    images: Sequence[Hashed], policy: DecodePolicy, geometries: tuple[Geometry, ...]
) -> frozenset[str]:
    """Return the ids of the images that crash the decoder, found by halves.

    Each half is decoded in a process of its own, so that nobody else dies of it.
    """
    if not images or not crashes(_load_all, tuple(images), policy, geometries):
        return frozenset()
    if len(images) == 1:
        return frozenset([images[0].source.id])
    middle = len(images) // 2
    first, second = images[:middle], images[middle:]
    return crashing(first, policy, geometries) | crashing(second, policy, geometries)


def _load_all(
    images: tuple[Hashed, ...], policy: DecodePolicy, geometries: tuple[Geometry, ...]
) -> None:
    for image in images:
        _load_alone(image, policy, geometries)


def _load_alone(image: Hashed, policy: DecodePolicy, geometries: tuple[Geometry, ...]) -> None:
    with suppress(ImageError):
        pixels = input_of(read(image), image, policy)
        for geometry in geometries:
            pixels(geometry)


def _load(
    image: Hashed,
    policy: DecodePolicy,
    pixels: Mapping[Geometry, Pixels],
    row: int,
    watch: Watch,
) -> _Loaded:
    try:
        data = read(image)
        _check_harmless(watch, image, policy, tuple(pixels))
    except ImageError as error:
        for array in pixels.values():
            array[row] = 0
        return _Loaded(dict.fromkeys(pixels, _quarantined(image, error)))
    made, lost, odd = input_of(data, image, policy), {}, dict[str, None]()
    for geometry, array in pixels.items():
        try:
            array[row], warnings = made(geometry)
            odd |= dict.fromkeys(warnings)
        except ImageError as error:
            array[row] = 0
            lost[geometry] = _quarantined(image, error)
    return _Loaded(lost, tuple(odd))


def _quarantined(image: Hashed, error: ImageError) -> Quarantined:
    source = image.source
    path, sha256 = str(source.path), image.sha256
    return Quarantined(source.id, path, error.stage, error.kind, str(error), sha256, image.bytes)


def _blank(geometry: Geometry, count: int) -> Pixels:
    return np.empty((count, geometry.height, geometry.size.width, geometry.channels), np.uint8)
