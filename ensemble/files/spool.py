"""Bytes that are made before it is known whether they are to be published."""

import contextlib
import hashlib
import io
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, cast

from ensemble.files.atomic import disk_error, nearest, publish

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_HELD: Final = 1 << 23
"""Bytes that are kept in memory; what is more lies on the disk, under no name."""


class Spool(io.RawIOBase):
    """A file to write to, from its beginning to its end, before it has a name.

    It lies on the disk of the folder that it is made for, and is gone with the process. `path` is
    where it may be published, or near.

    Raises:
        StoreError: the disk refused a write.
    """

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file, self.path, self._digest = file, path, hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        self._digest.update(data)
        try:
            return self._file.write(data)
        except OSError as error:
            raise disk_error("write", self.path, error) from error

    def tell(self) -> int:
        return self._file.tell()

    @property
    def sha256(self) -> str:
        """The SHA-256 of what was written, in hex."""
        return self._digest.hexdigest()

    def piece(self, start: int, stop: int) -> bytes:
        """Return bytes that were written, by their places; nothing is written after."""
        self._file.seek(start)
        return self._file.read(stop - start)

    def publish(self, path: Path) -> None:
        """Publish what was written, atomically; see `atomic.publish`."""
        publish(path, self._copy)

    def _copy(self, temporary: Path) -> None:
        self._file.seek(0)
        with temporary.open("wb") as target:
            shutil.copyfileobj(self._file, target, _HELD)


@contextlib.contextmanager
def spooled(path: Path) -> Iterator[Spool]:
    """Give a spool for what may be published as `path`."""
    with tempfile.SpooledTemporaryFile(_HELD, dir=str(nearest(path.parent))) as file:
        yield Spool(cast(IO[bytes], file), path)
