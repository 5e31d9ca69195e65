"""The members of a zip file, and where their bytes lie in it."""

import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from stat import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG
from typing import BinaryIO, Final

from ensemble.errors import ImageError, UsageError
from ensemble.images.location import LARGEST, Container

_LARGE: Final = 2**24
_RATIO: Final = 200
"""A member over so many bytes that shrank to less than that share is a bomb."""

_HEADER: Final = struct.Struct("<4s2xHH4xIIIHH")
"""A member's own header: mark, flags, method, CRC, its bytes packed and whole, what follows."""

_MARK: Final = b"PK\x03\x04"
_STREAMED: Final = 0x8
_UTF8: Final = 0x800
_ELSEWHERE: Final = 2**32 - 1
"""A size that is told in an extra field."""

_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True, slots=True)
class ZipMember:
    """An image in a zip file: where its header begins, and what the list of the zip says of it."""

    archive: Container
    name: str
    header: int
    packed: int
    size: int
    crc: int
    deflated: bool

    @property
    def suffix(self) -> str:
        """What its name ends with."""
        return PurePosixPath(self.name).suffix

    def read_bytes(self) -> bytes:
        """Read and unpack its bytes, in memory, and check their CRC.

        Raises:
            ImageError: it is damaged, or far larger than its file, or the archive changed.
            OSError: it cannot be read.
        """
        bomb = self.size > _LARGE and self.size > _RATIO * self.packed
        if bomb or max(self.size, self.packed) > LARGEST:
            raise ImageError(
                "read", "too large",
                f"{self.packed} bytes in {self.archive} are to become {self.size}: a zip bomb, a "
                f"damaged list, or an image that is stored better in a folder",
            )  # fmt: skip
        head = self.archive.read_at(self.header, _HEADER.size)
        skip = _length(head)
        data = self.archive.read_at(self.header + skip, self.packed) if skip else b""
        if not skip or len(data) < self.packed:
            raise self._damaged("its header is not there, or the file is cut short")
        if self.deflated:
            data = self._unpacked(data)
        if len(data) != self.size or zlib.crc32(data) != self.crc:
            raise self._damaged(f"{len(data)} bytes came of it, or others than were packed (CRC)")
        return data

    def _unpacked(self, data: bytes) -> bytes:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            return unpacker.decompress(data, self.size + 1)
        except zlib.error as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, why: str) -> ImageError:
        return ImageError("read", "corrupt", f"damaged in {self.archive}: {why}")

    def __str__(self) -> str:
        return f"{self.archive}!{self.name}"


def zip_members(archive: Container) -> list[tuple[ZipMember, str]]:
    """Return the members of a zip in its order, folders apart, with the reason to skip them, or "".

    Raises:
        UsageError: it cannot be read, is no zip, encrypted, packed in a way that is not read, or
            its list and its members do not agree.
    """
    try:
        with archive.open() as file:
            infos = _listed(archive, file)
            _check_whole(archive, file, infos)
            for info in sorted(infos, key=lambda info: info.header_offset):
                _check_header(archive, file, info)
    except (OSError, ImageError) as error:
        raise UsageError(f"{archive}: cannot read the archive: {error}") from error
    return [(_member(archive, info), _reason(info)) for info in infos if not info.is_dir()]


def _listed(archive: Container, file: BinaryIO) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(file) as packed:
            return packed.infolist()
    except FOREIGN as error:
        raise UsageError(f"{archive}: not a zip file, or a damaged one: {error}") from error


FOREIGN: Final = (
    zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, ValueError, OverflowError,
    EOFError, LookupError, struct.error, MemoryError,
)  # fmt: skip
"""What zipfile raises for files that are damaged."""


def _member(archive: Container, info: zipfile.ZipInfo) -> ZipMember:
    deflated = info.compress_type == zipfile.ZIP_DEFLATED
    return ZipMember(
        archive, info.filename, info.header_offset, info.compress_size, info.file_size, info.CRC,
        deflated,
    )  # fmt: skip


def _reason(info: zipfile.ZipInfo) -> str:
    kind = S_IFMT(info.external_attr >> 16) if info.create_system == _UNIX else 0
    if kind in (0, S_IFREG, S_IFDIR):
        return ""
    return "link in an archive" if kind == S_IFLNK else "not a regular file"


_UNIX: Final = 3
"""The system of a zip whose members have a mode."""


def _check_whole(archive: Container, file: BinaryIO, infos: Sequence[zipfile.ZipInfo]) -> None:
    """Check that as many members are listed as are said to be, and that no two share bytes."""
    file.seek(max(0, archive.size - _TAIL))
    tail = file.read()
    said = _counted(tail, b"PK\x05\x06", "<H", 10)
    if said == _MANY:
        said = _counted(tail, b"PK\x06\x06", "<Q", 32)
    if said != len(infos):
        raise UsageError(
            f"{archive}: damaged: {said} members are in its list, it says, and {len(infos)} are "
            f"found; pack it anew"
        )
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise UsageError(f"{archive}: members overlap at {info.filename!r}, as in a zip bomb")
        end = info.header_offset + _HEADER.size + info.compress_size


_TAIL: Final = 2**16 + 200
"""How far from the end the record may begin that says how many members there are."""

_MANY: Final = 2**16 - 1


def _counted(tail: bytes, mark: bytes, form: str, offset: int) -> int:
    at = tail.rfind(mark)
    found = tail[at + offset : at + offset + struct.calcsize(form)] if at >= 0 else b""
    return int(struct.unpack(form, found)[0]) if len(found) == struct.calcsize(form) else -1


def _check_header(archive: Container, file: BinaryIO, info: zipfile.ZipInfo) -> None:
    """Check that a member is as its zip's list says, and that it can be read."""
    if info.flag_bits & 1:
        raise UsageError(f"{archive}: {info.filename!r} is encrypted; pack it without a password")
    if info.compress_type not in _METHODS:
        raise UsageError(
            f"{archive}: {info.filename!r} is packed by method {info.compress_type}; stored and "
            f"deflated are read: pack it anew"
        )
    file.seek(info.header_offset)
    head = file.read(_HEADER.size)
    name = file.read(_HEADER.unpack(head)[6]) if _length(head) else b""
    if not _length(head) or not _agrees(head, name, info):
        raise UsageError(
            f"{archive}: damaged: its list has {info.filename!r} at byte {info.header_offset}, "
            f"where {name!r} is, or of other sizes; pack it anew"
        )


def _agrees(head: bytes, name: bytes, info: zipfile.ZipInfo) -> bool:
    """Whether a member's own header says what the list says, as far as it says anything."""
    _, flags, method, crc, packed, size, *_ = _HEADER.unpack(head)
    same = (crc, packed, size) == (info.CRC, info.compress_size, info.file_size)
    open_ended = flags & _STREAMED or _ELSEWHERE in (packed, size)
    told = name.decode("utf-8" if flags & _UTF8 else "cp437", "replace")
    return (same or bool(open_ended)) and (method, told) == (
        info.compress_type, info.orig_filename,
    )  # fmt: skip


def _length(head: bytes) -> int:
    """Return the length of a member's own header, 0 where there is none."""
    if len(head) < _HEADER.size:
        return 0
    mark, *_, name, extra = _HEADER.unpack(head)
    return int(_HEADER.size + name + extra) if mark == _MARK else 0
