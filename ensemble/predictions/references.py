"""The runs that refer to a store: each is noted there, and read for the keys that it needs."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ensemble.errors import UsageError
from ensemble.files.atomic import (
    publish_json,
    remove_temporaries,
    sha256_bytes,
)
from ensemble.predictions.run_record import DAMAGED, RUN, read_keys

_NOTES: Final = "runs"
"""The folder of a store with a note for each run that refers to it."""


def remember(store: Path, folder: Path) -> None:
    """Note in a store that the run in a folder refers to it, for `remembered`.

    The way from the store is noted, so that both may move together.

    Raises:
        StoreError: the disk refused.
    """
    way = _way(folder.resolve(), store.resolve())
    note = store / _NOTES / f"{sha256_bytes(os.fsencode(way))[:16]}.json"
    remove_temporaries(note.parent, note.name)  # nobody else writes it: the folder is claimed
    publish_json(note, {"run": way})


def remembered(store: Path) -> list[Path]:
    """Return the folders of the runs that a store was told of, from the working folder.

    Raises:
        UsageError: a note cannot be read, so it is not known of which run.
    """
    notes = sorted((store / _NOTES).glob("*.json"))
    return [Path(_way(store.resolve() / _noted(path), Path.cwd())) for path in notes]


def _way(path: Path, start: Path) -> str:
    """Return the way to a path from a folder; on another drive it is the whole path."""
    try:
        return os.path.relpath(path, start)
    except ValueError:
        return os.path.normpath(path)


def _noted(path: Path) -> str:
    try:
        return str(json.loads(path.read_bytes())["run"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path}: damaged, so it is not known which run it tells of; delete it, and name "
            f"that run's folder with --runs"
        ) from error


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
            for key in _keys_of_run(path.parent):
                used[key] = (*used.get(key, ()), str(path.parent))
    return used


def _keys_of_run(folder: Path) -> list[str]:
    try:
        return read_keys(folder)
    except DAMAGED as error:
        raise UsageError(
            f"{folder / RUN}: damaged, so it is not known which predictions it refers to; mend or "
            f"delete it"
        ) from error
