"""submission.csv, written slice by slice in the order of the sample.

What is written comes in the order of the predictions. Where the sample has the same order each
slice is written as it comes; otherwise its lines wait on the disk, and 24 bytes a row in memory
tell where they lie. The cells of a melted sample wait in memory, as the sample itself does.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

import numpy as np

from ensemble.arrays import Indices
from ensemble.errors import ContractError, few
from ensemble.files.csv_tables import csv_bytes, csv_column, csv_lines
from ensemble.files.parquet import places, text_column
from ensemble.files.spool import Spool, spooled
from ensemble.submission.cells import Row
from ensemble.submission.melted import Pairs
from ensemble.submission.sample import Sample

_PIECES: Final = 1 << 14
"""Lines that waited and are written at once."""


class Lines(Protocol):
    """Takes the cells of images in the order of their predictions."""

    def add(self, cells: Sequence[Row]) -> None:
        """Take the cells of the next images, beside the id.

        Raises:
            StoreError: the disk refused.
        """

    def finish(self) -> None:
        """Write what waited.

        Raises:
            StoreError: the disk refused.
        """


@contextmanager
def lines_of(
    sample: Sample, ids: Sequence[str], lost: Collection[str], fill: Row, sink: Spool
) -> Iterator[Lines]:
    """Give what writes a submission.

    Args:
        sample: What is asked for.
        ids: The ids that are predicted, in the order in which they will come.
        lost: The ids that are not.
        fill: The cells of each of these.
        sink: Where the submission is written to.

    Raises:
        ContractError: ids that the sample does not have, or lacks.
        StoreError: the disk refused.
    """
    lost = frozenset(lost)
    _check_asked(sample, ids, lost)
    sink.write(csv_bytes([sample.header]))
    if sample.pairs is not None:
        yield _Melted(sample, sample.pairs, ids, dict.fromkeys(lost, fill), sink)
    elif _of_one_order(sample.ids, ids, lost):
        yield _Straight(sample, lost, fill, sink)
    else:
        with spooled(sink.path) as waiting:
            yield _Scattered(sample, ids, fill, sink, waiting)


def _check_asked(sample: Sample, ids: Sequence[str], lost: Collection[str]) -> None:
    missing = set(sample.ids)
    missing.difference_update(ids, lost)
    if missing or len(ids) + len(lost) != len(sample.ids):
        raise ContractError(
            f"{len(sample.ids)} ids are asked for and {len(ids) + len(lost)} have a prediction; "
            f"missing: {few(sorted(missing)) or 'none'}. Nothing was published"
        )


def _of_one_order(asked: Sequence[str], ids: Sequence[str], lost: Collection[str]) -> bool:
    left = (name for name in asked if name not in lost) if lost else asked
    return all(a == b for a, b in zip(left, ids, strict=True))


def _lines(sample: Sample, rows: Sequence[tuple[int, Row]]) -> list[str]:
    """Return the lines of rows of the sample, by their numbers and cells."""
    texts = [cells for _, cells in rows if isinstance(cells, str)]
    if len(texts) < len(rows) or sample.id_place or sample.copied:
        return csv_lines(_line(sample, *row) for row in rows)
    names = csv_column([_written(sample, row) for row, _ in rows])
    return [f"{name},{text}\n" for name, text in zip(names, texts, strict=True)]


def _written(sample: Sample, row: int) -> str:
    """Return the id of a row of the sample as it is written."""
    name = sample.ids[row]
    return sample.written.get(name, name) if sample.written else name


def _line(sample: Sample, row: int, cells: Row) -> list[str]:
    """Return a row of the sample: its cells, its id, and what is copied, each in its place."""
    line = _apart(cells)
    line.insert(sample.id_place, _written(sample, row))
    for column in sample.copied:
        line.insert(column.place, column.cells[row])
    return line


def _apart(cells: Row) -> list[str]:
    return cells.split(",") if isinstance(cells, str) else [*cells]


class _Straight:
    """Writes lines as they come."""

    def __init__(self, sample: Sample, lost: Collection[str], fill: Row, sink: Spool) -> None:
        self._sample, self._lost, self._fill, self._sink = sample, lost, fill, sink
        self._row = 0

    def add(self, cells: Sequence[Row]) -> None:
        self._write(self._upto(cells))

    def finish(self) -> None:
        self._write(self._filled())

    def _write(self, rows: Iterable[tuple[int, Row]]) -> None:
        self._sink.write("".join(_lines(self._sample, list(rows))).encode())

    def _upto(self, cells: Sequence[Row]) -> Iterator[tuple[int, Row]]:
        if not self._lost:
            self._row += len(cells)
            yield from enumerate(cells, self._row - len(cells))
            return
        for own in cells:
            yield from self._filled()
            yield self._next(own)

    def _filled(self) -> Iterator[tuple[int, Row]]:
        ids = self._sample.ids
        while self._row < len(ids) and ids[self._row] in self._lost:
            yield self._next(self._fill)

    def _next(self, cells: Row) -> tuple[int, Row]:
        self._row += 1
        return self._row - 1, cells


class _Scattered:
    """Keeps lines on the disk until all are there; then they are written in the sample's order."""

    def __init__(
        self, sample: Sample, ids: Sequence[str], fill: Row, sink: Spool, waiting: Spool
    ) -> None:
        self._sample, self._fill, self._sink, self._waiting = sample, fill, sink, waiting
        self._order = places(text_column(ids), text_column(sample.ids))
        self._ends = np.zeros(len(ids) + 1, np.int64)
        self._row = 0

    def add(self, cells: Sequence[Row]) -> None:
        at = slice(self._row, self._row + len(cells))
        pairs = list(zip(self._order[at].tolist(), cells, strict=True))
        lines = [text.encode() for text in _lines(self._sample, pairs)]
        lengths = np.fromiter(map(len, lines), np.int64, len(lines))
        self._ends[at.start + 1 : at.stop + 1] = self._ends[at.start] + np.cumsum(lengths)
        self._waiting.write(b"".join(lines))
        self._row = at.stop

    def finish(self) -> None:
        rows: Indices = np.full(len(self._sample.ids), -1, np.int64)
        rows[self._order] = np.arange(len(self._order))
        for start in range(0, len(rows), _PIECES):
            some = rows[start : start + _PIECES].tolist()
            self._sink.write(b"".join(self._bytes(start + n, row) for n, row in enumerate(some)))

    def _bytes(self, asked: int, row: int) -> bytes:
        if row < 0:
            return _lines(self._sample, [(asked, self._fill)])[0].encode()
        return self._waiting.piece(int(self._ends[row]), int(self._ends[row + 1]))


class _Melted:
    """Keeps cells until all are there; a melted sample has a row for each image and name."""

    def __init__(
        self,
        sample: Sample,
        pairs: Pairs,
        ids: Sequence[str],
        cells: dict[str, Row],
        sink: Spool,
    ) -> None:
        self._sample, self._pairs, self._sink = sample, pairs, sink
        self._ids, self._cells = iter(ids), cells

    def add(self, cells: Sequence[Row]) -> None:
        self._cells |= {next(self._ids): own for own in cells}

    def finish(self) -> None:
        self._sink.write(csv_bytes(self._lines()))

    def _lines(self) -> Iterator[list[str]]:
        """Yield the rows of the sample, each with the value of its image and name."""
        pairs, sample = self._pairs, self._sample
        place = {name: number for number, name in enumerate(sample.classes)}
        written = {sample.written.get(n, n): _apart(row) for n, row in self._cells.items()}
        for (image, name), line in zip(pairs.rows, pairs.lines, strict=True):
            value = written[image][place[name]]
            yield [*line[: pairs.value], value, *line[pairs.value + 1 :]]
