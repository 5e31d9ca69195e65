"""Images in tar and zip files: listed once, then read in any order, and never unpacked to disk."""

from collections.abc import Callable, Iterable
from pathlib import PurePath, PurePosixPath
from typing import Final, Protocol

from ensemble.errors import UsageError
from ensemble.images.location import Container, Found, Location
from ensemble.images.names import ARCHIVE, ARRAY, COMPRESSED_TARS, unwanted_below
from ensemble.images.tar_images import tar_members
from ensemble.images.zip_images import zip_members


class Member(Location, Protocol):
    """A location in an archive, with its name there."""

    @property
    def name(self) -> str:
        """The name in the archive."""


_NESTED: Final = {ARRAY: "array in an archive", ARCHIVE: "archive in an archive"}


def listed(archive: Container) -> list[Found]:
    """Return what an archive holds, in its order; all that is no image with the reason.

    Names that are absolute or lead out of the archive, links and devices are skipped as they are
    in folders. What follows a tar that is cut short is told as one more, without a name.

    Raises:
        UsageError: it cannot be read or is damaged, or has a name twice, or WebDataset keys that
            are interleaved; names the archive and the member or key.
    """
    suffix = next((s for s in _MEMBERS if str(archive).lower().endswith(s)), "")
    if not suffix:
        raise UsageError(
            f"{archive}: a compressed tar has no places to read from; unpack it to a plain .tar "
            f"first, or pack the images into a .zip"
        )
    found: list[Found] = []
    for member, reason in _MEMBERS[suffix](archive):
        name = PurePosixPath(member.name)
        found.append(Found(name, member, reason or _odd(name)))
    _check_once(archive, [each.name for each in found if not each.reason])
    if suffix == ".tar":
        _check_adjacent(archive, [each.name for each in found if _counts(each)])
    return found


def is_archive(name: str) -> bool:
    """Tell by its name whether a file is a tar, compressed or not, or a zip."""
    return name.lower().endswith((*_MEMBERS, *COMPRESSED_TARS))


_MEMBERS: Final[dict[str, Callable[[Container], Iterable[tuple[Member, str]]]]] = {
    ".tar": tar_members,
    ".zip": zip_members,
}


def _odd(name: PurePosixPath) -> str:
    """Return why a member is no image by its name, or ""."""
    if name.is_absolute():
        return "absolute name in an archive"
    if ".." in name.parts:
        return "name that leads out of its archive"
    if not name.parts:
        return "member without a name"
    if "\0" in str(name):
        return "NUL in a name"
    reason = unwanted_below(name.parts)
    return _NESTED.get(reason, reason)


def _check_once(archive: Container, names: Iterable[PurePath]) -> None:
    seen: set[PurePath] = set()
    for name in names:
        if name in seen:
            raise UsageError(
                f"{archive}: {str(name)!r} is in it twice, and either may be meant; pack it anew"
            )
        seen.add(name)


def _counts(found: Found) -> bool:
    """Whether a member belongs to a sample of a WebDataset: a file with an extension."""
    return found.reason in ("", *_SAMPLE) and "." in found.name.name


_SAMPLE: Final = ("other extension", *_NESTED.values())


def _check_adjacent(archive: Container, names: Iterable[PurePath]) -> None:
    """Check that the files of each WebDataset key, the path up to the first dot, are together."""
    seen: set[str] = set()
    last = ""
    for name in names:
        key = str(name.with_name(name.name.partition(".")[0] or name.name))
        if key != last and key in seen:
            raise UsageError(
                f"{archive}: the files of the key {key!r} lie apart, with others between them, as "
                f"where two shards were mixed; pack them together, with tar --sort=name"
            )
        seen.add(key)
        last = key
