"""Writing files so that a crash leaves the old one or the new one, and hashing them."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ensemble.errors import StoreError

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
        descriptor, name = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
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


def remove_temporaries(folder: Path) -> None:
    """Remove what writes that were cut off left in a folder."""
    for left in folder.glob(f"{TEMPORARY}*"):
        with contextlib.suppress(FileNotFoundError):
            left.unlink()


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
