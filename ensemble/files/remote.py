"""Files on object stores, s3:// and gs://, by pyarrow's file systems.

Credentials, the region and AWS_ENDPOINT_URL are taken from where the providers' own tools look for
them, and never from an address.
"""

import errno
import io
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import PurePosixPath
from threading import Lock
from typing import BinaryIO, Final, cast

import pyarrow as pa
from pyarrow import fs

from ensemble.errors import ImageError, UsageError
from ensemble.files.credentials import lacking
from ensemble.files.paths import is_remote

_BLOCK: Final = 8 * 2**20
"""Bytes of an archive that are fetched at once: many small images for one request."""

_BLOCKS: Final = 6
_FETCHING: Final = Lock()
"""Held while a block is fetched, that threads which need the same one wait for it."""

_CONNECT: Final = 10.0
_REQUEST: Final = 60.0
_ATTEMPTS: Final = 4


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """An object as it was listed; with an `etag` it is read as that version, or not at all."""

    uri: str
    size: int
    mtime_ns: int
    etag: str = ""

    @property
    def suffix(self) -> str:
        """What its name ends with."""
        return PurePosixPath(self.uri).suffix

    def read_bytes(self) -> bytes:
        """Read all of it.

        Raises:
            ImageError: it is another one than was listed.
            OSError: it cannot be read; with the errno EIO where another attempt may do.
        """
        with told(self.uri), _opened(self) as file:
            return bytes(file.read())

    def open(self) -> BinaryIO:
        """Open it to be read and searched, in blocks."""
        return cast("BinaryIO", io.BufferedReader(_Blocks(self), 2**16))

    def read_at(self, offset: int, size: int) -> bytes:
        """Read so many bytes from there: small pieces out of a block that is fetched once.

        Raises:
            ImageError, OSError: as for `read_bytes`.
        """
        end = min(offset + size, self.size)
        if end - offset >= _BLOCK:
            return _fetched(self, offset, end - offset)
        parts = [
            _block(self, number)[max(offset - number * _BLOCK, 0) : end - number * _BLOCK]
            for number in range(offset // _BLOCK, -(-end // _BLOCK))
        ]
        return b"".join(parts)

    def check(self) -> None:
        """Raise an ImageError where it is another object by now."""
        with told(self.uri):
            _opened(self).close()

    def __str__(self) -> str:
        return self.uri


def pinned(file: RemoteFile) -> RemoteFile:
    """Return a file with the etag of the version that is there.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with told(file.uri), _opened(file) as stream:
            return replace(file, etag=_metadata(stream).get("etag", ""))
    except (OSError, ImageError) as error:
        raise UsageError(f"{file.uri}: {getattr(error, 'strerror', None) or error}") from error


def system_of(uri: str) -> tuple[fs.FileSystem, str]:
    """Return the file system of an address, and the path there.

    Raises:
        UsageError: it is no address of an object store, or has credentials in it.
    """
    if not is_remote(uri):
        raise UsageError(f"{uri}: expected s3:// or gs://")
    scheme, _, path = uri.partition("://")
    bucket = path.partition("/")[0]
    if not bucket or set(bucket) & set(":@"):  # a secret may have slashes: none of it is told
        raise UsageError(f"{scheme}://…: expected {scheme}://bucket/folder, without credentials")
    return _connected(scheme, bucket), path.rstrip("/")


@lru_cache(maxsize=16)
def _connected(scheme: str, bucket: str) -> fs.FileSystem:
    if scheme == "gs":
        return fs.GcsFileSystem()
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    protocol, _, host = endpoint.rpartition("://")
    return fs.S3FileSystem(
        region=_region(bucket, endpoint),
        endpoint_override=host.rstrip("/") or None,
        scheme=protocol or "https",
        connect_timeout=_CONNECT,
        request_timeout=_REQUEST,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
    )


def _region(bucket: str, endpoint: str) -> str | None:
    """Return the region that is said; else the bucket's, which only Amazon can tell."""
    said = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if said or endpoint:
        return said or None
    try:
        return str(fs.resolve_s3_region(bucket))
    except (OSError, pa.ArrowException):
        return None


def _opened(file: RemoteFile) -> pa.NativeFile:
    """Open an object, and check that it is the one that was listed."""
    system, path = system_of(file.uri)
    stream = system.open_input_file(path)
    about = _metadata(stream)
    same = stream.size() == file.size and (not file.etag or about.get("etag") == file.etag)
    if not same or _moved(file, about.get("last-modified", "")):
        raise ImageError("read", "changed", f"{file.uri} changed since it was listed")
    return stream


def _moved(file: RemoteFile, modified: str) -> bool:
    """Whether an object was written again, where both times are known, to the second."""
    when = re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)", modified)
    if when is None or not file.mtime_ns:
        return False
    then = datetime.fromisoformat(when[1]).replace(tzinfo=UTC)
    return int(then.timestamp()) != file.mtime_ns // 10**9


@contextmanager
def told(uri: str) -> Iterator[None]:
    """Turn what pyarrow raises into an OSError with a number and a few words.

    Raises:
        OSError: EIO where another attempt may do, EACCES where nobody is let in.
    """
    try:
        yield
    except ImageError:
        raise
    except (OSError, pa.ArrowException) as error:
        text = str(error)
        code, words = next(
            (fault for pattern, fault in _FAULTS if re.search(pattern, text)),
            (getattr(error, "errno", None) or errno.EPROTO, text[:300]),
        )
        if code == errno.EACCES:
            words += lacking(uri)
        raise OSError(code, words) from error


_FAULTS: Final = (
    ("NO_SUCH_BUCKET", (errno.ENOENT, "no such bucket (404)")),
    ("Path does not exist|NO_SUCH_KEY|RESOURCE_NOT_FOUND",
     (errno.ENOENT, "nothing is there (404)")),
    ("ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE_DOES_NOT_MATCH|EXPIRED_TOKEN|HTTP status 403",
     (errno.EACCES, "access denied (403)")),
    ("SLOW_DOWN|SERVICE_UNAVAILABLE|INTERNAL_FAILURE|THROTTLING|HTTP status 5",
     (errno.EIO, "the server is busy or fails (5xx), after several attempts")),
    ("NETWORK_CONNECTION|REQUEST_TIMEOUT|[Tt]imed? ?out",
     (errno.EIO, "no answer from the server, after several attempts")),
)  # fmt: skip
"""What is told of what pyarrow says; those that may pass are EIO."""


def _metadata(stream: pa.NativeFile) -> Mapping[str, str]:
    found = stream.metadata() or {}
    return {_text(name).lower(): _text(value) for name, value in found.items()}


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _fetched(file: RemoteFile, offset: int, size: int) -> bytes:
    """Fetch a piece, and check afterwards that it is of the version that was listed."""
    with told(file.uri), _opened(file) as stream:
        data = bytes(stream.read_at(size, offset))
    file.check()
    return data


def _block(file: RemoteFile, number: int) -> bytes:
    with _FETCHING:
        return _blocks(file, number)


@lru_cache(maxsize=_BLOCKS)
def _blocks(file: RemoteFile, number: int) -> bytes:
    return _fetched(file, number * _BLOCK, min(_BLOCK, file.size - number * _BLOCK))


class _Blocks(io.RawIOBase):
    """An object as a stream that can be searched."""

    def __init__(self, file: RemoteFile) -> None:
        self._file, self._at = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._file.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast("bytearray", buffer))
        data = self._file.read_at(self._at, len(view)) if self._at < self._file.size else b""
        view[: len(data)] = data
        self._at += len(data)
        return len(data)
