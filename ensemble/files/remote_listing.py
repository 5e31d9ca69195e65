"""What lies on an object store: below a prefix, by a pattern, or at an address."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from pyarrow import fs

from ensemble.errors import UsageError
from ensemble.files.paths import matches
from ensemble.files.remote import RemoteFile, system_of, told


@dataclass(frozen=True, slots=True)
class Listed:
    """A file that an address names, and its path from there on; `exact` where it is that file.

    `pattern` is the last part of a pattern that it fits, "" where none was given.
    """

    file: RemoteFile
    below: PurePosixPath
    exact: bool
    pattern: str


def listed_remotely(given: str) -> Iterator[Listed]:
    """Yield what a prefix with all below it, an object, or a pattern names, in plain order.

    Raises:
        UsageError: nothing is there, or the store does not answer, or lets nobody in.
    """
    parts = given.rstrip("/").split("/")
    fixed = next((i for i, part in enumerate(parts) if any(c in part for c in "*?[")), len(parts))
    base, wanted = "/".join(parts[:fixed]), tuple(parts[fixed:])
    for file in remote_files(base):
        below = PurePosixPath(file.uri.removeprefix(base).strip("/"))
        if not below.parts:
            yield Listed(file, PurePosixPath(PurePosixPath(file.uri).name), True, "")
        elif not wanted or matches(below.parts, wanted):
            yield Listed(file, below, False, wanted[-1] if wanted else "")


def remote_files(uri: str) -> list[RemoteFile]:
    """Return the files of a folder on a store, its subfolders included, or the one file.

    Raises:
        UsageError: as for `listed_remotely`.
    """
    system, path = system_of(uri)
    try:
        with told(uri):
            found = _infos(system, path)
    except OSError as error:
        raise UsageError(f"{uri}: cannot list it: {error.strerror or error}") from error
    if not found:
        raise UsageError(f"{uri}: nothing is there")
    scheme = uri.partition("://")[0]
    files = [RemoteFile(f"{scheme}://{each.path}", each.size, each.mtime_ns or 0) for each in found]
    return sorted(files, key=lambda file: file.uri)


def remote_file(uri: str) -> RemoteFile | None:
    """Return the file at an address; None where there is none.

    Raises:
        OSError: the store does not answer, or lets nobody in.
    """
    system, path = system_of(uri)
    with told(uri):
        found = system.get_file_info(path)
    there = found.type == fs.FileType.File
    return RemoteFile(uri, found.size, found.mtime_ns or 0) if there else None


def _infos(system: fs.FileSystem, path: str) -> list[fs.FileInfo]:
    found = [system.get_file_info(path)] if "/" in path else []
    if not found or found[0].type != fs.FileType.File:
        found = system.get_file_info(fs.FileSelector(path, recursive=True))
    return [each for each in found if each.type == fs.FileType.File]
