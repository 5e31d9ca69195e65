"""A Parquet file of predictions whose rows are plain: checked once, and read slice by slice.

The first pass looks at every number and keeps none. What needs a second look (rounded rows, columns
whose role their numbers tell, lists of variable length, folds) is no plain file: `formats.read`
reads it whole, and says there what is wrong with it.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ensemble.arrays import Pooled
from ensemble.errors import UsageError
from ensemble.files.columns import fold_column, is_beside, is_index
from ensemble.files.parquet import FAMILY, PREDICTIONS, Floats, number_column, read_lists
from ensemble.predictions import formats, oof_file
from ensemble.predictions.foreign import ids_in
from ensemble.predictions.hints import ForeignHints
from ensemble.predictions.row_values import plainly_rescaled
from ensemble.predictions.table import Predictions
from ensemble.records import TASKS, Task

_ROWS: Final = 1 << 14
"""Rows that are looked at at once."""

_BUFFER: Final = 1 << 16
"""Bytes of a column that are read ahead."""


@dataclass(frozen=True, slots=True, eq=False)
class PlainFile:
    """A Parquet file whose numbers were looked at, and can be read again slice by slice.

    `about` tells of its rows, but not their ids, with families of no rows; `ids` are N. `columns`
    are those of each family: one a class, or one of lists. `digests` are the SHA-256 of each
    family's numbers, float64, in the order of the file. `state` tells that it is the same file
    still.
    """

    path: Path
    about: Predictions
    ids: pa.StringArray
    columns: Mapping[str, Sequence[str]]
    digests: Mapping[str, str]
    state: tuple[int, ...] = ()

    def slices(self, rows: int) -> Iterator[dict[str, Floats]]:
        """Yield each family's numbers as they stand in the file, (n, C), of the next rows.

        Raises:
            UsageError: the file is another by now.
        """
        try:
            with _opened(self.path) as file:
                if _state(self.path) != self.state:
                    raise UsageError(f"{self.path} was changed while it was read: vote again")
                yield from _numbers(file, self.columns, len(self.about.classes), rows)
        except formats.DAMAGED as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(f"{self.path}: cannot read the predictions: {error}") from error

    def pooled(self, numbers: Floats) -> Pooled:
        """Return numbers (n, C) of the file as float64, rows of classes summing to 1."""
        return _pooled(numbers.astype(np.float64), self.about.task)


def plain_file(
    path: Path, name: str | None, told: ForeignHints, known: pa.StringArray | None = None
) -> PlainFile | None:
    """Look at a file of predictions; None where it is no plain one, or there is something wrong.

    Args:
        path: The file.
        name: What to call its family, or the family to take; see `formats.read`.
        told: What the file does not say itself.
        known: The ids of a file that was looked at: what has the same ones shares them.
    """
    if path.suffix.lower() != ".parquet":
        return None
    try:
        state = _state(path)
        with _opened(path) as file:
            about = _looked_at(path, file, name, told, known)
        same = _state(path) == state
    except formats.DAMAGED:
        return None  # `formats.read` says what is wrong
    return replace(about, state=state) if about is not None and same else None


def _looked_at(
    path: Path,
    file: pq.ParquetFile,
    name: str | None,
    told: ForeignHints,
    known: pa.StringArray | None,
) -> PlainFile | None:
    empty = file.schema_arrow.empty_table()
    about = formats.of_table(path, empty, name, told)
    id_column = ids_in(path, empty, told.id_column)[0]
    columns = _columns_of(empty, about, id_column)
    ids = _texts(file.read([id_column]).column(0), known)
    if columns is None or ids is None or len(set(about.classes)) < len(about.classes):
        return None
    rescaled, hashes = 0, {family: hashlib.sha256() for family in columns}
    for some in _numbers(file, columns, len(about.classes), _ROWS):
        for family, numbers in some.items():
            probs = numbers.astype(np.float64)
            count = plainly_rescaled(about.task, probs)
            if count is None:
                return None
            rescaled += count
            hashes[family].update(np.ascontiguousarray(_pooled(probs, about.task)).tobytes())
    digests = {family: digest.hexdigest() for family, digest in hashes.items()}
    return PlainFile(path, replace(about, rescaled=rescaled), ids, columns, digests)


def _pooled(probs: Pooled, task: Task) -> Pooled:
    return probs / probs.sum(1)[:, None] if TASKS[task].single else probs


def _columns_of(
    empty: pa.Table, about: Predictions, id_column: str
) -> dict[str, Sequence[str]] | None:
    """Return the columns of each family; None where their numbers are needed to tell."""
    names, own = empty.column_names, empty.schema.metadata or {}
    if fold_column("", names) is not None:
        return None
    if PREDICTIONS.encode() in own:
        return _of_lists(empty, {name: FAMILY + name for name in about.families}, about)
    if oof_file.METADATA.encode() in own:
        return _of_lists(empty, {name: name for name in about.families}, about)
    rest, (family,) = [name for name in names if name != id_column], about.families
    if len(rest) == 1:
        return _of_lists(empty, {family: rest[0]}, about)
    plain = all(_is_number(empty.schema.field(name).type) for name in rest)
    if not plain or any(is_beside(name) or is_index(name) for name in rest):
        return None
    return {family: about.classes}


def _of_lists(
    empty: pa.Table, columns: Mapping[str, str], about: Predictions
) -> dict[str, Sequence[str]] | None:
    """Return columns of lists of a number a class; None where they hold something else."""
    kinds = [empty.schema.field(column).type for column in columns.values()]
    width = len(about.classes)
    if not all(pa.types.is_fixed_size_list(k) and k.list_size == width for k in kinds):
        return None
    return {name: [column] for name, column in columns.items()}


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _texts(column: pa.ChunkedArray, known: pa.StringArray | None) -> pa.StringArray | None:
    """Return ids as texts; None where one is missing, empty or there twice, or there are none."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if not (text or pa.types.is_integer(kind)) or column.null_count or not len(column):
        return None
    ids = column.cast(pa.string()).combine_chunks()
    if known is not None and ids.equals(known):
        return known
    once = pc.count_distinct(ids).as_py() == len(ids)
    return ids if once and not pc.any(pc.equal(ids, "")).as_py() else None


