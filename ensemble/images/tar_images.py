"""The members of a tar file, and where their bytes lie in it."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, Final

from ensemble.errors import ImageError, UsageError
from ensemble.images.location import LARGEST, Container

_BLOCK: Final = 512
_PIECE: Final = 2**20
_GZIP: Final = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")


@dataclass(frozen=True, slots=True)
class TarMember:
    """An image in a tar file: its bytes are so many from there."""

    archive: Container
    name: str
    offset: int
    size: int

    @property
    def suffix(self) -> str:
        """What its name ends with."""
        return PurePosixPath(self.name).suffix

    def read_bytes(self) -> bytes:
        """Read its bytes out of the archive.

        Raises:
            ImageError: it is too large, or the archive ends before it does, or is another by now.
            OSError: it cannot be read.
        """
        if self.size > LARGEST:
            raise ImageError(
                "read", "too large",
                f"{self.size} bytes in {self.archive}, its header says, of at most {LARGEST}: the "
                f"header is damaged, or it is an image that is stored better in a folder",
            )  # fmt: skip
        data = self.archive.read_at(self.offset, self.size)
        if len(data) < self.size:
            raise ImageError(
                "read", "truncated",
                f"{self.archive} is cut short: it holds {len(data)} of the {self.size} bytes",
            )  # fmt: skip
        return data

    def __str__(self) -> str:
        return f"{self.archive}!{self.name}"


def tar_members(archive: Container) -> list[tuple[TarMember, str]]:
    """Return the members of a tar in its order, folders apart, with the reason to skip them, or "".

    Of one that is cut short, the last names how far it goes, and is skipped.

    Raises:
        UsageError: it cannot be read, is no tar or a compressed one, or a header is damaged.
    """
    try:
        with archive.open() as file:
            return list(_members(archive, file))
    except (OSError, ImageError) as error:
        raise UsageError(f"{archive}: cannot read the archive: {error}") from error


def _members(archive: Container, file: BinaryIO) -> Iterator[tuple[TarMember, str]]:
    if file.read(6).startswith(_GZIP):
        raise UsageError(
            f"{archive}: a compressed tar can only be read from its beginning on, not image by "
            f"image; unpack it: gunzip, or tar -xf"
        )
    file.seek(0)
    last, end = "", 0
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            while (info := tar.next()) is not None:
                del tar.members[:]  # type: ignore[attr-defined]  # a million are not to be kept
                if info.size < 0 or tar.offset <= end:
                    raise tarfile.ReadError(f"{info.size} bytes, which lead back for ever")
                end = tar.offset
                last = info.name
                if not info.isdir():
                    yield TarMember(archive, last, info.offset_data, info.size), _reason(info)
            end = tar.offset
    except FOREIGN as error:
        if not end:
            raise UsageError(f"{archive}: not a tar file, or a damaged one: {error}") from error
    yield from _after(archive, file, end, last)


CUT: Final = "the rest of "
"""How the reason begins for which what follows a tar that is cut short is not among its images."""

FOREIGN: Final = (tarfile.TarError, ValueError, OverflowError, EOFError, LookupError, MemoryError)
"""What tarfile raises for files that are damaged."""


def _reason(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return "link in an archive"
    if not info.isreg():
        return "not a regular file"
    return "sparse file in an archive" if info.issparse() else ""


def _after(
    archive: Container, file: BinaryIO, end: int, last: str
) -> Iterator[tuple[TarMember, str]]:
    """Look at what follows the last member: the end mark, nothing, or what is no header."""
    left = archive.size - end
    file.seek(min(end, archive.size))
    head = file.read(_BLOCK)
    if left <= _BLOCK - 1 or _is_cut(head, left):
        reason = (
            f"{CUT}{archive}, which is cut short at byte {archive.size}, after the member "
            f"{last!r}: what followed it is not known"
        )
        yield TarMember(archive, "", end, 0), reason
        return
    if any(head):
        raise UsageError(
            f"{archive}: damaged: no header at byte {end}, after the member {last!r}, where one "
            f"is due; pack it anew, for what follows would be lost"
        )
    while piece := file.read(_PIECE):
        if piece.strip(b"\0"):
            raise UsageError(
                f"{archive}: more follows its end mark at byte {end}, as where tars were joined; "
                f"give them one by one, or join them with tar --concatenate"
            )


def _is_cut(head: bytes, left: int) -> bool:
    """Whether a header of a long name or of attributes has its own member beyond the end."""
    if head[156:157] not in (b"L", b"K", b"x", b"g", b"X"):
        return False
    try:
        size = tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape").size
    except FOREIGN:
        return False
    return left < 2 * _BLOCK + -(-size // _BLOCK) * _BLOCK
