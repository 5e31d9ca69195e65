"""Out-of-fold predictions: the file, and what was predicted elsewhere, joined and checked.

Rows are joined by id and columns by class name, never by position. What is read is checked once,
here: ids, classes, NaN and row sums.
"""

import json
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ensemble.arrays import Indices, Pooled
from ensemble.errors import UsageError, few
from ensemble.files.atomic import publish
from ensemble.files.csv_tables import column_of
from ensemble.files.parquet import (
    EVALUATIONS,
    FAMILY,
    PREDICTIONS,
    list_column,
    read_lists,
    text_column,
)
from ensemble.predictions.foreign import Foreign, folds_in, ids_in, of_table, read_foreign, whole
from ensemble.records import Quarantined, Task, check_choice

METADATA: Final = "ensemble.oof"
ROW_SUM: Final = 2e-3
"""How far a row of probabilities may be from 1: float16 files come that close."""

_ROUNDING: Final = 1e-6
_DAMAGED: Final = (
    OSError, EOFError, LookupError, ValueError, TypeError, AttributeError, RuntimeError,
    SyntaxError, MemoryError, zipfile.BadZipFile, zlib.error, struct.error, pa.ArrowException,
)  # fmt: skip
"""What NumPy and pyarrow raise for files that are damaged."""

_ID, _FOLD = "id", "fold"


@dataclass(frozen=True, slots=True)
class Oof:
    """Predictions of families for the same rows.

    Args:
        ids: N ids, in any order.
        classes: C names.
        families: By name, float64 (N, C).
        folds: The fold of each row, int64 (N,), or None where the file does not say.
        members: The hashes of each family's members, where known.
        task: What the head predicts.
        quarantined: The images that have no prediction, and so no row.
        rescaled: How many rows were off 1 by more than float32 rounds; all are divided by their
            sum.
        deployed: Whether a run made them, with every fold of a family: no OOF.
        ordered: Whether all files that were joined have the classes in one order.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    families: Mapping[str, Pooled]
    folds: Indices | None = None
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    task: Task = "classification"
    quarantined: tuple[Quarantined, ...] = ()
    rescaled: int = 0
    deployed: bool = False
    ordered: bool = True


def told_of_rescaling(rows: int) -> str:
    """Return the line that tells of rescaled rows."""
    return f"{rows} rows do not sum to 1 exactly, as in float16 files: each is divided by its sum"


def write(path: Path, oof: Oof) -> None:
    """Write the OOF Parquet: `id`, `fold`, a list of float32 a family, and metadata.

    Raises:
        StoreError: the disk refused.
    """
    columns: dict[str, pa.Array] = {_ID: text_column(oof.ids)}
    if oof.folds is not None:
        columns[_FOLD] = pa.array(oof.folds)
    columns |= {name: list_column(probs) for name, probs in oof.families.items()}
    about = {
        "schema": 1,
        "task": oof.task,
        "classes": list(oof.classes),
        "members": {name: list(hashes) for name, hashes in oof.members.items()},
        "quarantined": [asdict(lost) for lost in oof.quarantined],
    }
    table = pa.table(columns).replace_schema_metadata({METADATA: json.dumps(about)})
    options = {"compression": "zstd", "write_page_checksum": True}
    publish(path, lambda temporary: pq.write_table(table, temporary, **options))


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What files from elsewhere do not say themselves.

    `rows_of` is the CSV whose rows a .npy (N, C) follows, with an id column (`id`, or the first).
    `classes` name the columns of a .npy, or of an npz that holds none. `task` is what the
    predictions are; None takes what an OOF Parquet or a run says, and else classification.
    """

    rows_of: Path | None = None
    classes: Sequence[str] = ()
    task: Task | None = None


def read(path: Path, name: str | None = None, elsewhere: Elsewhere | None = None) -> Oof:
    """Read predictions: an OOF Parquet, a run's, or one family from a file of elsewhere.

    Args:
        path: The file. Elsewhere means a Parquet or CSV with an id column (`id`, or the first) and
            a column a class, or one column of lists; an npz has `ids`, `probs` and `classes`. A
            column `fold` is read.
        name: What to call the one family of a file from elsewhere; without it the file's stem.
            Of an OOF Parquet or a run's predictions, the family to take.
        elsewhere: What the file does not say itself.

    Raises:
        UsageError: the file is none of these, ids stand there twice, or the predictions are not
            finite or do not sum to 1.
    """
    told = elsewhere or Elsewhere()
    try:
        found = _read(path, name or path.stem, told)
    except _DAMAGED as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{path}: cannot read the predictions: {error}") from error
    if told.task not in (None, found.task):
        raise UsageError(f"{path}: its predictions are {found.task}, not {told.task}")
    if told.classes and sorted(told.classes) != sorted(found.classes):
        raise UsageError(
            f"{path}: it names the classes {few(found.classes)} itself, and --classes names "
            f"{few(told.classes)}"
        )
    if name is not None and name not in found.families:
        raise UsageError(f"{path}: no family {name!r}; it has {few(list(found.families))}")
    if name is not None:
        kept = {name: found.members[name]} if name in found.members else {}
        found = replace(found, families={name: found.families[name]}, members=kept)
    return checked(path, found)


