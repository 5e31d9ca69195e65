"""The images of a prefix on an object store, or of a pattern there."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from ensemble.files.remote_listing import listed_remotely
from ensemble.images.location import Found
from ensemble.images.names import ARCHIVE, ARRAY, unwanted_below


def found_remotely(given: str) -> Iterator[Found]:
    """Yield what a prefix with all below it, an object, or a pattern names, as in folders.

    Arrays and archives are taken where they or a pattern of theirs are named.

    Raises:
        UsageError: nothing is there, or the store does not answer.
    """
    for each in listed_remotely(given):
        reason = unwanted_below(each.below.parts)
        named = each.exact or PurePosixPath(each.pattern).suffix == each.below.suffix
        unless = "" if reason in (ARRAY, ARCHIVE) and named else reason
        yield Found(each.below, each.file, unless)
