"""Predictions that other tools wrote: a CSV, a Parquet, an .npz or a .npy, of one family.

Nothing is checked here but what reading needs; `oof.read` checks what was read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from ensemble.arrays import Indices, Pooled
from ensemble.errors import UsageError, few
from ensemble.files.csv_tables import as_folds, ids_of, read_table
from ensemble.files.parquet import read_lists
from ensemble.files.text_table import TableSource

_ID, _FOLD = "id", "fold"


@dataclass(frozen=True, slots=True)
class Foreign:
    """One family's predictions: N ids, C classes, float64 (N, C), and folds int64 (N,) or None."""

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    probs: Pooled
    folds: Indices | None = None


def read_foreign(path: Path, classes: Sequence[str], rows_of: TableSource | None) -> Foreign:
    """Read a .csv, .npz or .npy.

    Args:
        path: The file.
        classes: The names of the columns of a .npy, or of an npz that holds none.
        rows_of: The CSV whose rows a .npy follows.

    Raises:
        UsageError: another kind of file, or one that does not say enough.
        Exception: whatever NumPy raises of a damaged file.
    """
    kind = path.suffix.lower()
    if kind == ".csv":
        return _read_csv(path)
    if kind == ".npz":
        return _read_npz(path, classes)
    if kind == ".npy":
        return _read_npy(path, rows_of, classes)
    raise UsageError(f"{path}: expected a .parquet, .csv, .npz or .npy file of predictions")


def of_table(table: pa.Table, classes: Sequence[str]) -> Foreign:
    """Take predictions out of a Parquet: an id column, and a column a class or one of lists.

    Args:
        table: What the file holds.
        classes: The names of the columns of lists; empty for their numbers.

    Raises:
        ValueError: a row without an id, a fold that is none, or lists of several lengths.
    """
    id_column, ids = ids_in(table)
    folds = folds_in(table)
    rest = [c for c in table.column_names if c not in (id_column, _FOLD)]
    if len(rest) == 1 and (width := _width_of(table.column(rest[0]), ids)) is not None:
        names = tuple(classes) or tuple(str(c) for c in range(width))
        probs = read_lists(table.column(rest[0]), width).astype(np.float64)
        return Foreign(ids, names, probs, folds)
    stacked = np.stack([np.array(table.column(c).to_pylist(), np.float64) for c in rest], 1)
    return Foreign(ids, tuple(rest), stacked, folds)


def ids_in(table: pa.Table) -> tuple[str, tuple[str, ...]]:
    """Return the name of a Parquet's id column, `id` or the first, and the ids.

    Raises:
        ValueError: a row has none.
    """
    columns = table.column_names
    name = _ID if _ID in columns else columns[0]
    if table.column(name).null_count:
        raise ValueError(f"column {name!r} has rows without an id")
    return name, tuple(str(i) for i in table.column(name).to_pylist())


def folds_in(table: pa.Table) -> Indices | None:
    """Return the folds of a Parquet, int64 (N,), or None where it has none.

    Raises:
        ValueError: a fold is no whole number.
    """
    return as_folds(table.column(_FOLD).to_pylist()) if _FOLD in table.column_names else None


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


def _read_csv(path: Path) -> Foreign:
    header, body = read_table(path)
    id_column = _ID if _ID in header else header[0]
    classes = [c for c in header if c not in (id_column, _FOLD)]
    cells = np.array(body, dtype=object).reshape(len(body), len(header))
    probs = cells[:, [header.index(c) for c in classes]].astype(np.float64)
    folds = as_folds(cells[:, header.index(_FOLD)].tolist()) if _FOLD in header else None
    ids = tuple(cells[:, header.index(id_column)].tolist())
    return Foreign(ids, tuple(classes), probs, folds)


def _read_npz(path: Path, classes: Sequence[str]) -> Foreign:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        probs = arrays["probs"].astype(np.float64)
        if "classes" in arrays:
            classes = arrays["classes"].tolist()
        classes = classes or [str(c) for c in range(probs.shape[1])]
        ids = tuple(str(i) for i in arrays["ids"])
        folds = as_folds(arrays[_FOLD].tolist()) if _FOLD in arrays else None
    return Foreign(ids, tuple(str(c) for c in classes), probs, folds)


def _read_npy(path: Path, rows_of: TableSource | None, classes: Sequence[str]) -> Foreign:
    """Read an array without ids or names: the caller says whose rows and which columns it has."""
    if rows_of is None:
        raise UsageError(f"{path}: a .npy holds no ids; name the CSV whose rows it follows: "
                         f"--rows-of train.csv")  # fmt: skip
    if not classes:
        raise UsageError(f"{path}: a .npy holds no class names; say --classes a,b,c or a file with "
                         f"a class a line, in the order of its columns")  # fmt: skip
    probs = np.load(path, allow_pickle=False).astype(np.float64)
    ids = ids_of(rows_of)
    if probs.ndim != 2 or probs.shape[1] != len(classes):
        raise UsageError(
            f"{path}: its shape is {probs.shape}; expected rows and {len(classes)} columns, for "
            f"--classes {few(classes)}"
        )
    if len(probs) != len(ids):
        raise UsageError(f"{path}: it has {len(probs)} rows; {rows_of} has {len(ids)}")
    return Foreign(ids, tuple(classes), probs)
