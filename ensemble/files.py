"""Writing files so that a crash leaves the old one or the new one, and hashing them."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from ensemble.errors import StoreError, UsageError

if sys.platform != "win32":
    import fcntl

TEMPORARY: Final = ".tmp-"
SUCCESS: Final = "_SUCCESS"
"""The file that is written last: without it, a folder is not finished."""


def publish(path: Path, write: Callable[[Path], None]) -> None:
    """Publish a file atomically: `write` fills a temporary file beside it, which is renamed.

    mkstemp in the same folder, write, fsync, replace, fsync of the folder: a reader sees the
    whole file or none, and a crash leaves at most a temporary file.

    Raises:
        StoreError: the disk refused; nothing was published.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f"{TEMPORARY}{path.name}-", dir=path.parent)
        temporary = Path(name)
        os.fchmod(descriptor, 0o644)
        os.close(descriptor)
        write(temporary)
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def publish_bytes(path: Path, data: bytes) -> None:
    """Publish bytes atomically; see `publish`."""
    publish(path, lambda temporary: _fill(temporary, data))


def publish_json(path: Path, record: Mapping[str, object]) -> None:
    """Publish a record as indented JSON, atomically; see `publish`."""
    text = json.dumps(record, ensure_ascii=False, indent=1) + "\n"
    publish_bytes(path, text.encode())


def free_bytes(path: Path) -> int:
    """Return the bytes that are free where a path lies, or will lie. An OSError passes through."""
    place = path.absolute()
    return shutil.disk_usage(next(p for p in (place, *place.parents) if p.exists())).free


def remove(path: Path) -> None:
    """Remove a file that may be there.

    Raises:
        StoreError: the disk refused.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"cannot remove {path}: {error.strerror}") from error


def remove_temporaries(folder: Path, name: str = "") -> None:
    """Remove what writes that were cut off left in a folder: of files whose names begin so."""
    left = [p for p in folder.glob(f"{TEMPORARY}*") if p.name.startswith(TEMPORARY + name)]
    for path in left:
        path.unlink(missing_ok=True)


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
        raise StoreError(f"cannot write {path}: {error.strerror}") from error
    try:
        _lock(descriptor, path, does, patience)
        with contextlib.suppress(OSError):  # a full disk: the lock holds, it only names nobody
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(pid).encode(), 0)
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
                raise StoreError(f"cannot lock {path}: {error.strerror}") from error
            if time.monotonic() > until:
                holder = os.pread(descriptor, 20, 0).decode("ascii", "replace") or "unknown"
                raise UsageError(
                    f"another run, process {holder}, {does} now: wait for it, or stop it ({path})"
                ) from error
        else:
            return
        time.sleep(0.05)


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hex. An OSError passes through."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_json(record: object) -> str:
    """Return the SHA-256 of a record's canonical JSON: sorted keys, no spaces, UTF-8."""
    text = json.dumps(record, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return sha256_bytes(text.encode("utf-8", "surrogateescape"))


def _fill(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
