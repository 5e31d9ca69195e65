"""Images in the rows of Parquet files, as bytes, or as a struct of bytes and their path."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

import pyarrow as pa
from pyarrow import types
from pyarrow.parquet import ParquetFile

from ensemble.errors import ImageError, UsageError, few
from ensemble.files.columns import ID
from ensemble.images.location import Container
from ensemble.images.names import id_of
from ensemble.images.parquet_rows import ParquetRow, open_parquet
from ensemble.records import IdFrom

_TEXTS: Final = 65_536
"""Rows of ids that are read at once."""


def parquet_rows(
    file: Container, image_col: str | None, id_col: str | None, id_from: IdFrom
) -> Iterator[tuple[str, ParquetRow]]:
    """Yield the id and the place of each row.

    The images are in `image_col`, or in the one column of bytes. Ids are those of `id_col`, or,
    where that is None, of the column `id`, else made of the path beside the bytes.

    Raises:
        UsageError: the file cannot be read or is damaged, or has no such columns or two of a name,
            or a row has no id.
    """
    try:
        table = open_parquet(file)
        _check_groups(file, table)
        columns = _columns(file, table.schema_arrow, image_col, id_col)
        for group, row, told, path in _texts(table, columns):
            where = f"{file}, row group {group}, row {row}"
            name = _id(where, columns.ids, told, path, id_from)
            yield name, ParquetRow(file, columns.images, group, row, path or "")
    except (OSError, ImageError, pa.ArrowException) as error:
        raise UsageError(f"{file}: cannot read the Parquet file: {error}") from error


def _check_groups(file: Container, table: ParquetFile) -> None:
    """Check that the row groups have the rows of the file: its list of them has no checksum."""
    about = table.metadata
    found = sum(about.row_group(group).num_rows for group in range(about.num_row_groups))
    if found != about.num_rows:
        raise UsageError(
            f"{file}: damaged: {about.num_rows} rows are in it, it says, and {found} in its row "
            f"groups; write it anew"
        )


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of the bytes, of the ids and of the paths; a field of a struct has a dot."""

    images: str
    ids: str | None
    paths: str | None


def _columns(
    file: Container, schema: pa.Schema, image_col: str | None, id_col: str | None
) -> _Columns:
    _check_names(file, schema, id_col)
    column = _image_column(file, schema, image_col)
    inner, paths = _field(schema, column, "bytes"), _field(schema, column, "path")
    ids = id_col or (ID if ID in schema.names else None)
    if ids is None and paths is None:
        raise UsageError(
            f"{file}: no column is called id, and {column!r} has no path beside its bytes; it has "
            f"{few(schema.names)}. Say by --id-col which is the id"
        )
    return _Columns(inner or column, ids, paths)


def _check_names(file: Container, schema: pa.Schema, id_col: str | None) -> None:
    """Check that each column has a name of its own, and that the one of the ids is there."""
    twice = [name for name, count in Counter(schema.names).items() if count > 1]
    if twice:
        raise UsageError(
            f"{file}: several columns are called {few(twice)}, so none can be told by its name; "
            f"write the table with a name for each"
        )
    if id_col is not None and id_col not in schema.names:
        raise UsageError(
            f"{file}: no column {id_col!r}, as --id-col says; it has {few(schema.names)}"
        )


def _image_column(file: Container, schema: pa.Schema, said: str | None) -> str:
    """Return the column of the images: the one that is said, or the only one of bytes."""
    if said is not None and said not in schema.names:
        raise UsageError(
            f"{file}: no column {said!r}, as --image-col says; it has {few(schema.names)}"
        )
    found: list[str] = [name for name in schema.names if _holds_bytes(schema.field(name).type)]
    if said is not None:
        found = [name for name in found if name == said]
    if len(found) == 1:
        return found[0]
    if said is not None:
        raise UsageError(
            f"{file}: {said!r} is {schema.field(said).type}; expected bytes, or a struct of bytes "
            f"and their path"
        )
    raise UsageError(
        f"{file}: {len(found)} columns hold bytes ({few(found or schema.names)}); say by "
        f"--image-col which are the images"
    )


def _holds_bytes(kind: pa.DataType) -> bool:
    if types.is_struct(kind):
        inner = [kind.field(n) for n in range(kind.num_fields)]
        return any(each.name == "bytes" and _holds_bytes(each.type) for each in inner)
    return any(
        check(kind) for check in (types.is_binary, types.is_large_binary, types.is_binary_view)
    )


def _field(schema: pa.Schema, column: str, name: str) -> str | None:
    """Return the column of a struct's field, where the images are structs that have it."""
    kind = schema.field(column).type
    inner = types.is_struct(kind) and name in [kind.field(n).name for n in range(kind.num_fields)]
    return f"{column}.{name}" if inner else None


def _texts(table: ParquetFile, columns: _Columns) -> Iterator[tuple[int, int, object, str | None]]:
    """Yield each row's group, its number there, its id and its path, where there are such."""
    wanted = [name for name in (columns.ids, columns.paths) if name is not None]
    for group in range(table.num_row_groups):
        row = 0
        for batch in table.iter_batches(_TEXTS, [group], wanted, use_threads=False):
            names, paths = _values(batch, columns.ids), _values(batch, columns.paths)
            for name, path in zip(names, paths, strict=True):
                yield group, row, name, _text(path)
                row += 1
        if row != (due := table.metadata.row_group(group).num_rows):
            raise OSError(f"row group {group} has {row} ids for {due} rows")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _values(batch: pa.RecordBatch, column: str | None) -> list[object]:
    """Return a column of a batch, or a field of a struct in it, as Python's values."""
    if column is None:
        return [None] * batch.num_rows
    if column in batch.schema.names:
        return list(batch.column(column).to_pylist())
    outer, _, inner = column.rpartition(".")
    return [None if row is None else row[inner] for row in batch.column(outer).to_pylist()]


def _id(where: str, ids: str | None, name: object, path: str | None, id_from: IdFrom) -> str:
    """Return the id of a row: what its column says, as it is written, or made of its path."""
    if ids is None:
        if not path:
            raise UsageError(f"{where}: no path, of which its id would be; say --id-col")
        return id_of(PurePosixPath(path), id_from)
    if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
        raise UsageError(f"{where}, {ids}: expected a text or a whole number; found {name!r}")
    return str(name)
