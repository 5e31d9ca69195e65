"""A row of a Parquet file that holds an image, and how rows are read: in runs, as stored."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath
from threading import Lock
from typing import Final

import pyarrow as pa
from pyarrow.parquet import ParquetFile

from ensemble.errors import ImageError
from ensemble.images.location import Container, LocalFile

_BATCH: Final = 4 * 2**20
"""Bytes of images, about, that are unpacked at once."""

_HELD: Final = 128 * 2**20
"""Bytes of a row group that are kept, for threads that are not quite in step."""

_GROUPS: Final = 2
"""Row groups that are kept open: where one ends, threads are in the next one too."""


@dataclass(frozen=True, slots=True)
class ParquetRow:
    """An image in a row of a Parquet file: its row group, and the row in that."""

    file: Container
    column: str
    group: int
    row: int
    name: str

    @property
    def suffix(self) -> str:
        """What its path ends with, where the table has one."""
        return PurePosixPath(self.name).suffix

    def read_bytes(self) -> bytes:
        """Read its bytes; rows that are asked for in their order are unpacked once.

        Raises:
            ImageError: the row has no bytes, or the file is another one by now.
            OSError: it cannot be read.
        """
        try:
            data = _group(self.file, self.column, self.group).bytes_of(self.row)
        except pa.ArrowException as error:
            raise OSError(f"row group {self.group} of {self.file}: {error}") from error
        if data is None:
            raise ImageError("read", "empty", f"the row has no bytes: null in {self.column!r}")
        return data

    def __str__(self) -> str:
        return f"{self.file}!{self.group}/{self.row}" + (f"/{self.name}" if self.name else "")


def open_parquet(file: Container) -> ParquetFile:
    """Open a file so that it is read as it is needed, and its checksums, if any, are checked.

    Raises:
        ImageError: it is another file by now.
        OSError, pyarrow.ArrowException: it is no Parquet file, or a damaged one.
    """
    stream = pa.OSFile(file.path) if isinstance(file, LocalFile) else file.open()
    file.check()
    return ParquetFile(stream, pre_buffer=False, buffer_size=2**20, page_checksum_verification=True)


@dataclass(slots=True)
class _Group:
    """A row group that is being read: the last batches of it, and those that are still to come."""

    file: Container
    table: ParquetFile
    column: str
    number: int
    each: int
    coming: Iterator[pa.RecordBatch] = field(default_factory=lambda: iter(()))
    held: deque[tuple[int, pa.Array]] = field(default_factory=deque)
    lock: Lock = field(default_factory=Lock)

    def bytes_of(self, row: int) -> bytes | None:
        """Return the bytes of a row; None where they are null."""
        with self.lock:
            for start, values in self.held:
                if start <= row < start + len(values):
                    return _bytes(values[row - start])
            if not self.held or row < self.held[0][0]:
                self._begin()
            while True:
                start, values = self._next()
                if row < start + len(values):
                    return _bytes(values[row - start])

    def _begin(self) -> None:
        self.held.clear()
        self.coming = self.table.iter_batches(
            self.each, [self.number], [self.column], use_threads=False
        )

    def _next(self) -> tuple[int, pa.Array]:
        """Unpack one batch more; after an error the next attempt begins anew."""
        start = self.held[-1][0] + len(self.held[-1][1]) if self.held else 0
        try:
            batch = next(self.coming, None)
            self.file.check()
        except BaseException:
            self.held.clear()
            raise
        if batch is None:
            self.held.clear()
            raise OSError(f"row group {self.number} of {self.file} ends after {start} rows")
        values = batch.column(0)
        if self.column not in batch.schema.names:
            values = values.field(self.column.rpartition(".")[2])
        self.held.append((start, values))
        while len(self.held) > 2 and sum(values.nbytes for _, values in self.held) > _HELD:
            self.held.popleft()
        return start, values


def _bytes(value: pa.Scalar) -> bytes | None:
    found: bytes | None = value.as_py()
    return found


@lru_cache(maxsize=_GROUPS)
def _group(file: Container, column: str, number: int) -> _Group:
    """Open a row group; one that is open is used again, by all threads."""
    table = open_parquet(file)
    about = table.metadata.row_group(number)
    each = max(1, about.total_byte_size // max(1, about.num_rows))
    return _Group(file, table, column, number, max(1, min(_BATCH // each, 4096)))


def stored_order(row: ParquetRow) -> tuple[str, int, int]:
    """Return a sort key that puts rows as they are stored, in which they are quick to read."""
    return str(row.file), row.group, row.row
