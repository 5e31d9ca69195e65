"""What the store holds, and whether it is whole."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ensemble.errors import StoreError, UsageError
from ensemble.files.atomic import disk_error
from ensemble.predictions.parsed import list_of, mapping_of
from ensemble.predictions.references import references, remembered
from ensemble.predictions.run_record import RUN
from ensemble.predictions.store import Partition, is_key, load_partition

RUNS: Final = Path("submissions")
"""Where runs write, unless they are told otherwise."""

KEY: Final = "key.json"
MARK: Final = ".json"


@dataclass(frozen=True, slots=True)
class StoredKey:
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
class TornPart:
    """A part, or a key.json, that is not as it was written."""

    key: str
    member: str
    path: Path
    message: str


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


def inventory(store: Path, runs: Sequence[Path] = ()) -> list[StoredKey]:
    """Return what the store holds, by key, without reading a prediction; see `places_of`.

    Raises:
        UsageError: the store or a folder of runs is not there, or a run.json cannot be read.
        StoreError: the store cannot be listed.
    """
    check_there(store)
    used = references(places_of(store, runs))
    return [_held(store, key, used.get(key, ())) for key in keys_of(store)]


def verify(store: Path) -> tuple[int, list[TornPart]]:
    """Hash every part of the store again; return how many there are, and the bad ones.

    A part without its JSON was never committed, and is none.

    Raises:
        UsageError: the store is not there.
        StoreError: the store cannot be listed.
    """
    check_there(store)
    parts, torn = 0, []
    for key in keys_of(store):
        try:
            partition = load_partition(store, key)
        except StoreError as error:
            torn.append(TornPart(key, "", store / "predictions" / key / KEY, str(error)))
            continue
        if partition is None:
            continue
        for shard in partition.shards:
            parts += partition.begun(shard)
            if partition.torn(shard):
                text = "the hash or the record does not match; it will be computed again"
                torn.append(TornPart(key, partition.label.name, partition.part(shard), text))
    return parts, torn


def check_there(store: Path) -> None:
    if not store.is_dir():
        raise UsageError(f"--store {store}: no such folder; name the one that runs keep")


def keys_of(store: Path) -> list[str]:
    """Return the keys of a store: real folders only, whose name is a key."""
    root = store / "predictions"
    if not root.is_dir() or root.is_symlink():
        return []
    found = [entry for entry in listed(root) if is_key(entry.name)]
    return [entry.name for entry in found if entry.is_dir(follow_symlinks=False)]


def listed(folder: Path) -> list[os.DirEntry[str]]:
    """Return what a folder holds, by name."""
    try:
        with os.scandir(folder) as stream:
            return sorted(stream, key=lambda entry: entry.name)
    except OSError as error:
        raise disk_error("list", folder, error) from error


def _held(store: Path, key: str, runs: tuple[str, ...]) -> StoredKey:
    folder, size, modified = folder_of(store, key), 0, 0.0
    try:
        size, modified = _occupied(folder)
        partition = load_partition(store, key)
    except StoreError as error:
        return StoredKey(key, size, modified, runs, fault=str(error))
    if partition is None:
        return StoredKey(key, size, modified, runs, fault=f"{folder / KEY} is missing")
    return _described(partition, StoredKey(key, size, modified, runs))


def _occupied(folder: Path) -> tuple[int, float]:
    """Return the bytes of a folder's files, and when the last was written.

    A file that is gone by now counts for nothing: a run that commits renames its temporary files.
    """
    stats = []
    for entry in listed(folder):
        with contextlib.suppress(FileNotFoundError):
            stats.append(entry.stat(follow_symlinks=False))
    return sum(s.st_size for s in stats), max((s.st_mtime for s in stats), default=0.0)


def _described(partition: Partition, bare: StoredKey) -> StoredKey:
    seen, label = partition.fingerprint, partition.label
    return StoredKey(
        key=bare.key,
        bytes=bare.bytes,
        modified=bare.modified,
        runs=bare.runs,
        member=label.name or str(seen.get("member", ""))[:12],
        family=label.family,
        fold=label.fold,
        views=", ".join(map(_view, list_of(seen.get("views", ())))),
        merge=str(seen.get("merge", "")),
        precision=str(seen.get("precision", "")),
        provider=str(seen.get("provider", "")).removesuffix("ExecutionProvider"),
        images=partition.images,
        image_set=str(seen.get("images", ""))[:12],
        shards=sum(partition.begun(shard) for shard in partition.shards),
        total=len(partition.shards),
    )


def _view(ops: object) -> str:
    """Name a view of a fingerprint by its operations, as "hflip+rot90(1)"."""
    return "+".join(map(_operation, map(mapping_of, list_of(ops)))) or "plain"


def _operation(op: Mapping[str, object]) -> str:
    args = ", ".join(map(str, list_of(op["args"])))
    return f"{op['name']}({args})" if args else f"{op['name']}"


def folder_of(store: Path, key: str) -> Path:
    return store / "predictions" / key
