"""Members on an object store: copied once to this machine, and known again by their etags."""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from ensemble.errors import ImageError, MemberError, StoreError, UsageError
from ensemble.files.atomic import publish_bytes, publish_hashed, remove, sha256_file, sha256_json
from ensemble.files.paths import is_remote, without_lists
from ensemble.files.remote import RemoteFile, pinned
from ensemble.files.remote_listing import listed_remotely, remote_file
from ensemble.members.member import SIDECAR, read_graph
from ensemble.members.onnx_checks import external_names

FOLDER: Final = "members"
"""Where copies lie in the store's folder: `members/<name>/<hash of address and etag>/<name>`."""


def local_members(inputs: Sequence[str], store: Path) -> list[str]:
    """Return what names members, with those on an object store copied beside it.

    A folder there gives the .onnx files that lie in it. Each file is asked for its etag, and copied
    where that is new or the copy is not as it was made. Cards and external data beside a member are
    copied with it, and removed here where they are no longer there. A list of inputs, `@list.txt`,
    gives way to its lines.

    Raises:
        UsageError: nothing is there.
        MemberError: a member cannot be copied.
        StoreError: the disk refused.
    """
    found: list[str] = []
    for given in without_lists(inputs, "member"):
        if not is_remote(given):
            found.append(given)
            continue
        named = [
            each.file
            for each in listed_remotely(given)
            if each.exact or each.pattern or len(each.below.parts) == 1
        ]
        members = [file for file in named if file.suffix == ".onnx"]
        if not members:
            raise UsageError(f"member {given}: nothing there matches (looked for *.onnx)")
        found += [str(_copied(file, store)) for file in members]
    return found


def _copied(file: RemoteFile, store: Path) -> Path:
    """Copy a member with what belongs to it, unless it is here already."""
    try:
        version = pinned(file)
        folder, _, name = version.uri.rpartition("/")
        key = sha256_json([version.uri, version.size, _tag(version)])[:32]
        path = store / FOLDER / name / key / name
        _copy(version, path)
        sidecar = f"{name}{SIDECAR}"
        for beside in (sidecar, *external_names(read_graph(path), path)):
            there = remote_file(f"{folder}/{beside}")
            if there is not None:
                _copy(pinned(there), path.parent / beside)
            else:
                remove(path.parent / beside)
    except StoreError:
        raise
    except (OSError, ImageError, UsageError) as error:
        why = getattr(error, "strerror", None) or error
        told = str(why).removeprefix(f"{file.uri}: ")
        raise MemberError(f"{file.uri}: cannot copy the member: {told}") from error
    return path


def _copy(file: RemoteFile, path: Path) -> None:
    """Copy a file, and then note its etag and hash beside it; one that is as noted is kept."""
    noted = path.with_name(f"{path.name}.etag")
    here = path.is_file() and noted.is_file()
    if here and noted.read_text("utf-8") == f"{_tag(file)}\n{sha256_file(path)}":
        return
    with file.open() as stream:
        sha256 = publish_hashed(path, partial(shutil.copyfileobj, stream))
    publish_bytes(noted, f"{_tag(file)}\n{sha256}".encode())


def _tag(file: RemoteFile) -> str:
    return file.etag or str(file.mtime_ns)
