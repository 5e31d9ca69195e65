"""Files that may be compressed: .gz, and .zip with one file in it."""

import gzip
import zipfile
import zlib
from pathlib import Path
from typing import Final

from ensemble.errors import UsageError, few

MOST: Final = 2**32
"""What a compressed table may come to, in bytes: a small file may hold any number of zeros."""


def unpacked(path: Path) -> bytes:
    """Return the bytes of a file, unpacked where its name ends in .gz or .zip.

    Raises:
        UsageError: it is no such file, is damaged or too large, or a .zip holds several files.
        OSError: the disk refused.
    """
    kind = path.suffix.lower()
    if kind not in (".gz", ".zip"):
        return path.read_bytes()
    try:
        return _gunzipped(path) if kind == ".gz" else _unzipped(path)
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError) as error:
        raise UsageError(f"{path}: cannot unpack it: {error}") from error


def stem_of(path: Path) -> str:
    """Return the name of a file without what it ends in: `a` of a.csv, a.csv.gz and a.zip."""
    packed = path.suffix.lower() in (".gz", ".zip")
    return path.with_suffix("").stem if packed and ".csv" in path.name.lower() else path.stem


def _gunzipped(path: Path) -> bytes:
    with gzip.open(path) as stream:
        return _bounded(path, stream.read(MOST + 1))


def _unzipped(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if not n.endswith("/") and "__MACOSX" not in n]
        if len(names) != 1:
            raise UsageError(
                f"{path}: expected one table in it; found {few(names) or 'none'}. Unpack it"
            )
        with archive.open(names[0]) as stream:
            return _bounded(path, stream.read(MOST + 1))


def _bounded(path: Path, data: bytes) -> bytes:
    if len(data) > MOST:
        raise UsageError(f"{path}: it unpacks to more than {MOST >> 30} GiB: unpack it yourself")
    return data
