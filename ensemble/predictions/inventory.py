"""What the store holds, whether it is whole, and what no run refers to."""

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from ensemble.errors import StoreError, UsageError, few
from ensemble.files.atomic import SUCCESS, TEMPORARY, refused, remove
from ensemble.predictions.store import Partition, hold, load_partition
from ensemble.submission.folder import RUN, is_key, remembered

RUNS: Final = Path("submissions")
"""Where runs write, unless they are told otherwise."""

_KEY: Final = "key.json"
_MARK: Final = ".json"


@dataclass(frozen=True, slots=True)
class Held:
    """One key of the store: the predictions of one member over one image set.

    `views` are told by their operations, as "plain, hflip"; they, the `merge`, the `precision` and
    the `provider` are what tells keys of one member over one image set apart. `shards` were
    started, of `total`; whether they are whole only `verify` tells. `fault` says why a key cannot
    be read, and then nothing else is known of it but `bytes` and `modified` (seconds since the
    epoch).
    """

    key: str
    bytes: int
    modified: float
    runs: tuple[str, ...]
    member: str = ""
    family: str = ""
    fold: int | None = None
    views: str = ""
    merge: str = ""
    precision: str = ""
    provider: str = ""
    images: int = 0
    image_set: str = ""
    shards: int = 0
    total: int = 0
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Torn:
    """A part, or a key.json, that is not as it was written."""

    key: str
    member: str
    path: Path
    message: str


@dataclass(frozen=True, slots=True)
class Garbage:
    """What can go: keys that no run refers to, and what writes that were cut off left behind.

    `places` are the folders in which runs were looked for.
    """

    keys: tuple[Held, ...]
    temporaries: tuple[Path, ...]
    places: tuple[Path, ...] = ()


def places_of(store: Path, runs: Sequence[Path] = ()) -> list[Path]:
    """Return the folders in which runs that refer to a store are looked for.

    Args:
        store: The store's folder.
        runs: Folders of runs; none for `RUNS`, where it is there.

    Returns:
        These, and the runs that the store was told of and that are there still.

    Raises:
        UsageError: the store's note of a run cannot be read.
    """
    given = [*runs] or ([RUNS] if RUNS.is_dir() else [])
    within = {path.resolve() for path in given}
    known = [path for path in remembered(store) if (path / RUN).exists()]
    return [*given, *(p for p in known if not within & {p.resolve(), p.resolve().parent})]


def inventory(store: Path, runs: Sequence[Path] = ()) -> list[Held]:
    """Return what the store holds, by key, without reading a prediction; see `places_of`.

    Raises:
        UsageError: the store or a folder of runs is not there, or a run.json cannot be read.
        StoreError: the store cannot be listed.
    """
    _check_there(store)
    used = references(places_of(store, runs))
    return [_held(store, key, used.get(key, ())) for key in _keys(store)]


def verify(store: Path) -> tuple[int, list[Torn]]:
    """Hash every part of the store again; return how many there are, and the bad ones.

    A part without its JSON was never committed, and is none.

    Raises:
        UsageError: the store is not there.
        StoreError: the store cannot be listed.
    """
    _check_there(store)
    parts, torn = 0, []
    for key in _keys(store):
        try:
            partition = load_partition(store, key)
        except StoreError as error:
            torn.append(Torn(key, "", store / "predictions" / key / _KEY, str(error)))
            continue
        if partition is None:
            continue
        for shard in partition.shards:
            parts += partition.begun(shard)
            if partition.torn(shard):
                text = "the hash or the record does not match; it will be computed again"
                torn.append(Torn(key, partition.label.name, partition.part(shard), text))
    return parts, torn


def garbage(store: Path, runs: Sequence[Path] = ()) -> Garbage:
    """Return what no run refers to; see `places_of`. Those of `ensemble oof` belong to no run.

    Raises:
        UsageError: a folder of runs is not there, or there is none to look in, or a run.json cannot
            be read: what it refers to is then not known.
    """
    _check_there(store)
    places = tuple(places_of(store, runs)) or (RUNS,)
    keys = tuple(held for held in inventory(store, places) if not held.runs)
    going = {held.key for held in keys}
    kept = (_folder(store, key) for key in _keys(store) if key not in going)
    left = tuple(path for folder in kept for path in sorted(folder.glob(f"{TEMPORARY}*")))
    return Garbage(keys, tuple(path for path in left if path.is_file()), places)


def collect(store: Path, found: Garbage) -> int:
    """Delete garbage; return the bytes that are free now.

    Nothing outside `store/predictions/<key>` is deleted, and no link is followed.

    Raises:
        UsageError: a run holds one of the keys; nothing was deleted.
        StoreError: a key's folder holds a folder or is a link, or the disk refused.
    """
    going = [_folder(store, held.key) for held in found.keys]
    folders = {*going, *(path.parent for path in found.temporaries)}
    for folder in folders:
        _check_plain(store, folder)
    with hold(store, [folder.name for folder in folders], os.getpid()):
        for path in found.temporaries:
            remove(path)
        for folder in going:
            _remove_folder(folder)
    return sum(held.bytes for held in found.keys)


