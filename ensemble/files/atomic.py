"""Writing files so that a crash leaves the old one or the new one, and hashing them."""

import contextlib
import errno
import hashlib
import io
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from ensemble.errors import StoreError, UsageError
from ensemble.files.paths import is_url

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

if sys.platform != "win32":
    import fcntl

TEMPORARY: Final = ".tmp-"
_ROOM: Final = "make room there, and the same command goes on"
_ELSEWHERE: Final = "mend its permissions, or name another place"
_IN_THE_WAY: Final = "a file stands where a folder is to be: name another place"
_REMEDIES: Final = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EACCES: _ELSEWHERE,
    errno.EPERM: _ELSEWHERE,
    errno.EROFS: _ELSEWHERE,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EEXIST: _IN_THE_WAY,
}
_FOLDERS_OPEN: Final = sys.platform != "win32"
"""Whether a folder can be opened, and so synced: Windows opens none."""

SUCCESS: Final = "_SUCCESS"
"""The file that is written last: without it, a folder is not finished."""


def publish(path: Path, write: Callable[[Path], None]) -> None:
    """Publish a file atomically: `write` fills a temporary file beside it, which is renamed.

    mkstemp in the same folder, write, fsync, replace, fsync of the folder (not on Windows): a
    reader sees the whole file or none, and a crash leaves at most a temporary file.

    Raises:
        StoreError: the disk refused; nothing was published.
        UsageError: the path is a URL.
    """
    check_local(path, "the file")
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f"{TEMPORARY}{path.name}-", dir=path.parent)
        temporary = Path(name)
        os.close(descriptor)
        temporary.chmod(0o644)  # mkstemp makes it for its owner alone
        write(temporary)
        _sync(temporary, os.O_RDWR)
        temporary.replace(path)
        if _FOLDERS_OPEN:
            _sync(path.parent, os.O_RDONLY)
    except OSError as error:
        raise disk_error("write", path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def publish_bytes(path: Path, data: bytes) -> None:
    """Publish bytes atomically; see `publish`."""
    publish(path, lambda temporary: _fill(temporary, data))


def publish_hashed(path: Path, write: Callable[[BinaryIO], None]) -> str:
    """Publish what `write` streams, atomically; return its SHA-256, taken while it is written.

    Raises:
        StoreError: the disk refused; nothing was published.
    """
    digest = hashlib.sha256()

    def fill(temporary: Path) -> None:
        with temporary.open("wb") as file:
            write(cast(BinaryIO, _Hashing(file, digest.update)))

    publish(path, fill)
    return digest.hexdigest()


class _Hashing(io.RawIOBase):
    """A file to write to that shows each piece to a hash on its way."""

    def __init__(self, file: BinaryIO, update: Callable[["ReadableBuffer"], None]) -> None:
        self._file, self._update = file, update

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        self._update(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self._file.tell()


def publish_json(path: Path, record: Mapping[str, object]) -> None:
    """Publish a record as indented JSON, atomically; see `publish`."""
    text = json.dumps(record, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    publish_bytes(path, text.encode())


def free_bytes(path: Path) -> int:
    """Return the bytes that are free where a path lies, or will lie. An OSError passes through."""
    return shutil.disk_usage(nearest(path)).free


def check_writable(folder: Path, flag: str) -> None:
    """Check that a folder can be written to, or made, before there is work to lose.

    Raises:
        UsageError: it cannot; names the flag that says where to write.
    """
    check_local(folder, flag)
    place = nearest(folder)
    why = "" if os.access(place, os.W_OK | os.X_OK) else "no permission to write there"
    why = why if place.is_dir() else "not a folder"
    if why:
        raise UsageError(f"{flag} {folder} cannot be written to: {place}: {why}; name another")


def check_local(path: Path, flag: str) -> None:
    """Refuse to write to an object store, or another URL.

    Raises:
        UsageError: it is one; names the flag that says where to write.
    """
    if is_url(path):
        url = str(path).replace(":/", "://", 1)  # a path has one slash of two
        raise UsageError(
            f"{flag} {url} is a URL: what is written lies on a file system, where renaming is "
            f"atomic; name a folder, and copy it there afterwards"
        )


def disk_error(does: str, path: Path, error: OSError) -> StoreError:
    """Return the error of a disk that refused to do something to a path, and what mends it."""
    remedy = _REMEDIES.get(error.errno or 0)
    text = f"cannot {does} {path}: {error.strerror or error}"
    return StoreError(f"{text}; {remedy}" if remedy else text)


def remove(path: Path) -> None:
    """Remove a file that may be there.

    Raises:
        StoreError: the disk refused.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise disk_error("remove", path, error) from error


def remove_temporaries(folder: Path, name: str = "") -> None:
    """Remove what writes that were cut off left in a folder: of files whose names begin so.

    Raises:
        StoreError: the disk refused.
    """
    left = [p for p in folder.glob(f"{TEMPORARY}*") if p.name.startswith(TEMPORARY + name)]
    for path in left:
        remove(path)


@contextlib.contextmanager
def locked(path: Path, pid: int, does: str, patience: float = 2.0) -> Iterator[None]:
    """Hold a lock file while the block runs. The system frees it when its holder dies.

    Args:
        path: The file, made where it is not there; it stays.
        pid: The process to name to others.
        does: What a holder does, in a message: "is writing the ledger".
        patience: Seconds to wait for a holder that is about to end.

    Raises:
        UsageError: another run holds it; says which process.
        StoreError: the disk refused.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise disk_error("write", path, error) from error
    try:
        _lock(descriptor, path, does, patience)
        with contextlib.suppress(OSError):  # a full disk: the lock holds, it only names nobody
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(pid).encode())
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path, does: str, patience: float) -> None:
    if sys.platform == "win32":
        return  # no flock there: two runs on one key are not told apart
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise disk_error("lock", path, error) from error
            if time.monotonic() > until:
                holder = os.pread(descriptor, 20, 0).decode("ascii", "replace") or "unknown"
                raise UsageError(
                    f"another run, process {holder}, {does} now: wait for it, or stop it ({path})"
                ) from error
        else:
            return
        time.sleep(0.05)


def nearest(path: Path) -> Path:
    """Return a path, or the nearest of its parents that is there."""
    place = path.absolute()
    return next(p for p in (place, *place.parents) if os.access(p, os.F_OK))


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hex. An OSError passes through."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_json(record: object) -> str:
    """Return the SHA-256 of a record's canonical JSON."""
    return sha256_bytes(json_bytes(record))


def json_bytes(record: object) -> bytes:
    """Return a record's canonical JSON: sorted keys, no spaces, UTF-8."""
    text = json.dumps(record, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8", "surrogateescape")


def _fill(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _sync(path: Path, mode: int) -> None:
    """Wait for the disk. Windows syncs what is open for writing only, and POSIX folders read."""
    descriptor = os.open(path, mode)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
