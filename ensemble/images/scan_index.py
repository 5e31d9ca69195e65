"""The scan's index: the hashes of images that are as they were, so that another scan reads none.

As in git's index a hash belongs to a place with its size, times, inode and device, and is kept only
where the file was older than the scan: one that was as new may have been written again in the same
tick of the clock, which nothing would tell. What is compared is the file system's clock, by a file
made in the store before the first image is looked at; images on another file system, which may go
by another machine's clock, must be five minutes older.
"""

import hashlib
import os
import struct
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ensemble.files.atomic import publish_bytes, sha256_json
from ensemble.progress import Listener

_MAGIC: Final = b"ensemble scan index 1\n"
_HEAD: Final = struct.Struct("<qq")
_KEY, _HASH, _CHECK = 16, 32, 32
_TICK: Final = 2_000_000_000
"""Nanoseconds of the coarsest clock of a file system, that of FAT."""

_APART: Final = 300_000_000_000
"""Nanoseconds by which the clock of another disk, which may be another machine's, may be behind."""

_TELLS_CHANGES: Final = sys.platform != "win32"
"""Whether `st_ctime` is the time of the last change. On Windows a time that was put back after an
edit would go unseen."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells the bytes of a place from those that were, or will be, there.

    Attributes:
        place: Absolute; with `version` it means one content.
        version: Of a file its size, times, inode and device; of an object far away its etag.
        size: Its bytes.
        newest: The newest of its times in nanoseconds; 0 where the version tells every change.
        device: The file system that gave the times; None where there are none.
    """

    place: str
    version: str
    size: int
    newest: int
    device: int | None = None

    @property
    def key(self) -> bytes:
        """16 bytes for the place and its version."""
        text = f"{self.place}\0{self.version}"
        return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=_KEY).digest()


def stamp_of(path: Path, folder: str) -> Stamp:
    """Return the stamp of a file that may be told from a folder on. An OSError passes through."""
    stat = os.stat(path)  # noqa: PTH116 - a third of the time of Path.stat
    size, mtime, ctime = stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
    version = f"{size} {mtime} {ctime} {stat.st_ino} {stat.st_dev}"
    place = os.path.join(folder, path)  # noqa: PTH118
    return Stamp(place, version, size, max(mtime, ctime), stat.st_dev)


@dataclass(frozen=True, slots=True)
class ScanIndex:
    """Hashes that are known, by the keys of stamps, and those of this scan, which are written to.

    `began` is the time of the store's file system, `device`, before this scan, in nanoseconds.
    """

    path: Path
    began: int
    known: Mapping[bytes, bytes]
    seen: dict[bytes, bytes] = field(default_factory=dict)
    device: int | None = None

    def find(self, stamp: Stamp) -> str:
        """Return the SHA-256 of what has this stamp, or "" where that is not known."""
        key = stamp.key
        found = self.known.get(key)
        if found is None:
            return ""
        self.seen[key] = found
        return found.hex()

    def add(self, stamp: Stamp, sha256: str) -> None:
        """Remember a hash, whose bytes were read after the stamp, where they are old enough."""
        margin = _TICK if stamp.device in (None, self.device) else _APART
        if stamp.newest + margin < self.began:
            self.seen[stamp.key] = bytes.fromhex(sha256)

    def save(self) -> None:
        """Write what this scan saw, where it is not what is there.

        Raises:
            StoreError: the disk refused.
        """
        if self.seen.keys() != self.known.keys():
            publish_bytes(self.path, _packed(self.began, self.seen))


def open_index(
    store: Path, inputs: Sequence[str], listener: Listener, *, trusted: bool = True
) -> ScanIndex | None:
    """Open the index of what is named by these inputs, before any of it is looked at.

    Every list of inputs has a file of its own, so that runs over other images do not meet; of runs
    over the same the last one's is kept. An index that is damaged, or newer than the clock, is not
    believed, and made anew.

    Args:
        store: The store's folder.
        inputs: Folders, files and patterns, as they were given.
        listener: Told why every image is hashed.
        trusted: Whether to believe what is there.

    Returns:
        The index; None where none can be kept: the store cannot be written to, or the system tells
        no time of change.
    """
    if not _TELLS_CHANGES:
        return None
    path = store / "scans" / f"{sha256_json(list(map(os.path.abspath, inputs)))[:16]}.index"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        began, device = _clock(path.parent), path.parent.stat().st_dev
        data = path.read_bytes() if path.exists() else None
    except OSError as error:
        listener.warn(f"no index of the scan in {path.parent}, so every image is hashed: "
                      f"{error.strerror}")  # fmt: skip
        return None
    known: Mapping[bytes, bytes] = {}
    if data is not None and trusted:
        try:
            known = _unpacked(data, began)
        except ValueError as error:
            listener.warn(f"{path}: {error}; every image is hashed, and the index made anew")
    return ScanIndex(path, began, known, device=device)


def _clock(folder: Path) -> int:
    """Return the time of the file system on which a folder lies, in nanoseconds."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x")
        file.flush()
        return os.fstat(file.fileno()).st_mtime_ns


def _packed(began: int, hashes: Mapping[bytes, bytes]) -> bytes:
    """Return an index as bytes: a head, the keys, the hashes, and the SHA-256 of all of it."""
    body = b"".join([_MAGIC, _HEAD.pack(began, len(hashes)), *hashes, *hashes.values()])
    return body + hashlib.sha256(body).digest()


def _unpacked(data: bytes, now: int) -> dict[bytes, bytes]:
    """Return the hashes of an index.

    Raises:
        ValueError: it is not as it was written, or was written later than now.
    """
    body, check = data[:-_CHECK], data[-_CHECK:]
    if not body.startswith(_MAGIC) or hashlib.sha256(body).digest() != check:
        raise ValueError("the index of the scan is torn or was edited")
    began, count = _HEAD.unpack_from(body, len(_MAGIC))
    if began > now:
        raise ValueError("the index of the scan is newer than the clock, which was set back")
    start = len(_MAGIC) + _HEAD.size
    middle = start + _KEY * count
    keys = (body[at : at + _KEY] for at in range(start, middle, _KEY))
    hashes = (body[at : at + _HASH] for at in range(middle, len(body), _HASH))
    return dict(zip(keys, hashes, strict=True))