def read_all(given: Sequence[tuple[str | None, Path]], elsewhere: Elsewhere | None = None) -> Oof:
    """Read files, each with the name of its family or None, and join them; see `read`, `join`."""
    return join([read(path, name, elsewhere) for name, path in given])


def join(parts: Sequence[Oof]) -> Oof:
    """Join files of predictions by id and class name; families come sorted by name.

    Raises:
        UsageError: files that name other ids, classes or folds, or a family twice.
    """
    first = parts[0]
    joined = replace(first, families={}, members={}, rescaled=0)
    families: dict[str, Pooled] = {}
    members: dict[str, tuple[str, ...]] = {}
    for part in parts:
        rows, columns = _rows_as(first, part), _columns_as(first, part)
        joined = replace(joined, folds=_folds_as(joined, part, rows))
        for name, probs in part.families.items():
            if name in families:
                raise UsageError(f"family {name!r} is given twice: name one NAME=FILE")
            families[name] = probs[rows][:, columns]
        members |= part.members
    total = sum(part.rescaled for part in parts)
    return replace(
        joined,
        families={name: families[name] for name in sorted(families)},
        members=members,
        rescaled=total,
        deployed=any(part.deployed for part in parts),
        ordered=all(part.ordered and part.classes == first.classes for part in parts),
        quarantined=tuple({q.id: q for part in parts for q in part.quarantined}.values()),
    )


def _read(path: Path, name: str, told: Elsewhere) -> Oof:
    """Read a file of any kind, whose one family is called `name` where it is from elsewhere."""
    if path.suffix.lower() != ".parquet":
        return _named(name, read_foreign(path, told.classes, told.rows_of), told)
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        table = file.read()
    metadata = table.schema.metadata or {}
    if PREDICTIONS.encode() in metadata:
        return _of_run(path, table, json.loads(metadata[PREDICTIONS.encode()]))
    if about := json.loads(metadata.get(METADATA.encode(), b"{}")):
        return _of_oof(table, about)
    return _named(name, of_table(table, told.classes), told)


def _named(name: str, found: Foreign, told: Elsewhere) -> Oof:
    families = {name: found.probs}
    task = told.task or "classification"
    return Oof(found.ids, found.classes, families, found.folds, task=task)


def _of_oof(table: pa.Table, about: Mapping[str, Any]) -> Oof:
    """Take the families out of what `write` wrote."""
    classes = tuple(about["classes"])
    lists = [f.name for f in table.schema if pa.types.is_fixed_size_list(f.type)]
    return Oof(
        ids=ids_in(table)[1],
        classes=classes,
        families={c: read_lists(table.column(c), len(classes)).astype(np.float64) for c in lists},
        folds=folds_in(table),
        members={name: tuple(hashes) for name, hashes in about.get("members", {}).items()},
        task=about.get("task", "classification"),
        quarantined=_lost(about),
    )


def _lost(about: Mapping[str, Any]) -> tuple[Quarantined, ...]:
    return tuple(Quarantined(**lost) for lost in about.get("quarantined", []))


def _of_run(path: Path, table: pa.Table, about: Mapping[str, Any]) -> Oof:
    """Take the families out of a run's predictions.parquet."""
    if EVALUATIONS in table.column_names:
        raise UsageError(
            f"{path}: its images ended early (it has the column {EVALUATIONS}), so it holds "
            f"labels and no probabilities; run again without --early-exit and budgets"
        )
    classes = tuple(about["classes"])
    families = {
        column.removeprefix(FAMILY): read_lists(table.column(column), len(classes))
        for column in table.column_names
        if column.startswith(FAMILY)
    }
    return Oof(
        ids=ids_in(table)[1],
        classes=classes,
        families={name: probs.astype(np.float64) for name, probs in families.items()},
        members={name: tuple(hashes) for name, hashes in about.get("members", {}).items()},
        task=about["task"],
        quarantined=_lost(about),
        deployed=True,
    )


