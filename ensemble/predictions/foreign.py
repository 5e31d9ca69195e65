"""Predictions that other tools wrote: a CSV, a Parquet, an .npz or a .npy, of one family.

Nothing is checked here but what reading needs; `oof.read` checks what was read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from ensemble.arrays import Indices, Pooled
from ensemble.errors import UsageError, few
from ensemble.files.columns import check_no_index, fold_column, id_column
from ensemble.files.csv_tables import as_folds, ids_of, is_csv, read_table
from ensemble.files.parquet import FOLD, number_column, read_lists
from ensemble.files.text_table import TableSource
from ensemble.predictions.class_columns import BINARY, Column, choose
from ensemble.predictions.hints import NO_HINTS, ForeignHints
from ensemble.records import TASKS


@dataclass(frozen=True, slots=True)
class Foreign:
    """One family's predictions: N ids, C classes, float64 (N, C), and folds int64 (N,) or None.

    `notes` are what a person should know of how the columns were read.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    probs: Pooled
    folds: Indices | None = None
    notes: tuple[str, ...] = ()


def read_foreign(path: Path, told: ForeignHints = NO_HINTS) -> Foreign:
    """Read a .csv, .npz or .npy; also compressed, as .csv.gz or .zip.

    Raises:
        UsageError: another kind of file, or one that does not say enough.
        Exception: whatever NumPy raises of a damaged file.
    """
    kind = path.suffix.lower()
    if is_csv(path):
        return _read_csv(path, told)
    if kind == ".npz":
        return _read_npz(path, told.classes)
    if kind == ".npy":
        return _read_npy(path, told)
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder")
    raise UsageError(f"{path}: expected a .parquet, .csv, .npz or .npy file of predictions")


def of_table(where: object, table: pa.Table, told: ForeignHints = NO_HINTS) -> Foreign:
    """Take predictions out of a Parquet: an id column, and a column a class or one of lists.

    Raises:
        ValueError: a row without an id, a fold that is none, or lists of several lengths.
        UsageError: columns that are neither id, fold nor class; names them.
    """
    id_column, ids = ids_in(where, table, told.id_column)
    fold = fold_column(where, table.column_names)
    folds = folds_in(where, table)
    rest = [c for c in table.column_names if c not in (id_column, fold)]
    lists = [c for c in rest if _width_of(table.column(c), ids) is not None]
    if len(rest) == len(lists) == 1:
        width = _width_of(table.column(rest[0]), ids) or 0
        names = tuple(told.classes) or tuple(str(c) for c in range(width))
        probs = read_lists(table.column(rest[0]), width).astype(np.float64)
        return Foreign(ids, names, probs, folds)
    columns = {name: _numbers_in(table.column(name)) for name in rest}
    return _chosen(where, ids, folds, columns, told)


def of_columns(
    where: object, ids: Sequence[str], columns: Mapping[str, Sequence[object]], told: ForeignHints
) -> Foreign:
    """Take predictions out of columns that are in memory, a fold among them or none.

    Raises:
        ValueError: a fold that is no whole number.
        UsageError: columns that are neither fold nor class; names them.
    """
    fold = fold_column(where, columns)
    folds = None if fold is None else as_folds(columns[fold])
    rest = {name: _numbers_of(cells) for name, cells in columns.items() if name != fold}
    return _chosen(where, tuple(ids), folds, rest, told)


def ids_in(where: object, table: pa.Table, said: str | None = None) -> tuple[str, tuple[str, ...]]:
    """Return the name of a Parquet's id column, and the ids: what is said, `id`, or the one text.

    Raises:
        ValueError: a row has none.
        UsageError: no column is it, or several may be.
    """
    texts = [c for c in table.column_names if _is_text(table.column(c).type)]
    name = _id_among(where, table.column_names, texts, said)
    if table.column(name).null_count:
        raise ValueError(f"column {name!r} has rows without an id")
    ids = table.column(name).to_pylist()
    return name, tuple(ids if name in texts else map(str, ids))


def folds_in(where: object, table: pa.Table) -> Indices | None:
    """Return the folds of a Parquet, int64 (N,), or None where it has none.

    Raises:
        ValueError: a fold is no whole number.
    """
    fold = fold_column(where, table.column_names)
    if fold is None:
        return None
    column = table.column(fold)
    if pa.types.is_signed_integer(column.type) and not column.null_count:
        return np.asarray(column.to_numpy(), np.int64)
    return as_folds(column.to_pylist())


