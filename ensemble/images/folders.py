"""The files of folders, and those that a pattern names, each with the reason to skip it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ensemble.errors import UsageError
from ensemble.files.paths import matches
from ensemble.images.location import Found
from ensemble.images.names import (
    ARCHIVE,
    ARCHIVES,
    ARRAY,
    COMPRESSED_TARS,
    FOLDER,
    OTHER,
    unwanted,
)


def found_below(path: Path, *, relative: bool) -> Iterator[Found]:
    """Yield what a folder with its subfolders, a file, or a pattern names.

    The names are `relative` to that folder, or to the folder of the pattern, where ids are made of
    them; else whole, which is quicker.

    Raises:
        UsageError: there is no such file or folder, or it cannot be listed.
    """
    files, base = _files(path)
    for file, reason in files:
        yield Found(file.relative_to(base) if relative else file, file, reason)


def _files(path: Path) -> tuple[Iterator[tuple[Path, str]], Path]:
    """Return what a folder, a file or a pattern names, and the folder from which ids are told."""
    if path.is_dir():
        return walk(path), path
    if path.is_file():
        return iter([(path, _unless_named(unwanted(path.name)))]), path.parent
    if any(c in str(path) for c in "*?["):
        return _glob(path)
    raise UsageError(f"no such file or folder: {str(path)!r}")


def walk(
    folder: Path, depth: int | None = None, root: Path | None = None
) -> Iterator[tuple[Path, str]]:
    """Yield each file below a folder with the reason to skip it, or "".

    Raises:
        UsageError: a folder cannot be listed.
    """
    root = folder.resolve() if root is None else root
    try:
        with os.scandir(folder) as stream:
            entries = sorted(stream, key=lambda entry: entry.name)
    except OSError as error:
        raise UsageError(f"cannot list the folder {str(folder)!r}: {error.strerror}") from error
    for entry in entries:
        reason = _reason(entry, root)
        if reason is not None:
            yield Path(entry.path), reason
        elif depth is None or depth > 1:
            yield from walk(Path(entry.path), None if depth is None else depth - 1, root)


def _reason(entry: os.DirEntry[str], root: Path) -> str | None:
    """Return why an entry is skipped, "" for an image, None for a folder to look into."""
    reason = unwanted(entry.name)
    if entry.is_symlink():
        folder = "symbolic link to a folder (name it itself)" if entry.is_dir() else ""
        return folder or reason or _linked(Path(entry.path), root)
    if entry.is_file():
        return reason
    if not entry.is_dir():
        return reason or "not a regular file"
    return None if reason in (OTHER, ARCHIVE) else reason or FOLDER


def _linked(path: Path, root: Path) -> str:
    """Return why a link with the name of an image is skipped, or "".

    Links to files inside the tree are followed, such as those of a hub's snapshots. Others are not:
    a copy of the tree would have other images.
    """
    target = path.resolve()
    if not target.exists():
        return "symbolic link to nothing"
    if not target.is_relative_to(root):
        return _OUTSIDE
    if not target.is_file():
        return "not a regular file"
    twin = target.name == path.name and not unwanted(target.name)
    return "symbolic link to an image that is there under the same name" if twin else ""


_OUTSIDE: Final = (
    "symbolic link out of the folder (name such files one by one, or in a CSV with a column "
    "`path`, or copy them)"
)


def _unless_named(reason: str) -> str:
    return "" if reason in (ARRAY, ARCHIVE) else reason


def _glob(pattern: Path) -> tuple[Iterator[tuple[Path, str]], Path]:
    """Expand a pattern; unlike the standard glob, `**` follows no links, so loops are harmless."""
    fixed = next(i for i, part in enumerate(pattern.parts) if any(c in part for c in "*?["))
    base, wanted = Path(*pattern.parts[:fixed]), pattern.parts[fixed:]
    if not base.is_dir():
        raise UsageError(f"no such folder: {str(base)!r}, of the pattern {str(pattern)!r}")
    found = walk(base, None if "**" in wanted else len(wanted))
    found = (f for f in found if matches(f[0].relative_to(base).parts, wanted))
    if wanted[-1].lower().endswith((".npy", *ARCHIVES, *COMPRESSED_TARS)):
        found = ((file, _unless_named(reason)) for file, reason in found)
    return found, base
