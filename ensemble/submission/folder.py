"""The folder of a run: claiming it, and reading what an earlier run left there."""

import itertools
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ensemble.errors import UsageError
from ensemble.files.atomic import (
    TEMPORARY,
    check_writable,
    disk_error,
    sha256_json,
)
from ensemble.files.paths import check_utf8
from ensemble.files.text_table import TableSource
from ensemble.predictions.parsed import check_kind, record_of, texts_of
from ensemble.predictions.run_record import DAMAGED, RUN, SCHEMA, RunRecord, read_record
from ensemble.predictions.store import is_key
from ensemble.recipe.resolve import Recipe
from ensemble.recipe.settings import DECODE, IN_MEMORY, TABLE, Settings, named, settings_of
from ensemble.records import DecodePolicy
from ensemble.submission.differences import differences
from ensemble.voting import weights

_WORD: Final = 60
"""Characters of a word in a default name."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The folder that a run is to write to, and the hash of what makes it this run.

    `named` is False where `folder` is a default name, which gets a number where it is taken.
    """

    folder: Path
    recipe_sha256: str
    named: bool

    @property
    def fresh(self) -> Path:
        """The folder; of a default name, the first number of it that is not there yet."""
        return self.folder if self.named else next(p for p in self.numbered() if not p.exists())

    def numbered(self) -> Iterator[Path]:
        """Yield the folder, and then its name with 2, 3, … after it."""
        yield self.folder
        yield from (self.folder.with_name(f"{self.folder.name}-{n}") for n in itertools.count(2))


def claim(recipe: Recipe, keys: Sequence[str] = ()) -> Claim:
    """Say which folder is to be written to, and refuse one that holds something else.

    Nothing is written, so a run that fails leaves no folder: `take` makes it, when all is known.

    Raises:
        UsageError: `--out` holds another run, or a vote on other predictions than `keys`, or
            cannot be written to.
        StoreError: `--out` cannot be listed.
    """
    folder, named = recipe.writing.out or _default(recipe), recipe.writing.out is not None
    check_writable(folder, "--out")
    claimed = Claim(folder, recipe_hash(recipe, keys), named)
    if named and not recipe.writing.force:
        _check_own(recipe, claimed)
        if recorded(folder) is None and _holds_files(folder, recipe.resources.store):
            raise _taken(folder, "holds other files")
    return claimed


def take(recipe: Recipe, claimed: Claim) -> Path:
    """Return the claimed folder, to be written to now. Another run may have come first.

    A folder of a default name is made here, under a number that no other run has.

    Raises:
        UsageError: `--out` holds another run by now.
        StoreError: the disk refused.
    """
    if claimed.named:
        if not recipe.writing.force:
            _check_own(recipe, claimed)
        return claimed.folder
    try:
        claimed.folder.parent.mkdir(parents=True, exist_ok=True)
        return next(path for path in claimed.numbered() if _made(path))
    except OSError as error:
        raise disk_error("make", claimed.folder, error) from error


def recipe_hash(recipe: Recipe, keys: Sequence[str] = ()) -> str:
    """Return the SHA-256 of what makes a run this run, in hex.

    A vote on an earlier run is told by the store's `keys` of its predictions too.
    """
    beside = named("beside")
    settings = {k: v for k, v in settings_of(recipe.settings).items() if k not in beside}
    return sha256_json({**settings, "keys": sorted(keys)} if keys else settings)


def recorded(out: Path) -> RunRecord | None:
    """Return what a folder's run.json says; None without one that can be read."""
    try:
        return read_record(out)
    except DAMAGED:
        return None


def read_run(folder: Path) -> RunRecord:
    """Read what an earlier run recorded, to vote on its predictions again.

    Raises:
        UsageError: the folder holds no run, or one that this version cannot vote on.
    """
    check_utf8(str(folder), "the run")
    try:
        record = read_record(folder)
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder}: not the folder of a run (no readable {RUN})") from error
    except DAMAGED as error:
        raise UsageError(f"{folder / RUN}: damaged, or not the record of a run") from error
    if record.schema != SCHEMA:
        raise UsageError(f"{folder / RUN}: of another version of ensemble")
    _check_votable(record, folder)
    return record


