"""Where an image's bytes are: a file, a member of an archive, a row of a table, an object far away.

Locations are frozen records, or paths. They hold no open handle, so that they go to other
processes, and each reads its bytes by itself, from the place that was found: what was replaced
since is an error, and never another image's bytes.
"""

import os
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO, Final, Protocol

from ensemble.errors import ImageError

LARGEST: Final = 2**30
"""The most bytes of an archive's member: as many as `--max-pixels` of 16-bit colours take."""


class Location(Protocol):
    """The address of an image: reads its bytes, and prints itself. A `Path` is one."""

    @property
    def suffix(self) -> str:
        """What its name ends with, such as ".jpg"; "" where that is not known."""

    def read_bytes(self) -> bytes:
        """Read all of it; an OSError, a ValueError or an ImageError where that fails."""

    def __str__(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Found:
    """What may be an image: its name from what was given on, its place, why it is none, or ""."""

    name: PurePath
    location: Location
    reason: str


class Container(Hashable, Protocol):
    """A file that holds images, here or far away, as it was when it was found."""

    @property
    def size(self) -> int:
        """Its bytes."""

    def open(self) -> BinaryIO:
        """Open it to be read and searched; an error where it is another file by now."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Read so many bytes from there, fewer where it ends; an error as for `open`."""

    def check(self) -> None:
        """Raise an error as for `open`, where it is another file by now."""

    def __str__(self) -> str: ...


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A container on this machine, with what tells another file of the same name from it."""

    path: str
    size: int
    mtime_ns: int
    inode: int

    def open(self) -> BinaryIO:
        """Open the file; an ImageError where it changed since it was listed."""
        file = Path(self.path).open("rb")  # noqa: SIM115 - the caller closes it
        if stamped(self.path, os.fstat(file.fileno())) != self:
            file.close()
            raise changed(self)
        return file

    def read_at(self, offset: int, size: int) -> bytes:
        """Read so many bytes from there, by a descriptor of its own: any thread may."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            if stamped(self.path, os.fstat(descriptor)) != self:
                raise changed(self)
            held = min(size, self.size - offset)  # a damaged header may ask for any number
            return _read_all(descriptor, offset, held) if held > 0 else b""
        finally:
            os.close(descriptor)

    def check(self) -> None:
        """Raise an ImageError where the file changed since it was listed."""
        if local_file(Path(self.path)) != self:
            raise changed(self)

    def __str__(self) -> str:
        return self.path


def local_file(path: Path) -> LocalFile:
    """Return a file as it is now."""
    return stamped(str(path), path.stat())


def stamped(path: str, stat: os.stat_result) -> LocalFile:
    """Return the record of a file of which the system tells this."""
    return LocalFile(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)


def changed(container: object) -> ImageError:
    """Return the error of a container that is another one by now."""
    return ImageError("read", "changed", f"{container} changed since it was listed")


def _read_all(descriptor: int, offset: int, size: int) -> bytes:
    """Read so many bytes; a system gives at most 2 GiB at once."""
    data = os.pread(descriptor, size, offset)
    while len(data) < size and (more := os.pread(descriptor, size - len(data), offset + len(data))):
        data += more
    return data