def _numbers(
    file: pq.ParquetFile, columns: Mapping[str, Sequence[str]], width: int, rows: int
) -> Iterator[dict[str, Floats]]:
    names = [name for own in columns.values() for name in own]
    for some in _tables(file, names, rows):
        yield {family: _of(some, own, width) for family, own in columns.items()}


def _of(some: pa.Table, columns: Sequence[str], width: int) -> Floats:
    if pa.types.is_fixed_size_list(some.schema.field(columns[0]).type):
        return read_lists(some.column(columns[0]), width)
    return np.stack([number_column(some.column(name)) for name in columns], axis=1)


def _tables(file: pq.ParquetFile, names: Sequence[str], rows: int) -> Iterator[pa.Table]:
    """Yield `rows` rows at a time, and what is left, wherever the file's row groups end."""
    held, count = list[pa.RecordBatch](), 0
    # with threads of Arrow's own it would hold more, and the other core has other work
    for batch in file.iter_batches(batch_size=rows, columns=list(names), use_threads=False):
        left = batch
        while count + left.num_rows >= rows:
            yield pa.Table.from_batches([*held, left.slice(0, rows - count)])
            left, held, count = left.slice(rows - count), [], 0
        if left.num_rows:
            held, count = [*held, left], count + left.num_rows
    if held:
        yield pa.Table.from_batches(held)


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    # pre_buffer, which is on where nothing is said, holds all columns of a row group at once
    with pq.ParquetFile(
        path, page_checksum_verification=True, buffer_size=_BUFFER, pre_buffer=False
    ) as file:
        yield file


def _state(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