def _check_votable(record: RunRecord, folder: Path) -> None:
    if record.early_exit:
        raise UsageError(
            f"{folder}: its images ended early, so it holds labels and no probabilities to "
            f"vote on; run again without --early-exit"
        )
    if record.members and all(each.key is None for each in record.members):
        raise UsageError(
            f"{folder}: its predictions were made elsewhere; name them again with --predictions"
        )
    if not record.members or not all(is_key(each.key) for each in record.members):
        raise UsageError(f"{folder / RUN}: it names no predictions")


def settings_from_run(
    settings: Settings, earlier: RunRecord, folder: Path, given: Collection[str]
) -> Settings:
    """Return settings with those of the run in a folder, but for the kept ones in `given`.

    A setting that the run did not know yet has its default.

    Raises:
        UsageError: the run's settings are damaged, or its sample was a table in memory.
    """
    names = [n for n in (*named("predicted"), *named("kept")) if n not in given]
    try:
        told = {n: earlier.settings.get(n, TABLE[n].default) for n in names}
        told |= {n: texts_of(earlier.settings[n]) for n in ("members", "images")}
        told |= {n: texts_of(told[n]) for n in ("constraints",) if n in told}
        decode = record_of(DecodePolicy, {n: told.pop(n) for n in DECODE})
        for name in ("sample", "label_map"):
            _check_kept(name, told.get(name), folder)
        found = _read(told, str(folder / RUN))
    except (KeyError, TypeError) as error:
        raise UsageError(f"{folder / RUN}: damaged, or not the record of a run") from error
    changed: Callable[..., Settings] = replace  # by name: the table has told of what kind each is
    return changed(settings, **found, decode=decode)


def _read(told: Mapping[str, object], where: str) -> dict[str, object]:
    """Return settings as run.json has them as what they are: paths, weights, the rest as it is.

    Raises:
        UsageError: a field of the weights is not what it should be.
        TypeError: a setting is of another kind than the table has.
    """
    found = dict(told)
    paths = ("store", "sample", "crops", "label_map")
    found |= {n: Path(v) for n in paths if isinstance(v := told.get(n), str)}
    if told.get("weights") is not None:
        found["weights"] = weights.from_record(told["weights"], where)
    for name, value in found.items():
        check_kind(name, value, TABLE[name].kind)
    return found


def _check_kept(name: str, table: object, folder: Path) -> None:
    """Refuse a table that was in memory: its hash alone was kept."""
    if str(table).startswith(IN_MEMORY):
        raise UsageError(
            f"{folder}: the {name} of this run was a table in memory, which is no longer there; "
            f"give it again, as {name}"
        )


def _check_own(recipe: Recipe, claimed: Claim) -> None:
    """Refuse a folder that holds another run; the same run may write there again."""
    record = recorded(claimed.folder)
    if record and record.recipe_sha256 not in (None, claimed.recipe_sha256):
        raise _taken(claimed.folder, differences(record.settings, recipe.settings))


def _holds_files(out: Path, store: Path) -> bool:
    """Tell whether something lies there that is no folder, or holds more than a run leaves there.

    That is temporary files, and the store, where it is to lie there.
    """
    if not out.is_dir():
        return out.exists()
    try:
        found = [path for path in out.iterdir() if not path.name.startswith(TEMPORARY)]
    except OSError as error:
        raise disk_error("list", out, error) from error
    return not all(store.resolve().is_relative_to(path.resolve()) for path in found)


def _taken(out: Path, what: str) -> UsageError:
    return UsageError(f"--out {out} {what}; name a new folder, or say --force")


def _made(path: Path) -> bool:
    """Make a folder; False where there is something of that name already."""
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def _default(recipe: Recipe) -> Path:
    """Name a folder after the time and the recipe."""
    words = [time.strftime("%Y%m%d-%H%M%S"), recipe.scoring.tta, recipe.fusion.voting]
    if told := recipe.saved:
        words.append(f"exit {told.replace('%', 'percent')}")
    return Path("submissions") / "-".join(_plain(word) for word in words)


def _plain(text: str) -> str:
    """Return a text as part of a file name: other characters than a-z, 0-9 and . become one -.

    What is long, such as the views of many families, is cut.
    """
    return re.sub(r"[^a-zA-Z0-9.]+", "-", text)[:_WORD].strip("-.")


def submission_at(path: TableSource) -> TableSource:
    """Return the submission that a path names: itself, or that of a run's folder."""
    return path / "submission.csv" if isinstance(path, Path) and path.is_dir() else path
