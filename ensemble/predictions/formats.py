"""Our own Parquet files: predictions of a run, out-of-fold predictions, quarantine."""

import json
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tokenize import TokenError
from typing import Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ensemble.arrays import Pooled
from ensemble.errors import UsageError, few
from ensemble.files.compressed import stem_of
from ensemble.files.parquet import (
    EVALUATIONS,
    FAMILY,
    PREDICTIONS,
    read_lists,
)
from ensemble.predictions import oof_file, task_file, views_file
from ensemble.predictions.foreign import (
    Foreign,
    ids_in,
    of_columns,
    read_foreign,
)
from ensemble.predictions.foreign import of_table as of_foreign
from ensemble.predictions.hints import NO_HINTS, ForeignHints
from ensemble.predictions.join import join
from ensemble.predictions.parsed import mapping_of, quarantined_of, texts_of
from ensemble.predictions.table import Predictions, checked, table_from
from ensemble.records import Task

DAMAGED: Final = (
    OSError, EOFError, LookupError, ValueError, TypeError, AttributeError, RuntimeError,
    SyntaxError, TokenError, ArithmeticError, MemoryError, zipfile.BadZipFile, zlib.error,
    struct.error, pa.ArrowException,
)  # fmt: skip
"""What NumPy and pyarrow raise for files that are damaged."""


def read(path: Path, name: str | None = None, elsewhere: ForeignHints | None = None) -> Predictions:
    """Read predictions: an OOF Parquet, a run's, or one family from a file of elsewhere.

    Args:
        path: The file. Elsewhere means a Parquet or CSV with an id column (what the hints say,
            `id`, or the one column of text) and a column a class, one of the probability of a
            class of two, or one of lists; an npz has `ids`, `probs` and `classes`. A column `fold`
            or `kfold` is read.
        name: What to call the one family of a file from elsewhere; without it the file's stem.
            Of an OOF Parquet or a run's predictions, the family to take.
        elsewhere: What the file does not say itself.

    Raises:
        UsageError: the file is none of these, ids stand there twice, or the predictions are not
            finite or do not sum to 1.
    """
    told = elsewhere or NO_HINTS
    try:
        found = _read(path, name, told)
    except DAMAGED as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{path}: cannot read the predictions: {error}") from error
    return checked(path, found)


def in_memory(
    where: object,
    name: str,
    ids: Sequence[str],
    columns: Mapping[str, Sequence[object]],
    told: ForeignHints = NO_HINTS,
) -> Predictions:
    """Take one family's predictions from columns that are in memory; see `read`.

    Args:
        where: The table, in messages.
        name: What to call the family.
        ids: The id of each row, N of them.
        columns: The other columns by name, each of N cells.
        told: What the table does not say itself.

    Raises:
        UsageError: as for `read`.
    """
    try:
        found = of_columns(where, ids, columns, told)
    except ValueError as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{where}: {error}") from error
    return checked(where, _named(name, found, told))


def read_all(
    given: Sequence[tuple[str | None, Path]], elsewhere: ForeignHints | None = None
) -> Predictions:
    """Read files, each with the name of its family or None, and join them; see `read`, `join`."""
    return join([read(path, name, elsewhere) for name, path in given])


def read_parts(
    path: Path, name: str | None = None, elsewhere: ForeignHints | None = None
) -> list[Predictions]:
    """Read predictions that may be of several heads: a part for each; else as `read`.

    Raises:
        UsageError: as for `read`; or a family is named of a file of several heads, or
            the hints are of none of them.
    """
    table = _table_of_tasks(path)
    if table is None:
        return [read(path, name, elsewhere)]
    if name is not None:
        raise UsageError(f"{path}: it holds several heads; leave out the name {name!r}")
    try:
        if views_file.is_of_views(table):
            parts = [part.merged() for part in views_file.of_table(path, table)]
        else:
            parts = task_file.of_table(path, table)
    except DAMAGED as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{path}: cannot read the predictions: {error}") from error
    _check_some_head(path, parts, elsewhere or NO_HINTS)
    return parts


def _check_some_head(path: Path, parts: Sequence[Predictions], told: ForeignHints) -> None:
    """Refuse what every head of a file contradicts; what one of them is, others need not be."""
    faults = []
    for part in parts:
        try:
            _check_told(f"{path}, head {part.output}", part, told)
        except UsageError as error:
            faults.append(error)
    if len(faults) == len(parts):
        raise faults[0]


