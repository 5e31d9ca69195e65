"""The images of a prefix on an object store, or of a pattern there."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from ensemble.files.remote import remote_files
from ensemble.images.folders import matches
from ensemble.images.location import Found
from ensemble.images.names import ARCHIVE, ARRAY, unwanted, unwanted_below


def found_remotely(given: str) -> Iterator[Found]:
    """Yield what a prefix with all below it, an object, or a pattern names, as in folders.

    Arrays and archives are taken where they or a pattern of theirs are named.

    Raises:
        UsageError: nothing is there, or the store does not answer.
    """
    parts = given.rstrip("/").split("/")
    fixed = next((i for i, part in enumerate(parts) if any(c in part for c in "*?[")), len(parts))
    wanted = tuple(parts[fixed:])
    base = "/".join(parts[:fixed])
    for file in remote_files(base):
        below = PurePosixPath(file.uri.removeprefix(base).strip("/")).parts
        if not below:  # the object itself was named
            name = PurePosixPath(PurePosixPath(file.uri).name)
            yield Found(name, file, _unless_named(unwanted(name.name)))
        elif not wanted:
            yield Found(PurePosixPath(*below), file, unwanted_below(below))
        elif matches(below, wanted):
            reason = unwanted_below(below)
            named = PurePosixPath(wanted[-1]).suffix == PurePosixPath(below[-1]).suffix
            yield Found(PurePosixPath(*below), file, _unless_named(reason) if named else reason)


def _unless_named(reason: str) -> str:
    return "" if reason in (ARRAY, ARCHIVE) else reason
