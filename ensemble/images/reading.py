"""The bytes of images: hashed at the scan, read and hashed again for decoding."""

import errno
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ensemble.boxes import Box
from ensemble.errors import ImageError
from ensemble.files.atomic import sha256_bytes
from ensemble.files.remote import RemoteFile
from ensemble.images.location import LocalFile, Location
from ensemble.images.parquet_rows import ParquetRow, stored_order
from ensemble.images.scan_index import ScanIndex, Stamp, stamp_of
from ensemble.images.sources import Source
from ensemble.images.tar_images import TarMember
from ensemble.images.zip_images import ZipMember

_TRANSIENT: Final = (errno.EIO, errno.EAGAIN, errno.EINTR, errno.ESTALE)
_PAUSES: Final = (0.05, 0.2)
_TOGETHER: Final = 32
"""Files that one task of a thread hashes: a task costs as much as a small file."""


_WAITING: Final = 16
"""Threads that read objects of a store far away, where each mostly waits for an answer."""


@dataclass(frozen=True, slots=True)
class Hashed:
    """A source with the hash and size of its bytes: "" and -1 if it could not be read.

    `box` is the part of it that members see, where they see a part.
    """

    source: Source
    sha256: str
    bytes: int
    box: Box | None = None


def hash_sources(
    sources: Sequence[Source], threads: int, index: ScanIndex | None = None
) -> list[Hashed]:
    """Hash the images on that many threads, in the order given.

    A file that an index knows is not read, and the index is told of the others. One that cannot be
    read gets no hash; `read` will say why. Rows of Parquet files are read as they are stored, by
    one thread, and members of an archive about as they lie there, so that one far away is fetched
    once.
    """
    folder = os.getcwd()  # noqa: PTH109 - as text
    rows = {n: s.path for n, s in enumerate(sources) if isinstance(s.path, ParquetRow)}
    stored = sorted(rows, key=lambda place: stored_order(rows[place]))
    others = [place for place in range(len(sources)) if place not in rows]
    others.sort(key=lambda place: _place_in_archive(sources[place].path))
    runs = [others[start : start + _TOGETHER] for start in range(0, len(others), _TOGETHER)]
    found: list[Hashed | None] = [None] * len(sources)

    def fill(places: Sequence[int]) -> None:
        for place in places:
            found[place] = _hashed(sources[place], index, folder)

    with ThreadPoolExecutor(max(1, readers(sources, threads))) as pool:
        list(pool.map(fill, [stored, *runs]))
    return [hashed for hashed in found if hashed is not None]


def _place_in_archive(path: Location) -> tuple[str, int]:
    """Return a sort key that puts members of archives as they lie there, behind all else."""
    match path:
        case TarMember(archive=archive, offset=offset) | ZipMember(archive=archive, header=offset):
            return str(archive), offset
    return "", 0


def readers(sources: Iterable[Source], threads: int) -> int:
    """Return how many threads read images: more than are asked for, where objects lie far away."""
    far = any(isinstance(source.path, RemoteFile) for source in sources)
    return max(threads, _WAITING) if far else threads


def read(source: Hashed) -> bytes:
    """Read the bytes that were hashed; transient faults of the disk are tried again.

    Raises:
        ImageError: the file cannot be read, or it has changed.
    """
    path = source.source.path
    try:
        data = _read_patiently(path)
    except ImageError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError("read", "unreadable", f"cannot read the file: {reason}") from error
    if sha256_bytes(data) != source.sha256:
        was = f"had {source.bytes} bytes" if source.sha256 else "could not be read"
        raise ImageError(
            "read", "changed", f"changed since the scan: it {was} then, {len(data)} bytes now"
        )
    return data


def _hashed(source: Source, index: ScanIndex | None, folder: str) -> Hashed:
    stamp = None if index is None else _stamp(source, folder)  # before the bytes are read
    if index is not None and stamp is not None and (known := index.find(stamp)):
        return Hashed(source, known, stamp.size)
    try:
        data = _read_patiently(source.path)
    except (OSError, ValueError):
        return Hashed(source, "", -1)
    sha256 = sha256_bytes(data)
    if index is not None and stamp is not None and stamp.size == len(data):
        index.add(stamp, sha256)
    return Hashed(source, sha256, len(data))


def _stamp(source: Source, folder: str) -> Stamp | None:
    """Return the stamp of an image, None where it has none: reading it tells why."""
    try:
        return _stamped(source.path, folder)
    except (OSError, ValueError):
        return None


def _stamped(place: object, folder: str) -> Stamp | None:
    """Return the stamp of what lies at a place; None of a Parquet file's row, and without etag.

    A member of an archive has the version of its archive, and its own offset there.
    """
    match place:
        case Path():
            return stamp_of(place, folder)
        case LocalFile(path=path):
            return stamp_of(Path(path), folder)
        case RemoteFile(uri=uri, size=size, etag=etag) if etag:
            return Stamp(uri, etag, size, newest=0)
        case (
            TarMember(archive=archive, offset=offset, size=size)
            | ZipMember(archive=archive, header=offset, size=size)
        ):
            whole = _stamped(archive, folder)
            return whole and replace(whole, place=f"{whole.place}\0{offset}", size=size)
    return None


def _read_patiently(path: Location) -> bytes:
    for pause in _PAUSES:
        try:
            return path.read_bytes()
        except OSError as error:
            if error.errno not in _TRANSIENT:
                raise
            time.sleep(pause)
    return path.read_bytes()
