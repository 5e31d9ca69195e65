"""What of a store no run refers to, and its removal."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ensemble.errors import StoreError, few
from ensemble.files.atomic import SUCCESS, TEMPORARY, disk_error, remove
from ensemble.predictions.inventory import (
    KEY,
    MARK,
    RUNS,
    StoredKey,
    check_there,
    folder_of,
    inventory,
    listed,
    places_of,
)
from ensemble.predictions.store import hold, is_key


@dataclass(frozen=True, slots=True)
class Garbage:
    """What can go: keys that no run refers to, and what writes that were cut off left behind.

    `places` are the folders in which runs were looked for.
    """

    keys: tuple[StoredKey, ...]
    temporaries: tuple[Path, ...]
    places: tuple[Path, ...] = ()


def garbage(store: Path, runs: Sequence[Path] = ()) -> Garbage:
    """Return what no run refers to; see `places_of`. Those of `ensemble oof` belong to no run.

    Raises:
        UsageError: a folder of runs is not there, or there is none to look in, or a run.json cannot
            be read: what it refers to is then not known.
    """
    check_there(store)
    places = tuple(places_of(store, runs)) or (RUNS,)
    there = inventory(store, places)
    kept = [folder_of(store, held.key) for held in there if held.runs]
    left = (path for folder in kept for path in sorted(folder.glob(f"{TEMPORARY}*")))
    keys = tuple(held for held in there if not held.runs)
    return Garbage(keys, tuple(filter(Path.is_file, left)), places)


def collect(store: Path, found: Garbage) -> int:
    """Delete garbage; return the bytes that are free now.

    Nothing outside `store/predictions/<key>` is deleted, and no link is followed.

    Raises:
        UsageError: a run holds one of the keys; nothing was deleted.
        StoreError: a key's folder holds a folder or is a link, or the disk refused.
    """
    going = [folder_of(store, held.key) for held in found.keys]
    folders = {*going, *(path.parent for path in found.temporaries)}
    for folder in folders:
        _check_plain(store, folder)
    with hold(store, [folder.name for folder in folders], os.getpid()):
        for path in found.temporaries:
            remove(path)
        for folder in going:
            _remove_folder(folder)
    return sum(held.bytes for held in found.keys)


def _check_plain(store: Path, folder: Path) -> None:
    """Refuse a folder that is not one of the store's own, or holds more than files."""
    own = folder.parent == store / "predictions" and is_key(folder.name)
    if not own or folder.is_symlink() or folder.parent.is_symlink():
        raise StoreError(f"{folder} is a link or no folder of the store; it is left alone")
    if odd := [e.name for e in listed(folder) if e.is_dir(follow_symlinks=False)]:
        raise StoreError(f"{folder} holds folders ({few(odd)}), which the store never makes")


def _remove_folder(folder: Path) -> None:
    """Remove a key: first what makes its shards count, and key.json last."""
    paths = sorted(
        (Path(entry.path) for entry in listed(folder)),
        key=lambda p: (p.name == KEY, p.name != SUCCESS and p.suffix != MARK, p.name),
    )
    for path in paths:
        remove(path)
    try:
        folder.rmdir()
    except OSError as error:
        raise disk_error("remove", folder, error) from error