def _table_of_tasks(path: Path) -> pa.Table | None:
    """Return the table of a file of several heads; None for any other file, damaged or not."""
    if path.suffix.lower() != ".parquet":
        return None
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
        several = task_file.is_of_tasks(table) or views_file.is_of_tasks(table)
    except DAMAGED:
        return None  # `read` says what is wrong
    return table if several else None


def _read(path: Path, name: str | None, told: ForeignHints) -> Predictions:
    """Read a file of any kind, unchecked."""
    if path.suffix.lower() != ".parquet":
        found = _named(name or stem_of(path), read_foreign(path, told), told)
        return _taken(path, found, name, told)
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        table = file.read()
    return of_table(path, table, name, told)


def of_table(path: Path, table: pa.Table, name: str | None, told: ForeignHints) -> Predictions:
    """Take predictions out of a Parquet of any kind, unchecked; see `read`.

    Raises:
        UsageError: it is none of these, or is of tasks.
        Exception: whatever pyarrow and Python raise of a damaged file.
    """
    return _taken(path, _in_table(path, table, name or stem_of(path), told), name, told)


def _in_table(path: Path, table: pa.Table, name: str, told: ForeignHints) -> Predictions:
    metadata = table.schema.metadata or {}
    if task_file.is_of_tasks(table) or views_file.is_of_tasks(table):
        raise UsageError(f"{path}: it holds heads of several tasks: give --label-map too")
    if views_file.is_of_views(table):
        return views_file.of_table(path, table)[0].merged()
    if PREDICTIONS.encode() in metadata:
        return _of_run(path, table, mapping_of(json.loads(metadata[PREDICTIONS.encode()])))
    if about := json.loads(metadata.get(oof_file.METADATA.encode(), b"{}")):
        return table_from(oof_file.of_table(path, table, mapping_of(about)))
    return _named(name, of_foreign(path, table, told), told)


def _taken(path: Path, found: Predictions, name: str | None, told: ForeignHints) -> Predictions:
    """Return the family that is named, or all; what contradicts the file is refused."""
    _check_told(path, found, told)
    return found if name is None else _family_of(path, found, name)


def _check_told(path: object, found: Predictions, told: ForeignHints) -> None:
    """Refuse what contradicts the file."""
    if told.task not in (None, found.task):
        raise UsageError(f"{path}: its predictions are {found.task}, not {told.task}")
    if told.classes and sorted(told.classes) != sorted(found.classes):
        raise UsageError(
            f"{path}: it names the classes {few(found.classes)} itself, and --classes names "
            f"{few(told.classes)}"
        )


def _family_of(path: Path, found: Predictions, name: str) -> Predictions:
    if name not in found.families:
        raise UsageError(f"{path}: no family {name!r}; it has {few(list(found.families))}")
    kept = {name: found.members[name]} if name in found.members else {}
    views = {name: found.views[name]} if name in found.views else {}
    return replace(found, families={name: found.families[name]}, members=kept, views=views)


def _named(name: str, found: Foreign, told: ForeignHints) -> Predictions:
    families = {name: found.probs}
    return Predictions(
        found.ids, found.classes, families, found.folds, task=told.expected, notes=found.notes
    )


def _of_run(path: Path, table: pa.Table, about: Mapping[str, object]) -> Predictions:
    """Take the families out of a run's predictions.parquet."""
    if EVALUATIONS in table.column_names:
        raise UsageError(
            f"{path}: its images ended early (it has the column {EVALUATIONS}), so it holds "
            f"labels and no probabilities; run again without --early-exit and budgets"
        )
    columns = {c.removeprefix(FAMILY): c for c in table.column_names if c.startswith(FAMILY)}
    families = _families_in(table, columns, about)
    return replace(_described(about, ids_in(path, table)[1], families), deployed=True)


def _families_in(
    table: pa.Table, columns: Mapping[str, str], about: Mapping[str, object]
) -> dict[str, Pooled]:
    """Return float64 (N, C) of each family, whose column is named."""
    width = len(texts_of(about["classes"]))
    return {
        name: read_lists(table.column(column), width).astype(np.float64)
        for name, column in columns.items()
    }


def _described(
    about: Mapping[str, object], ids: tuple[str, ...], families: Mapping[str, Pooled]
) -> Predictions:
    """Return families as the metadata of our files describe them; `checked` checks the task."""
    members = mapping_of(about.get("members", {}))
    return Predictions(
        ids=ids,
        classes=texts_of(about["classes"]),
        families=families,
        members={name: texts_of(hashes) for name, hashes in members.items()},
        task=cast(Task, about["task"]),
        quarantined=quarantined_of(about.get("quarantined", [])),
    )