def _id_among(where: object, header: Sequence[str], texts: Sequence[str], said: str | None) -> str:
    """Return the id column: predictions are numbers, so that the one column of text is it."""
    if said is None and "id" not in header and len(texts) == 1:
        check_no_index(where, header)
        return texts[0]
    return id_column(where, header, said=said)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _chosen(
    where: object,
    ids: tuple[str, ...],
    folds: Indices | None,
    columns: Mapping[str, Column],
    told: ForeignHints,
) -> Foreign:
    found = choose(where, columns, told.classes, told.expected)
    return Foreign(ids, found.classes, found.probs, folds, found.notes)


def _numbers_of(cells: Sequence[object]) -> Column:
    """Return cells as float64 (N,), NaN for what is missing; None where one is no number.

    A cell that is blank is missing, as pandas writes NaN; where all are, there is no number.
    """
    if len(cells) and all(cell == "" for cell in cells):
        return None
    missing = (None, "")
    try:
        return np.array([np.nan if cell in missing else float(str(cell)) for cell in cells], float)
    except ValueError:
        return None


def _numbers_in(column: pa.ChunkedArray) -> Column:
    """Return a column of a Parquet as `_numbers_of` its cells."""
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return number_column(column).astype(np.float64)
    return _numbers_of(column.to_pylist())


def _width_of(column: pa.ChunkedArray, ids: Sequence[str]) -> int | None:
    """Return how long every list of a column is; None where it holds no lists.

    Raises:
        ValueError: a row is of another length; names it.
    """
    if pa.types.is_fixed_size_list(column.type):
        return int(column.type.list_size)
    if not pa.types.is_list(column.type) and not pa.types.is_large_list(column.type):
        return None
    lengths = column.combine_chunks().value_lengths().to_pylist()
    width = lengths[0] if lengths else 0
    for name, length in zip(ids, lengths, strict=True):
        if length != width:
            raise ValueError(
                f"the list of {name!r} holds {length or 0} numbers, the first list {width or 0}"
            )
    return width or 0


def _read_csv(path: Path, told: ForeignHints) -> Foreign:
    header, body = read_table(path)
    cells = dict(zip(header, map(list, zip(*body, strict=True)), strict=True)) if body else {}
    if not cells:
        raise UsageError(f"{path}: expected an id column, classes and rows")
    texts = [name for name, column in cells.items() if _numbers_of(column) is None]
    name = _id_among(path, header, texts, told.id_column)
    ids = cells.pop(name)
    return of_columns(path, ids, cells, told)


def _read_npz(path: Path, classes: Sequence[str]) -> Foreign:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        probs = arrays["probs"].astype(np.float64)
        if "classes" in arrays:
            classes = arrays["classes"].tolist()
        classes = classes or [str(c) for c in range(probs.shape[1])]
        ids = tuple(str(i) for i in arrays["ids"])
        folds = as_folds(arrays[FOLD].tolist()) if FOLD in arrays else None
    return Foreign(ids, tuple(str(c) for c in classes), probs, folds)


def _read_npy(path: Path, told: ForeignHints) -> Foreign:
    """Read an array without ids or names: the caller says whose rows and which columns it has."""
    rows_of, classes = told.rows_of, told.classes
    if rows_of is None:
        raise UsageError(f"{path}: a .npy holds no ids; name the CSV whose rows it follows: "
                         f"--rows-of train.csv")  # fmt: skip
    if not classes:
        raise UsageError(f"{path}: a .npy holds no class names; say --classes a,b,c or a file with "
                         f"a class a line, in the order of its columns")  # fmt: skip
    probs = np.load(path, allow_pickle=False).astype(np.float64)
    ids = ids_of(rows_of, told.id_column)
    if probs.ndim == 1 and TASKS[told.expected].single and len(classes) == len(BINARY):
        column = {classes[1]: probs}  # of two classes, the positive one's probability
        return _chosen(path, _as_many(path, ids, probs, rows_of), None, column, told)
    if probs.ndim != 2 or probs.shape[1] != len(classes):
        raise UsageError(
            f"{path}: its shape is {probs.shape}; expected rows and {len(classes)} columns, for "
            f"--classes {few(classes)}"
        )
    return Foreign(_as_many(path, ids, probs, rows_of), tuple(classes), probs)


def _as_many(
    path: Path, ids: tuple[str, ...], probs: Pooled, rows_of: TableSource
) -> tuple[str, ...]:
    """Return the ids of an array's rows, having checked that there are as many."""
    if len(probs) != len(ids):
        raise UsageError(f"{path}: it has {len(probs)} rows; {rows_of} has {len(ids)}")
    return ids