def references(runs: Sequence[Path]) -> dict[str, tuple[str, ...]]:
    """Return by key the runs that refer to it, in folders of runs.

    Raises:
        UsageError: a folder is not there, or a run.json cannot be read.
    """
    used: dict[str, tuple[str, ...]] = {}
    for folder in runs:
        if not folder.is_dir():
            raise UsageError(f"--runs {folder}: no such folder; name the folder that runs write to")
        for path in sorted({*folder.glob(RUN), *folder.glob(f"*/{RUN}")}):
            for key in _keys_of_run(path):
                used[key] = (*used.get(key, ()), str(path.parent))
    return used


def _keys_of_run(path: Path) -> list[str]:
    try:
        record = json.loads(path.read_bytes())
        keys = [str(member["key"]) for member in record["members"] if member["key"]]
        exits = record.get("early_exit") or {}
        keys += map(str, exits.get("stored", {}).values())
        keys += [str(exits[name]) for name in ("key", "calibration") if exits.get(name)]
        return list(dict.fromkeys(keys))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path}: damaged, so it is not known which predictions it refers to; mend or delete it"
        ) from error


def _check_there(store: Path) -> None:
    if not store.is_dir():
        raise UsageError(f"--store {store}: no such folder; name the one that runs keep")


def _keys(store: Path) -> list[str]:
    """Return the keys of a store: real folders only, whose name is a key."""
    root = store / "predictions"
    if not root.is_dir() or root.is_symlink():
        return []
    found = [entry for entry in _listed(root) if is_key(entry.name)]
    return [entry.name for entry in found if entry.is_dir(follow_symlinks=False)]


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    """Return what a folder holds, by name."""
    try:
        with os.scandir(folder) as stream:
            return sorted(stream, key=lambda entry: entry.name)
    except OSError as error:
        raise refused("list", folder, error) from error


def _held(store: Path, key: str, runs: tuple[str, ...]) -> Held:
    folder, size, modified = _folder(store, key), 0, 0.0
    try:
        size, modified = _occupied(folder)
        partition = load_partition(store, key)
    except StoreError as error:
        return Held(key, size, modified, runs, fault=str(error))
    if partition is None:
        return Held(key, size, modified, runs, fault=f"{folder / _KEY} is missing")
    return _described(partition, Held(key, size, modified, runs))


def _occupied(folder: Path) -> tuple[int, float]:
    """Return the bytes of a folder's files, and when the last was written.

    A file that is gone by now counts for nothing: a run that commits renames its temporary files.
    """
    stats = []
    for entry in _listed(folder):
        with contextlib.suppress(FileNotFoundError):
            stats.append(entry.stat(follow_symlinks=False))
    return sum(s.st_size for s in stats), max((s.st_mtime for s in stats), default=0.0)


def _described(partition: Partition, bare: Held) -> Held:
    seen, label = partition.fingerprint, partition.label
    return Held(
        key=bare.key,
        bytes=bare.bytes,
        modified=bare.modified,
        runs=bare.runs,
        member=label.name or str(seen.get("member", ""))[:12],
        family=label.family,
        fold=label.fold,
        views=", ".join(map(_view, cast(list[_Ops], seen.get("views", ())))),
        merge=str(seen.get("merge", "")),
        precision=str(seen.get("precision", "")),
        provider=str(seen.get("provider", "")).removesuffix("ExecutionProvider"),
        images=partition.images,
        image_set=str(seen.get("images", ""))[:12],
        shards=sum(partition.begun(shard) for shard in partition.shards),
        total=len(partition.shards),
    )


_Ops: TypeAlias = Sequence[Mapping[str, Any]]


def _view(ops: _Ops) -> str:
    """Name a view of a fingerprint by its operations, as "hflip+rot90(1)"."""
    texts = [op["name"] + (f"({', '.join(map(str, op['args']))})" if op["args"] else "")
             for op in ops]  # fmt: skip
    return "+".join(texts) or "plain"


def _folder(store: Path, key: str) -> Path:
    return store / "predictions" / key


def _check_plain(store: Path, folder: Path) -> None:
    """Refuse a folder that is not one of the store's own, or holds more than files."""
    own = folder.parent == store / "predictions" and is_key(folder.name)
    if not own or folder.is_symlink() or folder.parent.is_symlink():
        raise StoreError(f"{folder} is a link or no folder of the store; it is left alone")
    if odd := [e.name for e in _listed(folder) if e.is_dir(follow_symlinks=False)]:
        raise StoreError(f"{folder} holds folders ({few(odd)}), which the store never makes")


def _remove_folder(folder: Path) -> None:
    """Remove a key: first what makes its shards count, and key.json last."""
    paths = sorted(
        (Path(entry.path) for entry in _listed(folder)),
        key=lambda p: (p.name == _KEY, p.name != SUCCESS and p.suffix != _MARK, p.name),
    )
    for path in paths:
        remove(path)
    try:
        folder.rmdir()
    except OSError as error:
        raise refused("remove", folder, error) from error