def checked(path: object, oof: Oof) -> Oof:
    """Check names and numbers; rows that nearly sum to 1 are divided by their sum, and counted.

    Raises:
        UsageError: ids or classes that are empty or stand there twice, or predictions that are
            none; `path` names them.
    """
    if not oof.ids or not oof.classes or not oof.families:
        raise UsageError(f"{path}: expected an id column, classes and rows")
    check_choice(f"{path}: task", oof.task, Task)
    _check_names(path, "ids", oof.ids)
    _check_names(path, "classes", oof.classes)
    families, rescaled = {}, 0
    for name, probs in oof.families.items():
        if probs.shape != (len(oof.ids), len(oof.classes)):
            raise UsageError(
                f"{path}: {name} has {probs.shape}; expected {len(oof.ids)} rows and "
                f"{len(oof.classes)} classes"
            )
        bad = ~np.isfinite(probs).all(1)
        if bad.any():
            ids = [oof.ids[i] for i in np.flatnonzero(bad)]
            raise UsageError(f"{path}: {name} is NaN or infinite for {few(ids)}")
        families[name], count = _normalised(path, oof, name, probs)
        rescaled += count
    return replace(oof, families=families, rescaled=rescaled)


def _check_names(path: object, what: str, names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UsageError(f"{path}: {what} stand there twice: {few(twice)}")
    if "" in names:
        raise UsageError(f"{path}: {what}: number {names.index('') + 1} is empty")


def _normalised(path: object, oof: Oof, name: str, probs: Pooled) -> tuple[Pooled, int]:
    if oof.task == "multilabel":
        _check_labels(path, oof, name, probs)
    if oof.task != "classification":
        return probs, 0
    sums = probs.sum(1)
    off = (np.abs(sums - 1) > ROW_SUM) | (probs < 0).any(1)
    if off.any():
        row = int(np.flatnonzero(off)[0])
        raise UsageError(
            f"{path}: {name} gives no probabilities for {int(off.sum())} rows; {oof.ids[row]!r} "
            f"sums to {sums[row]:.4g}. Apply the softmax first"
        )
    return probs / sums[:, None], int((np.abs(sums - 1) > _ROUNDING).sum())


def _check_labels(path: object, oof: Oof, name: str, probs: Pooled) -> None:
    off = ((probs < 0) | (probs > 1)).any(1)
    if off.any():
        row = int(np.flatnonzero(off)[0])
        raise UsageError(
            f"{path}: {name} gives no probabilities of labels for {int(off.sum())} rows; "
            f"{oof.ids[row]!r} has values from {probs[row].min():.4g} to {probs[row].max():.4g}. "
            f"Apply the sigmoid first"
        )


def _rows_as(first: Oof, part: Oof) -> Indices:
    """Return the rows of `part` in the order of the ids of `first`."""
    place = {name: row for row, name in enumerate(part.ids)}
    lacking = [i for i in first.ids if i not in place]
    beyond = sorted(set(part.ids) - set(first.ids))
    if lacking or beyond:
        raise UsageError(
            f"{few(list(first.families))} and {few(list(part.families))} predict other rows: only "
            f"the first has {few(lacking) or 'none'}; only the second has {few(beyond) or 'none'}"
        )
    return np.array([place[i] for i in first.ids], np.int64)


def _columns_as(first: Oof, part: Oof) -> list[int]:
    if sorted(first.classes) != sorted(part.classes) or first.task != part.task:
        raise UsageError(
            f"{few(list(first.families))} and {few(list(part.families))} have other classes: "
            f"{few(first.classes)} and {few(part.classes)}"
        )
    return [part.classes.index(c) for c in first.classes]


def _folds_as(joined: Oof, part: Oof, rows: Indices) -> Indices | None:
    if part.folds is None:
        return joined.folds
    folds = part.folds[rows]
    if joined.folds is not None and (joined.folds != folds).any():
        row = int(np.flatnonzero(joined.folds != folds)[0])
        raise UsageError(
            f"{few(list(part.families))} was split into other folds: {joined.ids[row]!r} is in "
            f"fold {folds[row]}, and in fold {joined.folds[row]} elsewhere"
        )
    return folds


def folds_from(path: Path, ids: Sequence[str]) -> Indices:
    """Read the fold of each id from a CSV with the columns `id` and `fold`.

    Raises:
        UsageError: an id without a fold, or a fold that is no whole number.
    """
    return folds_of(ids, column_of(path, _FOLD), path)


def folds_of(ids: Sequence[str], folds: Mapping[str, object], where: object) -> Indices:
    """Return the fold of each id, int64 (N,); `where` names the folds in messages.

    Raises:
        UsageError: an id without a fold, or a fold that is no whole number.
    """
    lacking = [i for i in ids if i not in folds]
    if lacking:
        raise UsageError(f"{where}: no fold for {few(lacking)}")
    try:
        return whole([folds[i] for i in ids])
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error
